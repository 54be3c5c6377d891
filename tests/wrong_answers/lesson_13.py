"""Wrong answers to the exercises of lesson 13: what was done, the answer, a part of its hint."""

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, KFold, cross_val_predict

from metahpo_lite import TaskDistance, task_distances
from metahpo_lite.bayes import log_expected_improvement
from metahpo_lite.inputs import normal_ranks


def bill(saved=lambda needed: needed - 10, place=9, first=1, price=lambda n, m: n * m, up=np.ceil):
    def searches_to_pay(n_tasks, n_configs, warm, cold):
        needed = (cold > warm[place]).sum() + first
        save = saved(needed)
        return up(price(n_tasks, n_configs) / save) if save > 0 else np.inf

    return searches_to_pay


def negative(n_tasks, n_configs, warm, cold):
    save = (cold > warm[9]).sum() + 1 - 10
    return np.ceil(n_tasks * n_configs / save) if save else -1


def first_hit(n_tasks, n_configs, warm, cold):
    save = np.argmax(cold <= warm[9]) + 1 - 10
    if save <= 0 and cold[-1] > warm[9]:
        save = len(cold) - 10
    return np.ceil(n_tasks * n_configs / save) if save > 0 else np.inf


def heart(split="families", target="ranks", order=(0, 1), sign=1):
    def seen_and_unseen(model, experience):
        X, scores = experience.meta_features, experience.scores.to_numpy()
        y = normal_ranks(scores) if target == "ranks" else scores

        def regret(predicted):
            first = np.argsort(-sign * predicted, axis=1, kind="stable")[:, :10]
            found = np.take_along_axis(experience.regrets.to_numpy(), first, axis=1)
            return float(np.minimum.accumulate(found, axis=1).mean())

        seen = regret(model.fit(X, y).predict(X))
        if split == "none":
            return seen, seen
        how = {"cv": KFold(5, shuffle=True, random_state=0)}
        if split == "families":
            how = {"cv": GroupKFold(5), "groups": experience.families}
        unseen = regret(cross_val_predict(model, X, y, **how))
        return [(seen, unseen)[i] for i in order] if split != "all" else (unseen, unseen)

    return seen_and_unseen


def another_trusted(scores, trusted):
    y = normal_ranks(scores.to_numpy())
    y = y - y.mean(axis=1, keepdims=True)
    side = pd.Series(np.linalg.svd(y, full_matrices=False)[0][:, 0] > 0, scores.index)
    return side == side.iloc[0]


def signs(kind):
    def right_sign(scores, trusted):
        y = scores.copy()
        y[:] = scores if kind == "raw" else normal_ranks(scores.to_numpy())
        if kind == "alone":
            return y.corrwith(y.loc[trusted], axis=1) > 0
        if kind == "in place":
            scores[:] = y
        others = y * 0 + y.sum() if kind == "itself" else y.sum() - y
        agrees = y.corrwith(others, axis=1)
        if kind == "numbers":
            return agrees * np.sign(agrees[trusted])
        if kind == "names":
            return (agrees > 0).to_numpy().nonzero()[0]
        if kind == "majority":
            return agrees > 0
        same = (agrees > 0) == (agrees[trusted] > 0)
        return ~same if kind == "other way" else same

    return right_sign


def nearest(out="family", k=5, sign=1, made=lambda nearer, far: nearer):
    def stranger(own, experience):
        distance = TaskDistance().fit(experience)
        family = experience.families.to_numpy()
        between = task_distances(distance.points_, distance.points_)
        if out == "family":
            between[family[:, None] == family] = np.nan
        if out == "itself":
            np.fill_diagonal(between, np.nan)
        mine = sign * np.sort(sign * distance(own)[0])[:k].mean()
        theirs = sign * np.nanmean(np.sort(sign * between, axis=1)[:, :k], axis=1)
        return made((theirs < mine).mean(), mine)

    return stranger


WRONG = {
    "13-1": [
        ("all trials", bill(saved=lambda needed: needed), "beyond its ten"),
        ("tasks alone", bill(price=lambda n, m: n), "one evaluation for each"),
        ("a part", bill(up=lambda x: x), "a part of a search"),
        ("rounds down", bill(up=np.floor), "still open"),
        ("place 10", bill(place=10), "a trial or two off"),
        ("counts from 0", bill(first=0), "a trial or two off"),
        ("nothing saved", negative, "The two curves are equal"),
        ("upside down", lambda n, m, warm, cold: ((cold > warm[9]).sum() - 9) / (n * m), "Upside"),
        ("never", first_hit, "does not get there"),
    ],
    "13-2": [
        ("leaks", heart(split="tasks"), "leave out whole families"),
        ("seen alone", heart(split="none"), "leave out whole families"),
        ("unseen alone", heart(split="all"), "Tasks that the model has seen"),
        ("other order", heart(order=(1, 0)), "in the other order"),
        ("worst first", heart(sign=-1), "Which end"),
        ("raw scores", heart(target="scores"), "Predict normal ranks"),
    ],
    "13-3": [
        ("another is trusted", another_trusted, "The task that you trust"),
        ("majority", signs("majority"), "go with the majority"),
        ("trusted alone", signs("alone"), "a single task is noisy"),
        ("other way", signs("other way"), "other way round"),
        ("raw scores", signs("raw"), "in the thousands"),
        ("itself", signs("itself"), "mean of the *others*"),
        ("correlations", signs("numbers"), "not numbers"),
        ("numbers of tasks", signs("names"), "for each task"),
        ("in place", signs("in place"), "Work on a copy"),
        ("all", lambda scores, trusted: [True] * len(scores), "All tasks are kept"),
    ],
    "13-4": [
        ("greedy", lambda s: s.mean, "the same at the first trial"),
        (
            "expected improvement",
            lambda s: log_expected_improvement(s.mean, s.std, s.best),
            "the same at the first trial",
        ),
        ("wrong sign", lambda s: -s.mean - s.left * s.std, "The wrong sign"),
        ("avoids", lambda s: s.mean - s.left * s.std, "You avoid"),
        ("grows", lambda s: s.mean + (1 - s.left) * s.std, "*grows*"),
        ("never 0", lambda s: s.mean + (1 + s.left) * s.std, "Nothing comes after it"),
        ("prior", lambda s: s.mean + s.left * s.std + s.prior * s.left, "reads the prior"),
        ("index", lambda s: int(np.argmax(s.mean + s.left * s.std)), "*each*"),
        ("best alone", lambda s: s.left * s.std - 0 * s.mean, "highest posterior mean"),
    ],
    "13-5": [
        ("itself", nearest(out=""), "distance 0 to itself"),
        ("near-copy", nearest(out="itself"), "near-copy"),
        ("one", nearest(k=1), "the mean distance of five"),
        ("all", nearest(k=40), "over all known tasks"),
        ("farthest", nearest(sign=-1), "*farthest*"),
        ("turned around", nearest(made=lambda nearer, far: 1 - nearer), "Turned around"),
        ("percent", nearest(made=lambda nearer, far: 100 * nearer), "between 0 and 1"),
    ],
}
