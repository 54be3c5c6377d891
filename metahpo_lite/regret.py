"""Regret: how far a search is from the best, trial by trial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.special import gammaln
from threadpoolctl import threadpool_limits

from metahpo_lite.arguments import LARGEST, as_floats, is_finite, whole_number
from metahpo_lite.search import Searcher, run


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
        If `best` is not above `worst` by more than 1e-100, or one of the two is not finite.
    """
    if not (is_finite(best) and is_finite(worst) and float(best) - float(worst) > 1 / LARGEST):
        raise ValueError(
            f"best, worst: got {best!r} and {worst!r}, accepted are finite numbers, best the "
            f"larger by more than {1 / LARGEST:g}"
        )
    incumbents = as_floats("incumbents", incumbents)
    return (best - np.where(np.isnan(incumbents), worst, incumbents)) / (best - worst)


def regrets_of(scores: np.ndarray) -> np.ndarray:
    """Return the normalised regret of each configuration as the only trial.

    Parameters
    ----------
    scores : array of shape (n_tasks, n_configs)
        Higher is better; NaN, where one failed, is the worst.

    Returns
    -------
    numpy.ndarray of shape (n_tasks, n_configs)
        0 is the best of a task, 1 the worst; all are 0 where all score the same.
    """
    best = np.nanmax(scores, axis=1, keepdims=True)
    worst = np.nanmin(scores, axis=1, keepdims=True)
    scores = np.where(np.isnan(scores), worst, scores)
    return np.divide(best - scores, best - worst, out=np.zeros_like(scores), where=best > worst)


def regret_curve(
    scores: np.ndarray, best: float, worst: float, n_trials: int | None = None
) -> np.ndarray:
    """Measure the normalised regret of one search after each of its trials.

    Parameters
    ----------
    scores : array of shape (n,)
        In the order of the trials; NaN where one failed.
    best, worst : float
        As for `normalised_regret`.
    n_trials : int, optional
        The length of the curve; that of `scores` if not given. A search that ended early keeps
        its last value, one that went on longer is cut.

    Returns
    -------
    numpy.ndarray of shape (n_trials,)
        It never rises. It is 1 until a trial succeeds, and between 0 and 1 as long as the scores
        are between `worst` and `best`.

    Raises
    ------
    ValueError
        If `scores` is empty, not one row, or has an infinite one; `best` is not above `worst`; or
        `n_trials` is not from 1 to 1,000,000.
    """
    scores = as_floats("scores", scores)
    if scores.ndim != 1 or not scores.size or np.isinf(scores).any():
        raise ValueError(
            f"scores: got shape {scores.shape}, {np.isinf(scores).sum()} infinite; accepted is a "
            "row of one or more numbers, and NaN where a trial failed"
        )
    length = len(scores) if n_trials is None else whole_number("n_trials", n_trials, 1, 10**6)
    trials = np.minimum(np.arange(length), len(scores) - 1)
    return normalised_regret(np.fmax.accumulate(scores)[trials], best, worst)  # fmax: without NaN


def race(
    make: Callable[[int, np.random.Generator], Searcher],
    experience: Any,
    n_trials: int,
    n_runs: int = 1,
) -> np.ndarray:
    """Let searchers search the replayed tasks of an experience, and measure their regret.

    Parameters
    ----------
    make : function of (number of the task, rng)
        Makes a new searcher. What it knows of other tasks is its own affair.
    experience : MetaDataset
        The tasks, in order; each search is among the configurations of the experience.
    n_trials, n_runs : int
        The budget, and how often each task is searched, with other draws.

    Returns
    -------
    numpy.ndarray of shape (n_tasks, n_runs, n_trials)
        The normalised regret after each trial.

    Raises
    ------
    ValueError
        If a number is below one.
    """
    n_trials, n_runs = whole_number("n_trials", n_trials), whole_number("n_runs", n_runs)
    regrets = np.empty((len(experience.tasks), n_runs, n_trials))
    with threadpool_limits(1):  # of small matrices, threads cost more than they save
        for i, name in enumerate(experience.tasks.index):
            task = experience.replay(name)
            for j in range(n_runs):
                history = run(make(i, np.random.default_rng([i, j])), task, n_trials)
                regrets[i, j] = regret_curve(history["score"], task.best, task.worst, n_trials)
    return regrets


def mean_regret(curves: np.ndarray, n_trials: int = 50) -> np.ndarray:
    """Average a regret curve over its first trials: for 50 of them, AUC50 in this course.

    One number for the whole search, as the area under the curve: low regret early counts as much
    as low regret late.

    Parameters
    ----------
    curves : array of shape (n,) or (n_tasks, n)
        One curve, or one a task, of at least `n_trials` trials.
    n_trials : int
        How many of the first trials count.

    Returns
    -------
    numpy.ndarray of shape () or (n_tasks,)

    Raises
    ------
    ValueError
        If a value is NaN or infinite, or the curves have fewer trials than `n_trials`.
    """
    n_trials = whole_number("n_trials", n_trials)
    curves = finite_array(
        "curves", curves, (1, 2), f"one or more, each of at least {n_trials} trials"
    )
    if curves.shape[-1] < n_trials:
        raise ValueError(
            f"curves: got {curves.shape[-1]} trials, accepted are at least n_trials={n_trials}; "
            "regret_curve keeps the last value of a search that ended early"
        )
    return curves[..., :n_trials].mean(axis=-1)


def score_gap(incumbents: np.ndarray, best: float) -> np.ndarray:
    """Measure what is still missing to the best score, in the unit of the score.

    To be read beside the normalised regret, for which a task whose scores differ by half a point
    counts as much as one where they differ by thirty.

    Parameters
    ----------
    incumbents : array of any shape
        The best score so far; NaN where no trial has succeeded yet.
    best : float
        The best score known for the task.

    Returns
    -------
    numpy.ndarray of the shape of `incumbents`
        ``best - incumbents``: below 0 where an incumbent is better, NaN where there is none.

    Raises
    ------
    ValueError
        If `best` is not finite, or an incumbent is infinite.
    """
    incumbents = as_floats("incumbents", incumbents)
    if not is_finite(best):
        raise ValueError(f"best: got {best!r}, accepted is a finite number")
    if np.isinf(incumbents).any():
        raise ValueError(
            f"incumbents: got {np.isinf(incumbents).sum()} infinite, accepted are numbers and NaN"
        )
    return best - incumbents


def expected_incumbent(scores: np.ndarray) -> np.ndarray:
    """Average the best score so far over all orders in which the trials could have been run.

    The exact expectation of random search without replacement: the i-th best of N scores is the
    best of t draws with probability C(N - i, t - 1) / C(N, t).

    Parameters
    ----------
    scores : array of shape (n_trials,)
        The scores of a search that did not learn; NaN where a trial failed.

    Returns
    -------
    numpy.ndarray of shape (n_trials,)
        Expected incumbent after 1, 2, ..., n_trials trials. A failed trial counts as the worst.

    Raises
    ------
    ValueError
        If the scores are not one-dimensional, or all are NaN.
    """
    scores = as_floats("scores", scores)
    if scores.ndim != 1 or not np.isfinite(scores).any() or np.isinf(scores).any():
        raise ValueError("scores: got none, infinity or a table, accepted is one row of scores")
    ranked = np.sort(np.where(np.isnan(scores), np.nanmin(scores), scores))[::-1]
    n = len(ranked)
    i, t = np.arange(1, n + 1)[:, None], np.arange(1, n + 1)
    with np.errstate(invalid="ignore"):
        chances = np.exp(_log_choose(n - i, t - 1) - _log_choose(n, t))  # (n_scores, n_trials)
    return ranked @ np.where(t - 1 <= n - i, chances, 0.0)


def _log_choose(n: int | np.ndarray, k: np.ndarray) -> np.ndarray:
    """Logarithm of the number of ways to choose k of n; of no meaning where k > n."""
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(np.maximum(n - k, 0) + 1)


def finite_array(argument: str, values, dimensions: Sequence[int], accepted: str) -> np.ndarray:
    """Return the values as an array of finite numbers, or raise an error that says what lacks."""
    values = as_floats(argument, values)
    if values.ndim not in dimensions or not values.size or not np.isfinite(values).all():
        raise ValueError(
            f"{argument}: got shape {values.shape}, {np.sum(~np.isfinite(values))} NaN or "
            f"infinite; accepted is {accepted}"
        )
    return values
