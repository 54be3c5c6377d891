"""Wrong answers to the exercises of lesson 02: what was done, the answer, a part of its hint."""

import numpy as np
from numpy.random import default_rng

from metahpo_lite import RandomSearch, run


class Nearest(RandomSearch):
    """Takes the draw that is nearest to what was tried."""

    sign, remembers = 1, True

    def __init__(self, space, rng):
        super().__init__(space, rng)
        self.points = []

    def suggest(self):
        draws = [self.space.sample(self.rng) for _ in range(10)]
        near = [0.0] * 10
        if self.points:
            gaps = self.space.encode(draws)[:, None] - np.array(self.points)[None]
            near = np.linalg.norm(gaps, axis=2).min(axis=1)
        best = draws[int(np.argmin(self.sign * np.array(near)))]
        if self.remembers:
            self.points.append(self.space.encode(best))
        return best


class Forgets(Nearest):
    sign, remembers = -1, False


class OwnGenerator(RandomSearch):
    def suggest(self):
        return self.space.sample(default_rng())


def histories(count):
    def share_above_default(task, n_trials, rng):
        scores = run(RandomSearch(task.space, rng), task, n_trials)["score"]
        return count(scores, task.evaluate(task.learner.default))

    return share_above_default


WRONG = {
    "02-1": [
        ("sign", lambda q, delta: np.floor(np.log(delta) / -np.log(1 - q)), "not negative"),
        ("hit, not miss", lambda q, delta: np.ceil(np.log(delta) / np.log(q)), "must all *miss*"),
        ("floor", lambda q, delta: int(np.log(delta) / np.log(1 - q)), "Round up."),
        (
            "always one more",
            lambda q, delta: int(np.log(delta) / np.log(1 - q)) + 1,
            "One too many",
        ),
        ("no rounding", lambda q, delta: np.log(delta) / np.log(1 - q), "a part of a trial"),
        ("no logarithm", lambda q, delta: np.ceil(delta / (1 - q)), "by hand"),
    ],
    "02-2": [
        ("upside down", 0.25, "Upside down"),
        ("no root", 16.0, "sixteen times the certainty"),
        ("n is not used", 1.0, "The two widths are the same"),
        ("one draw", 8.0, "twenty draws"),
    ],
    "02-3": [
        ("nearest", Nearest, "*farthest*"),
        ("remembers nothing", Forgets, "remember"),
        ("own generator", OwnGenerator, "self.rng"),
    ],
    "02-4": [
        ("a count", histories(lambda s, d: (s > d).sum()), "a count, or a percentage"),
        ("turned around", histories(lambda s, d: (s < d).mean()), "Turn it around"),
        ("ties", histories(lambda s, d: (s >= d).mean()), "As good is not better"),
        ("failed left out", histories(lambda s, d: (s.dropna() > d).mean()), "fails here"),
        ("failed is better", histories(lambda s, d: 1 - (s <= d).mean()), "neither above"),
        ("best only", histories(lambda s, d: float(s.max() > d) / 2), "of RandomSearch"),
    ],
}
