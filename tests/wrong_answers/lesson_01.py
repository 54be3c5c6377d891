"""Wrong answers to the exercises of lesson 01: what was done, the answer, a part of its hint."""

import numpy as np


def stops(new=lambda s, e, best: s[e] > s[best], in_a_row=True, late=0, first=1, keep="best"):
    """Stop in time, with a mistake."""

    def epoch_to_keep(scores, patience):
        best = waited = epoch = 0
        for epoch in range(1, len(scores)):
            better = new(scores, epoch, best)
            best = epoch if better else best
            waited = 0 if better and in_a_row else waited + (not better)
            if waited == patience + late:
                break
        return (best if keep == "best" else epoch) + first

    return epoch_to_keep


def turns(rounds=1, swapped=False, column_first=False):
    """Tune in turn, with a mistake."""

    def in_turn(scores, row):
        if column_first:
            row = scores[:, row].argmax()
        column = scores[row].argmax()
        for _ in range(rounds):
            row = scores[:, column].argmax()
        return (column, row) if swapped else (row, column)

    return in_turn


def to_the_end(scores, row):
    while True:
        column = scores[row].argmax()
        if scores[:, column].argmax() == row:
            return column, row
        row = scores[:, column].argmax()


def gains_of(choose=max, seeds=range(1, 6), scale=100, new_star=False, star_of=None, plain_of=None):
    """Measure what is to win, with a mistake."""

    def gains(task_of_split, configs, plain):
        star = choose(configs, key=task_of_split(0).evaluate)

        def gain(seed):
            task = task_of_split(seed)
            best = max(configs, key=task.evaluate) if new_star else star
            left = task_of_split(seed if star_of is None else star_of).evaluate(best)
            right = task_of_split(seed if plain_of is None else plain_of).evaluate(plain)
            return scale * (left - right)

        first = task_of_split(0)
        first = scale * (first.evaluate(star) - first.evaluate(plain))
        return first, np.mean([gain(seed) for seed in seeds])

    return gains


WRONG = {
    "01-1": [
        ("from 0", stops(first=0), "number 1"),
        ("lower is better", stops(new=lambda s, e, best: s[e] < s[best]), "a higher score"),
        ("looks ahead", lambda scores, patience: np.argmax(scores) + 1, "the future"),
        ("where it stops", stops(keep="last"), "where it stops"),
        ("one too early", stops(late=-1), "too early"),
        ("not in a row", stops(in_a_row=False), "in a row"),
        ("epoch before", stops(new=lambda s, e, best: s[e] > s[e - 1]), "best so far"),
        ("ties", stops(new=lambda s, e, best: s[e] >= s[best]), "*new* highest"),
    ],
    "01-2": [
        ("best of all", lambda s, row: np.unravel_index(s.argmax(), s.shape), "whole map"),
        ("one turn", turns(), "after one turn"),
        ("half a turn", turns(rounds=0), "Now fix this `gamma`"),
        ("swapped", to_the_end, "Return the row first"),
        ("column first", turns(column_first=True), "`row` is given"),
    ],
    "01-3": [
        ("the memory", lambda u: 10 ** (3 * u), "This is the memory"),
        ("not taken from 1", lambda u: 10 ** (-3 * u), "This is the memory"),
        ("even", lambda u: 0.999 * u, "even in the momentum itself"),
        ("reversed", lambda u: 1 - 10 ** (-3 * (1 - u)), "wrong way round"),
        ("log of m", lambda u: 0.999 * 10 ** (-3 * (1 - u)), "cannot begin there"),
        ("base e", lambda u: 1 - np.exp(-3 * u), "Does your base fit"),
        ("square", lambda u: 1 - 10 ** (-3 * u**2), "each third"),
    ],
    "01-4": [
        ("shares", gains_of(scale=1), "hundredth"),
        ("sign", gains_of(scale=-100), "sign"),
        ("a new star", gains_of(new_star=True), "new star"),
        ("luck of split 0", gains_of(star_of=0), "in the same splits"),
        ("split 0 judges", gains_of(seeds=range(6)), "may not judge it"),
        ("too few splits", gains_of(seeds=range(1, 4)), "Five splits"),
        ("the worst", gains_of(choose=min), "worst configuration"),
    ],
}
