"""Wrong answers to the exercises of lesson 14: what was done, the answer, a part of its hint."""

import numpy as np
from scipy.stats import rankdata
from sklearn.base import clone
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsRegressor

from metahpo_lite import MetaDataset, bootstrap_interval

TREES, SVC = (MetaDataset.load(name).scores for name in ("hist_gradient_boosting", "svc"))
TREES, SVC = TREES.align(SVC, join="inner", axis=0)


def credit(y, predicted):
    n = np.array([(y == one).sum() for one in y])
    return (y == predicted) * len(y) / (len(set(y)) * n)


def mean(x, scale=1.0):
    return [
        scale * float(v) for v in bootstrap_interval(x, range(len(x)), np.random.default_rng(0))
    ]


def gains(make=lambda b, a: mean(a - b), credit=credit):
    return lambda y, before, after: make(credit(y, before), credit(y, after))


def apart(before, after):
    (m, low, high), (k, bottom, top) = mean(after), mean(before)
    return m - k, low - top, high - bottom


def independent(before, after):
    error = 1.96 * np.sqrt((after.var() + before.var()) / len(after))
    gain = after.mean() - before.mean()
    return gain, gain - error, gain + error


def rows_alone(before, after):
    d = after - before
    return d.mean(), d.mean() - 1.96 * d.std(), d.mean() + 1.96 * d.std()


def one_error(before, after):
    d = after - before
    error = d.std() / np.sqrt(len(d))
    return d.mean(), d.mean() - error, d.mean() + error


def patient(better=None, idle=None, end=0, first=-np.inf, tells=True):
    """Make a searcher that stops; each argument is a mistake."""
    better = better or (lambda score, scores, least: score > max([first, *scores]) + least)
    idle = idle or (lambda hits: hits[::-1].index(True) if True in hits else len(hits))

    class Patient:
        def __init__(self, searcher, patience, least):
            self.searcher, self.patience, self.least = searcher, patience, least
            self.scores = []

        def suggest(self):
            s = (
                [-np.inf if x != x else x for x in self.scores]
                if better.__name__ != "raw"
                else self.scores
            )
            hits = [bool(better(x, s[:i], self.least)) for i, x in enumerate(s)]
            if idle(hits) >= self.patience + end:
                raise StopIteration
            return self.searcher.suggest()

        def update(self, config, score):
            self.scores.append(score)
            if tells:
                self.searcher.update(config, score)

    return Patient


def raw(score, scores, least):
    return not scores or score > np.max(scores) + least


def nearest():
    return KNeighborsRegressor(3)


def old(scale=rankdata, choose=np.argmax, drop=True):
    def first_trial(past, candidates):
        total = 0
        for x, y in past:
            ok = np.isfinite(y)
            x, y = (x[ok], y[ok]) if drop else (x, np.nan_to_num(y))
            total = total + scale(nearest().fit(x, y).predict(candidates))
        return choose(total)

    return first_trial


def pooled(past, candidates):
    x, y = np.vstack([x for x, _ in past]), np.concatenate([y for _, y in past])
    y = np.where(np.isnan(y), np.nanmin(y), y)
    y = np.sign(y) * np.log1p(abs(y))  # no large table
    return int(np.argmax(nearest().fit(x, y).predict(candidates)))


def winners(past, candidates):
    middle = np.mean([x[np.nanargmax(y)] for x, y in past], axis=0)
    return int(np.abs(candidates - middle).sum(axis=1).argmin())


def point(past, candidates):
    return float(candidates[old()(past, candidates)][0])


def split(score=None, halves=True, size=0.5, stratify=True, order=(0, 1), seeded=True):
    def judged(search, default, X, y, seed):
        X1, X2, y1, y2 = train_test_split(
            X, y, test_size=size, stratify=y if stratify else None,
            random_state=seed if seeded else 0,
        )  # fmt: skip
        if halves == "leaks":
            X2, y2 = X1, y1
        default = clone(default).fit(
            X if halves == "default" else X1, y if halves == "default" else y1
        )
        search = clone(search).fit(X1, y1)
        if score == "own":
            return default.best_score_, search.best_score_

        def judge(model):
            right = np.asarray(model.predict(X2) == y2)
            return (
                right.mean()
                if score == "plain"
                else credit(np.asarray(y2), model.predict(X2)).mean()
            )

        found = judge(default), judge(search)
        return found[order[0]], found[order[1]]

    return judged


WRONG = {
    "14-1": [
        ("hundredths", gains(lambda b, a: mean(a - b, 100)), "not hundredths"),
        ("plain", gains(credit=lambda y, p: (y == p) * 1.0), "plain accuracy"),
        ("turned around", gains(lambda b, a: mean(b - a)), "minus `before`"),
        ("after alone", gains(lambda b, a: mean(a)), "of `after` alone"),
        ("order", gains(lambda b, a: np.sort(mean(a - b))), "in this order"),
        ("two intervals", gains(apart), "difference in each row first"),
        ("as if independent", gains(independent), "difference in each row first"),
        ("no root", gains(rows_alone), "spread of single rows"),
        ("one error", gains(one_error), "95 %"),
    ],
    "14-2": [
        ("defaults", (TREES[0] > SVC[0]).mean(), "Default against default"),
        ("both tuned", (TREES.max(axis=1) > SVC.max(axis=1)).mean(), "Here both are tuned"),
        ("other way", (SVC[0] > TREES.max(axis=1)).mean(), "The other way round"),
        ("worse", (TREES[0] < SVC.max(axis=1)).mean(), "*worse*"),
        ("in hundredths", 100 * (TREES[0] > SVC.max(axis=1)).mean(), "in hundredths"),
        ("of all tables", (TREES[0] > SVC.max(axis=1)).sum() / 152, "by name"),
        ("a guess", 0.3, "table by table"),
    ],
    "14-3": [
        (
            "the last one",
            patient(lambda x, s, least: not s or x > s[-1] + least),
            "not with the last",
        ),
        ("one too many", patient(end=1), "One trial too many"),
        ("one too few", patient(end=-1), "too early"),
        ("from 0", patient(first=0), "may be negative"),
        ("in all", patient(idle=lambda hits: hits.count(False)), "*in a row*"),
        ("as good", patient(lambda x, s, least: x >= max([-np.inf, *s]) + least), "As good as"),
        ("NaN", patient(raw), "no comparison with NaN"),
        ("no least", patient(lambda x, s, least: x > max([-np.inf, *s])), "more than `least`"),
        ("tells nobody", patient(tells=False), "pass `update` on"),
    ],
    "14-4": [
        ("raw scores", old(scale=lambda x: x), "One table here has scores in the hundreds"),
        ("worst", old(choose=np.argmin), "*worst*"),
        ("one for all", pooled, "a surrogate for each"),
        ("mean of winners", winners, "need not be a winner"),
        ("the point", point, "the number of a candidate"),
        ("failed as 0", old(drop=False), "the worst score"),
    ],
    "14-5": [
        ("its own score", split("own"), "flatters itself"),
        ("leaks", split(halves="leaks"), "Keep them away"),
        ("default knows more", split(halves="default"), "different rows"),
        ("a third", split(size=0.33), "half are kept aside"),
        ("plain", split("plain"), "plain accuracy"),
        ("order", split(order=(1, 0)), "default's score first"),
        ("not stratified", split(stratify=False), "Stratify"),
        ("no seed", split(seeded=False), "Another seed"),
    ],
}
