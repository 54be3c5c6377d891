"""The trials of a `MetaSearchCV`: from the searcher to scikit-learn's tables, and back."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection._search import (  # made for subclasses, yet not exported
    _yield_masked_array_for_each_param,
)

from metahpo_lite.search import Searcher
from metahpo_lite.spaces import Config


@dataclass(eq=False)
class CVTrials:
    """The trials of a search: their configurations, scores, and those that failed whole."""

    searcher: Searcher
    rng: np.random.Generator
    parameters: Callable[[Config], dict[str, Any]]
    size: int  # of a batch
    folds: Any  # the splitter of the trials; None is that of the search
    bar: bool
    strict: bool  # an error ends the search
    configs: list[Config] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    failed: dict[int, dict] = field(default_factory=dict)  # parameters, by number of the trial
    error: Exception | None = None
    batch: list[Config] = field(default_factory=list)  # the last one, which may be under way
    results: dict = field(default_factory=dict)  # scikit-learn's, of all trials but those failed

    def run(self, evaluate_candidates: Callable, batch: list[Config]) -> None:
        """Evaluate a batch, and tell the searcher."""
        candidates = [self.parameters(config) for config in batch]
        self.batch = batch
        error: Exception | None = None
        try:
            with warnings.catch_warnings():
                # it would come again at each trial; a trial without a score is in cv_results_
                warnings.filterwarnings("ignore", "One or more of the (test|train) scores")
                results = evaluate_candidates(candidates, cv=self.folds)
            if "mean_test_score" not in results:
                raise TypeError("scoring: got a function that returns a dict, accepted is one "
                                "that returns a number")  # fmt: skip
            self.results = results
            scores = results["mean_test_score"][-len(batch) :].tolist()
        except ValueError as found:
            if self.strict or "fits failed" not in str(found):  # no fault of these parameters
                raise
            error = found
        except BrokenProcessPool as found:
            error = RuntimeError(
                "estimator: a worker process died while it fitted (out of memory, or a fault in "
                f"compiled code), with one of {candidates}"
            )
            if self.strict:
                raise error from found
        if error is not None:
            warnings.warn(str(error), FitFailedWarning, stacklevel=2)
            self.failed |= dict(enumerate(candidates, len(self.configs)))
            self.error, scores = error, [math.nan] * len(batch)
        # first, for an interrupt while the searcher learns must leave no row without its trial
        self.configs, self.scores = self.configs + batch, self.scores + scores
        for config, score in zip(batch, scores, strict=True):
            self.searcher.update(config, score if math.isfinite(score) else math.nan)


def spread_results(results: dict, ok: np.ndarray, failed: dict[int, dict], error_score) -> dict:
    """Return ``cv_results_`` with a row for each trial that failed, in the order of the trials."""
    if not failed:
        return results
    rows = dict(zip(ok, results["params"], strict=True)) | failed
    params = [rows[i] for i in range(len(rows))]
    last = 1 + np.isfinite(results["mean_test_score"]).sum()  # as for rows that failed in part
    full: dict[str, Any] = {}
    for key, column in results.items():
        if key == "params":
            full[key] = params
        elif key.startswith("param_"):  # these may need another type now
            full |= dict(_yield_masked_array_for_each_param(params))
        else:
            blank = error_score if key.startswith(("mean_test", "mean_train", "split")) else np.nan
            full[key] = np.full(len(rows), last if key.startswith("rank") else blank, column.dtype)
            full[key][ok] = column
    return full
