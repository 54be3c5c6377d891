"""Search: one loop that runs every searcher on every task.

A searcher is anything with ``suggest() -> config`` and ``update(config, score)``. `suggest` raises
StopIteration when it has nothing left to propose; `update` gets NaN for a trial that failed.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd

from metahpo_lite.arguments import is_finite, whole_number
from metahpo_lite.spaces import Config, SearchSpace


class Searcher(Protocol):
    """What `run` needs of a searcher."""

    def suggest(self) -> Config:
        """Propose the next configuration to try."""

    def update(self, config: Config, score: float) -> None:
        """Learn how the configuration did; higher is better, NaN is a failed trial."""


class RandomSearch:
    """Independent draws from the space (Bergstra & Bengio, 2012).

    Parameters
    ----------
    space : SearchSpace
    rng : numpy.random.Generator
    pool : sequence of dict, optional
        Draw from these configurations alone, each once: those that a replayed task knows.
    """

    def __init__(
        self,
        space: SearchSpace,
        rng: np.random.Generator,
        pool: Sequence[Config] | None = None,
    ):
        self.space, self.rng = space, rng
        self.left = None if pool is None else [pool[i] for i in rng.permutation(len(pool))]

    def suggest(self) -> Config:
        """Draw a configuration; StopIteration when all of the pool were tried."""
        if self.left is None:
            return self.space.sample(self.rng)
        if not self.left:
            raise StopIteration
        return self.left.pop()

    def update(self, config: Config, score: float) -> None:
        """Random search learns nothing from a trial."""


class GridSearch:
    """The finest full grid that fits the budget, in random order.

    The order does not change what a whole grid finds. It keeps the scores before that from
    depending on the corner at which one happens to begin.

    Parameters
    ----------
    space : SearchSpace
    rng : numpy.random.Generator
    budget : int
        The most configurations that the grid may have (see `SearchSpace.grid`).
    """

    def __init__(self, space: SearchSpace, rng: np.random.Generator, budget: int):
        self.configs = space.grid(budget)
        rng.shuffle(self.configs)

    def suggest(self) -> Config:
        """Return the next configuration of the grid; StopIteration when all were tried."""
        if not self.configs:
            raise StopIteration
        return self.configs.pop()

    def update(self, config: Config, score: float) -> None:
        """Grid search learns nothing from a trial."""


def as_if_failed(
    searcher: Searcher, configs: Sequence[Config], rng: np.random.Generator
) -> Searcher:
    """Copy a searcher, and let the copy believe that some configurations were tried and failed.

    What it proposes then can be tried while these still run: the constant liar with the worst
    score (Ginsbourger et al., 2010).

    Parameters
    ----------
    searcher : Searcher
        It is not told.
    configs : sequence of dict
    rng : numpy.random.Generator
        The searcher's own, which the copy shares.

    Returns
    -------
    Searcher
    """
    liar = copy.deepcopy(searcher, {id(rng): rng})
    for config in configs:
        liar.update(config, math.nan)
    return liar


def suggest_batch(searcher: Searcher, n: int, rng: np.random.Generator) -> list[Config]:
    """Propose configurations that can be tried at once, each `as_if_failed` those before it.

    Parameters
    ----------
    searcher : Searcher
    n : int
    rng : numpy.random.Generator
        The searcher's own.

    Returns
    -------
    list of dict
        At most `n`: fewer if the searcher has nothing left to propose.
    """
    batch: list[Config] = []
    while len(batch) < n:
        liar = as_if_failed(searcher, batch, rng) if batch else searcher
        try:
            batch.append(liar.suggest())
        except StopIteration:
            break
    return batch


def run(searcher: Searcher, task: Any, n_trials: int, progress: bool = False) -> pd.DataFrame:
    """Let a searcher try configurations on a task, and return the history.

    Parameters
    ----------
    searcher : Searcher
        Anything with ``suggest()`` and ``update(config, score)``.
    task : LiveTask or similar
        Anything with ``evaluate(config) -> float``, higher is better.
    n_trials : int
        The budget. Fewer trials are run if the searcher has nothing left to propose.
    progress : bool
        Whether to show a progress bar with the incumbent's score.

    Returns
    -------
    pandas.DataFrame
        One row per trial, index ``trial`` from 1: ``config`` (dict), ``score`` (NaN if it
        failed; one beyond ±1e100 is a failure, too), ``seconds`` of the evaluation, ``status``
        (``ok``, ``failed`` or ``timeout``), ``message`` (why it failed), ``incumbent`` (the best
        score so far).

    Raises
    ------
    ValueError
        If `n_trials` is below one.
    """
    rows, incumbent = [], math.nan  # no comparison with NaN holds, so any score replaces it
    trials: Iterable[int] = range(1, whole_number("n_trials", n_trials) + 1)
    bar = None
    if progress:
        from tqdm.auto import tqdm

        trials = bar = tqdm(trials, unit="trial")
    for _ in trials:
        try:
            config = searcher.suggest()
        except StopIteration:
            break
        score, status, message = math.nan, "failed", ""
        start = time.perf_counter()
        try:
            score = float(task.evaluate(dict(config)))
        except TimeoutError as error:
            status, message = "timeout", str(error)
        except Exception as error:  # one bad evaluation must not end the search
            message = f"{type(error).__name__}: {error}"
        seconds = time.perf_counter() - start
        if is_finite(score):
            status, incumbent = "ok", incumbent if incumbent >= score else score
        elif status == "failed" and not message:
            score, message = math.nan, f"the score is {score}"
        rows.append((dict(config), score, seconds, status, message, incumbent))
        searcher.update(config, score)
        if bar is not None:
            bar.set_postfix(incumbent=f"{incumbent:.4g}")
    columns = ["config", "score", "seconds", "status", "message", "incumbent"]
    index = pd.RangeIndex(1, len(rows) + 1, name="trial")
    types = {"score": float, "seconds": float, "status": str, "message": str, "incumbent": float}
    return pd.DataFrame(rows, columns=columns, index=index).astype(types)  # without a row too
