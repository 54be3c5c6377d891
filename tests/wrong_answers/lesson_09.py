"""Wrong answers to the exercises of lesson 09: what was done, the answer, a part of its hint."""

import numpy as np
from scipy.stats import kendalltau, rankdata, spearmanr

from metahpo_lite import TaskDistance, task_distances
from metahpo_lite.inputs import TaskInputs


def counted(near):
    return lambda D, k: np.bincount(near(D, k).ravel(), minlength=len(D))


def without_own(D):
    return D + np.diag(np.full(len(D), np.inf))


def has(D, k):
    return (np.argsort(np.argsort(without_own(D), axis=1), axis=1) < k).sum(axis=1)


def sums(points, weights, power=1):
    return (task_distances(points, points) ** power) @ weights


def tau(pairs=None, prepare=lambda a: a, below=lambda t: t * (t - 1)):
    """The right answer for scores without NaN, but for what is given."""

    def agreement(new, known):
        new, known = prepare(new), prepare(known)
        with np.errstate(invalid="ignore"):
            here = np.sign(new[:, None] - new)
            there = np.sign(known[:, :, None] - known[:, None])
        return (pairs or np.multiply)(here, there).sum(axis=(1, 2)) / below(len(new))

    return agreement


def left_out(new, known):
    ok = np.isfinite(new)
    return tau(prepare=lambda a: np.nan_to_num(a, nan=-1e9))(new[ok], known[:, ok])


def only_new(new, known):
    r = rankdata(np.nan_to_num(new, nan=-1e9))
    return tau(prepare=lambda a: np.nan_to_num(a, nan=1e9))(r, known)


def each(correlation):
    return lambda new, known: np.array([correlation(new, row)[0] for row in known])


def suspecting(least=np.argmin, own=np.inf, share=lambda D, d: (D.min(axis=1) <= d).mean()):
    """The right answer but for what is given."""

    def suspect(described, experience):
        distance = TaskDistance().fit(experience)
        far, D = distance(described)[0], distance(experience.meta_features)
        np.fill_diagonal(D, own)
        return experience.tasks.index[least(far)], share(D, far.min())

    return suspect


def raw(described, experience):
    m = experience.meta_features
    described, m = described.fillna(0).to_frame().T, m.fillna(0)
    far = task_distances(described, m)[0]
    D = without_own(task_distances(m, m))
    return m.index[far.argmin()], (D.min(axis=1) <= far.min()).mean()


def no_minlength(D, k):
    return np.bincount(np.argsort(without_own(D), axis=1)[:, :k].ravel())


def scaled_with_the_new(described, experience):
    m = experience.meta_features.copy()
    m.loc["new"] = described
    z = TaskInputs(m, marks=False)(m)
    far, D = task_distances(z[-1:], z[:-1])[0], without_own(task_distances(z[:-1], z[:-1]))
    return m.index[far.argmin()], (D.min(axis=1) <= far.min()).mean()


WRONG = {
    "09-1": [
        ("the last one is not counted", no_minlength, "minlength"),
        ("itself", counted(lambda D, k: np.argsort(D, axis=1)[:, :k]), "counts itself"),
        ("those it has", has, "*has* 4"),
        ("farthest", counted(lambda D, k: np.argsort(-D, axis=1)[:, :k]), "the farthest"),
        (
            "one too few",
            counted(lambda D, k: np.argsort(D, axis=1)[:, 1:k]),
            "One neighbour too few",
        ),
        ("by column", lambda D, k: np.sort(D, axis=0)[k], "three points on a line"),
        (
            "first of the row",
            counted(lambda D, k: np.argsort(D, axis=1, kind="stable")[:, 1 : k + 1]),
            "diagonal",
        ),
    ],
    "09-2": [
        ("farthest", lambda p, w: sums(p, w).argmax(), "farthest from the others"),
        ("squares", lambda p, w: sums(p, w, 2).argmin(), "nearest to the mean"),
        ("no weights", lambda p, w: sums(p, 1 + 0 * w).argmin(), "no say"),
        ("own weight", lambda p, w: (w * sums(p, 1 + 0 * w)).argmin(), "*candidate*"),
        ("a point", lambda p, w: p[sums(p, w).argmin()], "number of a point"),
        (
            "Manhattan",
            lambda p, w: (task_distances(p, p, "manhattan") @ w).argmin(),
            "Euclidean",
        ),
    ],
    "09-3": [
        ("sign", tau(lambda a, b: -a * b), "Wrong sign"),
        ("half", tau(below=lambda t: 2 * t * (t - 1)), "factor of 2"),
        ("alike only", tau(lambda a, b: a * b > 0), "Subtract the share"),
        ("scores", lambda new, known: np.corrcoef(new, known)[0, 1:], "how large the scores"),
        ("Spearman", each(spearmanr), "squared differences"),
        ("tau-b", each(kendalltau), "below the line"),
        ("NaN goes through", tau(), "spoils the number"),
        ("minus infinity", tau(prepare=lambda a: np.nan_to_num(a, nan=-np.inf)), "spoils"),
        ("left out", left_out, "Do not leave it out"),
        ("NaN is 0", tau(prepare=np.nan_to_num), "replaced by 0"),
        ("known ones too", only_new, "A known task may have failed"),
    ],
    "09-4": [
        ("farthest", suspecting(np.argmax), "farthest task"),
        ("raw numbers", raw, "scale first"),
        ("a count", suspecting(share=lambda D, d: (D.min(axis=1) > d).sum()), "a count"),
        ("itself", suspecting(own=0), "distance 0 from itself"),
        ("around", suspecting(share=lambda D, d: (D.min(axis=1) > d).mean()), "Turned around"),
        (
            "pairs",
            suspecting(share=lambda D, d: np.less_equal(D, d).sum() / (60 * 59)),
            "count pairs",
        ),
        ("scales", scaled_with_the_new, "in the scales"),
        ("only a name", lambda d, e: e.tasks.index[0], "Two values"),
    ],
}
