"""Ranks: several methods compared at once, by their place on each task."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from scipy import stats

from metahpo_lite.arguments import check_between, whole_number
from metahpo_lite.regret import finite_array


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
    values = finite_array("values", values, (2,), "a table of numbers, tasks x methods")
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
    values = finite_array("values", values, (2,), accepted)
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
    k = whole_number("n_methods", n_methods, 2, 1000)
    n = whole_number("n_tasks", n_tasks, 2, 10**9)
    check_between("level", level, 0, 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # the integral was not found
            q = stats.studentized_range.ppf(level, k, np.inf) / np.sqrt(2)
    except Warning:
        q = 0.0
    if not q > 0:
        raise ValueError(f"n_methods, level: got {k} and {level!r}, accepted are fewer methods, or "
                         "a level farther from 0 and 1")  # fmt: skip
    return float(q * np.sqrt(k * (k + 1) / (6 * n)))
