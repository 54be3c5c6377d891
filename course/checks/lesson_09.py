"""Transfer from neighbours: metric-based I."""

from functools import cache

import numpy as np
from numpy.random import default_rng

from course.checking import Hint, hint, numbers
from metahpo_lite import MetaDataset, TaskDistance, task_distances
from metahpo_lite.inputs import TaskInputs


def check_1(times_near):
    """Sort each row of D by distance: argsort gives the numbers of the nearest. Then count how often each number comes up."""
    points = default_rng(0).normal(size=(30, 8))
    D = task_distances(points, points)
    found = numbers(times_near(D.copy(), 4), (30,))
    hint(
        np.array_equal(found, _popular(D, 4, own=True)),
        "Each task counts itself: at distance 0 it is its own nearest. Leave the task itself out.",
    )
    hint(
        np.all(found == 4),
        "Each task *has* 4 nearest ones. How often *is* it one of theirs? Count the numbers that come up.",
    )
    hint(
        np.array_equal(found, _popular(-D, 4)) or np.array_equal(found, _popular(-D, 4, own=True)),
        "You count the farthest. The nearest have the smallest distances.",
    )
    hint(
        np.sum(found) in (30 * 3, 30 * 5),
        "One neighbour too few or too many: each of the n tasks names k others.",
    )
    hint(
        not np.array_equal(found, _popular(D, 4)),
        "Try three points on a line, at 0, 1 and 3, with k = 1: the one in the middle is the nearest of two others, the last one of none.",
    )
    line = np.array([[0], [1], [3.0]])
    found = numbers(times_near(task_distances(line, line), 1))
    hint(
        found.shape != (3,),
        "Of three tasks at 0, 1 and 3 nobody has the last one as its nearest. It counts 0 and is still in the answer: see `minlength` of np.bincount.",
    )
    twins = np.vstack([points[:15], points[:15]])
    found = numbers(times_near(task_distances(twins, twins), 1), (30,))
    hint(
        found != 1,
        "Here each task has a twin at distance 0, its nearest, and it goes wrong: the first of a sorted row need not be the task itself. Leave out the diagonal of D in place of the first.",
    )


def _popular(D, k, own=False):
    if not own:
        D = D + np.diag(np.full(len(D), np.inf))
    near = np.argsort(D, axis=1, kind="stable")[:, :k]
    return np.bincount(near.ravel(), minlength=len(D))


def check_2(medoid):
    """Measure the distance of each pair of points, and multiply each by the weight of the point that it leads to."""
    line = np.array([[0], [0.1], [0.2], [3], [10]])
    even = np.full(5, 0.2)
    found = _number(medoid, line, even)
    hint(found == 4, "This is the point that is farthest from the others.")
    hint(
        found == 3,
        "This is the point nearest to the mean: squared distances lead to it. One far point draws the mean away; take distances without the square.",
    )
    found = _number(medoid, line[[0, 2, 4]], np.array([0.05, 0.15, 0.8]))
    hint(
        found == 1,
        "The weights have no say: of three points, one has most of the weight here, and you take another one.",
    )
    hint(
        found == 0,
        "The weight of the *candidate* does not matter. Weigh each distance by the point that it leads to.",
    )
    for seed in range(20):
        points, weights = default_rng(seed).random((9, 3)), default_rng(seed).random(9) ** 3
        mean = (np.linalg.norm(points[:, None] - points, axis=2) * weights).sum(axis=1)
        found = _number(medoid, points, weights)
        hint(
            mean[found] > mean.min() + 1e-9,
            "On points in three dimensions another one has a lower weighted mean of Euclidean distances. Weigh each distance by the point that it leads to.",
        )


def _number(medoid, points, weights):
    found = medoid(points.copy(), weights.copy())
    found = numbers(found)
    hint(
        found.shape != () or found % 1 != 0,
        "The number of a point is expected, 0 for the first: where is the least?",
    )
    hint(not 0 <= found < len(points), "There is no point of that number.")
    return int(found)


def check_3(agreement):
    """Take np.sign of all differences of two trials, as in the lesson: here for new, there for known. First let NaN be lower than any score."""
    new, known = np.array([3, 1, 2.0]), np.array([[3, 2, 1], [30, 1, 20], [1, 3, 2.0]])
    found = numbers(agreement(new.copy(), known.copy()), (3,))
    hint(
        np.allclose(found, [-1 / 3, -1, 1]),
        "Wrong sign: who ranks all pairs as the new task does has 1.",
    )
    hint(
        np.allclose(found, [1 / 6, 1 / 2, -1 / 2]) or np.allclose(found, [2 / 3, 2, -2]),
        "A factor of 2: are a, b and b, a two pairs above the line and below it, or one in both?",
    )
    hint(
        np.allclose(found, [2 / 3, 1, 0]),
        "This is the share that is ranked alike. Subtract the share that is ranked the other way.",
    )
    hint(
        not np.allclose(found[1:], [1, -1]),
        "Who ranks all pairs as the new task does has 1, who turns all around has -1; how large the scores are does not matter.",
    )
    hint(
        not np.isclose(found[0], 1 / 3),
        "By hand: 3, 1, 2 and 3, 2, 1. Two pairs are ranked alike, one is not: a third. Count pairs, not squared differences of ranks.",
    )
    tied = numbers(agreement(new.copy(), np.array([[3, 1, 1.0]])), (1,))
    hint(
        not np.isclose(tied[0], 2 / 3),
        "A known task scores two of three trials alike. That pair counts as 0, and there are still three pairs: it may not leave the sum below the line.",
    )
    failed = np.array([2, np.nan, 1, np.nan])
    same = agreement(failed.copy(), np.array([[2, 0, 1, 0.0]]))
    hint(
        ~np.isfinite(np.asarray(same, dtype=float)),
        "A failed trial, NaN, spoils the number. Two failures minus each other are NaN as well, if they are minus infinity.",
    )
    same = numbers(same, (1,))
    hint(
        np.isclose(same[0], 1 / 6) or np.isclose(same[0], 1),
        "A failed trial says something: it is worse than each that has a score. Do not leave it out.",
    )
    hint(
        not np.isclose(same[0], 5 / 6),
        "Six pairs; the known task ranks five of them as the new one does. The two failed trials are equal on the new task.",
    )
    broken = agreement(new.copy(), np.array([[1, np.nan, 2.0]]))
    hint(
        not np.allclose(broken, 1 / 3),
        "A known task may have failed trials, too. They are its worst.",
    )
    kept = numbers(agreement(np.array([-3, -1, np.nan]), np.array([[-3, -1, -4.0]])), (1,))
    hint(
        not np.isclose(kept[0], 1),
        "Here the scores are below 0, and the failed trial is still the worst: is it replaced by 0?",
    )
    for seed in range(5):
        a, b = default_rng(seed).normal(size=9), default_rng(seed + 9).normal(size=(4, 9))
        pairs = np.sign(np.subtract.outer(a, a)) * np.sign(b[:, :, None] - b[:, None])
        hint(
            not np.allclose(agreement(a.copy(), b.copy()), pairs.sum(axis=(1, 2)) / 72),
            "Nine trials, four known tasks: some of the numbers are wrong. Are all pairs in?",
        )


def check_4(suspect):
    """Begin with distance = TaskDistance().fit(experience); distance(described) is how far each known task is."""
    known, new, relative = _known()
    (right, right_share), distance = _right(new, known), TaskDistance().fit(known)
    name, share = _pair(suspect(new.copy(), known))
    far, D, tasks = distance(new)[0], distance(known.meta_features), known.tasks.index
    hint(
        name == tasks[far.argmax()],
        "This is the farthest task. The nearest has the smallest distance.",
    )
    hint(
        name == tasks[_raw(new, known).argmin()],
        "Nearest by the raw numbers, of which two columns are the whole distance: scale first. TaskDistance does.",
    )
    hint(
        name != right,
        "Another known task is nearer. Fit the distance to the experience, and take the task of the smallest distance.",
    )
    hint(share > 1, "This is a count. A share is between 0 and 1.")
    hint(
        share == 1,
        "You find that all known tasks have so near a neighbour. Each is at distance 0 from itself; *another* one is asked for.",
    )
    hint(
        np.isclose(share, 1 - right_share),
        "Turned around: count the known tasks whose nearest neighbour is *at least as near*.",
    )
    pairs = np.sum(far.min() >= D) - len(D)
    hint(
        np.isclose(share, [pairs / len(D) ** 2, pairs / len(D) / (len(D) - 1)]),
        "You count pairs. Count tasks: of each known task, only its nearest neighbour matters.",
    )
    hint(
        np.isclose(share, _right(new, known, with_new=True)[1]),
        "The new table took part in the scales. Fit the distance to the experience alone.",
    )
    hint(
        not np.isclose(share, right_share),
        "The name is right, the share is not. For each known task, find the distance of its nearest *other* one; how many of these are at most the new table's?",
    )
    hint(
        _pair(suspect(relative.copy(), known)) != _right(relative, known),
        "Here a relative was put in, nearer than any two known tasks: it must be named, and the share is 0.",
    )


@cache
def _known():
    """Return experience, the meta-features of a table that is not in it, and those of a relative.

    For this table the typical mistakes make a difference.
    """
    e = MetaDataset.load("svc").with_configs(range(3))
    known = e.subset(e.tasks.index[:60])
    for name in e.tasks.index[60:]:
        new = e.meta_features.loc[name]
        (right, share), (_, other) = _right(new, known), _right(new, known, with_new=True)
        raw = known.tasks.index[_raw(new, known).argmin()]
        if raw != right and 0.2 < share < 0.45 and abs(share - other) > 1e-3:
            return known, new, known.meta_features.iloc[7] * (1 + 1e-4)
    raise AssertionError("no such table")


def _raw(described, known):
    rows = (np.nan_to_num(a.to_numpy()) for a in (described.to_frame().T, known.meta_features))
    return task_distances(*rows)[0]


def _right(described, known, with_new=False):
    distance = TaskDistance().fit(known)
    if with_new:
        table = known.meta_features.copy()
        table.loc["new"] = described
        distance.inputs_ = TaskInputs(table, marks=False)
        distance.points_ = distance.embed(known.meta_features)
    far, D = distance(described)[0], distance(known.meta_features)
    np.fill_diagonal(D, np.inf)
    return known.tasks.index[far.argmin()], float((D.min(axis=1) <= far.min()).mean())


def _pair(answer):
    try:
        name, share = answer
    except (TypeError, ValueError):
        raise Hint("Two values are expected: return name, share.") from None
    hint(not isinstance(name, str), "The name of a task comes first, as in experience.tasks.index.")
    return name, float(numbers(share, ()))
