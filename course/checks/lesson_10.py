"""Learn the distance: metric-based II."""

from functools import cache

import numpy as np
import pandas as pd
from numpy.random import default_rng
from scipy.special import log_softmax, softmax

from course.checking import Hint, hint, numbers
from metahpo_lite import MetaDataset, TaskDistance, task_distances
from metahpo_lite.learned_distance import constrained, contrastive, similarity


def _tasks(n, seed=0):
    """Return squared distances and similarities of n made-up tasks."""
    z, y = default_rng(seed).normal(size=(n, 3)), default_rng(seed + 50).normal(size=(n, 8))
    return task_distances(z, z) ** 2, 1 - task_distances(y, y, "cosine")


def check_1(slope_error):
    """For one entry: copy D, add h to that entry, and ask for the value; then with minus h. Go through all pairs in a loop."""
    D, S = _tasks(5)
    before = D.copy()

    def planted(at, error):
        def objective(D, S):
            value, slope = similarity(D, S)
            slope = slope.copy()
            slope[at] += error
            return value, slope

        return objective

    found = numbers(slope_error(planted((1, 3), 0.5), D, S))
    hint(
        not np.array_equal(D, before),
        "D has changed after the call: the next entry is measured at another place. Change a copy.",
    )
    hint(found.shape != (), "One number is expected: the largest of all differences.")
    hint(
        np.isclose(found, [0.5 / 20, 0.5 / 25, 0.5 / 5, np.sqrt(0.25 / 20)], rtol=1e-3),
        "This is a mean. One wrong entry among many would vanish in it: take the largest.",
    )
    true = float(numbers(slope_error(similarity, D, S), ()))
    hint(
        np.isclose(true, abs(similarity(D, S)[1]).max() * np.array([0.5, 1]), rtol=1e-2),
        "A factor of 2: change D[i, j] alone and not D[j, i] too, and divide the difference of the values at plus h and minus h by 2 h. Or are both of them one array, without a copy?",
    )
    hint(
        true > 1e-3,
        "The derivative of this objective is right, and you report a difference. Do you compare the entry that you change? And is h small, but not so small that rounding shows?",
    )
    hint(
        found < 0.4,
        "The derivative by D[1, 3] is too large by a half here, and you do not find it. Are all pairs in, i, j and j, i? Is the difference absolute?",
    )
    hint(
        slope_error(planted((3, 1), 0.5), D, S) < 0.4,
        "The derivative by D[3, 1] is wrong here, and you do not find it: D[i, j] and D[j, i] are two entries.",
    )
    hint(
        slope_error(planted((0, 2), -0.5), D, S) < 0.4,
        "A derivative that is too small is wrong as well: take absolute differences.",
    )
    hint(
        not np.isclose(found, 0.5, rtol=1e-3),
        "The derivative by D[1, 3] is off by a half here, and no other is: that is the largest difference.",
    )
    for objective in (similarity, constrained, contrastive):
        D, S = _tasks(6, seed=3)
        with np.errstate(invalid="ignore"):
            error = slope_error(objective, D, S)
        hint(
            not np.isfinite(error),
            "The difference is no number. An entry of the diagonal is 0, and less than that is no squared distance: leave the diagonal out.",
        )
        hint(
            error > 1e-4,
            "The derivative is right here, and you report a difference that is too large for a small step up and down. Is h too large, or so small that rounding shows?",
        )


def check_2(listwise):
    """Leave the diagonal out first: of each row, n - 1 entries remain. Then softmax and log_softmax along the row."""
    D, S = _tasks(7)
    value, slope = _objective(listwise, D, S)

    best, gradient = _listed(D, S)
    hint(
        np.isclose(value, _listed(D, S, own=True)[0]),
        "Each task is in its own list, at distance 0: the nearest of all. Leave the diagonal out before the softmax.",
    )
    hint(
        np.isclose(value, _listed(D, S, scale=1)[0]),
        "The likeness is to be multiplied by 10: without it all neighbours weigh nearly the same.",
    )
    hint(
        np.isclose(value, _listed(-D, S)[0]),
        "With this sign the farthest task is the likeliest neighbour: q falls with the distance.",
    )
    hint(
        np.isclose(value, -best),
        "The value has the wrong sign: a logarithm of a probability is below 0, and the loss is above.",
    )
    hint(
        np.isclose(value, [best * 7, best / 6], rtol=1e-6),
        "The value is a mean over the tasks: sum over each list, then divide by n once.",
    )
    hint(
        np.isclose(value, _listed(-10 * S, -D / 10)[0]),
        "p and q are exchanged: p comes from the responses, q from the distances.",
    )
    hint(
        not np.isclose(value, best),
        "Try D = 0: then q is 1 / (n - 1) everywhere, and the value is log(n - 1).",
    )
    hint(
        np.diag(slope) != 0,
        "The diagonal has a derivative here. A task is not in its own list, so it is 0.",
    )
    hint(
        np.allclose(slope, -gradient),
        "The derivative has the wrong sign: of a neighbour that should be nearer (p above q) a larger distance makes the loss larger.",
    )
    hint(
        np.allclose(slope, 7 * gradient),
        "The value is divided by n, the derivative is not.",
    )
    hint(
        np.allclose(slope, gradient.T),
        "The derivative is that of the columns: entry [i, j] belongs to the list of task i. Normalise along rows.",
    )
    hint(
        not np.allclose(slope, gradient, atol=1e-9),
        "The value is right, the derivative is not: slope_error(listwise, D, S) shows it. A larger D[i, j] lowers q of j, and raises that of all others in the row.",
    )
    with np.errstate(all="ignore"):
        value = np.asarray(listwise(400 * D, S.copy())[0], dtype=float)
    hint(
        not np.isclose(value, _listed(400 * D, S)[0]),
        "With large distances the logarithm of a probability that is rounded to 0 spoils the value: take log_softmax.",
    )


def _listed(D, S, scale=10, own=False):
    n, others = len(D), np.ones(D.shape, dtype=bool) if own else ~np.eye(len(D), dtype=bool)
    s, d = (a[others].reshape(n, -1) for a in (S, D))
    p, log_q = softmax(scale * s, axis=1), log_softmax(-d, axis=1)
    gradient = np.zeros((n, n))
    gradient[others] = ((p - np.exp(log_q)) / n).ravel()
    return -(p * log_q).sum() / n, gradient


def _objective(listwise, D, S):
    try:
        with np.errstate(all="ignore"):
            value, slope = listwise(D.copy(), S.copy())
    except (TypeError, ValueError) as error:
        if "unpack" not in str(error):
            raise
        raise Hint("Two things are expected: return value, slope.") from None
    return float(numbers(value, ())), numbers(slope, D.shape)


def check_3(permutation_p):
    """Draw order = rng.permutation(len(D)); D[np.ix_(order, order)] are the same tasks with other numbers."""
    D, S = _tasks(12)
    chance = float(numbers(permutation_p(D, S, default_rng(0), 39), ()))
    hint(chance > 1, "This is a count. A p-value is at most 1.")
    strong = float(numbers(permutation_p(D, D + 0.1 * S, default_rng(0), 39), ()))
    hint(
        strong == 0,
        "A p-value of 0: the data as they are count as one of the draws, above and below the line.",
    )
    hint(
        strong > 0.9,
        "Here S follows D closely, and you say that it is like chance. How often is a shuffled one at *least* as far from 0?",
    )
    hint(
        np.isclose(strong, 1 / 39),
        "Below the line are all draws, and the data as they are: 1 + n.",
    )
    other = float(numbers(permutation_p(D, -D - 0.1 * S, default_rng(0), 39), ()))
    hint(
        other > 0.9,
        "Here S falls closely with D, and you find nothing. Both directions count: compare absolute correlations.",
    )
    hint(
        not np.allclose([strong, other], 1 / 40),
        "S follows D closely here, no draw of 39 comes near it: p is 1 / 40.",
    )
    alarms = p_values = 0
    for seed in range(60):
        rng = default_rng(seed)
        z, level = rng.normal(size=(14, 1)), rng.normal(size=14)
        D = task_distances(z, z)
        S = level[:, None] + level + 0.1 * _tasks(14, seed)[1]
        p = float(numbers(permutation_p(D, S, rng, 39), ()))
        alarms, p_values = alarms + (p < 0.06), p_values + p / 60
    hint(
        alarms > 14,
        "On tasks that have nothing to do with each other you find something far too often. Do not shuffle pairs: renumber the tasks, rows and columns with the same order.",
    )
    hint(
        not 0.35 < p_values < 0.65,
        "On tasks that have nothing to do with each other the p-values should be as often above a half as below, and they are not. Does each draw renumber the tasks anew?",
    )
    D, S = _least()
    least = float(numbers(permutation_p(D, S, default_rng(0), 60), ()))
    hint(
        least < 0.999,
        "For three tasks that can be counted by hand p is wrong. A draw as far from 0 as the data counts, too: at *least*. Take pairs of two different tasks, without the diagonal, and renumber rows and columns with the same order.",
    )


def _least():
    """Return three tasks of which any other numbering has a larger correlation."""
    D = np.array([[0, 8, 3], [8, 0, 2], [3, 2, 0.0]])
    S = np.array([[1, 0.5, -0.8], [0.5, 1, 0.7], [-0.8, 0.7, 1.0]])
    return D, S


def check_4(reasons):
    """Begin with gaps = (distance.points_ - distance.embed(described)[0]) ** 2: a row a known task, a column a meta-feature."""
    distance, new, inside = _fitted()
    before = distance.points_.copy()
    found = _series(reasons(distance, new.copy()))
    hint(
        not np.array_equal(distance.points_, before),
        "The points of the distance have changed after the call. Work on a copy.",
    )
    gaps = distance.points_ - distance.embed(new)[0]
    near, far = ((gaps**2).sum(axis=1).argsort()[place] for place in (0, -1))
    names = distance.inputs_.used

    def same(values):
        values = pd.Series(values, names)
        return np.allclose(found.reindex(names), values / values.sum())

    hint(
        set(found.index) != set(names),
        "The index is not the names of the meta-features that the distance uses. One that never varies is not among them: distance.inputs_.used.",
    )
    hint(same(gaps[far] ** 2), "These are the reasons of the farthest task. Take the nearest.")
    hint(
        same(abs(gaps[near])),
        "These are shares of the absolute differences. A Euclidean distance adds squares.",
    )
    hint(
        np.isclose(found.sum(), [np.sqrt((gaps[near] ** 2).sum()), (gaps[near] ** 2).sum()]),
        "These are squared differences or parts of the distance. Divide by their sum, so that they are shares.",
    )
    hint(
        same((gaps**2).sum(axis=0)),
        "These are shares over all known tasks. Only the nearest one is to be explained.",
    )
    hint(
        same(sorted(gaps[near] ** 2, reverse=True)),
        "The shares were sorted, and the names were not: sort them together.",
    )
    hint(
        not same(gaps[near] ** 2),
        "Some shares are wrong. Square the differences of the nearest known task and the table, meta-feature by meta-feature, and divide by the sum.",
    )
    hint(
        np.diff(found.to_numpy()) > 1e-12,
        "The largest share comes first.",
    )
    with np.errstate(all="ignore"):
        nothing = reasons(distance, inside.copy())
    hint(
        ~np.isfinite(np.asarray(nothing, dtype=float)),
        "A table at distance 0, as one that is known already, gives 0 / 0. Then nothing sets it apart: all shares are 0.",
    )
    hint(
        _series(nothing) != 0,
        "For a table at distance 0 nothing sets it apart: all shares are 0.",
    )


@cache
def _fitted():
    """Return a fitted distance, the meta-features of another table, and those of a known one."""
    e = MetaDataset.load("svc").with_configs(range(2))
    table = e.meta_features.copy()
    known = e.subset(e.tasks.index[:40])
    described = known.meta_features.copy()
    described[described.columns[1]] = 1.0  # one that never varies
    known = type(known)(known.space, known.configs, known.trials, known.tasks, described)
    return TaskDistance().fit(known), table.iloc[50], described.iloc[3]


def _series(answer):
    hint(answer is None, "There is no value. Does your function end with `return`?")
    hint(not isinstance(answer, pd.Series), "A Series is expected: Series(shares, names).")
    numbers(answer)
    return answer
