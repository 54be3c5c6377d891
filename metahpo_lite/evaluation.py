"""Evaluation: how far a search is from the best, and how sure that is over many tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import gammaln
from threadpoolctl import threadpool_limits

from metahpo_lite.search import Searcher, run
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
        `n_trials` is below one.
    """
    scores = np.asarray(scores, dtype=float)
    if scores.ndim != 1 or not scores.size or np.isinf(scores).any():
        raise ValueError(
            f"scores: got shape {scores.shape}, {np.isinf(scores).sum()} infinite; accepted is a "
            "row of one or more numbers, and NaN where a trial failed"
        )
    length = len(scores) if n_trials is None else whole_number("n_trials", n_trials)
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
    curves = _finite("curves", curves, (1, 2), f"one or more, each of at least {n_trials} trials")
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
    incumbents = np.asarray(incumbents, dtype=float)
    if not np.isfinite(best):
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
    values = _finite("values", values, (1, 2), "a number, or a curve of them, for every task")
    family = _family_numbers(families, len(values))
    means = _bootstrap_means(values, family, rng, level, draws)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=-1)
    return values.mean(axis=0), low, high


def _bootstrap_means(values, family, rng, level, draws) -> np.ndarray:
    """Means over tasks of families drawn with replacement, (draws,) or (n_columns, draws)."""
    if not 0 < level < 1:
        raise ValueError(f"level: got {level!r}, accepted is between 0 and 1")
    whole_number("draws", draws)
    sums = np.stack([values[family == f].sum(axis=0) for f in range(family.max() + 1)])
    sizes = np.bincount(family)
    # how often each family was drawn: (draws, n_families)
    weights = rng.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), size=draws)
    return np.tensordot(weights, sums, 1).T / (weights @ sizes)


def _family_numbers(families, n_tasks: int) -> np.ndarray:
    """Each task's family as a number from 0, of shape (n_tasks,)."""
    families = np.asarray(families, object)
    if families.shape != (n_tasks,) or pd.isna(families).any():
        raise ValueError(
            f"families: got shape {families.shape}, {np.sum(pd.isna(families))} missing; "
            f"accepted is one for each of {n_tasks} tasks"
        )
    return np.unique(families.astype(str), return_inverse=True)[1]


def _finite(argument: str, values, dimensions: Sequence[int], accepted: str) -> np.ndarray:
    """Return the values as an array of finite numbers, or raise an error that says what lacks."""
    values = np.asarray(values, dtype=float)
    if values.ndim not in dimensions or not values.size or not np.isfinite(values).all():
        raise ValueError(
            f"{argument}: got shape {values.shape}, {np.sum(~np.isfinite(values))} NaN or "
            f"infinite; accepted is {accepted}"
        )
    return values


def leave_one_family_out(experience: Any) -> Iterator[tuple[str, Any]]:
    """Go through the tasks, each with the experience of all other families.

    Whole families are left out, since tasks of one family know too much about each other.

    Parameters
    ----------
    experience : MetaDataset or similar
        Anything with ``families``, a Series of each task's family, and ``without(family)``.

    Returns
    -------
    iterator of (task, rest)
        Family by family, in the order of their first tasks. All tasks of a family share one
        `rest`: the experience as if the family had never been seen.

    Raises
    ------
    ValueError
        If there are fewer than two families, or the family of a task is missing.
    """
    families = pd.Series(experience.families).astype(object)
    if families.isna().any() or families.nunique() < 2:
        raise ValueError(
            f"experience: got {families.nunique()} families, {families.isna().sum()} tasks without "
            "one; accepted are at least two families, so that one can be left out"
        )
    return (
        (task, rest)
        for family, members in families.groupby(families, sort=False)
        for rest in [experience.without(family)]
        for task in members.index
    )


def average_seeds(values: np.ndarray, tasks: Sequence) -> tuple[list, np.ndarray]:
    """Average the runs of a randomised method within each task.

    Runs are to be averaged before any statistic over tasks: tasks are the sample, seeds are not.
    Given families instead of tasks, it averages the tasks of each family in the same way.

    Parameters
    ----------
    values : array of shape (n_runs, ...)
        One number, or one curve, a run.
    tasks : sequence of length n_runs
        The task of each run; tasks may have different numbers of runs.

    Returns
    -------
    names : list of length n_tasks
        The tasks, in the order in which they first appear.
    means : numpy.ndarray of shape (n_tasks, ...)

    Raises
    ------
    ValueError
        If there is no run, a value is NaN or infinite, or there are not as many tasks as runs.
    """
    values = _finite("values", values, range(1, 65), "a number, or an array of them, for every run")
    tasks = np.asarray(tasks, object)
    if tasks.shape != values.shape[:1] or pd.isna(tasks).any():
        raise ValueError(
            f"tasks: got shape {tasks.shape}, {np.sum(pd.isna(tasks))} missing; accepted is one "
            f"for each of {len(values)} runs"
        )
    numbers, names = pd.factorize(tasks)
    means = [values[numbers == number].mean(axis=0) for number in range(len(names))]
    return list(names), np.stack(means)


# ---------------------------------------------------------------------- two methods


@dataclass(frozen=True)
class Comparison:
    """How one method did against another one, on the same tasks; lower is better.

    Attributes
    ----------
    ratio : float
        The mean of the first over the mean of the second: below 1 where the first is better.
    low, high : float
        Its bootstrap interval over families.
    p_value : float
        Of Wilcoxon's signed-rank test, two-sided.
    wins, ties, losses : int
        On how many tasks the first is better, equal and worse.
    """

    ratio: float
    low: float
    high: float
    p_value: float
    wins: int
    ties: int
    losses: int

    @property
    def interval(self) -> tuple[float, float, float]:
        """The ratio and its interval, as `plot_intervals` draws them."""
        return self.ratio, self.low, self.high


def compare(
    ours: np.ndarray,
    theirs: np.ndarray,
    families: Sequence,
    rng: np.random.Generator,
    level: float = 0.95,
    draws: int = 2000,
) -> Comparison:
    """Compare two methods over the same tasks, for example by their AUC50.

    In each bootstrap draw both methods have the same families (Efron, 1979): what makes a task
    hard for both does not widen the interval. The signed-rank test (Wilcoxon, 1945) asks whether
    the differences, averaged within each family, lie around 0; those of 0 are dropped. If several
    pairs of methods are compared, `holm` corrects the p-values.

    Parameters
    ----------
    ours, theirs : arrays of shape (n_tasks,)
        One number a task, at least 0, lower is better.
    families : sequence of length n_tasks
        The family of each task.
    rng : numpy.random.Generator
    level : float
        The share of bootstrap ratios inside the interval.
    draws : int
        The number of bootstrap ratios.

    Returns
    -------
    Comparison
        A ratio is infinite where `theirs` has the mean 0 and `ours` has not, and 1 where both
        have. The limits of the interval are two of the drawn ratios (the percentile method), so
        that exchanging the methods gives the reciprocal ratio and limits. If no family differs,
        the p-value is 1.

    Raises
    ------
    ValueError
        If a value is not finite or below 0, the lengths differ, there are fewer than two families,
        or `level` or `draws` is out of range.
    """
    ours, theirs = (
        _finite(argument, values, (1,), "a number of at least 0 for every task")
        for argument, values in (("ours", ours), ("theirs", theirs))
    )
    for argument, values in (("ours", ours), ("theirs", theirs)):
        if values.min() < 0:
            raise ValueError(
                f"{argument}: got {values.min():g}, accepted is at least 0, as for a ratio"
            )
    if ours.shape != theirs.shape:
        raise ValueError(
            f"theirs: got {len(theirs)} tasks, accepted are the same {len(ours)} as of ours"
        )
    family = _family_numbers(families, len(ours))
    if family.max() == 0:
        raise ValueError("families: got one, accepted are at least two")
    means = _bootstrap_means(np.stack([ours, theirs], axis=1), family, rng, level, draws)
    ratios = np.sort(_ratio(*means))
    outside = int((1 - level) / 2 * (draws - 1))  # on each side
    differences = np.bincount(family, ours - theirs) / np.bincount(family)
    return Comparison(
        ratio=float(_ratio(ours.mean(), theirs.mean())),
        low=float(ratios[outside]),
        high=float(ratios[draws - 1 - outside]),
        p_value=float(stats.wilcoxon(differences).pvalue) if differences.any() else 1.0,
        wins=int(np.sum(ours < theirs)),
        ties=int(np.sum(ours == theirs)),
        losses=int(np.sum(ours > theirs)),
    )


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Quotient, elementwise, of numbers of at least 0: 1 if both are 0, infinite if only b is."""
    with np.errstate(all="ignore"):
        return np.where(a == b, 1.0, np.divide(a, b))


def holm(p_values: np.ndarray) -> np.ndarray:
    """Correct p-values for having tested several hypotheses (Holm, 1979).

    The smallest of m is multiplied by m, the next one by m - 1, and so on; none may be below the
    one before it, nor above 1. Rejecting what is at most 0.05 then errs in any of them with a
    probability of at most 0.05, however they depend on each other.

    Parameters
    ----------
    p_values : array of shape (m,)

    Returns
    -------
    numpy.ndarray of shape (m,)
        The adjusted p-values, in the order given.

    Raises
    ------
    ValueError
        If there is none, or one is NaN or not from 0 to 1.
    """
    p = _finite("p_values", p_values, (1,), "a row of numbers from 0 to 1")
    if p.min() < 0 or p.max() > 1:
        raise ValueError(f"p_values: got {p.min():g} to {p.max():g}, accepted is from 0 to 1")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return np.minimum(adjusted, 1)


# ---------------------------------------------------------------------- many methods


def mean_ranks(values: np.ndarray) -> np.ndarray:
    """Rank the methods on each task, and average the ranks over tasks.

    Parameters
    ----------
    values : array of shape (n_tasks, n_methods)
        Lower is better, as regret.

    Returns
    -------
    numpy.ndarray of shape (n_methods,)
        1 is the best on every task; methods that tie share the average of their ranks.

    Raises
    ------
    ValueError
        If there is no task or no method, or a value is NaN or infinite.
    """
    values = _finite("values", values, (2,), "a table of numbers, tasks x methods")
    return stats.rankdata(values, axis=1).mean(axis=0)


@dataclass(frozen=True)
class FriedmanTest:
    """Whether the mean ranks of several methods differ by more than chance.

    Attributes
    ----------
    chi2 : float
        Friedman's statistic, corrected for ties.
    chi2_p_value : float
        Its p-value.
    f : float
        The statistic of Iman and Davenport, which is less conservative.
    f_p_value : float
        Its p-value.
    """

    chi2: float
    chi2_p_value: float
    f: float
    f_p_value: float


def friedman(values: np.ndarray) -> FriedmanTest:
    """Test whether several methods are equally good (Friedman, 1937; Iman & Davenport, 1980).

    Tasks are the sample: the seeds of a method are to be averaged before, and so are the tasks of
    a family (`average_seeds` does both), since the test takes rows to be independent.

    Parameters
    ----------
    values : array of shape (n_tasks, n_methods)
        Lower is better; at least two tasks and two methods.

    Returns
    -------
    FriedmanTest
        Corrected for ties, as in scipy; Demsar (2006) is without the correction, which makes both
        statistics smaller where methods tie. If all methods tie on every task, both statistics are
        0 and the p-values 1. If they have the same ranks on all tasks, but are not all tied, `f`
        is infinite.

    Raises
    ------
    ValueError
        If there are fewer than two tasks or methods, or a value is NaN or infinite.
    """
    accepted = "a table of numbers, at least two tasks x at least two methods"
    values = _finite("values", values, (2,), accepted)
    n, k = values.shape
    if min(n, k) < 2:
        raise ValueError(f"values: got shape {values.shape}, accepted is {accepted}")
    deviations = stats.rankdata(values, axis=1) - (k + 1) / 2
    total = n * np.sum(deviations**2)  # multiples of 1/4: exact, so that comparing with 0 is too
    between = np.sum(deviations.sum(axis=0) ** 2)
    chi2 = n * (k - 1) * between / total if total else 0.0
    with np.errstate(divide="ignore"):
        f = (n - 1) * between / (total - between) if total else 0.0
    return FriedmanTest(
        chi2=float(chi2),
        chi2_p_value=float(stats.chi2.sf(chi2, k - 1)),
        f=float(f),
        f_p_value=float(stats.f.sf(f, k - 1, (k - 1) * (n - 1))),
    )


def nemenyi_difference(n_methods: int, n_tasks: int, level: float = 0.95) -> float:
    """Say by how much two mean ranks must differ at least (Nemenyi, 1963; Demsar, 2006).

    For all pairs of methods at once: if all are equally good, some pair differs by as much with a
    probability of 1 - `level`.

    Parameters
    ----------
    n_methods, n_tasks : int
        At least two of each.
    level : float
        Between 0 and 1.

    Returns
    -------
    float
        The critical difference, in ranks.

    Raises
    ------
    ValueError
        If there are fewer than two methods or tasks, or `level` is not between 0 and 1.
    """
    k, n = whole_number("n_methods", n_methods, 2), whole_number("n_tasks", n_tasks, 2)
    if not 0 < level < 1:
        raise ValueError(f"level: got {level!r}, accepted is between 0 and 1")
    q = stats.studentized_range.ppf(level, k, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(k * (k + 1) / (6 * n)))
