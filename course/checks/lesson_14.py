"""Tune your own dataset: three doors, your own history, the whole race."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
from numpy.random import default_rng
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import balanced_accuracy_score

from course.checking import hint, numbers
from metahpo_lite import MetaDataset, run


def check_1(gain):
    """Give each row its credit under both models, as the lesson does, and take the differences."""
    classes, n = ["a", "b", "c"], 300
    y, before, after = _answers(classes, n)
    found, low, high = numbers(gain(y.copy(), before.copy(), after.copy()), (3,))
    right = _balanced(y, after) - _balanced(y, before)
    credit = {p: n / (len(classes) * _counts(y)) * (y == x)
              for p, x in (("after", after), ("before", before))}  # fmt: skip
    hint(
        abs(found) > 1 or abs(high) > 1,
        "Return shares, not hundredths: a balanced accuracy lies between 0 and 1.",
    )
    hint(
        np.isclose(found, (y == after).mean() - (y == before).mean()),
        "This is the gain in plain accuracy. Here the classes are of uneven size: each should count the same.",
    )
    hint(np.isclose(found, -right), "Turned around: `after` minus `before`.")
    hint(
        np.isclose(found, _balanced(y, after)),
        "This is the balanced accuracy of `after` alone. By how much is it better than `before`?",
    )
    hint(
        not low <= found <= high,
        "The gain lies outside of its interval. Return three numbers in this order: gain, low, high; and the interval is that of the same weighted differences as the gain.",
    )
    hint(abs(found - right) > 0.002, "The gain is not that of the balanced accuracies.")
    one = 2 * 1.96 * (credit["after"] - credit["before"]).std() / np.sqrt(n)
    two = sum(2 * 1.96 * c.std() / np.sqrt(n) for c in credit.values())
    apart = np.hypot(*(2 * 1.96 * c.std() / np.sqrt(n) for c in credit.values()))
    wide = (high - low) / one
    hint(
        wide > 0.8 * np.sqrt(n),
        "Far too wide: this is the spread of single rows. You want that of their *mean*.",
    )
    hint(
        np.abs((high - low) / np.array([two, apart]) - 1).min() < 0.12,
        "Far too wide. Both models are judged by the same rows, so that much of their luck is shared: take the difference in each row first, then the interval.",
    )
    hint(
        not 0.8 < wide < 1.25,
        "The width is not that of a 95 % interval of the mean difference over rows.",
    )


def _answers(classes, n):
    """Make a truth of uneven classes, and two models that mostly agree."""
    rng = default_rng(0)
    y = rng.choice(classes, n, p=np.r_[0.7, np.full(len(classes) - 1, 0.3 / (len(classes) - 1))])
    before = np.where(rng.random(n) < 0.7, y, classes[0])
    fixed = (rng.random(n) < 0.25) & (y != classes[0])
    after = np.where(fixed, y, np.where(rng.random(n) < 0.04, classes[-1], before))
    return y, before, after


def _balanced(y, predicted):
    return balanced_accuracy_score(y, predicted)


def _counts(y):
    return np.array([(y == one).sum() for one in y])


def check_2(share):
    """`scores[0]` of an experience has the default's score on each task; `scores.max(axis=1)` the best."""
    found = float(numbers(share, ()))
    trees, svc = (MetaDataset.load(name).scores for name in ("hist_gradient_boosting", "svc"))
    both = trees.index.intersection(svc.index)
    default, best = trees.loc[both, 0], svc.loc[both].max(axis=1)
    hint(found > 1, "A share is between 0 and 1. Is this a count, or in hundredths?")
    hint(
        _near(found, (default > svc.loc[both, 0]).mean()),
        "Default against default: that compares the learners, and nobody has tuned anything.",
    )
    hint(
        _near(found, (trees.loc[both].max(axis=1) > best).mean()),
        "Here both are tuned. Leave boosting at its default.",
    )
    hint(
        _near(found, (svc.loc[both, 0] > trees.loc[both].max(axis=1)).mean()),
        "The other way round: the default of boosting, against the best of svc.",
    )
    hint(
        _near(found, (default < best).mean()),
        "This is the share of tables on which the default of boosting is *worse*.",
    )
    n = len(both)
    unlike = (trees[0].to_numpy()[:n] > svc.max(axis=1).to_numpy()[:n]).mean()
    hint(
        _near(found, unlike) or _near(found, (default > best).sum() / len(svc)),
        "The two do not have the same tables. Compare those that both have, by name, and divide by their number.",
    )
    hint(
        not _near(found, (default > best).mean()),
        "Column 0 of boosting's scores, and the highest of all columns of svc's, table by table.",
    )


def _near(a, b):
    return abs(a - b) < 0.001


def check_3(Patient):
    """In `suggest`, go through `self.scores` from the first to the last, and count the trials since the last success."""
    length = _length(Patient, 3, 0.0)
    n = length([5, 1, 2, 3, 4, 9])
    hint(
        n == 6,
        "After the scores 5, 1, 2, 3 it goes on, with a patience of 3. A trial is compared with the best score of all before it, not with the last one.",
    )
    hint(n == 5, "One trial too many: after the scores 5, 1, 2, 3 a patience of 3 is at its end.")
    hint(n < 4, "It ends too early. The scores 5, 1, 2 leave a patience of 3 one more trial.")
    hint(
        length(list(range(20))) < 20,
        "Each trial here is better than all before it, and your search ends. A success restores all its patience.",
    )
    hint(
        length([-9, -8, -7, -6, -5]) < 5,
        "Scores may be negative, as that of a loss. The first one is a success, whatever it is.",
    )
    hint(
        length([1, 0, 2, 0, 3, 0, 4, 0, 5]) < 9,
        "It counts all trials without success. Only those *in a row* count, since the last success.",
    )
    hint(
        length([1, 1, 1, 1, 1, 1]) > 4,
        "As good as the best is no success: it must be better.",
    )
    lost = np.nan
    hint(
        length([lost, 1, lost, 2, lost, 3, lost, 4]) < 8,
        "A trial that failed scores NaN, and no comparison with NaN holds. After one your search does not see what is better.",
    )
    hint(
        length([2, lost, lost, lost, lost, lost]) > 4,
        "A trial that failed is no success, and your search waits for ever.",
    )
    hint(
        length([5, lost, 1, 2, 9]) != 4
        or length([lost, 1, 1, 1, 1, 1]) != 5
        or length([lost] * 5) != 3,
        "Compare a trial with the best of all that did not fail before it, wherever the NaN stands; if none did not, any score is a success.",
    )
    small = _length(Patient, 3, 0.01)
    hint(small([1, 1.005, 1.006, 1.007, 2]) == 5, "An improvement must be of more than `least`.")
    hint(
        small([1, 1.005, 1.006, 1.007, 2]) != 4 or small([1, 2, 3, 4, 5, 6]) < 6,
        "A trial is a success if it is better than all before it by more than `least`.",
    )
    hint(
        small([1, 1.009, 1.018, 1.027, 2]) != 4,
        "Scores may creep up in steps below `least`. Compare with the best of *all* trials before, also of those that were no success.",
    )
    told = []
    _length(Patient, 2, 0.0, told)([1, 2, 3])
    hint(
        told != [1, 2, 3],
        "The searcher inside is to learn from each trial, once: pass `update` on to it.",
    )


def _length(Patient, patience, least, told=None):
    """Say after how many trials of given scores it ends."""

    def length(scores):
        left = iter(scores)
        searcher = SimpleNamespace(
            suggest=dict, update=lambda _, score: None if told is None else told.append(score)
        )
        task = SimpleNamespace(evaluate=lambda _: next(left))
        patient = Patient(searcher, patience, least)

        def suggest():
            config = patient.suggest()
            hint(
                config is None,
                "`suggest` returns nothing. Return what the searcher inside suggests; to end, `raise StopIteration`.",
            )
            return config

        return len(run(SimpleNamespace(suggest=suggest, update=patient.update), task, len(scores)))

    return length


def check_4(first_trial):
    """Begin with one old search: fit a regressor to its points and scores, and predict the candidates."""
    rng = default_rng(0)
    candidates = np.linspace(0, 1, 41)[:, None]

    def chosen(*tables):
        past = [(x.copy(), y.copy()) for x, y in tables]
        found = float(numbers(first_trial(past, candidates.copy()), ()))
        hint(
            found % 1 or not 0 <= found < 41,
            "Return the number of a candidate: a whole number, from 0.",
        )
        return candidates[int(found), 0]

    def table(best=0.3, size=1.0, level=0.0, low=0.0, high=1.0):
        x = rng.uniform(low, high, (25, 1))
        return x, level - size * (x[:, 0] - best) ** 2 + 0.005 * size * rng.normal(size=25)

    like = [table() for _ in range(5)]
    found = chosen(*like)
    hint(found > 0.8, "This is where the old searches did *worst*. Higher scores are better.")
    hint(
        not 0.15 < found < 0.45,
        "On five tables that are alike your choice is far from what did best. Do you choose among the candidates, by what is predicted for them? (A search has few trials: a regressor that wants more rows in a leaf predicts one number for all.)",
    )
    hint(
        chosen(*like, table(0.9, 1000)) > 0.55,
        "One table here has scores in the hundreds, and decides alone. Bring the predictions of each table to one scale before you add them up: ranks, for example.",
    )
    hint(
        chosen(*[table(high=0.6) for _ in range(5)], table(0.8, 0.1, 5, 0.6)) > 0.55,
        "One table here is easy: all its scores are high, wherever one looks. Do not mix trials of several tables: a surrogate for each.",
    )
    x = np.linspace(0.02, 0.98, 25)[:, None]
    peaks = [(x, np.exp(-(((x[:, 0] - a) / 0.12) ** 2)) + 0.9 * np.exp(-(((x[:, 0] - 1 + a) / 0.12) ** 2)))
             for a in (0.1, 0.9, 0.1, 0.9)]  # fmt: skip
    hint(
        0.3 < chosen(*peaks) < 0.7,
        "Every table here has two good regions, left and right, and you choose between them, where none is good. The mean of winners need not be a winner.",
    )
    failed = [(x, np.where(x[:, 0] > 0.7, np.nan, y - 1)) for x, y in like]
    hint(
        chosen(*failed) > 0.6,
        "Some trials failed here, with the score NaN. Leave them out, or give them the worst score.",
    )
    other = table(0.9)
    hint(
        max(chosen(other, *like), chosen(*like, other)) > 0.6,
        "Five searches agree, and one, the first or the last, decides. All are to recommend together.",
    )


class _Spy(ClassifierMixin, BaseEstimator):
    """Knows the rows that it was fitted to by heart, and says "a" of all others but every third."""

    seen = ()  # all that any of them was fitted to

    def __init__(self, name="search"):
        self.name = name

    def fit(self, X, y):
        rows = _rows(X)
        type(self).seen = (*self.seen, (self.name, rows))
        self.known_ = dict(zip(rows, np.asarray(y).tolist(), strict=True))
        self.classes_, self.best_score_, self.best_estimator_ = np.unique(y), 0.987, self
        return self

    def predict(self, X):
        step = 2 if self.name == "search" else 9
        says = [self.known_.get(r, "b" if r % step == 0 else "a") for r in _rows(X)]
        return np.array(says)


def _rows(X):
    return np.asarray(X)[:, 0].astype(int).tolist()


def check_5(judged):
    """Split the rows with `train_test_split`, fit both to one half, and score both on the other."""
    rng = default_rng(0)
    rows = rng.permutation(120)
    X = pd.DataFrame({"row": rows, "x": rng.random(120)}, index=rng.permutation(120) + 500)
    y = pd.Series(np.where(rows % 10 == 0, "b", "a"), X.index)

    def once(seed):
        _Spy.seen = ()
        found = judged(_Spy(), _Spy("default"), X.copy(), y.copy(), seed)
        found = numbers(found, (2,))
        return found, {name: sorted(fitted) for name, fitted in _Spy.seen}

    found, fitted = once(0)
    hint(
        np.isclose(found, 0.987),
        "This is the search's own `best_score_`, which flatters itself. Score on rows that it has not seen.",
    )
    hint(
        set(fitted) != {"search", "default"},
        "Fit both, the search and the default, within your function.",
    )
    hint(
        fitted["search"] != fitted["default"],
        "The search and the default were fitted to different rows. Only the tuning may differ.",
    )
    hint(found > 1, "Return shares, not hundredths: a balanced accuracy lies between 0 and 1.")
    hint(
        found > 0.97,
        "The rows that judge were also fitted. Keep them away from `fit`.",
    )
    hint(
        not 59 <= len(fitted["search"]) <= 61,
        "Half of the rows are for fitting, and half are kept aside.",
    )
    kept = np.setdiff1d(rows, fitted["search"])
    truth = np.where(kept % 10 == 0, "b", "a")
    step = {"default": 9, "search": 2}
    says = [np.where(kept % s == 0, "b", "a") for s in step.values()]
    right = np.array([balanced_accuracy_score(truth, p) for p in says])
    plain = np.array([(truth == p).mean() for p in says])
    hint(
        np.allclose(found, plain) or np.allclose(found, plain[::-1]),
        "This is plain accuracy, and nine of ten rows are of one class. Score by balanced accuracy.",
    )
    hint(np.allclose(found, right[::-1]), "Return the default's score first, then the tuned one.")
    hint(
        np.sum(truth == "b") not in (6, 7),
        "The rare class is not split in halves: by chance nearly all of it may be on one side. Stratify.",
    )
    turned = [balanced_accuracy_score(p, truth) for p in says]
    hint(
        np.allclose(found, turned),
        "`balanced_accuracy_score` takes the true classes first, then the predicted ones.",
    )
    hint(not np.allclose(found, right), "Return the balanced accuracy of both on the kept rows.")
    again, other = once(0)[1], once(1)[1]
    hint(again != fitted, "The same seed gives two different splits. Use it for the split.")
    hint(other == fitted, "Another seed gives the same split. Use it for the split.")
    hint(
        any(np.sum(np.array(once(s)[1]["search"]) % 10 == 0) != 6 for s in (2, 3, 4)),
        "The rare class is not split in halves. Stratify.",
    )
