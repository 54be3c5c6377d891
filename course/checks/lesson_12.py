"""Use it: architectures, many learners, transfer."""

import numpy as np
from numpy.random import default_rng

from course.checking import Hint, hint, numbers
from metahpo_lite import Categorical, Float, SearchSpace


def check_1(star):
    """Find the column of the highest score in each row of `old`; then look these columns up in both."""
    rng = default_rng(0)
    old, new = rng.normal(60, 5, (2, 12, 7))
    found = numbers(star(old.copy(), new.copy(), 2), (2,))
    rows, best = np.arange(12), old.argmax(axis=1)
    promised = (old[rows, best] - old[:, 2]).mean()
    kept = (new[rows, best] - new[:, 2]).mean()
    hint(np.allclose(found, [kept, promised]), "First what is promised, then what is kept.")
    hint(
        np.allclose(found, [-promised, -kept]),
        "The sign is wrong: a lead is the star minus the rival.",
    )
    hint(
        np.allclose(found, [old[rows, best].mean(), new[rows, best].mean()]),
        "These are scores. A lead is the star's score minus that of the rival.",
    )
    one = old.mean(axis=0).argmax()
    hint(
        np.allclose(found[0], (old[:, one] - old[:, 2]).mean()),
        "This is one network for all tables. Each table has a star of its own.",
    )
    worst = old.argmin(axis=1)
    hint(np.allclose(found[0], (old[rows, worst] - old[:, 2]).mean()), "Higher scores are better.")
    others = np.delete(old, 2, axis=1).max(axis=1)
    hint(
        np.isclose(found[0], (others - old[:, 2]).mean()),
        "The rival may be the best itself, with a lead of 0. Do not leave it out.",
    )
    hint(
        np.isclose(found[0], np.median(old[rows, best] - old[:, 2])),
        "This is the median. The mean over tables is asked for.",
    )
    hint(
        not np.isclose(found[0], promised),
        "What is promised is wrong. By hand: one table, scores 70 and 75, the rival is column 0. The lead is 5.",
    )
    hint(
        np.isclose(found[1], (new.max(axis=1) - new[:, 2]).mean()),
        "You chose again in `new`. The network that won in `old` has to show there what it keeps.",
    )
    hint(
        np.isclose(found[1], (new[rows, best] - old[:, 2]).mean()),
        "In `new` the rival is repeated, too: subtract its score there.",
    )
    hint(
        not np.isclose(found[1], kept),
        "What is kept is wrong: take the columns that won in `old`, and the scores of `new`.",
    )


class _Steps:
    """Scores with an interaction: c pays only when a has changed."""

    def __init__(self, shift=0.0):
        self.shift = shift

    def evaluate(self, config):
        a, b, c, d = (config[name] == "new" for name in "abcd")
        return (
            self.shift
            + 0.5
            + 0.1 * a
            + 0.08 * b
            + 0.03 * c
            + 0.1 * (a and c)
            - 0.04 * d
            - 0.05 * (b and c)
        )


def check_2(ablation):
    """Begin with one step: for each name, evaluate `start` with this one changed, and find the best name."""
    start = dict.fromkeys("dbcae", "old")
    target = {**dict.fromkeys("dbca", "new"), "e": "old"}
    given, task = dict(start), _Steps()
    answer = ablation(task, given, dict(target))
    hint(answer is None, "There is no value. Does your function end with `return`?")
    hint(given != start, "Your function changes `start`. Work with a copy of it.")
    try:
        found = {name: float(score) for name, score in dict(answer).items()}
    except (TypeError, ValueError):
        raise Hint("A dict of names to scores is expected.") from None
    hint(
        not set(found) <= set("abcde"),
        f"{sorted(set(found) - set('abcde'))}: only names of hyperparameters that change belong there.",
    )
    hint("e" in found, "The path has a step that changes nothing. Leave out what is equal in both.")
    hint(set(found) != set("abcd"), "Each of the hyperparameters that differ is changed once.")
    right, score = {}, 0.0
    config = dict(start)
    for name in "acbd":
        config[name] = "new"
        score = task.evaluate(config)
        right[name] = score
    order, values = list(found), np.array([*found.values()])
    alone = {name: task.evaluate({**start, name: "new"}) for name in "abcd"}
    hint(
        np.allclose(values, [alone[name] for name in order]),
        "Each change is tried alone. Keep the changes that are already made.",
    )
    hint(
        order[0] == "d",
        "You begin with a change that loses. Walk from `start` to `target`, and make the change with the highest score.",
    )
    gains = np.diff([task.evaluate(start), *right.values()])
    hint(
        order == list(right) and np.allclose(values, gains),
        "These are gains. Return the scores.",
    )
    hint(
        order == sorted(alone, key=alone.get, reverse=True),
        "The order is that of the first step. After each change, try again what is left: one change can make another worth more.",
    )
    hint(
        order != list(right),
        "The order is wrong. By hand: at each step, of the changes that are left, take the one that scores highest together with those already made.",
    )
    hint(
        not np.allclose(values, [*right.values()]),
        "The order is right, the scores are not: each is that of `start` with all changes up to this one.",
    )
    try:
        negative = list(ablation(_Steps(-3.0), dict(start), dict(target)))
    except (KeyError, ValueError):
        negative = []
    hint(
        negative != list("acbd"),
        "With scores below 0, as minus a loss, the path is another one. Where does a best score begin?",
    )


class _Listed:
    """A searcher that goes through numbers, and notes what it is told."""

    def __init__(self, name):
        self.name, self.next, self.told = name, 0, []

    def suggest(self):
        self.next += 1
        return {self.name: self.next}

    def update(self, config, score):
        self.told.append((dict(config), score))


def _follow(Leader, scores):
    """Let it search; `scores` are those of each learner, in its order; return learners, searchers."""
    searchers = {"svc": _Listed("C"), "mlp": _Listed("layers"), "knn": _Listed("n")}
    searcher, left, learners = Leader(searchers), {k: list(v) for k, v in scores.items()}, []
    for _ in range(sum(map(len, scores.values()))):
        before = sum(one.next for one in searchers.values())
        config = searcher.suggest()
        hint(
            sum(one.next for one in searchers.values()) > before + 1,
            "Several searchers are asked for one trial. Ask one: no searcher suggests twice what it suggested, so what is not tried is lost.",
        )
        hint(
            not isinstance(config, dict) or config.get("learner") not in searchers,
            'A configuration of the joint space names its "learner". `joint_config` makes one.',
        )
        learner = config["learner"]
        own = searchers[learner]
        hint(
            config != {"learner": learner, f"{learner}__{own.name}": own.next},
            "Suggest what the learner's own searcher suggests, asked once, under its joint name.",
        )
        learners.append(learner)
        if not left[learner]:
            break
        score = left[learner].pop(0)
        before = [len(one.told) for one in searchers.values()]
        searcher.update(dict(config), score)
        told = np.subtract([len(one.told) for one in searchers.values()], before)
        hint(told.sum() > 1, "Others hear of a score that is not theirs. Tell one searcher.")
        hint(
            told.sum() == 0 or len(own.told) == before[list(searchers).index(learner)],
            "The learner's own searcher is not told how its configuration did.",
        )
        config, heard = own.told[-1]
        hint(
            config != {own.name: own.next},
            f"The searcher of {learner} is told of {sorted(config)}. It knows {own.name!r}: take away the whole prefix, once, and the learner. (`strip` and `lstrip` take away letters; `removeprefix` takes a prefix.)",
        )
        hint(
            not np.array_equal(heard, score, equal_nan=True),
            "The searcher is told another score than the trial had.",
        )
    return learners


def check_3(Leader):
    """Begin with `suggest`: a learner without a score, or else that with the highest in `self.best`."""
    first = ["svc", "mlp", "knn"]
    found = _follow(Leader, {"svc": [0.6], "mlp": [0.8, 0.1, 0.2, 0.3], "knn": [0.7, 0.9]})
    hint(
        found[:3] != first,
        "First each learner gets one trial, in the order of `searchers`.",
    )
    hint(
        found[3:5] == ["mlp", "knn"],
        "A bad trial takes the lead away, as if the last score or a mean counted. The leader has the best score *so far*.",
    )
    hint(
        found[3:] == ["svc"],
        "You follow who is behind. Scores are better when they are higher.",
    )
    hint(
        found[3:] != ["mlp"] * 4,
        "After the first three trials, each goes to the learner with the highest best score so far.",
    )
    negative = _follow(Leader, {"svc": [-3.0], "mlp": [-0.5, -0.9, -0.8], "knn": [-1.0]})
    hint(
        negative[3:5] != ["mlp"] * 2,
        "With scores below 0, as minus a loss, it follows another learner. Where does a best score begin?",
    )
    for scores in (
        {"svc": [np.nan], "mlp": [0.5, np.nan, 0.4, 0.3], "knn": [0.3]},
        {"svc": [0.5, np.nan, 0.4, 0.3], "mlp": [np.nan], "knn": [0.3]},
        {"svc": [np.nan], "mlp": [-20.0, np.nan, -40.0, -30.0], "knn": [-30.0]},
    ):
        failed = _follow(Leader, scores)
        leader = max(scores, key=lambda name: len(scores[name]))
        hint(
            failed != first + [leader] * 3,
            "A trial failed, with the score NaN, and the wrong learner leads. No comparison with NaN holds; `np.fmax` passes over it.",
        )


def check_4(fit_from):
    """Set the derivative to 0; or write W = V + U, and see what is left for U: a ridge regression."""
    rng = default_rng(1)
    X, Y, V = rng.normal(size=(12, 5)), rng.normal(size=(12, 3)), rng.normal(size=(5, 3))
    answer, p = fit_from(X.copy(), Y.copy(), V.copy(), 2.5), 2.5
    hint(
        np.shape(answer) == (3, 5),
        "The weights lie on their side: (d, k) is expected, as V is.",
    )
    found = numbers(answer, (5, 3))

    def ridge(Y, p):
        return np.linalg.solve(X.T @ X + p * np.eye(5), X.T @ Y)

    change, Z = ridge(Y - X @ V, p), X - X.mean(axis=0)
    wrong = [
        (ridge(Y, p), "This is ridge regression from nothing: `start` has no say."),
        (change, "This is how far the weights move away from `start`. Add it back."),
        (V - change, "The weights move the wrong way."),
        (
            V + ridge(Y, p),
            "You add the whole solution to `start`. What is left to explain is what `start` does not: Y - X V.",
        ),
        (
            V + ridge(Y - X @ V, p * len(X)),
            "The penalty is too strong by the number of rows: the misfit is a sum, not a mean.",
        ),
        (
            V + ridge(Y - X @ V, p**2),
            "The penalty is squared. It multiplies a square already.",
        ),
        (V + ridge(Y - X @ V, p / 2), "The penalty counts half. Both parts have a square."),
        (V + ridge(Y - X @ V, p * 2), "The penalty counts twice. Both parts have a square."),
        (
            V + np.linalg.solve(Z.T @ Z + p * np.eye(5), Z.T @ (Y - X @ V)),
            "Something fits an intercept beside W. There is none: a column of ones in X does that.",
        ),
        (
            np.linalg.lstsq(X, Y, rcond=None)[0],
            "These are the weights without any penalty.",
        ),
    ]
    for other, text in wrong:
        hint(np.allclose(found, other, rtol=1e-3, atol=1e-4), text)
    hint(
        not np.allclose(found, V + change, rtol=1e-3, atol=1e-3),
        "Try two limits: with a huge penalty the weights are V, with a tiny one those of least squares.",
    )
    few = numbers(fit_from(X[:2].copy(), Y[:2].copy(), V.copy(), 0.5), (5, 3))
    A = X[:2].T @ X[:2] + 0.5 * np.eye(5)
    right = V + np.linalg.solve(A, X[:2].T @ (Y[:2] - X[:2] @ V))
    hint(
        not np.allclose(few, right, rtol=1e-3, atol=1e-3),
        "With fewer rows than columns it is wrong. The penalty belongs to all columns.",
    )


class _Asked:
    """A task that notes what it is asked."""

    def __init__(self, score, *names):
        self.score, self.asked = score, []
        self.space = SearchSpace([Float(name, 0, 9) for name in names])

    def evaluate(self, config):
        self.asked.append(dict(config))
        return self.score


def check_5(JointTask):
    """The learner is in `config["learner"]`; all other names begin with it and two underscores."""
    names = ["svc__C", "svc__class_weight", "svc__gamma", "mlp__layers", "mlp__alpha"]
    space = SearchSpace([Categorical("learner", ["svc", "mlp", "my_mlp"]),
                         *(Float(n, 0, 9) for n in [*names, "my_mlp__p", "my_mlp__a__b"])])  # fmt: skip
    cases = [
        ({"learner": "svc", "svc__C": 1.0, "svc__class_weight": "none"}, 0.5),
        ({"learner": "mlp", "mlp__layers": 2, "mlp__alpha": 0.1}, 0.7),
        ({"learner": "my_mlp", "my_mlp__p": 1, "my_mlp__a__b": 2}, 0.9),
    ]
    for config, score in cases:
        tasks = {"svc": _Asked(0.5, "C", "class_weight", "gamma"),
                 "mlp": _Asked(0.7, "layers", "alpha"),
                 "my_mlp": _Asked(0.9, "p", "a__b")}  # fmt: skip
        given = dict(config)
        found = numbers(JointTask(tasks, space).evaluate(given), ())
        learner = config["learner"]
        others = [name for name, task in tasks.items() if task.asked and name != learner]
        hint(others, "Another learner is asked than the one that the configuration names.")
        asked = tasks[learner].asked
        hint(len(asked) != 1, "Ask the learner's task once.")
        hint("learner" in asked[0], "The learner's task knows no hyperparameter `learner`.")
        own = {name[len(learner) + 2 :]: v for name, v in config.items() if name != "learner"}
        hint(
            any(name.startswith(f"{learner}__") for name in asked[0]),
            "The learner knows `C`, not `svc__C`: take the prefix away.",
        )
        hint(
            set(asked[0]) != set(own),
            f"The task of {learner} is asked for {sorted(asked[0])}, and not for {sorted(own)}. `strip` and `lstrip` take away letters, `split` may find more than one `__`; `removeprefix` takes a prefix.",
        )
        hint(asked[0] != own, "The values are not those of the configuration.")
        hint(found != score, "Return the score of the learner's task as it is.")
        hint(given != config, "The configuration was changed: work with a copy of it.")
