"""Importance: which hyperparameters the score depends on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metahpo_lite.arguments import as_floats, as_list, check_seed
from metahpo_lite.spaces import Config, SearchSpace


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

    scores, rng = as_floats("scores", scores), np.random.RandomState(check_seed(seed))
    configs = as_list("configs", configs, "a list of configurations")
    known = np.isfinite(scores)
    fewest = known.sum(axis=0).min() if scores.size and scores.ndim else 0
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
    x = space.encode(configs)  # (n, d)
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
