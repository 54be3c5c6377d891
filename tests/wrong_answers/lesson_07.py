"""Wrong answers to the exercises of lesson 07: what was done, the answer, a part of its hint."""

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.model_selection import GroupKFold, KFold, cross_val_predict

from metahpo_lite import meta_features


def constant(places=None, weight=None, best=np.argmin, loss=None, order=None, given=None):
    def named(shares, choices, asked):
        names = choices if order is None else order(shares)
        k = len(names)
        at = (np.arange(k) + 0.5) / k if places is None else places(k)
        w = np.array([shares[n] if weight is None else weight for n in names])
        said = np.linspace(0, 1, 1001)
        c = said[best((loss or asked)(said[:, None], at) @ w)]
        return c if given else names[min(int(c * k), k - 1)]

    return named


def swapped(shares, order, loss):
    return constant(loss=lambda said, right: loss(right, said))(shares, order, loss)


GROUPS = GroupKFold(3)


def by_folds(folds=GROUPS, seen=False, mean=None, total=None, end=None, shuffled=False):
    def skill(model, x, y, families):
        error, of_mean = 0, 0
        for known, new in folds.split(x, y, families):
            asked = known if seen else new
            p = clone(model).fit(x[known], y[known]).predict(x[asked])
            p = p[::-1] if shuffled else p
            m = (y[known] if mean is None else mean(y, new)).mean(axis=0)
            error = error + ((p - y[asked]) ** 2).sum(axis=total or 0)
            of_mean = of_mean + ((m - y[asked]) ** 2).sum(axis=total or 0)
        return 1 - error / of_mean if end is None else end(error, of_mean)

    return skill


class RandomFolds(KFold):
    def split(self, x, y, families):
        return super().split(x, y)


class Trusting(RegressorMixin, BaseEstimator):
    """A right answer, in parts that can be wrong."""

    def __init__(self, model):
        self.model = model

    def unseen(self, x, y):
        return cross_val_predict(self.model, x, y)

    def kept(self, t):
        return np.clip(t, 0, 1)

    def below(self, p):
        return (p**2).sum()

    def fit(self, x, y):
        self.mean_ = y.mean(axis=0)
        p = self.unseen(x, y) - self.mean_
        size = self.below(p)
        self.trust_ = self.kept((p * (y - self.mean_)).sum() / size if size > 0 else 0)
        self.fitted_ = clone(self.model).fit(x, y)
        return self

    def predict(self, x):
        return self.mean_ + self.trust_ * (self.fitted_.predict(x) - self.mean_)


class ByHeart(Trusting):
    def unseen(self, x, y):
        return clone(self.model).fit(x, y).predict(x)


class AboveOne(Trusting):
    def kept(self, t):
        return np.maximum(t, 0)


class BelowZero(Trusting):
    def kept(self, t):
        return np.minimum(t, 1)


class NoMean(Trusting):
    def predict(self, x):
        return self.trust_ * (self.fitted_.predict(x) - self.mean_)


class TurnedAround(Trusting):
    def kept(self, t):
        return 1 - np.clip(t, 0, 1)


class NotSquared(Trusting):
    def below(self, p):
        return 3 * abs(p).sum()


class NoReturn(Trusting):
    def fit(self, x, y):
        super().fit(x, y)


class NothingByNothing(Trusting):
    def fit(self, x, y):
        super().fit(x, y)
        p = self.unseen(x, y) - self.mean_
        with np.errstate(all="ignore"):
            self.trust_ = self.kept((p * (y - self.mean_)).sum() / np.float64((p**2).sum()))
        return self


def halves(draw=None, describe=None, end=None, whole=True, rounds=0):
    def same_on_halves(dataset, predictor, name, n, rng):
        said, size, found = predictor.predict(meta_features(dataset)), len(dataset.y), []
        once = rng.permutation(size)[: size // 2]
        for _ in range(n + rounds):
            rows = once if draw == "once" else (draw or half)(rng, size)
            both = (rows, rows) if describe is None else describe(rng, rows)
            row = meta_features(dataset.X.iloc[both[0]], dataset.y.iloc[both[1]])
            found.append(predictor.predict(row)[name] == said[name])
        return np.mean(found) if end is None else end(found)

    return same_on_halves


def of_all_values(dataset, predictor, name, n, rng):
    said, same = predictor.predict(meta_features(dataset)), 0
    for _ in range(n):
        rows = half(rng, len(dataset.y))
        row = meta_features(dataset.X.iloc[rows], dataset.y.iloc[rows])
        same += predictor.predict(row) == said
    return same / n


def half(rng, size):
    return rng.permutation(size)[: size // 2]


def halves_alone(dataset, predictor, name, n, rng):
    rows = [half(rng, len(dataset.y)) for _ in range(n)]
    said = [
        predictor.predict(meta_features(dataset.X.iloc[i], dataset.y.iloc[i]))[name] for i in rows
    ]
    return np.mean([one == said[0] for one in said])


WRONG = {
    "07-1": [
        ("most frequent", lambda shares, o, loss: max(shares, key=shares.get), "most frequent"),
        ("not weighted", constant(weight=1), "count alike"),
        ("order of the dict", constant(order=list), "order of `order`"),
        ("from 0 to 1", constant(places=lambda k: np.arange(k) / (k - 1)), "in the middle of"),
        ("most loss", constant(best=np.argmax), "*most* loss"),
        ("always the mean", constant(loss=lambda a, b: (a - b) ** 2), "loss that is given"),
        ("a number", constant(given=True), "Return the choice"),
        ("swapped", swapped, "too high from too low"),
        ("the last", lambda shares, order, loss: order[-1], "by hand"),
    ],
    "07-2": [
        ("seen", by_folds(seen=True), "that it has seen"),
        ("families torn", by_folds(RandomFolds(3, shuffle=True, random_state=0)), "as a whole"),
        ("mean of all", by_folds(mean=lambda y, new: y), "skill 0 exactly"),
        ("mean of the new", by_folds(mean=lambda y, new: y[new]), "skill 0 exactly"),
        ("upside down", by_folds(end=lambda error, of_mean: error / of_mean), "Upside down"),
        ("one number", by_folds(end=lambda e, m: 1 - e.sum() / m.sum()), "one number"),
        ("other rows", by_folds(shuffled=True), "of the same rows"),
        ("roots", by_folds(end=lambda e, m: 1 - (e / m) ** 3), "Squares"),
    ],
    "07-3": [
        ("by heart", ByHeart, "trusted wholly"),
        ("above 1", AboveOne, "above 1"),
        ("below 0", BelowZero, "below 0"),
        ("no mean", NoMean, "The mean is missing"),
        ("turned around", TurnedAround, "the wrong part"),
        ("not squared", NotSquared, "squared?"),
        ("no return", NoReturn, "returns `self`"),
        ("0 by 0", NothingByNothing, "divides 0 by 0"),
    ],
    "07-4": [
        ("with replacement", halves(lambda rng, n: rng.integers(n, size=n // 2)), "replacement"),
        ("without the whole", halves_alone, "whole table was not"),
        ("the whole", halves(lambda rng, n: rng.permutation(n)), "Only the whole"),
        ("a quarter", halves(lambda rng, n: rng.permutation(n)[: n // 4]), "not halves"),
        ("rows torn", halves(describe=lambda rng, i: (i, rng.permutation(i))), "same rows"),
        ("one half", halves("once"), "a new one"),
        ("one more", halves(rounds=1), "no more and no less"),
        ("a count", halves(end=np.sum), "a count"),
        ("turned around", halves(end=lambda found: 1 - np.mean(found)), "that differs"),
        ("the whole counted", halves(end=lambda found: np.mean([*found, True])), "halves alone"),
        ("all hyperparameters", of_all_values, "`name` alone"),
        ("all or nothing", halves(end=lambda found: float(all(found))), "`name` alone"),
    ],
}
