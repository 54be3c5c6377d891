"""Predict the configuration: constants, skill, trust, halves."""

import numpy as np
import pandas as pd
from numpy.random import default_rng
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor

from course.checking import Hint, hint, numbers
from metahpo_lite import Dataset, meta_features


def _squared(said, right):
    return (said - right) ** 2


def _absolute(said, right):
    return abs(said - right)


def _fourth_power(said, right):
    return (said - right) ** 4


def _low_is_dear(said, right):  # nine times as dear as too high
    return np.where(said < right, 9.0, 1.0) * abs(said - right)


def _named(shares, order, loss, places=None, weights=None, worst=False, part=int, steps=1001):
    k = len(order)
    places = (np.arange(k) + 0.5) / k if places is None else places(k)
    weights = [shares[choice] for choice in order] if weights is None else np.ones(k)
    said = np.linspace(0, 1, steps)
    losses = loss(said[:, None], places) @ np.array(weights)
    best = said[(-losses if worst else losses).argmin()]
    return order[min(part(best * k), k - 1)]


CASES = [
    ({"a": 0.45, "b": 0.25, "c": 0.3}, ["a", "b", "c"], _squared),
    ({"a": 0.45, "b": 0.25, "c": 0.3}, ["b", "c", "a"], _squared),
    ({"a": 0.6, "b": 0.2, "c": 0.2}, ["a", "b", "c"], _squared),
    ({"a": 0.6, "b": 0.2, "c": 0.2}, ["a", "b", "c"], _absolute),
    ({"a": 0.75, "b": 0.1, "c": 0.15}, ["a", "b", "c"], _squared),
    ({"u": 0.9, "v": 0.1}, ["v", "u"], _squared),
    ({"p": 0.4, "q": 0.05, "r": 0.05, "s": 0.5}, ["p", "q", "r", "s"], _squared),
    ({"a": 0.53, "b": 0.47}, ["a", "b"], _squared),  # the mean is near the border
]


def check_1(named):
    """List the places of the choices, try many numbers from 0 to 1, and take the one with the least mean loss."""
    found = [named(dict(shares), list(order), loss) for shares, order, loss in CASES]
    hint(
        any(not isinstance(one, str) for one in found),
        "Return the choice, one of the names in `order`, not its place on the axis.",
    )

    def same(how):
        return found == [how(*case) for case in CASES]

    hint(
        same(lambda shares, order, loss: max(shares, key=shares.get)),
        "This is the most frequent choice. It is what softmax would name; a number with a loss does not get there.",
    )
    hint(
        same(lambda *case: _named(*case, weights=1)),
        "All choices count alike here. Weigh the loss at each place by the share of its tasks.",
    )
    hint(
        same(lambda shares, order, loss: _named(shares, list(shares), loss)),
        "You place the choices as `shares` has them. The axis has them in the order of `order`.",
    )
    hint(
        same(lambda *case: _named(*case, places=lambda k: np.arange(k) / (k - 1))),
        "The first choice stands at 0 and the last at 1 here. They stand in the middle of their parts.",
    )
    hint(
        same(lambda *case: _named(*case, part=lambda at: round(at))),
        "You round: that is the nearest border of the parts. Cut off: from 0 to 1/K it is the first choice.",
    )
    hint(
        same(lambda *case: _named(*case, steps=11)),
        "Your numbers are too far apart: the best one may be near a border. Try hundreds of them.",
    )
    hint(same(lambda *case: _named(*case, worst=True)), "This is the number with the *most* loss.")
    hint(
        same(lambda shares, order, loss: _named(shares, order, _squared)),
        "You always take the mean, as the squared error does. Ask the loss that is given.",
    )
    hint(
        not same(_named),
        "Try two choices by hand: nine tenths want the second. Where is the mean, and in whose half?",
    )
    shares, order, _ = CASES[0]
    hint(
        named(shares, order, _low_is_dear) != _named(shares, order, _low_is_dear),
        "A loss may tell too high from too low. First comes what is said, then what is right.",
    )
    shares, order = {"a": 0.95, "b": 0.0, "c": 0.05}, ["a", "b", "c"]
    hint(
        named(shares, order, _fourth_power) != "b",
        "Which number is said? It may lie between the middles: try many from 0 to 1, not these alone.",
    )


class _FirstColumn(RegressorMixin, BaseEstimator):
    """Knows a task by its first input, and says by heart what it was."""

    def fit(self, x, y):
        self.model_ = KNeighborsRegressor(1).fit(x[:, :1], y)
        return self

    def predict(self, x):
        return self.model_.predict(x[:, :1])


def check_2(skill):
    """One fold after the other: fit a `clone` of the model on the known tasks, predict the new ones, and add up the squared errors of both, column by column."""
    rng = default_rng(0)
    families = np.repeat(np.arange(30), 4)[rng.permutation(120)].astype(str)
    code = families.astype(int)
    x = np.c_[code + 0.01 * rng.random(120), rng.normal(size=(120, 2))]
    # of one family alike, unlike any other; then a line; then noise
    y = np.c_[rng.normal(size=30)[code], 3 * x[:, 1] + 5, rng.normal(size=120)]
    given = x.copy(), y.copy()

    def answer(model):
        found = numbers(skill(model, x, y, pd.Series(families)))
        hint(
            found.shape == (),
            "This is one number. Return one for each column of y: a mean hides which can be learned.",
        )
        return numbers(found, (3,))

    line, heart = answer(LinearRegression()), answer(_FirstColumn())
    nothing = answer(DummyRegressor())
    hint(
        np.any(given[0] != x) or np.any(given[1] != y),
        "Your function changes x or y. Work on a copy.",
    )
    hint(
        np.all(abs(line - [1, 0, 1]) < 0.3),
        "Upside down: 1 is perfect, 0 is as good as the mean.",
    )
    hint(
        heart[2] > 0.9,
        "A model that knows its tasks by heart predicts noise perfectly: you ask it about tasks that it has seen.",
    )
    hint(
        heart[0] > 0.5,
        "A relative of the new task is among the known ones, and gives it away. A family belongs to one fold as a whole.",
    )
    hint(
        line[1] < 0.9,
        "A line is found exactly, and gets less than 0.9 from you. Are predictions and right answers of the same rows?",
    )
    hint(
        np.any(abs(nothing) > 1e-9),
        "A model that always says the mean of the known tasks must have skill 0 exactly. Compare with *that* mean, fold by fold and column by column: a mean with new tasks in it knows too much.",
    )
    right = _skill(_FirstColumn(), x, y, families)
    hint(
        np.any(abs(heart - right) > 0.5) or np.any(abs(line - [0, 1, 0]) > 0.35),
        "Add up the squared errors of all folds, then divide once. Squares, not absolute errors.",
    )
    three = np.repeat([*"abc"], [70, 35, 15])  # three families: only one way to deal them out
    x, y = rng.normal(size=(120, 2)), rng.normal(size=(120, 2)) * (1 + 2 * (three == "c"))[:, None]
    few = numbers(skill(_FirstColumn(), x, y, pd.Series(three)), (2,))
    hint(
        not np.allclose(few, _skill(_FirstColumn(), x, y, three)),
        "With three families, each a fold, it is wrong. Add up squared errors over all folds, no means and no ratios of a fold, and divide once.",
    )


def _skill(model, x, y, families):
    from sklearn.model_selection import GroupKFold

    error, of_mean = 0, 0
    for known, new in GroupKFold(3).split(x, y, families):
        predicted = clone(model).fit(x[known], y[known]).predict(x[new])
        error = error + ((predicted - y[new]) ** 2).sum(axis=0)
        of_mean = of_mean + ((y[known].mean(axis=0) - y[new]) ** 2).sum(axis=0)
    return 1 - error / of_mean


class _Timid(LinearRegression):
    """Says a part of what a line says, beside the mean."""

    def __init__(self, part=0.5):
        super().__init__()
        self.part = part

    def fit(self, x, y):
        self.mean_ = y.mean(axis=0)
        return super().fit(x, y)

    def predict(self, x):
        return self.mean_ + self.part * (super().predict(x) - self.mean_)


def check_3(Careful):
    """In `fit`: the mean, predictions for the known tasks by `cross_val_predict`, t from the formula, and the model fitted on all known tasks. In `predict`: the mean plus t times the difference."""
    rng = default_rng(0)
    x, new = rng.normal(size=(90, 3)), rng.normal(size=(40, 3))
    line = np.c_[2 * x[:, 0] + 1, x[:, 1] - 4]
    noise = rng.normal([3, -2], size=(90, 2))

    def said(model, y):
        given = x.copy(), y.copy()
        fitted = Careful(clone(model)).fit(*given)
        hint(
            fitted is None,
            "`fit` returns nothing. In scikit-learn it returns `self`, so that `fit(x, y).predict(x)` works.",
        )
        hint(np.any(given[0] != x) or np.any(given[1] != y), "Your model changes x or y.")
        return numbers(fitted.predict(new.copy()), (40, 2))

    def trust(model, y):
        """Which t the answers have, and what is left of them beside it."""
        found = said(model, y)
        mean = y.mean(axis=0)
        raw = clone(model).fit(x, y).predict(new) - mean
        t = ((found - mean) * raw).sum() / (raw**2).sum()
        return t, abs(found - mean - t * raw).max() / abs(raw).max()

    by_heart = KNeighborsRegressor(1)
    sure, rest = trust(LinearRegression(), line)
    lucky, rest_of_noise = trust(by_heart, noise)
    hint(
        sure < 0.5 and lucky > 0.5,
        "You trust the wrong part: the model's difference from the mean has the weight t, the mean 1 - t.",
    )
    hint(
        sure > 0.9 and 0.2 < trust(_Timid(), line)[0] < 0.8,
        "A model that says half of what is right should be trusted twice, kept to 1, and is trusted half. Is the fraction upside down?",
    )
    hint(
        lucky > 0.9,
        "A model that knows its tasks by heart is trusted wholly, on pure noise. Find t on tasks that it has not seen.",
    )
    hint(
        abs(said(LinearRegression(), line).mean(axis=0) - line.mean(axis=0)).max() > 2,
        "The mean is missing. Say the mean *plus* t times the difference from it.",
    )
    hint(
        sure < 0.9,
        "A model that is always right deserves the trust 1, and gets less. Does the formula have (p - m) below, squared? Is the mean taken column by column?",
    )
    timid, _ = trust(_Timid(), line)
    hint(timid > 1.05, "Here t is above 1: you trust a model more than itself. Keep it up to 1.")
    liar, _ = trust(_Timid(-1.0), line)
    hint(liar < -0.05, "Here t is below 0. A model that is always wrong gets no trust: 0.")
    hint(
        lucky > 0.4,
        "A model that knows noise by heart gets too much trust. Are both sums over tasks that it has not seen, and is the mean that of each column?",
    )
    hint(
        max(rest, rest_of_noise) > 0.5,
        "What you say is not on the way from the mean of the known tasks to the prediction of the model, fitted on all of them.",
    )
    never = DummyRegressor(strategy="constant", constant=noise.mean(axis=0))
    try:
        still = said(never, noise)
    except (Hint, ZeroDivisionError):
        still = np.full((40, 2), np.inf)
    hint(
        abs(still - noise.mean(axis=0)).max() > 1e-9,
        "A model that never leaves the mean divides 0 by 0. There t is 0.",
    )
    mixed = np.c_[line[:, 0], noise[:, 1]]
    half = Careful(KNeighborsRegressor(1)).fit(x.copy(), mixed.copy())
    hint(
        not np.allclose(half.predict(new)[:1], half.predict(new[:1])),
        "What you say of a task changes with the others that are asked. The mean is that of the known tasks: keep it in `fit`.",
    )
    t, rest = trust(by_heart, mixed)
    hint(
        rest > 0.05 or t < 0.6,
        "One t is asked for: sum over tasks and over hyperparameters, then divide.",
    )


class _Predictor:
    """Says a kernel by a landmarker, and notes what it was asked."""

    def __init__(self, limit):
        self.limit, self.asked = limit, []

    def predict(self, described, learner=None, given=None):
        if isinstance(described, pd.DataFrame):
            return [self.predict(row) for _, row in described.iterrows()]
        rows = round(10 ** described["log_rows"])
        kernel = "rbf" if described["landmark_nearest_neighbour"] >= self.limit else "linear"
        self.asked.append((rows, kernel, described))
        gamma = {"gamma": 0.1} if kernel == "rbf" else {}
        return {"C": float(rows), "kernel": kernel, "class_weight": "none", **gamma}


def check_4(same_on_halves):
    """Predict for `meta_features(dataset)`, the whole; then in a loop draw the row numbers of a half, describe it, predict, and compare."""
    rng = default_rng(0)
    frame = pd.DataFrame(np.exp(rng.normal(size=(84, 3))), columns=[*"abc"])
    frame["y"] = np.where(frame["a"] > 1, "high", "low")
    dataset = Dataset.from_frame(frame, "y", name="small")

    limit = meta_features(dataset, groups="landmarkers")["landmark_nearest_neighbour"] - 1e-9
    predictor, kept = _Predictor(limit), (dataset.X.copy(), dataset.y.copy())
    found = float(numbers(same_on_halves(dataset, predictor, "kernel", 9, default_rng(1)), ()))
    changed = not (dataset.X.equals(kept[0]) and dataset.y.equals(kept[1]))
    hint(changed, "Your function changes the dataset. Work on a copy.")
    asked = predictor.asked
    halves = [(kernel, row) for rows, kernel, row in asked if rows < 60]
    whole = [kernel for rows, kernel, _ in asked if rows == 84]
    twice = [row["sparsity_mean"] for _, _, row in asked]
    hint(
        max(twice) > 1e-6,
        "Some rows are in a half more than once. Draw without replacement, as `rng.permutation` does.",
    )
    hint(
        not whole,
        "The whole table was not described. Its prediction is what the halves are compared with.",
    )
    hint(not halves, "Only the whole table was described. Half of the rows is what is asked for.")
    hint(
        any(not 40 <= rows <= 44 for rows, _, _ in asked if rows < 84),
        "These are not halves: take `len(dataset.y) // 2` rows.",
    )
    hint(
        min(row["mutual_information_max"] for _, row in halves) < 0.4,
        "In your halves the columns say nothing about the class any more. Take the same rows of X and of y.",
    )
    hint(
        len({round(row["correlation_mean"], 9) for _, row in halves}) < min(len(halves), 3),
        "All halves are the same. Draw a new one in each round.",
    )
    hint(len(halves) != 9, "Draw n halves, no more and no less.")
    same = sum(kernel == whole[0] for kernel, _ in halves)
    if np.isclose(found, same / 9):
        try:
            gamma = same_on_halves(dataset, _Predictor(limit), "gamma", 9, default_rng(1))
        except KeyError:
            gamma = None
        hint(
            gamma is None or not np.isclose(gamma, found),
            "`gamma` is missing where the kernel is linear: ask with `.get(name)`. Missing in one alone is not the same.",
        )
        return
    hint(found > 1, "This is a count. A share is between 0 and 1.")
    hint(
        np.isclose(found, 1 - same / 9),
        "This is the share that differs. Turn it around.",
    )
    hint(
        np.isclose(found, (same + 1) / 10),
        "The whole table is among what you count. Count halves alone.",
    )
    raise Hint(
        "Compare the value of the hyperparameter `name` alone, each half with the whole table."
    )
