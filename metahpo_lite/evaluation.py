"""Evaluation: how sure a difference between methods is, over many tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from metahpo_lite.arguments import check_between, check_rng, whole_number
from metahpo_lite.regret import finite_array


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
    values = finite_array("values", values, (1, 2), "a number, or a curve of them, for every task")
    family = _family_numbers(families, len(values))
    means = _bootstrap_means(values, family, rng, level, draws)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=-1)
    return values.mean(axis=0), low, high


def _bootstrap_means(values, family, rng, level, draws) -> np.ndarray:
    """Means over tasks of families drawn with replacement, (draws,) or (n_columns, draws)."""
    check_rng(rng)
    check_between("level", level, 0, 1)
    whole_number("draws", draws, 1, 10**6)
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
    values = finite_array(
        "values", values, range(1, 65), "a number, or an array of them, for every run"
    )
    given = np.asarray(tasks, object)
    if given.shape != values.shape[:1] or pd.isna(given).any():
        raise ValueError(
            f"tasks: got shape {given.shape}, {np.sum(pd.isna(given))} missing; accepted is one "
            f"for each of {len(values)} runs"
        )
    numbers, names = pd.factorize(given)
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
        finite_array(argument, values, (1,), "a number of at least 0 for every task")
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
    p = finite_array("p_values", p_values, (1,), "a row of numbers from 0 to 1")
    if p.min() < 0 or p.max() > 1:
        raise ValueError(f"p_values: got {p.min():g} to {p.max():g}, accepted is from 0 to 1")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return np.minimum(adjusted, 1)
