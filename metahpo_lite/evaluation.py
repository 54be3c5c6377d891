"""Evaluation: how far a search is from the best, and how sure that is over many tasks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from metahpo_lite.spaces import at_least_one


def normalised_regret(incumbents: np.ndarray, best: float, worst: float) -> np.ndarray:
    """Measure what is still missing to the best score: 0 at the best, 1 at the worst.

    ``(best - incumbent) / (best - worst)``, so that tasks of different difficulty can be averaged.

    Parameters
    ----------
    incumbents : array of any shape
        The best score so far, by trial; NaN (no trial has succeeded yet) counts as the worst.
    best, worst : float
        The best and the worst score known for the task. They belong to the evaluator: a searcher
        must not see them.

    Returns
    -------
    numpy.ndarray of the shape of `incumbents`
        Below 0 where an incumbent is better than `best`.

    Raises
    ------
    ValueError
        If `best` is not above `worst`, or one of the two is not finite.
    """
    if not (np.isfinite(best) and np.isfinite(worst) and worst < best):
        raise ValueError(
            f"best, worst: got {best!r} and {worst!r}, accepted are finite numbers, best the larger"
        )
    incumbents = np.asarray(incumbents, dtype=float)
    return (best - np.where(np.isnan(incumbents), worst, incumbents)) / (best - worst)


def bootstrap_interval(
    values: np.ndarray,
    families: Sequence,
    rng: np.random.Generator,
    level: float = 0.95,
    draws: int = 2000,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Average over tasks, with a bootstrap interval over families (Efron, 1979).

    Whole families are drawn with replacement, since tasks of one family are not independent. The
    seeds of a randomised method are to be averaged within a task before.

    Parameters
    ----------
    values : array of shape (n_tasks,) or (n_tasks, n_trials)
        One number, or one curve, a task.
    families : sequence of length n_tasks
        The family of each task.
    rng : numpy.random.Generator
    level : float
        The share of bootstrap means inside the interval.
    draws : int
        The number of bootstrap means.

    Returns
    -------
    mean, low, high : numpy.ndarray of shape () or (n_trials,)
        The interval holds the central part of the bootstrap means (the percentile method).

    Raises
    ------
    ValueError
        If there is no task, a value is not finite, there are not as many families as tasks, or
        `level` or `draws` is out of range.
    """
    values, families = np.asarray(values, dtype=float), np.asarray(families, object)
    if values.ndim not in (1, 2) or not values.size or not np.isfinite(values).all():
        raise ValueError(
            f"values: got shape {values.shape}, {np.sum(~np.isfinite(values))} NaN or infinite; "
            "accepted is a finite number, or a curve of them, for every task"
        )
    if families.shape != values.shape[:1] or pd.isna(families).any():
        raise ValueError(
            f"families: got shape {families.shape}, {np.sum(pd.isna(families))} missing; "
            f"accepted is one for each of {len(values)} tasks"
        )
    if not 0 < level < 1:
        raise ValueError(f"level: got {level!r}, accepted is between 0 and 1")
    at_least_one("draws", draws)
    _, family = np.unique(families.astype(str), return_inverse=True)
    sums = np.stack([values[family == f].sum(axis=0) for f in range(family.max() + 1)])
    sizes = np.bincount(family)
    # how often each family was drawn: (draws, n_families)
    weights = rng.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), size=draws)
    means = np.tensordot(weights, sums, 1).T / (weights @ sizes)  # (n_trials, draws) or (draws,)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=-1)
    return values.mean(axis=0), low, high
