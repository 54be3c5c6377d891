"""Learn to learn: tasks, experience, meta-knowledge."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
from numpy.random import default_rng

from course.checking import hint, numbers
from metahpo_lite import Float, SearchSpace


def check_1(held_out_regrets):
    """Take one task, and find the rows of `regrets` that may choose for it. Then the column that they choose."""
    rng = default_rng(1)
    tasks = pd.Index([f"task {i}" for i in rng.permutation(12)], name="task")
    regrets = pd.DataFrame(rng.random((12, 30)), tasks)
    families = pd.Series([f"family {i}" for i in (0, 1, 0, 2, 3, 3, 4, 5, 5, 5, 6, 7)], tasks)
    # near-copies: on tasks of one family the same configuration is good, by far
    for i, family in enumerate(sorted(set(families))):
        regrets.loc[families == family, 3 * i] = 0.03
    for i, task in enumerate(tasks):
        regrets.loc[task, 29 - i] = 0.0  # and each has a best of its own
    found = held_out_regrets(regrets.copy(), families.copy())
    hint(
        np.size(found) == 1 and found is not None,
        "A number for each task is expected, not their mean.",
    )
    found, table = numbers(found, (12,)), regrets.to_numpy()

    def right(may_choose, choose=np.argmin, mean=np.mean):
        return np.array(
            [row[choose(mean(table[may_choose(i)], axis=0))] for i, row in enumerate(table)]
        )

    family, place = families.to_numpy(), np.arange(12)
    hint(
        np.allclose(found, table.min(axis=1)),
        "This is the best of each task: nobody knows it before the search.",
    )
    hint(
        np.allclose(found, right(lambda i: place >= 0)),
        "The task that judges has taken part in the choice. Leave it out.",
    )
    hint(
        np.allclose(found, right(lambda i: place != i)),
        "You left the task out, but not its family: a near-copy stayed behind, and chose for it.",
    )
    hint(
        np.allclose(found, right(lambda i: family == family[i])),
        "You let the task's own family choose. All *others* may.",
    )
    others = right(lambda i: family != family[i])
    hint(
        np.allclose(found, right(lambda i: family != family[i], np.argmax)),
        "Your default is the worst: the lowest mean regret is the best.",
    )
    hint(
        np.allclose(found, right(lambda i: family != family[i], mean=np.median)),
        "You chose by the median. Here the mean is asked for.",
    )
    hint(
        np.allclose(np.sort(found), np.sort(others)) and not np.allclose(found, others),
        "The numbers are right, but not in the order of the rows of `regrets`.",
    )
    looks = [table[family != one].mean(axis=0).min() for one in family]
    alone = [np.delete(table, i, 0).mean(axis=0).min() for i in range(len(table))]
    hint(
        np.allclose(found, looks) or np.allclose(found, alone),
        "This is how good the default looks to those who chose it. What is its regret on the task itself?",
    )
    hint(
        found % 1 == 0,
        "Are these the numbers of the configurations? Look up the regret of each on its task.",
    )
    hint(
        not np.allclose(found, others),
        "Go through one task by hand: the rows of other families, their mean, the lowest column, and its regret on the task.",
    )


def check_2(ranks):
    """A DataFrame has the method `rank`. Ask which way it sorts, along which axis, and where NaN goes."""
    rng = default_rng(0)
    plain = pd.DataFrame(rng.random((4, 5)))
    found = numbers(ranks(plain.copy()), (4, 5))
    right = plain.rank(axis=1, ascending=False).to_numpy()
    hint(
        np.allclose(found, 6 - right),
        "The lowest score has rank 1 here. Higher scores are better: turn the order.",
    )
    hint(
        np.allclose(found, plain.rank(ascending=False)) or np.allclose(found, plain.rank()),
        "You ranked the tasks for each configuration. Rank along the other axis: the configurations of each task.",
    )
    hint(
        np.allclose(found, right - 1),
        "Ranks count from 1.",
    )
    hint(
        np.allclose(found, right / 5),
        "These are shares of the number of configurations. Give the ranks themselves.",
    )
    order = np.argsort(-plain.to_numpy(), axis=1)
    hint(
        np.allclose(found, order) or np.allclose(found, order + 1),
        "`argsort` says which configuration comes first, second, and so on; asked is in which place each one is.",
    )
    hint(not np.allclose(found, right), "Without equal scores each row has the ranks 1 to 5, once.")
    equal = ranks(pd.DataFrame([[0.9, 0.8, 0.8, 0.7]]))
    hint(
        not np.allclose(numbers(equal, (1, 4)), [[1, 2.5, 2.5, 4]]),
        "Equal scores share the mean of their ranks: after rank 1, two of them share 2 and 3.",
    )
    failed = np.asarray(ranks(pd.DataFrame([[0.9, np.nan, 0.7, 0.8]])), dtype=float)
    hint(
        np.isnan(failed),
        "One configuration failed here, and its rank is missing. A mean would leave that task out: a failure would cost nothing.",
    )
    hint(
        failed[0, 1] < 4,
        "One configuration failed here, and it is not in the last place. NaN is neither high nor low: say what it stands for.",
    )
    hint(not np.allclose(failed, [[1, 4, 3, 2]]), "One that failed must not change the others.")
    both = numbers(ranks(pd.DataFrame([[0.9, np.nan, 0.7, np.nan], [-0.5, np.nan, -2, -0.1]])))
    hint(
        not np.allclose(both[0], [1, 3.5, 2, 3.5]),
        "Two that failed are equally bad: they share the last two ranks.",
    )
    hint(
        not np.allclose(both[1], [2, 4, 3, 1]),
        "Scores may be negative, such as minus a loss. One that failed is worse than all of them.",
    )


def check_3(partner):
    """For one column: on each task the smaller of the two regrets, then the mean over tasks."""
    wrong = []
    for seed in range(19):  # on each of these the first one is the best alone
        rng = default_rng(seed)
        regrets = pd.DataFrame(rng.random((15, 8)))
        regrets[0] = 0.7 * rng.permutation(15) / 15
        regrets[1] = (regrets[0] + rng.permutation(15) / 15) / 2  # alone good, and of little help
        regrets[2] = 0.9 - regrets[0]  # good where the first fails
        found = numbers(partner(regrets.copy(), 0), ()).item()
        hint(found not in regrets.columns, "There is no such column: return its name.")
        if found != _pairs(regrets, 0).mean().idxmin():
            wrong.append((regrets, 0, found))
    mistakes = {
        "The first one is no partner for itself: a second try of it wins nothing.": (
            lambda regrets, first: first
        ),
        "This is the best one alone, and it may fail where the first one fails. Judge pairs.": (
            lambda regrets, first: regrets.mean().drop(first).idxmin()
        ),
        "This is the largest mean. A small regret is good.": (
            lambda regrets, first: _pairs(regrets, first).mean().idxmax()
        ),
        "You looked at one task only, where the first is worst. All tasks count.": (
            lambda regrets, first: regrets.loc[regrets[first].idxmax()].drop(first).idxmin()
        ),
        "This is the one that differs most. It must differ where the first fails, and be good there.": (
            lambda regrets, first: regrets.corrwith(regrets[first]).drop(first).idxmin()
        ),
        "Of the two you keep the better one, so of the two regrets the smaller one counts.": (
            lambda regrets, first: _pairs(regrets, first, np.maximum).mean().idxmin()
        ),
        "Without the first one the places move. Return the name of the column, not its place.": (
            lambda regrets, first: _pairs(regrets, first).mean().to_numpy().argmin()
        ),
        "This is the lowest median. The mean over tasks is asked for.": (
            lambda regrets, first: _pairs(regrets, first).median().idxmin()
        ),
    }
    for text, mistake in mistakes.items():
        hint(wrong and all(mistake(regrets, first) == n for regrets, first, n in wrong), text)
    hint(
        bool(wrong),
        "Another one is better. Take one column, write down the smaller regret on each task, and the mean of these.",
    )
    for seed in range(5):
        regrets, first = pd.DataFrame(default_rng(seed).random((15, 8))), 3 + seed
        found = numbers(partner(regrets.copy(), first), ()).item()
        hint(
            found != _pairs(regrets, first).mean().idxmin(),
            "It is right if the first one is the best alone, but `first` may be any of them.",
        )
    regrets = pd.DataFrame({7: [0.1, 0.9], 3: [0.2, 0.8], 5: [0.9, 0.1]})
    hint(
        numbers(partner(regrets, 7), ()).item() != 5,
        "Here the columns have the names 7, 3 and 5. Return the name, not the place.",
    )


def _pairs(regrets, first, of=np.minimum):
    return of(regrets, regrets[[first]].to_numpy()).drop(columns=first)


def check_4(trials_to_match):
    """Run a random search with `run`; then compare the column score with the score of config."""
    space = SearchSpace([Float("x", 0, 1)])
    tried = []

    def found(level, seed, n=12, fails=0.0, shift=0):
        """Answer on a task of scores in steps, on which low draws fail; what was tried is kept."""
        tried.clear()

        def evaluate(config):
            score = np.floor(config["x"] * 10) / 10 + shift if config["x"] >= fails else np.nan
            if config["x"] != level:
                tried.append(score)
            return score

        task = SimpleNamespace(space=space, evaluate=evaluate)
        number = trials_to_match(task, {"x": level}, n, default_rng(seed))
        hint(not tried, "You ran no random trial on the task.")
        hint(len(tried) > n, "You ran more than n_trials random trials.")
        as_good = [i for i, score in enumerate(tried, 1) if score >= level + shift]
        hint(number is None and not as_good, "If no trial is as good, return n_trials + 1.")
        return numbers(number, ()).item(), as_good[0] if as_good else n + 1

    answers = [(*found(0.7, seed), list(tried)) for seed in range(25)]
    hint(
        len({tuple(scores[:1]) for *_, scores in answers}) == 1,
        "The first trial is always the same one. Draw with the generator that is given, `rng`.",
    )
    mistakes = {
        "Trials count from 1.": lambda scores, first: first - 1,
        "As good is enough: at least as high, not higher.": lambda scores, first: next(
            (i for i, score in enumerate(scores, 1) if score > 0.7), 13
        ),
        "This is the best trial. The first one that is as good as config came before it.": (
            lambda scores, first: 1 + int(np.argmax(scores))
        ),
        "This is how many trials are as good. Asked is when the first one comes.": (
            lambda scores, first: sum(score >= 0.7 for score in scores)
        ),
        "This is the first trial that is worse than config.": lambda scores, first: next(
            (i for i, score in enumerate(scores, 1) if score < 0.7), 13
        ),
    }
    wrong = [(n, first, scores) for n, first, scores in answers if n != first and first < 13]
    for text, mistake in mistakes.items():
        hint(wrong and all(mistake(scores, first) == n for n, first, scores in wrong), text)
    number, none = found(1.5, 0)
    hint(len(tried) < 12, "You stop too early: none of n_trials is as good, and fewer were tried.")
    hint(number == 1.5, "This is the score of config. The number of a trial is asked for.")
    hint(
        number == 1,
        "No trial is as good here, and you answer 1. `argmax` of an array that is False everywhere is 0, too.",
    )
    hint(number == none - 1, "If no trial is as good, return n_trials + 1.")
    hint(number != none, "No trial is as good here: return n_trials + 1.")
    hint(bool(wrong), "Go through the scores of one search by hand: which trial is the first?")
    failing = [found(0.7, seed, fails=0.4) for seed in range(25)]
    hint(
        any(number != first for number, first in failing),
        "Some trials fail here, with the score NaN. They count as trials, and are never as good.",
    )
    failing = [found(0.7, seed, fails=0.4, shift=-2) for seed in range(25)]
    hint(
        any(number != first for number, first in failing),
        "Scores may be below 0, as minus a loss. A trial that failed is not as good, whatever config scores.",
    )
