"""Wrong answers to the exercises of lesson 04: what was done, the answer, a part of its hint."""

import numpy as np
import pandas as pd

from metahpo_lite import RandomSearch, run


def held_out(rows=lambda families, task: families != families[task], choose="idxmin", of="mean"):
    """Judge a default, with a mistake."""

    def held_out_regrets(regrets, families):
        chosen = [
            getattr(getattr(regrets[rows(families, task)], of)(), choose)()
            for task in regrets.index
        ]
        return [regrets.loc[t, number] for t, number in zip(regrets.index, chosen, strict=True)]

    return held_out_regrets


def numbers_only(regrets, families):
    return [regrets[families != families[task]].mean().idxmin() for task in regrets.index]


def as_it_looks(regrets, families):
    return [regrets[families != families[task]].mean().min() for task in regrets.index]


def by_family(regrets, families):
    right = pd.Series(held_out()(regrets, families), regrets.index)
    return pd.concat([group for _, group in right.groupby(families)])


def ranks_of(axis=1, ascending=False, method="average", fill=-np.inf, less=0):
    return lambda scores: (
        scores.fillna(fill).rank(axis=axis, ascending=ascending, method=method) - less
    )


def pair(regrets, first, of=np.minimum):
    return of(regrets, regrets[[first]].to_numpy()).drop(columns=first)


def matches(number):
    """Answer from the scores of a search, that of config and the budget."""

    def trials_to_match(task, config, n_trials, rng):
        scores = run(RandomSearch(task.space, rng), task, n_trials)["score"].to_numpy()
        return number(scores, task.evaluate(config), n_trials)

    return trials_to_match


def first_where(good, n, start=1):
    places = np.flatnonzero(good)
    return places[0] + start if len(places) else n + 1


def same_draws(task, config, n_trials, rng):
    history = run(RandomSearch(task.space, np.random.default_rng(0)), task, n_trials)
    return first_where(history["score"] >= task.evaluate(config), n_trials)


WRONG = {
    "04-1": [
        ("in sample", held_out(lambda families, task: families == families), "taken part"),
        ("only the task", held_out(lambda f, task: f.index != task), "not its family"),
        ("own family", held_out(lambda f, task: f == f[task]), "own family choose"),
        ("the target's best", lambda regrets, families: regrets.min(axis=1), "nobody knows it"),
        ("the worst", held_out(choose="idxmax"), "the worst"),
        ("median", held_out(of="median"), "the median"),
        ("numbers", numbers_only, "numbers of the configurations"),
        ("as it looks", as_it_looks, "those who chose it"),
        ("order", by_family, "order of the rows"),
        ("mean", lambda regrets, families: np.mean(held_out()(regrets, families)), "each task"),
    ],
    "04-2": [
        ("ascending", ranks_of(ascending=True), "turn the order"),
        ("axis", ranks_of(axis=0), "other axis"),
        ("from 0", ranks_of(less=1), "count from 1"),
        ("argsort", lambda s: np.argsort(-s.to_numpy(), axis=1) + 1, "`argsort`"),
        ("ties", ranks_of(method="first"), "share the mean"),
        ("NaN stays", lambda s: s.rank(axis=1, ascending=False), "cost nothing"),
        ("NaN first", ranks_of(fill=np.inf), "last place"),
        ("NaN is 0", ranks_of(fill=0), "may be negative"),
    ],
    "04-3": [
        ("best alone", lambda r, first: r.drop(columns=first).mean().idxmin(), "Judge pairs"),
        ("itself", lambda r, first: first, "no partner for itself"),
        ("largest", lambda r, first: pair(r, first).mean().idxmax(), "small regret is good"),
        ("one task", lambda r, first: r.loc[r[first].idxmax()].idxmin(), "one task only"),
        ("unlike", lambda r, first: r.corrwith(r[first]).idxmin(), "differs most"),
        ("the worse", lambda r, first: pair(r, first, np.maximum).mean().idxmin(), "smaller one"),
        (
            "ignores first",
            lambda r, first: pair(r, r.mean().idxmin()).mean().idxmin(),
            "any of them",
        ),
        ("median", lambda r, first: pair(r, first).median().idxmin(), "lowest median"),
        ("place", lambda r, first: pair(r, first).mean().argmin(), "the places move"),
    ],
    "04-4": [
        ("from 0", matches(lambda s, c, n: first_where(s >= c, n, 0)), "count from 1"),
        ("higher", matches(lambda s, c, n: first_where(s > c, n)), "As good is enough"),
        ("none is 1", matches(lambda s, c, n: np.argmax(s >= c) + 1), "False everywhere"),
        ("None", matches(lambda s, c, n: first_where(s >= c, n) if max(s) >= c else None), "+ 1"),
        ("the budget", matches(lambda s, c, n: min(first_where(s >= c, n), n)), "n_trials + 1"),
        ("best", matches(lambda s, c, n: np.argmax(s) + 1 if max(s) >= c else n + 1), "best trial"),
        ("failed", matches(lambda s, c, n: first_where(s[s == s] >= c, n)), "Some trials fail"),
        ("score", matches(lambda s, c, n: c), "the score of config"),
        ("no trial", lambda task, config, n, rng: 1, "ran no random trial"),
        ("same draws", same_draws, "`rng`"),
    ],
}
