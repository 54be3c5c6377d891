"""Wrong answers to the exercises of lesson 10: what was done, the answer, a part of its hint."""

import numpy as np
import pandas as pd
from scipy.special import log_softmax, softmax
from scipy.stats import pearsonr


def measuring(
    h=1e-5, reduce=np.max, both=False, copy=True, pairs=None, size=abs, below=2.0, down=True
):
    """The right answer but for what is given."""

    def slope_error(objective, D, S):
        said, found = objective(D, S)[1], []
        for i, j in np.argwhere(~np.eye(len(D), dtype=bool) if pairs is None else pairs(D)):
            values = []
            for sign in (1, (-1 if copy else -2) if down else 0):
                changed = D.copy() if copy else D
                changed[i, j] += sign * h
                if both:
                    changed[j, i] = changed[i, j]
                values.append(objective(changed, S)[0])
            slope = (values[0] - values[1]) / (below * h)
            found.append(size(said[i, j] - slope))
        return reduce(found)

    return slope_error


def listing(scale=10, sign=-1, own=False, outer=None, value=1, slope=1, rows=True, log=True):
    """The right answer but for what is given."""

    def listwise(D, S):
        n = len(D)
        far = np.zeros((n, n)) if own else np.diag(np.full(n, 1e9))
        axis = 1 if rows else 0
        p = softmax(scale * S - far, axis=axis)
        q, log_q = (f(sign * D - far, axis=axis) for f in (softmax, log_softmax))
        if not log:
            log_q = np.log(np.where(np.eye(n), 1, q))
        return -value * (p * log_q).sum() / n, slope * (p - q) / n

    return listwise


def permuting(shuffle, far=abs, p=lambda often, n: (1 + often) / (1 + n), diagonal=0):
    """A test by n draws of shuffle(D, rng)."""

    def permutation_p(D, S, rng, n):
        pairs = np.triu_indices(len(D), 1 - diagonal)
        values = [
            far(np.corrcoef(one[pairs], S[pairs])[0, 1])
            for one in (D, *(shuffle(D, rng) for _ in range(n)))
        ]
        return p(sum(value >= values[0] - 1e-12 for value in values[1:]), n)

    return permutation_p


def tasks(D, rng):
    order = rng.permutation(len(D))
    return D[np.ix_(order, order)]


def pairs_alone(D, rng):
    new, pairs = np.zeros_like(D), np.triu_indices(len(D), 1)
    new[pairs] = rng.permutation(D[pairs])
    return new + new.T


def usual(D, S, rng, n):
    pairs = np.triu_indices(len(D), 1)
    return max(pearsonr(D[pairs], S[pairs]).pvalue, 1 / (1 + n))


def explaining(part=np.square, pick=np.argmin, divide=True, order="desc", names=None, safe=True):
    """The right answer but for what is given."""

    def reasons(distance, described):
        gaps = distance.points_ - distance.embed(described)[0]
        share = part(gaps[pick((gaps**2).sum(axis=1))])
        if divide and (share.any() or not safe):
            share = share / share.sum()
        index = distance.inputs_.used if names is None else names(distance)
        if order == "alone":
            return pd.Series(np.sort(share)[::-1], index)
        return pd.Series(share, index).sort_values(ascending=order == "asc")

    return reasons


def over_all(distance, described):
    gaps = ((distance.points_ - distance.embed(described)[0]) ** 2).sum(axis=0)
    return pd.Series(gaps / gaps.sum(), distance.inputs_.used).sort_values(ascending=False)


WRONG = {
    "10-1": [
        ("D is changed", measuring(copy=False), "Change a copy"),
        ("all of them", measuring(reduce=np.array), "the largest of all"),
        ("mean", measuring(reduce=np.mean), "This is a mean"),
        ("both entries", measuring(both=True), "A factor of 2"),
        ("divided by h", measuring(below=1.0), "A factor of 2"),
        ("half of a forward step", measuring(down=False), "A factor of 2"),
        (
            "half of the pairs",
            measuring(pairs=lambda D: np.tri(len(D), k=-1)),
            "all pairs",
        ),
        ("upper half", measuring(pairs=lambda D: np.tri(len(D), k=-1).T), "D[3, 1]"),
        ("no absolute value", measuring(size=lambda x: x), "absolute"),
        ("rounding", measuring(h=1e-13), "report a difference"),
        ("diagonal too", measuring(pairs=lambda D: D >= 0), "diagonal"),
    ],
    "10-2": [
        ("itself", listing(own=True), "its own list"),
        ("no 10", listing(scale=1), "multiplied by 10"),
        ("sign of D", listing(sign=1), "farthest task"),
        ("sign of the value", listing(value=-1), "wrong sign"),
        ("sum", listing(value=7), "mean over the tasks"),
        ("sign of the derivative", listing(slope=-1), "makes the loss larger"),
        ("derivative of a sum", listing(slope=7), "divided by n"),
        ("exchanged", lambda D, S: listing()(-10 * S, -D / 10), "exchanged"),
        ("columns", listing(rows=False), "columns"),
        ("logarithm of 0", listing(log=False), "log_softmax"),
        ("value alone", lambda D, S: listing()(D, S)[0], "Two things"),
    ],
    "10-3": [
        ("pairs", permuting(pairs_alone), "Do not shuffle pairs"),
        ("usual p-value", usual, "Do not shuffle pairs"),
        ("rows alone", permuting(lambda D, rng: rng.permutation(D)), "rows and columns"),
        ("one-sided", permuting(tasks, far=float), "Both directions"),
        ("no draw of its own", permuting(tasks, p=lambda often, n: often / n), "p-value of 0"),
        ("n below", permuting(tasks, p=lambda often, n: (1 + often) / n), "1 + n"),
        ("the other share", permuting(tasks, p=lambda often, n: 1 - often / (1 + n)), "*least*"),
        ("a count", permuting(tasks, p=lambda often, n: 1 + often), "a count"),
        ("diagonal", permuting(tasks, diagonal=1), "without the diagonal"),
    ],
    "10-4": [
        ("farthest", explaining(pick=np.argmax), "the farthest"),
        ("no squares", explaining(part=np.abs), "adds squares"),
        ("no shares", explaining(divide=False), "Divide by their sum"),
        ("smallest first", explaining(order="asc"), "comes first"),
        ("names stay", explaining(order="alone"), "sort them together"),
        ("over all", over_all, "over all known tasks"),
        ("0 / 0", explaining(safe=False), "0 / 0"),
        (
            "numbers as names",
            explaining(names=lambda d: range(len(d.inputs_.used))),
            "inputs_.used",
        ),
        ("an array", lambda d, m: explaining()(d, m).to_numpy(), "A Series"),
    ],
}
