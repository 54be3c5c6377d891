"""Evaluation: how far a search is from the best, and how sure that is over many tasks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import gammaln

from metahpo_lite.spaces import Config, SearchSpace, check_seed, whole_number


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
    scores = np.asarray(scores, dtype=float)
    if scores.ndim != 1 or not np.isfinite(scores).any() or np.isinf(scores).any():
        raise ValueError("scores: got none, infinity or a table, accepted is one row of scores")
    ranked = np.sort(np.where(np.isnan(scores), np.nanmin(scores), scores))[::-1]
    n = len(ranked)
    i, t = np.arange(1, n + 1)[:, None], np.arange(1, n + 1)
    with np.errstate(invalid="ignore"):
        chances = np.exp(_log_choose(n - i, t - 1) - _log_choose(n, t))  # (n_scores, n_trials)
    return ranked @ np.where(t - 1 <= n - i, chances, 0.0)


def _log_choose(n: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Logarithm of the number of ways to choose k of n; of no meaning where k > n."""
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(np.maximum(n - k, 0) + 1)


def hyperparameter_importance(
    space: SearchSpace, configs: Sequence[Config], scores: np.ndarray, seed: int = 0
) -> np.ndarray:
    """Estimate in which share of the variance of the scores each hyperparameter has a part.

    A forest that knows four fifths of the configurations predicts the scores of the others; then
    again, with one hyperparameter shuffled among these. Half of what this adds to the squared
    error, as a share of the variance of the scores, is the importance (Jansen, 1999). It is the
    mean over all fifths, over three ways to cut them, and over ten shuffles of each.

    Parameters
    ----------
    space : SearchSpace
    configs : sequence of n dicts
        Configurations that cover the space, as those of a random search.
    scores : array of shape (n,) or (n, n_tasks)
        NaN where a trial failed: it counts as the worst of its task. The tasks of a table are
        learned by one forest, which saves time.
    seed : int
        Fixes the fifths, the forests and the shuffles.

    Returns
    -------
    numpy.ndarray of shape (n_hyperparameters,) or (n_tasks, n_hyperparameters)
        In the order of the space, and of the same unit for all tasks. Where hyperparameters
        interact, each has the share, so that they may sum to more than 1; what the forests cannot
        predict (`explained_share`) is in none. What does not matter has about 0, or slightly less.
        A hyperparameter that is rarely active has a small share, whatever it does when it is.

    Raises
    ------
    ValueError
        If there are not as many scores as configurations, or fewer than 10 of a task that are
        not NaN, or an infinite one; or `seed` is out of range.
    """
    errors = _squared_errors(space, configs, scores, seed)
    return ((errors[1:] - errors[0]) / 2).T


def explained_share(
    space: SearchSpace, configs: Sequence[Config], scores: np.ndarray, seed: int = 0
) -> np.ndarray:
    """Return how much of the variance the forests of `hyperparameter_importance` predict.

    Parameters
    ----------
    space, configs, scores, seed
        As for `hyperparameter_importance`.

    Returns
    -------
    numpy.ndarray of shape () or (n_tasks,)
        Of configurations that a forest has not seen: 1 if it predicts all of them (as where all
        scores are the same), 0 if it predicts no better than their mean; below 0 if worse.

    Raises
    ------
    ValueError
        As `hyperparameter_importance`.
    """
    return 1 - _squared_errors(space, configs, scores, seed)[0]


def _squared_errors(space, configs, scores, seed) -> np.ndarray:
    """Squared errors about unseen configurations, in units of the variance.

    The first row with the configurations as they are, then one a hyperparameter that is shuffled.
    """
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.model_selection import RepeatedKFold

    scores, rng = np.asarray(scores, dtype=float), np.random.RandomState(check_seed(seed))
    known = np.isfinite(scores)
    fewest = known.sum(axis=0).min() if scores.size else 0
    fits = scores.ndim in (1, 2) and len(scores) == len(configs)
    if not fits or fewest < 10 or np.isinf(scores).any():
        raise ValueError(
            f"scores: got shape {scores.shape}, at least {fewest} of a task are numbers; accepted "
            f"is one for each of {len(configs)} configurations, at least 10 numbers of each task, "
            "and NaN where a trial failed"
        )
    y = np.where(known, scores, np.min(scores, axis=0, initial=np.inf, where=known)).squeeze()
    spread = y.std(axis=0)
    y = (y - y.mean(axis=0)) / np.where(spread > 0, spread, 1)  # (n,) or (n, n_tasks)
    x = space.encode(list(configs))  # (n, d)
    errors = np.zeros((1 + len(space), *y.shape[1:]))
    splits = RepeatedKFold(n_splits=5, n_repeats=3, random_state=rng)
    for seen, new in splits.split(x):
        forest = ExtraTreesRegressor(20, random_state=rng).fit(x[seen], y[seen])
        new = np.repeat(new, 10)  # ten shuffles at once
        errors[0] += ((y[new] - forest.predict(x[new])) ** 2).mean(axis=0)
        for j in range(len(space)):
            shuffled = x[new].copy()
            shuffled[:, j] = rng.permutation(shuffled[:, j])
            errors[1 + j] += ((y[new] - forest.predict(shuffled)) ** 2).mean(axis=0)
    return errors.reshape(-1, *scores.shape[1:]) / splits.get_n_splits()


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
    whole_number("draws", draws)
    _, family = np.unique(families.astype(str), return_inverse=True)
    sums = np.stack([values[family == f].sum(axis=0) for f in range(family.max() + 1)])
    sizes = np.bincount(family)
    # how often each family was drawn: (draws, n_families)
    weights = rng.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), size=draws)
    means = np.tensordot(weights, sums, 1).T / (weights @ sizes)  # (n_trials, draws) or (draws,)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=-1)
    return values.mean(axis=0), low, high
