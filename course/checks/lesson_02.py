"""Search blindly: grid and random."""

from types import SimpleNamespace

import numpy as np
from numpy.random import default_rng

from course.checking import hint, numbers
from metahpo_lite import Float, SearchSpace, run


def check_1(trials_needed):
    """Set (1 - q) ** n equal to delta, and take the logarithm of both sides: n comes down."""
    found = np.array([float(numbers(trials_needed(q, 0.05), ())) for q in (0.05, 0.01, 0.2)])
    exact = np.log(0.05) / np.log([0.95, 0.99, 0.8])
    hint(found < 0, "A number of trials is not negative: log(1 - q) is, and turns the sign.")
    hint(
        np.allclose(found, np.ceil(np.log(0.05) / np.log([0.05, 0.01, 0.2]))),
        "You ask how likely n draws are all in the best share. They must all *miss* it: each does with probability 1 - q.",
    )
    hint(
        np.allclose(found, np.floor(exact)),
        "One too few: at this n the chance to miss is still above delta. Round up.",
    )
    hint(found % 1 != 0, "You cannot run a part of a trial. Round up to a whole number.")
    hint(
        np.all(found == np.ceil(exact)) and trials_needed(0.5, 0.25) == 3,
        "One too many where n comes out whole, as for q = 1/2 and delta = 1/4. Round up, and only if there is something to round.",
    )
    hint(
        np.any(found != np.ceil(exact)) or trials_needed(0.5, 0.25) != 2,
        "Try it by hand: for q = 1/2 and delta = 1/4, two draws are enough.",
    )


def check_2(narrower):
    """Take twenty random draws of 9 tasks, and of 144; of each the high minus the low end."""
    found = float(numbers(narrower, ()))
    hint(0.15 < found < 0.4, "Upside down: divide the wide interval by the narrow one.")
    hint(
        11 < found < 25,
        "Sixteen times as many tasks do not give sixteen times the certainty. Did you measure it, or compute 144 / 9?",
    )
    hint(0.8 < found < 1.2, "The two widths are the same. Does your function use its n?")
    hint(
        not 3 < found < 5.5,
        "Take the mean width of twenty draws for each n; one draw of nine tasks can be far off.",
    )


def check_3(SpreadSearch):
    """Draw ten configurations, encode them, and ask how near the nearest earlier point is to each."""
    space = SearchSpace([Float("C", 1e-3, 1e3, log=True), Float("gamma", 1e-4, 1e1, log=True)])

    def nearest(seed):
        searcher = SpreadSearch(space, default_rng(seed))
        points = space.encode([searcher.suggest() for _ in range(20)])
        gaps = np.linalg.norm(points[:, None] - points[None], axis=2)
        return gaps[np.triu_indices(20, 1)].min()

    def random(seed):
        points = default_rng(seed).random((20, 2))
        gaps = np.linalg.norm(points[:, None] - points[None], axis=2)
        return gaps[np.triu_indices(20, 1)].min()

    first, again = nearest(0), nearest(0)
    hint(
        first != again,
        "The same rng gives two different searches. Draw with self.rng, not with a generator of your own.",
    )
    mean, usual = (np.mean([f(seed) for seed in range(15)]) for f in (nearest, random))
    hint(
        mean < 0.5 * usual,
        "Your points crowd more than random ones do. Take the draw that is *farthest* from its nearest neighbour.",
    )
    hint(
        mean < 2 * usual,
        "Your points are spread little better than random ones. Does the searcher remember what it suggested? Are distances those of encoded points, of the unit cube? And is it the nearest earlier point that counts, not the mean?",
    )


def check_4(share_above_default):
    """Run a random search with `run`, and compare the column score with the default's score."""
    space = SearchSpace([Float("x", 0, 1)])

    def task(default, fails=0.0):
        def evaluate(config):
            return np.nan if config["x"] < fails else max(config["x"], 0.5)

        learner = SimpleNamespace(default={"x": default})
        return SimpleNamespace(space=space, learner=learner, evaluate=evaluate)

    history = run(_Random(space, default_rng(3)), task(0.7), 400)
    found = float(numbers(share_above_default(task(0.7), 400, default_rng(3)), ()))
    hint(found > 1, "This is above 1: a count, or a percentage? A share is between 0 and 1.")
    hint(abs(found - 0.7) < 0.05, "This is the share that the default beats. Turn it around.")
    ties = float(numbers(share_above_default(task(0.2), 400, default_rng(3)), ()))
    hint(
        ties > 0.9,
        "Half of these trials score exactly what the default scores. As good is not better.",
    )
    failed = float(numbers(share_above_default(task(0.7, fails=0.2), 400, default_rng(3)), ()))
    hint(
        0.34 < failed < 0.42,
        "One trial in five fails here, with the score NaN. It still counts as one of the trials.",
    )
    hint(
        abs(failed - 0.5) < 0.05 and abs(found - 0.3) < 0.05,
        "A failed trial counts as better here. NaN is neither above the default nor below it.",
    )
    right = (history["score"] > 0.7).mean()
    hint(
        abs(found - right) > 0.02,
        "Count among n_trials trials of RandomSearch(task.space, rng): the default itself is none of them.",
    )


class _Random:
    def __init__(self, space, rng):
        self.space, self.rng = space, rng

    def suggest(self):
        return self.space.sample(self.rng)

    def update(self, config, score):
        pass
