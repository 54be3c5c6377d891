"""Wrong answers to the exercises of lesson 06: what was done, the answer, a part of its hint."""

import numpy as np
import pandas as pd

from metahpo_lite import meta_features


def entropy(column):
    p = column.astype(str).value_counts(normalize=True)
    return -(p * np.log2(p)).sum()


def information(x, y):
    return entropy(x) + entropy(y) - entropy(x.astype(str) + " " + y)


def share(x, y):
    return information(x, y) / entropy(y)


def by_column(x, y):
    return information(x, y) / entropy(x)


def luck(x, y, rng, measure=share):
    draws = [pd.Series(rng.permutation(x.to_numpy()), x.index) for _ in range(20)]
    return np.mean([measure(draw, y) for draw in draws])


def aligned(x, y, rng):
    draws = [x.sample(frac=1, random_state=i) for i in range(20)]
    return share(x, y) - np.mean([share(draw, y) for draw in draws])


def in_place(x, y, rng):
    before, found = share(x, y), []
    for _ in range(20):
        x[:] = rng.permutation(x.to_numpy())
        found.append(share(x, y))
    return before - np.mean(found)


def index_lost(x, y, rng):
    draws = [pd.Series(rng.permutation(x.to_numpy())) for _ in range(20)]
    return share(x, y) - np.mean([share(draw, y) for draw in draws])


def other_values(x, y, rng):
    few = pd.Series(rng.integers(3, size=len(x)), x.index)
    unlike = pd.Series(range(len(x)), x.index)
    return share(x, y) - share(unlike if x.nunique() == len(x) else few, y)


def gaps(meta):
    place = meta.rank(pct=True).fillna(0.5).to_numpy()
    return np.linalg.norm(place[:, None] - place, axis=2)


def counted(how, name="copy"):
    def nearer_than_copy(meta, task, copy):
        both = pd.concat([meta, copy.rename(name or copy.name).to_frame().T])
        return how(gaps(both), meta.index.get_loc(task))

    return nearer_than_copy


def plain_numbers(meta, task, copy):
    both = pd.concat([meta, copy.rename("copy").to_frame().T]).fillna(0).to_numpy()
    far = np.linalg.norm(both - both[meta.index.get_loc(task)], axis=1)
    return (far[:-1] < far[-1]).sum() - 1


def by_name(meta, task, copy):
    both = pd.concat([meta, copy.to_frame().T])
    far = pd.DataFrame(gaps(both), both.index, both.index).loc[task]
    return (far.drop(task) < far.iloc[-1]).sum()


def turned(change, places=True):
    def gaps_once(meta):
        place = meta.rank(pct=True) if places else meta
        place = place.fillna(0.5).to_numpy()
        left, size, _ = np.linalg.svd(place - place.mean(axis=0), full_matrices=False)
        points = change(left, size)
        return np.linalg.norm(points[:, None] - points, axis=2)

    return gaps_once


def standardised(meta):
    place = meta.rank(pct=True).fillna(0.5).to_numpy()
    place = place / place.std(axis=0)
    return np.linalg.norm(place[:, None] - place, axis=2)


def without_family(dataset, experience, k=10):
    rest = experience.without(dataset.family)
    return advised(keep=lambda d, e: e.tasks.index.isin(rest.tasks.index))(dataset, experience, k)


def advised(keep=None, near=None, choose=None, fixed=None, itself=0, given=dict):
    def advice(dataset, experience, k=10):
        names = experience.tasks.index
        others = names[keep(dataset, experience)] if keep else names[
            experience.families != dataset.family]  # fmt: skip
        row = meta_features(dataset).rename("new").to_frame().T
        both = pd.concat([experience.meta_features.loc[others], row])
        order = near(both) if near else gaps(both)[-1, :-1].argsort()
        some = others[order[: (fixed or k) - itself]]
        number = (
            choose(experience, some) if choose else experience.regrets.loc[some].mean().idxmin()
        )
        return given(experience.configs[number])

    return advice


WRONG = {
    "06-1": [
        (
            "of the column",
            lambda x, y, rng: by_column(x, y) - luck(x, y, rng, by_column),
            "entropy of the column",
        ),
        ("no chance", lambda x, y, rng: share(x, y), "still removes all doubt"),
        ("sign", lambda x, y, rng: luck(x, y, rng) - share(x, y), "Turned around"),
        ("aligned by pandas", aligned, "by their index"),
        (
            "bits",
            lambda x, y, rng: information(x, y) - luck(x, y, rng, information),
            "These are bits",
        ),
        ("in place", in_place, "changes x or y"),
        ("other values", other_values, "keep its values"),
        (
            "a sum",
            lambda x, y, rng: share(x, y) - 20 * luck(x, y, rng),
            "not their sum",
        ),
        ("a ratio", lambda x, y, rng: share(x, y) / luck(x, y, rng) / 99, "Try two columns"),
        ("index lost", index_lost, "index has gaps"),
    ],
    "06-2": [
        ("itself", counted(lambda gap, i: (gap[i, :-1] < gap[i, -1]).sum()), "One too many"),
        ("farther", counted(lambda gap, i: (gap[i, :-1] > gap[i, -1]).sum()), "*farther*"),
        ("of the copy", counted(lambda gap, i: (gap[-1, :-1] < gap[-1, i]).sum()), "*copy*"),
        (
            "a share",
            counted(lambda gap, i: np.mean(gap[i, :-1] < gap[i, -1]) * 30 / 29 - 1 / 29),
            "a share",
        ),
        ("numbers, not places", plain_numbers, "so that no number drowns"),
        ("two of a name", by_name, "rename the copy"),
        ("of all", counted(lambda gap, i: (gap[i] < gap[i].mean()).sum()), "ranked together"),
    ],
    "06-3": [
        ("not scaled", turned(lambda left, size: left * size), "`gaps`"),
        ("columns scaled", standardised, "still correlated"),
        ("numbers, not places", turned(lambda left, size: left, places=False), "the places, as"),
        ("multiplied", turned(lambda left, size: left * size**2), "do not multiply"),
        ("by the variance", turned(lambda left, size: left / size), "by the variance"),
        ("squared", lambda meta: turned(lambda left, size: left)(meta) ** 2, "take the root"),
        ("rounding is news", turned(lambda left, size: left), "leave these out"),
        ("two directions", turned(lambda left, size: left[:, :2]), "unit matrix"),
    ],
    "06-4": [
        ("a family that is not known", without_family, "raises a KeyError"),
        ("own family", advised(keep=lambda d, e: e.families == e.families), "own family"),
        ("own name", advised(keep=lambda d, e: e.tasks.index != d.name), "under another name"),
        ("itself", advised(itself=1), "One task too few"),
        ("farthest", advised(near=lambda both: (-gaps(both)[-1, :-1]).argsort()), "*farthest*"),
        (
            "numbers, not places",
            advised(
                near=lambda both: np.linalg.norm(
                    both.fillna(0).to_numpy()[:-1] - both.fillna(0).to_numpy()[-1], axis=1
                ).argsort()
            ),
            "in the numbers themselves",
        ),
        (
            "highest regret",
            advised(choose=lambda e, some: e.regrets.loc[some].mean().idxmax()),
            "Low is good",
        ),
        (
            "scores",
            advised(choose=lambda e, some: e.scores.loc[some].mean().idxmax()),
            "average regrets",
        ),
        (
            "one task",
            advised(choose=lambda e, some: e.regrets.loc[some[0]].idxmin()),
            "nearest task alone",
        ),
        ("always ten", advised(fixed=10), "whatever k is"),
        ("all tasks", advised(fixed=999), "the far ones too"),
        (
            "worst case",
            advised(choose=lambda e, some: e.regrets.loc[some].max().idxmin()),
            "another",
        ),
        ("a number", advised(given=len), "a dict"),
    ],
}
