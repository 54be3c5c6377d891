"""See what hyperparameters do: from under- to overfitting."""

from types import SimpleNamespace

import numpy as np
from numpy.random import default_rng

from course.checking import hint, numbers


def check_1(epoch_to_keep):
    """Go through the epochs in order; remember the best one so far, and how long ago it was."""

    def kept(scores, patience):
        return int(numbers(epoch_to_keep(np.array(scores), patience), ()))

    rise = kept([0.1, 0.2, 0.3, 0.4], 2)
    hint(rise == 3, "The first epoch is number 1, and Python counts from 0.")
    hint(
        rise == 1,
        "These scores rise to the end, and a higher score is better: keep the last epoch, not the first.",
    )
    hint(rise != 4, "While the scores rise, there is no reason to stop.")
    peak = [0.1, 0.5, 0.4, 0.3, 0.9]
    found = kept(peak, 2)
    hint(
        found == 5,
        "You looked into the future: training had stopped before the last epoch was run.",
    )
    hint(found == 4, "This is where it stops. Keep the best of the epochs that were run.")
    hint(
        kept(peak, 3) == 2,
        "You stop too early: with a patience of 3, two epochs without a new highest score are not enough.",
    )
    hint(
        kept([0.5, 0.4, 0.6, 0.5, 0.7], 2) == 3,
        "The epochs without a new highest score must come in a row: after a new one, count from 0 again.",
    )
    hint(
        kept([0.5, 0.3, 0.35, 0.3, 0.6], 2) == 5,
        "Better than the epoch before is not enough. Compare with the best so far.",
    )
    hint(
        kept([0.5, 0.5, 0.5, 0.6], 2) != 1,
        "As high as the best so far is not a *new* highest score: count it as one without.",
    )
    hint(
        kept([0.5, 0.4, 0.6], 1) != 1,
        "With a patience of 1, the first epoch without a new highest score is the last that is run.",
    )
    for seed in range(30):
        scores = np.cumsum(default_rng(seed).normal(0.01, 0.1, size=25))
        patience = 1 + seed % 6
        hint(
            kept(scores, patience) != _epoch_to_keep(scores, patience),
            f"Draw a curve of a dozen epochs on paper, and go through it by hand with a patience of {patience}.",
        )


def _epoch_to_keep(scores, patience):
    for end in range(1, len(scores) + 1):  # epochs that were run
        best = int(np.argmax(scores[:end]))
        if end - 1 - best == patience:
            break
    return best + 1


def check_2(in_turn):
    """`scores[row].argmax()` is the best column of a row. Then stay in this column, and so on."""

    def end(scores, row):
        place = in_turn(scores.copy(), row)
        hint(np.shape(place) != (2,), "Return two numbers: the row and the column.")
        return tuple(numbers(place, (2,)).astype(int))

    # from row 0: (0, 2), up to (3, 2), and to (3, 1), the top of its row and its column
    ways = np.array(
        [
            [0.10, 0.20, 0.50, 0.30],
            [0.65, 0.25, 0.40, 0.35],
            [0.15, 0.10, 0.20, 0.90],
            [0.30, 0.70, 0.60, 0.45],
        ]
    )
    found = end(ways, 0)
    hint(
        found == (2, 3),
        "This is the best of the whole map. Who tunes one after the other sees only one row or one column at a time.",
    )
    hint(found == (1, 3), "This is the column and then the row. Return the row first.")
    hint(
        found == (3, 2),
        "You stop after one turn of each. Go on until neither row nor column has a better score.",
    )
    hint(found == (0, 2), "You fixed `C` and chose `gamma`. Now fix this `gamma` and choose `C`.")
    hint(
        found == (1, 0),
        "You began with the best row of a column. `row` is given: look for the best column in it.",
    )
    for seed in range(40):
        scores = default_rng(seed).random((7, 5))
        for row in range(7):
            found = end(scores, row)
            hint(
                found[0] > 6 or found[1] > 4,
                "This place is not on the map, which here has more rows than columns. Are they swapped?",
            )
            value = scores[found]
            hint(
                value < max(scores[found[0]].max(), scores[:, found[1]].max()),
                "Where you end, the row or the column has a better score: it is not over yet.",
            )
            hint(
                found != _in_turn(scores, row),
                "You end elsewhere. Choose the best *column* of the given row first, then take turns.",
            )
    found = end(np.ones((3, 3)), 1)  # must come to an end where all are equal
    hint(found[0] > 2 or found[1] > 2, "On a map where all scores are equal, you leave the map.")


def _in_turn(scores, row):
    before, column = None, int(scores[row].argmax())
    while before != (row, column):
        before = row, column
        row = int(scores[:, column].argmax())
        column = int(scores[row].argmax())
    return row, column


def check_3(momentum):
    """Which memory belongs to u = 0, and which to u = 1? Put it on a log scale, then go back to m."""
    u = np.linspace(0, 1, 31)
    m = np.array([float(numbers(momentum(float(v)), ())) for v in u])
    hint(
        np.allclose(m, 10 ** (-3 * u)) or np.allclose(m, 10 ** (3 * u)),
        "This is the memory, or one divided by it. The momentum is what is asked for.",
    )
    hint((m < -1e-9) | (m >= 1), "A momentum of 1 or more never forgets; one below 0 steps back.")
    hint(
        np.allclose(m, 0.999 * u, atol=1e-3),
        "This is even in the momentum itself. At u = 1/2 the memory must be as many times that at u = 0 as that at u = 1 is that at u = 1/2.",
    )
    hint(
        np.all(np.diff(m) < 0),
        "The wrong way round: u = 0 must give no momentum, and u = 1 the largest.",
    )
    hint(not np.all(np.diff(m) > 0), "A larger u must give a larger momentum, everywhere.")
    hint(
        abs(m[0]) > 1e-6,
        "u = 0 must give a momentum of 0, which remembers one step. The logarithm of m cannot begin there: take that of the memory.",
    )
    hint(
        abs(m[-1] - 0.999) > 1e-6,
        "u = 1 must give 0.999, which remembers a thousand steps: three factors of ten. Does your base fit your logarithm?",
    )
    hint(
        not np.allclose(m, 1 - 10 ** (-3 * u)),
        "The ends are right. Between them, each third of the range must make the memory ten times as long.",
    )


def check_4(gains):
    """Score all configurations on task_of_split(0), and keep the best one: it is the star."""
    configs = [{"x": i} for i in range(20)]
    quality = default_rng(0).normal(0.7, 0.02, size=21)
    quality[20] = 0.69  # plain
    noise = default_rng(1).normal(0, 0.04, size=(60, 21))
    asked = []

    def task_of_split(seed):
        def evaluate(config):
            asked.append(seed)
            return float(quality[config["x"]] + noise[seed, config["x"]])

        return SimpleNamespace(evaluate=evaluate)

    found = gains(task_of_split, list(configs), {"x": 20})
    hint(np.shape(found) != (2,), "Return two numbers: first that of split 0.")
    found = numbers(found, (2,))
    scores = 100 * (quality + noise)  # (splits, configurations)
    star = int(scores[0, :20].argmax())
    gain = scores[:, star] - scores[:, 20]
    right = np.array([gain[0], gain[1:6].mean()])
    hint(
        np.allclose(found, right / 100),
        "These are shares. A point is a hundredth of the score.",
    )
    hint(np.allclose(found, -right), "The sign is turned: a gain is star minus plain.")
    hint(np.allclose(found, right[::-1]), "The two numbers are swapped: split 0 comes first.")
    hint(
        np.isclose(found[1], np.mean(scores[1:6, :20].max(axis=1) - scores[1:6, 20])),
        "You chose a new star in each split. Then each was picked for its luck there: keep the star of split 0.",
    )
    hint(
        np.isclose(found[1], scores[0, star] - scores[1:6, 20].mean())
        or np.isclose(found[1], scores[1:6, star].mean() - scores[0, 20]),
        "You compare one configuration in split 0 with the other one elsewhere. Score both in the same splits.",
    )
    hint(
        np.isclose(found[1], gain[:6].mean()) or np.isclose(found[1], gain[:5].mean()),
        "Split 0 chose the star, so it may not judge it: take the splits 1 to 5 only.",
    )
    hint(
        max(asked) < 5 or max(asked) > 5,
        "Five splits judge the star: those with the seeds 1, 2, 3, 4 and 5.",
    )
    hint(
        np.isclose(found[0], scores[0, :20].min() - scores[0, 20]),
        "Your star is the worst configuration. Higher scores are better.",
    )
    hint(
        not np.isclose(found[0], right[0]),
        "Look at the first number: both configurations in split 0, star minus plain, in points.",
    )
    hint(
        not np.isclose(found[1], right[1]),
        "Look at the second number: the star of split 0 minus plain, the mean over the splits 1 to 5.",
    )
