"""Collect experience: the log, the price of a limit, importance."""

import json

import numpy as np
import pandas as pd
from numpy.random import default_rng
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.preprocessing import FunctionTransformer

from course.checking import Hint, hint, numbers
from metahpo_lite import (
    Dataset,
    Float,
    Learner,
    SearchSpace,
    draw_configs,
    hyperparameter_importance,
)


def check_1(left_to_do):
    """Read the log line by line with `json.loads`, note which pairs (task, config) are done, and go through all tasks and configurations."""
    tasks, rows = ["a", "b", "c"], [("b", 2, "ok"), ("a", 0, "failed"), ("a", 2, "timeout")]
    rows += [("b", 0, "ok"), ("a", 1, "ok")]
    everything = {(task, i) for task in tasks for i in range(4)}
    log = "".join(map(_line, rows))
    torn = _line(("c", 1, "ok"))[:-9]

    def found(log):
        pairs = left_to_do(log, list(tasks), 4)
        hint(pairs is None, "There is no value. Does your function end with `return`?")
        if isinstance(pairs, pd.DataFrame):
            pairs = pairs.to_numpy().tolist()
        try:
            return [(str(task), int(i)) for task, i in pairs]
        except (TypeError, ValueError):
            raise Hint("Return pairs: ('iris', 3) is configuration 3 of the task iris.") from None

    try:
        some = found(log + torn)
    except json.JSONDecodeError:
        raise Hint(
            "The last line was torn by the kill, and is no JSON. Only what has an end of line behind it is whole."
        ) from None
    done = {(task, i) for task, i, _ in rows}
    hint(set(some) == done, "This is what is done. Return what is left.")
    hint(len(some) > len(set(some)), "A pair occurs twice: it would be evaluated twice.")
    hint(
        {("a", 0), ("a", 2)} <= set(some),
        "You evaluate again what has failed. A failure is a result: it has a line in the log.",
    )
    hint(
        any(i == 4 for _, i in some),
        "Configurations have the numbers 0 to n_configs - 1, as those of `range`.",
    )
    hint(
        set(some) == {(task, 3) for task in tasks},
        "What is done on one task is not done on another: compare pairs of task and number.",
    )
    hint(
        not any(task == "c" for task, _ in some),
        "A task without any line in the log is missing: all of it is left to do. Go through `tasks`, not through the log.",
    )
    hint(
        ("c", 1) not in some,
        "The torn line counts as done here, but its evaluation has no whole row.",
    )
    hint(
        set(some) < everything - done,
        "You leave out too much: some of it has no line in the log.",
    )
    hint(set(some) != everything - done, "Some of these are in the log, or were never asked for.")
    hint(
        set(found(log)) != everything - done,
        "A log whose last line is whole loses nothing. Do you drop the last line in any case?",
    )
    hint(
        set(found(log + _line(("z", 0, "ok")))) != everything - done,
        "The log may hold pairs that nobody asks for now. Return some of `tasks` and `range(n_configs)` only.",
    )
    try:
        empty = found("")
    except (KeyError, IndexError, ValueError):
        empty = []
    hint(
        set(empty) != everything,
        "Killed before the first line, the log is the empty text. Then all is left to do.",
    )


def _line(row):
    task, config, status = row
    score = 0.5 if status == "ok" else None
    return json.dumps({"task": task, "config": config, "score": score, "status": status}) + "\n"


def check_2(price):
    """`scores.mask(seconds > limit)` empties what was stopped; the maximum of each row of it is the best that is left."""
    rng = default_rng(0)
    scores = pd.DataFrame(50 + rng.normal(size=(8, 6)) * np.arange(1, 9)[:, None])
    seconds = pd.DataFrame(rng.permuted(np.tile(np.arange(1, 7) / 6.5, (8, 1)), axis=1))
    seconds.iloc[3] += 1  # nothing is left of this task
    best, worst = scores.max(axis=1), scores.min(axis=1)

    def regret(some):
        return (best - some) / (best - worst)

    def answer(limit):
        return float(numbers(price(scores.copy(), seconds.copy(), limit), ()))

    kept = scores.mask(seconds > 0.5)
    left = kept.max(axis=1)
    found, right = answer(0.5), regret(left.fillna(worst)).mean()
    hint(np.isclose(found, -right), "The regret of the best is 0, and no regret is below 0.")
    own = kept.max(axis=1) - kept.min(axis=1)
    hint(
        np.isclose(found, [0, 1 / 8]).any(),
        "By this, nothing is lost. 0 is the best of *all* configurations, those that were stopped too.",
    )
    hint(
        np.isclose(
            found, [((best - left) / own).mean(), ((best - left) / own).fillna(1).mean()]
        ).any(),
        "0 and 1 are the best and worst score without the limit. You take the worst of those that are left.",
    )
    hint(
        np.isclose(found, [regret(left).mean(), regret(left).fillna(0).mean()]).any(),
        "Of one task nothing is left. It counts as 1; pandas leaves it out of a mean unasked, or you made it 0.",
    )
    gap = best - left
    hint(
        np.isclose(
            found, [gap.mean(), gap.fillna(best - worst).mean(), gap.fillna(1).mean()]
        ).any(),
        "These are differences of scores. A task whose scores lie far apart would count more: divide by its best minus its worst.",
    )
    lost = left.fillna(-np.inf) < best
    hint(
        np.isclose(found, [lost.mean(), lost.sum()]).any(),
        "This says how often the best is lost. Now ask how much that costs.",
    )
    every = kept.apply(regret)
    means = [every.mean(axis=1), every.mean(axis=1).fillna(1), every.fillna(1).mean(axis=1)]
    hint(
        np.isclose(found, [mean.mean() for mean in means]).any(),
        "This is the mean over configurations. A search takes the best that is left.",
    )
    late = scores.mask(seconds <= 0.5).max(axis=1)
    hint(
        np.isclose(found, regret(late.fillna(worst)).mean()),
        "This is the best of what was stopped. Keep what took at most `limit`.",
    )
    hint(not np.isclose(found, right), "Try a single task by hand, with two or three scores.")
    hint(
        not np.isclose(answer(10), 0),
        "With a limit that stops nothing, nothing is lost: the answer is 0.",
    )
    edge = float(seconds.iloc[0, int(scores.iloc[0].argmax())])
    right = regret(scores.mask(seconds > edge).max(axis=1).fillna(worst)).mean()
    hint(
        not np.isclose(answer(edge), right),
        "What took exactly `limit` did not take longer: it is not stopped.",
    )
    failed = scores.copy()
    failed.iloc[1, 0] = np.nan
    failed.iloc[0, int(seconds.iloc[0].argmin())] = np.nan
    best, worst = failed.max(axis=1), failed.min(axis=1)
    right = regret(failed.mask(seconds > 0.5).max(axis=1).fillna(worst)).mean()
    hint(
        not np.isclose(price(failed.copy(), seconds.copy(), 0.5), right),
        "A configuration that failed has no score. It is no reason to lose the whole task, nor a score of 0.",
    )


def check_3(alone):
    """Begin with one column: `x[:, [j]]` is the table of it. Predict `y` from it, for rows in folds that the model has not seen."""
    rng = default_rng(0)
    x = rng.permuted(np.repeat((np.arange(240) + 0.5)[:, None] / 240, 3, axis=1), axis=0)
    y = np.array([
        3 * x[:, 0] + x[:, 1],  # nine tenths and one tenth
        np.sign(x[:, 0] - 0.5) * np.sign(x[:, 1] - 0.5),  # nothing alone
        7 * (x[:, 1] - 0.5) ** 2,  # all, but not by a straight line
    ]).T  # fmt: skip
    given = x.copy(), y.copy()
    found = numbers(alone(*given))
    hint(
        found.shape == (3,),
        "This is one number for each of three. Each task has its own shares: tasks x hyperparameters.",
    )
    found = numbers(found, (3, 3))
    right = np.array([[0.9, 0.1, 0], [0, 0, 0], [0, 1, 0]])
    hint(
        np.any(given[0] != x) or np.any(given[1] != y),
        "Your function changes x or y. Work on a copy.",
    )
    hint(
        np.abs(found.T - right).max() < 0.2,
        "The right numbers, turned around: tasks are rows, hyperparameters columns.",
    )
    hint(
        found[1, :2].min() > 0.6 and found[2, 0] < 0.25,
        "Two switches that work only together: neither does anything alone, and you give each a large share. The model may see this column and no other.",
    )
    hint(
        found.min() > 0.6,
        "Every column predicts everything, noise too. The model knows the configurations by heart: ask it about new ones.",
    )
    hint(
        np.abs(1 - found - right).max() < 0.2,
        "This is the share that is *not* predicted. Take it from 1.",
    )
    noise = numbers(alone(x[:80].copy(), rng.normal(size=(80, 30))), (30, 3))
    hint(
        noise.mean() > 0.01,
        "The scores are pure noise here, and each column predicts a part of it. Ask the model about configurations that it has not seen. (A square, as that of a correlation, is never below 0; use R².)",
    )
    hint(
        found.min() < -0.3,
        "A column that says nothing is far below 0. Trees that grow until they know each configuration by heart guess wildly from one column: let a leaf hold about ten (`min_samples_leaf`).",
    )
    hint(
        found[2, 1] < 0.4 and abs(found[0, 0] - 0.9) < 0.2,
        "One task has its best in the middle of a range. A straight line does not see that; take trees.",
    )
    hint(
        np.abs(found[0] - [0.68, 0.08, 0]).max() < 0.15 and found[2, 1] < 0.4,
        "In units of the score, tasks cannot be compared. Divide by the variance of each task's scores.",
    )
    hint(
        np.abs(found[0] - [0.95, 0.32, 0]).max() < 0.15,
        "A share of the variance is a square, as R², not a correlation.",
    )
    hint(
        0.5 < found[0, 0] < 0.8 and 0.3 < found[2, 1] < 0.8,
        "Your model is too coarse to see what a column does. Let a leaf hold about ten configurations.",
    )
    hint(
        np.any(found > right + 0.2) or np.any(found < right - np.where(right > 0, 0.2, 0.3)),
        "Test it on scores that you make: `y = x[:, [0]]` has share 1 in column 0, and about 0 in the others.",
    )


class _Toy(ClassifierMixin, BaseEstimator):
    """Is right about a share of the rows, which it reads in the table; raises what it is told."""

    def __init__(self, share=0.5, error=None):
        self.share, self.error = share, error

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        if self.error is not None:
            raise self.error
        return self

    def predict(self, X):
        X = np.asarray(X)
        right = X[:, 1] < self.share
        return self.classes_[np.where(right, X[:, 0] > 0.5, X[:, 0] < 0.5).astype(int)]


def _toy(error):
    space = SearchSpace([Float("a", 0, 1), Float("b", 0, 1), Float("c", 0, 1)])

    def model(config, seed):
        return _Toy(0.5 + config["a"] / 2, error if config["b"] > 0.6 else None)

    return Learner("toy", space, {"a": 0.0, "b": 0.0, "c": 0.0}, FunctionTransformer, model)


def check_4(what_matters):
    """Begin as `collect` of the lesson does, with one table: a LiveTask, a loop over the configurations, a list of scores."""
    rows = np.arange(120)
    frame = pd.DataFrame({"x": rows % 2, "place": (rows // 2 + 0.5) / 60, "y": rows % 2})
    table, learner = Dataset.from_frame(frame, "y"), _toy(ArithmeticError("b is too large"))
    configs = draw_configs(learner, 40)
    a, b = (np.array([config[name] for config in configs]) for name in "ab")
    scores = np.where(b > 0.6, np.nan, 0.5 + a / 2)
    right = hyperparameter_importance(learner.space, configs, scores)
    try:
        found = what_matters(learner, table, 40)
    except ArithmeticError:
        raise Hint(
            "An evaluation raised ArithmeticError and ended your loop. Whatever the error is, note the trial as failed and go on."
        ) from None
    except ValueError as error:
        hint(
            "of a task are numbers" in str(error),
            "All of your trials failed, and some should not. Let `try` hold the evaluation alone: it also hides a mistake in your own lines.",
        )
        raise
    hint(found is None, "There is no value. Does your function end with `return`?")
    found = pd.Series(found) if isinstance(found, dict) else found
    hint(
        not isinstance(found, pd.Series) or set(found.index) != set("abc"),
        "Return a Series, whose index is the names of the hyperparameters: `learner.space.names`.",
    )
    found = numbers(found[list("abc")], (3,))
    hint(
        found[1] < 0.05,
        "With a large `b` this learner fails, so `b` matters, and you give it nothing. Did you drop what failed?",
    )
    hint(
        np.abs(found - right).max() > 0.15,  # another seed does less
        "These are not the shares of `hyperparameter_importance`. Each score belongs to its configuration, in the order of `configs`; a failed one is NaN.",
    )
    try:
        what_matters(_toy(KeyboardInterrupt()), table, 3)
    except KeyboardInterrupt:
        return
    except ValueError:  # too few scores: the loop went on
        pass
    raise Hint(
        "Ctrl-C does not end your loop: `except:` catches KeyboardInterrupt too. Which class holds errors, and not Ctrl-C?"
    )
