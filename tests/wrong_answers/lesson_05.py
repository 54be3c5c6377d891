"""Wrong answers to the exercises of lesson 05: what was done, the answer, a part of its hint."""

import json

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_predict

from metahpo_lite import LiveTask, draw_configs, hyperparameter_importance


def logged(log, statuses=("ok", "failed", "timeout")):
    rows = map(json.loads, log.split("\n")[:-1])
    return {(row["task"], row["config"]) for row in rows if row["status"] in statuses}


def left(tasks, n, done):
    return [(task, i) for task in tasks for i in range(n) if (task, i) not in done]


def torn_line(log, tasks, n):
    rows = [json.loads(line) for line in log.splitlines()]
    return left(tasks, n, {(row["task"], row["config"]) for row in rows})


def tasks_of_the_log(log, tasks, n):
    done = logged(log)
    return left(sorted({task for task, _ in done}), n, done)


def numbers_alone(log, tasks, n):
    numbers = {i for _, i in logged(log)}
    return [(task, i) for task in tasks for i in range(n) if i not in numbers]


def last_line_dropped(log, tasks, n):
    return left(tasks, n, logged("\n".join(log.splitlines()[:-1]) + "\n" if "\n" in log else ""))


def torn_line_counts(log, tasks, n):
    return left(tasks, n, logged(log) | {("c", 1)})


def no_empty_log(log, tasks, n):
    frame = pd.DataFrame(map(json.loads, log.split("\n")[:-1]))
    return left(tasks, n, set(zip(frame["task"], frame["config"], strict=True)))


def regret(change):
    def price(scores, seconds, limit):
        return change(scores, scores.mask(seconds > limit))

    return price


def scaled(gap, scores):
    return gap / (scores.max(axis=1) - scores.min(axis=1))


def of_best(scores, left):
    return scaled(scores.max(axis=1) - left.max(axis=1), scores)


def by_one_column(model, seen=False, share=lambda error, y: 1 - error / y.var(axis=0)):
    def alone(x, y):
        found = []
        for j in range(x.shape[1]):
            p = model.fit(x[:, [j]], y).predict(x[:, [j]])
            p = p if seen else cross_val_predict(model, x[:, [j]], y)
            found.append(share(((y - p) ** 2).mean(axis=0), y))
        return np.array(found).T

    return alone


def shuffled(x, y):
    y, rng, found = (y - y.mean(axis=0)) / y.std(axis=0), np.random.default_rng(0), []
    old, new = np.arange(0, len(x), 2), np.arange(1, len(x), 2)
    forest = ExtraTreesRegressor(50, random_state=0).fit(x[old], y[old])
    for j in range(x.shape[1]):
        other = x[new].copy()
        other[:, j] = rng.permutation(other[:, j])
        found.append(((y[new] - forest.predict(other)) ** 2).mean(axis=0) / 2)
    return np.array(found).T


DEEP = ExtraTreesRegressor(20, random_state=0)
FLAT = ExtraTreesRegressor(20, min_samples_leaf=10, random_state=0)


def collected(caught, kept=lambda scores: np.array(scores)):
    def what_matters(learner, table, n):
        task, configs, scores = LiveTask(table, learner), draw_configs(learner, n), []
        for config in configs:
            try:
                scores.append(task.evaluate(config))
            except caught:
                scores.append(np.nan)
        scores = kept(scores)
        some = [c for c, s in zip(configs, scores, strict=True) if s is not None]
        scores = np.array([s for s in scores if s is not None])
        shares = hyperparameter_importance(learner.space, some, scores)
        return pd.Series(shares, learner.space.names)

    return what_matters


def hidden_mistake(learner, table, n):
    scores = []
    for config in draw_configs(learner, n):
        try:
            scores.append(task.evaluate(config))  # noqa: F821 - there is no task
        except Exception:
            scores.append(np.nan)
    return hyperparameter_importance(learner.space, draw_configs(learner, n), np.array(scores))


def no_names(learner, table, n):
    return collected(Exception)(learner, table, n).to_numpy()


WRONG = {
    "05-1": [
        ("the torn line is read", torn_line, "torn by the kill"),
        ("what is done", lambda log, tasks, n: sorted(logged(log)), "Return what is left"),
        ("failed ones again", lambda log, t, n: left(t, n, logged(log, ["ok"])), "is a result"),
        ("numbers from 1", lambda log, t, n: left(t, n + 1, logged(log)), "n_configs - 1"),
        ("tasks of the log", tasks_of_the_log, "without any line"),
        ("numbers without tasks", numbers_alone, "compare pairs"),
        ("the torn line is done", torn_line_counts, "torn line counts as done"),
        ("always drops the last line", last_line_dropped, "in any case"),
        ("an empty log", no_empty_log, "the empty text"),
        ("numbers only", lambda log, tasks, n: list(range(n)), "Return pairs"),
    ],
    "05-2": [
        ("sign", regret(lambda s, left: -of_best(s, left).fillna(1).mean()), "no regret is below"),
        ("best of what is left", regret(lambda s, left: of_best(left, left).mean()), "of *all*"),
        (
            "worst of what is left",
            regret(lambda s, left: scaled(s.max(axis=1) - left.max(axis=1), left).fillna(1).mean()),
            "worst of those that are left",
        ),
        (
            "nothing left is left out",
            regret(lambda s, left: of_best(s, left).mean()),
            "counts as 1",
        ),
        (
            "not scaled",
            regret(lambda s, left: (s.max(axis=1) - left.max(axis=1)).mean()),
            "differences of scores",
        ),
        (
            "how often",
            regret(lambda s, left: (left.max(axis=1) != s.max(axis=1)).mean()),
            "how often the best is lost",
        ),
        (
            "mean of configurations",
            regret(lambda s, left: scaled(s.max(axis=1) - left.mean(axis=1), s).fillna(1).mean()),
            "mean over configurations",
        ),
        (
            "a failure is 0",
            lambda s, t, limit: regret(lambda s, left: of_best(s, left).fillna(1).mean())(
                s.fillna(0), t, limit
            ),
            "nor a score of 0",
        ),
        (
            "the other way round",
            lambda s, t, limit: of_best(s, s.mask(t <= limit)).fillna(1).mean(),
            "what was stopped",
        ),
    ],
    "05-3": [
        ("all columns", shuffled, "no other"),
        ("seen", by_one_column(DEEP, seen=True), "ask it about new ones"),
        ("trees of single leaves", by_one_column(DEEP), "min_samples_leaf"),
        ("a straight line", by_one_column(LinearRegression()), "straight line"),
        ("turned around", lambda x, y: by_one_column(FLAT)(x, y).T, "turned around"),
        ("what is left", lambda x, y: 1 - by_one_column(FLAT)(x, y), "*not* predicted"),
        (
            "unit of the score",
            by_one_column(FLAT, share=lambda error, y: y.var(axis=0) - error),
            "variance of each task",
        ),
        (
            "a correlation",
            by_one_column(FLAT, share=lambda e, y: np.sqrt(np.maximum(1 - e / y.var(axis=0), 0))),
            "not a correlation",
        ),
        ("no tasks", lambda x, y: by_one_column(FLAT)(x, y).mean(axis=0), "tasks x hyper"),
    ],
    "05-4": [
        ("one kind of error", collected(ValueError), "ended your loop"),
        (
            "dropped",
            collected(Exception, lambda scores: [None if np.isnan(s) else s for s in scores]),
            "drop what failed",
        ),
        ("Ctrl-C is caught", collected(BaseException), "Ctrl-C"),
        ("own mistake hidden", hidden_mistake, "in your own lines"),
        ("no names", no_names, "Return a Series"),
        ("wrong order", collected(Exception, lambda s: np.array(s)[::-1]), "to its configuration"),
    ],
}
