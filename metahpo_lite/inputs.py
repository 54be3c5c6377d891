"""What a meta-model reads of tasks, configurations and trials, and what it is taught with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm, rankdata
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer

from metahpo_lite.datasets import did_you_mean
from metahpo_lite.hyperparameters import Categorical
from metahpo_lite.metadata import MetaDataset
from metahpo_lite.spaces import SearchSpace

FOLDS = 3  # of the families: each model of an ensemble does without one


class TaskInputs:
    """What a meta-model reads of a task: its meta-features, each as a number from -1 to 1.

    A meta-feature becomes its quantile among the training tasks, so that long tails do no harm;
    where it is missing, the middle, with a mark beside it. What never varies is left out.

    Parameters
    ----------
    table : DataFrame or None
        The meta-features of the training tasks, one row each; None if they are not described.
    marks : bool
        Whether to mark what is missing.
    """

    def __init__(self, table: pd.DataFrame | None, marks: bool = True):
        self.columns = [] if table is None else list(table.columns)
        self.used = [] if table is None else list(table.columns[table.max() > table.min()])
        self.pipeline = make_pipeline(
            QuantileTransformer(n_quantiles=1 if table is None else min(1000, len(table))),
            SimpleImputer(strategy="constant", fill_value=0.5, add_indicator=marks),
            VarianceThreshold(),
        )
        if table is not None and self.used:
            self.pipeline.fit(table[self.used].to_numpy(float))

    def __call__(self, meta_features: pd.Series | pd.DataFrame | None) -> np.ndarray:
        """Return the numbers of one task, or of several, shape (n_tasks, p).

        Raises
        ------
        TypeError
            If `meta_features` is neither a Series nor a DataFrame, but the training tasks were
            described.
        ValueError
            If a meta-feature lacks, is unknown, or is not a number; or all are missing.
        """
        if not self.columns:
            return np.zeros(
                (len(meta_features) if isinstance(meta_features, pd.DataFrame) else 1, 0)
            )
        table = meta_features
        if isinstance(table, pd.Series):
            table = table.to_frame().T
        if not isinstance(table, pd.DataFrame):
            raise TypeError(
                f"meta_features: got {type(table).__name__}, accepted is a Series, as the function "
                "meta_features returns it, or a DataFrame with one row a task"
            )
        for name in table.columns[table.columns.duplicated()]:
            raise ValueError(f"meta_features: {name!r} occurs twice, accepted is each once")
        for name in table.columns.symmetric_difference(self.columns):
            what = "is unknown" if name in table else "is missing"
            close = did_you_mean(name, self.columns if name in table else table.columns)
            raise ValueError(
                f"meta_features: {name!r} {what}{close}; accepted are the {len(self.columns)} that "
                "the experience has, in any order"
            )
        numbers = table = table[self.columns]
        if not all(kind == np.float64 for kind in table.dtypes):
            try:
                numbers = table.apply(pd.to_numeric, errors="coerce").astype(float)
            except OverflowError:
                raise ValueError("meta_features: a whole number is too large for a float; accepted "
                                 "are finite numbers, or missing") from None  # fmt: skip
        bad = np.isinf(numbers) | (numbers.isna() & table.notna())
        for name in numbers.columns[bad.any()]:
            value = table.loc[bad[name], name].tolist()[0]
            raise ValueError(
                f"meta_features: {name!r} is {value!r}, accepted are finite numbers, or missing"
            )
        if numbers.isna().all(axis=1).any():
            raise ValueError("meta_features: all of a task are missing; accepted is one or more")
        return self._scaled(numbers)

    def of_training(self, experience: MetaDataset) -> np.ndarray:
        """Return the numbers of the training tasks, shape (n_tasks, p): they need no check."""
        table = experience.meta_features
        return np.zeros((len(experience.tasks), 0)) if table is None else self._scaled(table)

    def _scaled(self, table: pd.DataFrame) -> np.ndarray:
        if not self.used:
            return np.zeros((len(table), 0))
        return 2 * self.pipeline.transform(table[self.used].to_numpy(float)) - 1


def config_inputs(space: SearchSpace, points: np.ndarray) -> np.ndarray:
    """Return what a meta-model reads of configurations.

    A number from -1 to 1 for each numeric hyperparameter, a 0 or 1 for each choice, and a 0 or 1
    for whether a hyperparameter with a condition is active.

    Parameters
    ----------
    space : SearchSpace
    points : array of shape (n, d)
        The configurations in the unit cube, as from ``space.encode``.

    Returns
    -------
    numpy.ndarray of shape (n, q)
    """
    return np.array(list(input_columns(space, points).values()), dtype=float).T


def input_columns(space: SearchSpace, points: np.ndarray) -> dict[tuple[str, Any], np.ndarray]:
    """Return the same by name: a hyperparameter, and (choice,), "number" or "active"."""
    columns: dict[tuple[str, Any], np.ndarray] = {}
    values: dict[str, np.ndarray] = {}
    active: dict[str, np.ndarray] = {}
    for h, u in zip(space, points.T, strict=True):
        active[h.name] = np.all([np.ones(len(u), dtype=bool)] + [
            active[parent] & np.isin(values[parent], [space[parent].encode(v) for v in some])
            for parent, some in h.when.items()], axis=0)  # fmt: skip
        values[h.name] = u
        if isinstance(h, Categorical):
            for choice in h.choices:
                columns[h.name, (choice,)] = active[h.name] & (u == h.encode(choice))
        else:
            columns[h.name, "number"] = 2 * u - 1
        if h.when:
            columns[h.name, "active"] = active[h.name]
    return columns


def history_features(scores: pd.DataFrame | pd.Series) -> pd.DataFrame | pd.Series:
    """Turn past trials into meta-features: how a few configurations did against each other.

    Beside the other meta-features, a meta-model can read them (relative landmarking; Fuernkranz &
    Petrak, 2001).

    Parameters
    ----------
    scores : DataFrame, or Series
        The scores of the same configurations on several tasks, as ``experience.scores[[3, 7]]``;
        or on one. Missing where one failed.

    Returns
    -------
    DataFrame or Series
        Each score minus the mean of its task's; the names say ``trial_3``, ``trial_7``.
    """
    if isinstance(scores, pd.Series):
        return history_features(scores.to_frame().T).iloc[0]
    return scores.sub(scores.mean(axis=1), axis=0).add_prefix("trial_").astype(float)


def normal_ranks(scores: np.ndarray) -> np.ndarray:
    """Replace the scores of each task by the normal quantiles of their ranks.

    So each task has the same weight, and only its order counts (van der Waerden, 1952).

    Parameters
    ----------
    scores : array of shape (n_tasks, n_configs)
        Higher is better; NaN, where one failed, is the worst.

    Returns
    -------
    numpy.ndarray of shape (n_tasks, n_configs)
        Equal scores share their average rank.
    """
    ranks = rankdata(np.where(np.isnan(scores), -np.inf, scores), axis=1)
    return norm.ppf((ranks - 0.5) / scores.shape[1])


def left_out_folds(families: Sequence[str], rng: np.random.Generator) -> np.ndarray:
    """Deal families out to `FOLDS` folds: say which tasks each model is to do without.

    Returns
    -------
    bool numpy.ndarray of shape (`FOLDS`, n_tasks)
        Each task is left out once, with its family; of two families, there are two folds.

    Raises
    ------
    ValueError
        If there is one family only: then nothing can be left out.
    """
    number, names = pd.factorize(np.asarray(families, dtype=object))
    if len(names) < 2:
        raise ValueError(
            f"experience: got {len(number)} task(s) of one family, accepted are two families or "
            "more, so that one can be left out"
        )
    fold = (rng.permutation(len(names)) % FOLDS)[number]
    return fold == np.arange(min(FOLDS, len(names)))[:, None]


def check_fitted(predictor: Any, attribute: str) -> None:
    """Raise a RuntimeError if `predictor` lacks what `fit` gives it."""
    if not hasattr(predictor, attribute):
        raise RuntimeError(
            f"{type(predictor).__name__}: not fitted yet; call fit(experience) first: accepted is "
            "a fitted one"
        )
