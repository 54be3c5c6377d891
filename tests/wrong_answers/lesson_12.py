"""Wrong answers to the exercises of lesson 12: what was done, the answer, a part of its hint."""

import numpy as np
from sklearn.linear_model import Ridge

from metahpo_lite.joint import joint_config


def star(choose=lambda old, new: (old.argmax(axis=1),) * 2, sign=1, subtract=1, old_rival=False):
    def answer(old, new, rival):
        rows, found = np.arange(len(old)), []
        for some, best in zip((old, new), choose(old, new), strict=True):
            theirs = (old if old_rival else some)[:, rival]
            found.append(sign * (some[rows, best] - subtract * theirs).mean())
        return found

    return answer


def ablation(keep=True, choose=max, again=True, equal=False, gains=False, copy=dict):
    def answer(task, start, target):
        config, found, tried = copy(start), {}, {}
        left = [name for name in target if equal or target[name] != start[name]]
        before = task.evaluate(config)
        while left:
            if again or not tried:
                tried = {name: task.evaluate({**config, name: target[name]}) for name in left}
            name = choose(left, key=tried.get)
            score = task.evaluate({**config, name: target[name]})
            if keep:
                config[name] = target[name]
            found[name], before = score - before if gains else score, score
            left.remove(name)
        return found

    return answer


class Follows:
    """Follows the leader; what is wrong is in the classes below."""

    def __init__(self, searchers):
        self.searchers, self.best = searchers, {}

    def key(self, name):
        return self.best[name]

    def suggest(self):
        new = [name for name in self.searchers if name not in self.best]
        name = new[0] if new else max(self.best, key=self.key)
        return joint_config(name, self.searchers[name].suggest())

    def own(self, config):
        prefix = config["learner"] + "__"
        return {k.removeprefix(prefix): v for k, v in config.items() if k != "learner"}

    def update(self, config, score):
        name = config["learner"]
        self.searchers[name].update(self.own(config), score)
        self.best[name] = self.better(self.best.get(name, -np.inf), score)

    def better(self, old, score):
        return np.fmax(old, score)


class LastScore(Follows):
    def better(self, old, score):
        return score


class Worst(Follows):
    def key(self, name):
        return -self.best[name]


class Zero(Follows):
    def better(self, old, score):
        return np.fmax(max(old, 0), score)


class NaNs(Follows):
    def better(self, old, score):
        return max(score, old)


class Prefixed(Follows):
    def own(self, config):
        return config


class Strips(Follows):
    def own(self, config):
        letters = config["learner"] + "__"
        return {k.lstrip(letters): v for k, v in config.items() if k != "learner"}


class Deaf(Follows):
    def update(self, config, score):
        self.best[config["learner"]] = score


class TellsAll(Follows):
    def update(self, config, score):
        for searcher in self.searchers.values():
            searcher.update(self.own(config), score)
        self.best[config["learner"]] = score


class AsksAll(Follows):
    def suggest(self):
        configs = {name: searcher.suggest() for name, searcher in self.searchers.items()}
        new = [name for name in configs if name not in self.best]
        name = new[0] if new else max(self.best, key=self.key)
        return joint_config(name, configs[name])


class NoName(Follows):
    def suggest(self):
        return next(iter(self.searchers.values())).suggest()


class NoFirst(Follows):
    def suggest(self):
        name = max(self.best, key=self.key, default="svc")
        return joint_config(name, self.searchers[name].suggest())


def ridge(X, Y, p):
    return np.linalg.solve(X.T @ X + p * np.eye(X.shape[1]), X.T @ Y)


def joint_task(own, learner=lambda config, tasks: config["learner"]):
    class Task:
        def __init__(self, tasks, space):
            self.tasks = tasks

        def evaluate(self, config):
            return self.tasks[learner(config, self.tasks)].evaluate(own(config))

    return Task


def without_prefix(config):
    return {k[len(config["learner"]) + 2 :]: v for k, v in config.items() if k != "learner"}


def popped(config):
    length = len(config.pop("learner")) + 2
    return {k[length:]: v for k, v in config.items()}


class Popped(joint_task(popped)):
    def evaluate(self, config):
        return self.tasks[config["learner"]].evaluate(popped(config))


WRONG = {
    "12-1": [
        ("exchanged", lambda *given: star()(*given)[::-1], "First what is promised"),
        ("sign", star(sign=-1), "The sign is wrong"),
        ("no rival", star(subtract=0), "These are scores"),
        (
            "one for all",
            star(lambda old, new: [np.full(len(old), old.mean(axis=0).argmax())] * 2),
            "one network for all tables",
        ),
        (
            "chosen again",
            star(lambda old, new: (old.argmax(axis=1), new.argmax(axis=1))),
            "You chose again",
        ),
        ("the old rival", star(old_rival=True), "the rival is repeated"),
        ("lowest", star(lambda old, new: [old.argmin(axis=1)] * 2), "Higher scores"),
    ],
    "12-2": [
        ("alone", ablation(keep=False), "tried alone"),
        ("worst first", ablation(choose=min), "a change that loses"),
        ("order of the first step", ablation(again=False), "that of the first step"),
        ("equal ones", ablation(equal=True), "changes nothing"),
        ("gains", ablation(gains=True), "These are gains"),
        ("changes start", ablation(copy=lambda start: start), "changes `start`"),
        ("names", lambda task, start, target: list("acbd"), "A dict"),
    ],
    "12-3": [
        ("last score", LastScore, "A bad trial"),
        ("the worst", Worst, "who is behind"),
        ("begins at 0", Zero, "below 0"),
        ("NaN", NaNs, "A trial failed"),
        ("joint names", Prefixed, "take away the whole prefix"),
        ("letters", Strips, "take away letters"),
        ("tells nobody", Deaf, "is not told"),
        ("tells all", TellsAll, "Tell one searcher"),
        ("asks all", AsksAll, "Several searchers"),
        ("no learner", NoName, 'names its "learner"'),
        ("only the first", NoFirst, "First each learner"),
    ],
    "12-4": [
        ("no start", lambda X, Y, V, p: ridge(X, Y, p), "`start` has no say"),
        ("not added", lambda X, Y, V, p: ridge(X, Y - X @ V, p), "Add it back"),
        ("sign", lambda X, Y, V, p: V - ridge(X, Y - X @ V, p), "the wrong way"),
        ("no residual", lambda X, Y, V, p: V + ridge(X, Y, p), "Y - X V"),
        ("mean", lambda X, Y, V, p: V + ridge(X, Y - X @ V, p * len(X)), "a sum, not a mean"),
        ("no penalty", lambda X, Y, V, p: np.linalg.lstsq(X, Y, rcond=None)[0], "without any"),
        (
            "intercept",
            lambda X, Y, V, p: V + Ridge(alpha=p).fit(X, Y - X @ V).coef_.T,
            "an intercept",
        ),
        ("on its side", lambda X, Y, V, p: ridge(X, Y - X @ V, p).T, "on their side"),
    ],
    "12-5": [
        ("all of it", joint_task(dict), "no hyperparameter `learner`"),
        (
            "prefix",
            joint_task(lambda c: {k: v for k, v in c.items() if k != "learner"}),
            "take the prefix away",
        ),
        (
            "letters",
            joint_task(lambda c: {k.lstrip("mlpsvc_"): v for k, v in c.items() if k != "learner"}),
            "take away letters",
        ),
        (
            "last part",
            joint_task(lambda c: {k.split("__")[-1]: v for k, v in c.items() if k != "learner"}),
            "more than one",
        ),
        (
            "the first learner",
            joint_task(without_prefix, lambda config, tasks: next(iter(tasks))),
            "Another learner",
        ),
        ("changed", Popped, "work with a copy"),
    ],
}
