"""What searchers believe of known tasks: by hand, trial by trial."""

import numpy as np
import pandas as pd
import pytest
from experience_cases import dataset

from metahpo_lite.metric_based import AGREEMENT, NearestTasks
from metahpo_lite.recommendation import recommend
from metahpo_lite.warmstart import FADE, WarmStart

CONFIGS = [{"x": x / 10, "kind": "a"} for x in range(11)]
X = np.array([config["x"] for config in CONFIGS])


def peaks(best):
    """Scores of tasks whose best x is given."""
    return -((X - np.array(best)[:, None]) ** 2)


def described(best):
    """Experience of such tasks, whose meta-features tell where the best is."""
    features = pd.DataFrame({"where": best, "noise": 0.0, "more": 1.0})
    return dataset(CONFIGS, peaks(best), features)


class Near:
    """A distance that says that the first task is near, and the second far."""

    k_ = 10

    def __call__(self, meta_features):
        return np.array([[0.1, 5.0, *np.linspace(1, 2, 12)]])


def test_what_meta_features_say_fades_with_the_trials():
    """Trials cannot tell two sources with the same scores apart: only the distance can."""
    known = dataset(CONFIGS, peaks([0.3, 0.3, *np.linspace(0, 1, 12)]), None)
    searcher = WarmStart(known.space, np.random.default_rng(0), known, pd.Series({"a": 1.0}),
                         known.configs, Near())  # fmt: skip
    near, far = searcher.prior[:2]
    assert near > 3 * far
    for t in range(1, 6):
        searcher.update(config := searcher.suggest(), -((config["x"] - 0.3) ** 2))
        for _, like, _ in searcher.beliefs:
            odds = (near / far) ** (1 / (1 + t / FADE))
            assert like[0, 0] / like[0, 1] == pytest.approx(odds)


def test_tasks_that_rank_two_trials_otherwise_lose_weight_by_their_agreement():
    known = described([0.1, 0.9])
    searcher = NearestTasks(known.space, np.random.default_rng(0), known, None,
                            lambda _: np.array([[1.0, 1.0]]), 2, known.configs)  # fmt: skip
    for config in (CONFIGS[1], CONFIGS[9]):
        searcher.update(config, -config["x"])
    # Kendall's tau is 1 for the first and -1 for the second
    other, one = searcher.weights[::-1]
    assert np.log(other / one) == pytest.approx(-2 * AGREEMENT * np.sqrt(2))


def test_where_no_trial_promises_more_the_first_that_is_left_comes():
    """And not what lies beside the best, which was tried."""
    configs = [CONFIGS[i] for i in (5, 0, 6, 10)]
    known = dataset(configs, np.array([[1.0, 0, 0, 0]] * 4), None)
    searcher = NearestTasks(known.space, np.random.default_rng(0), known, None, pool=configs)
    assert searcher.suggest() == configs[0]
    searcher.update(configs[0], np.nan)
    assert searcher.suggest() == configs[1]


def test_a_table_gets_what_did_well_on_tables_like_it():
    rng = np.random.default_rng(0)
    known = described(np.round(rng.random(60), 3))
    x = {}
    for where in (0.1, 0.9):
        found = recommend(pd.Series({"where": where, "noise": 0.0, "more": 1.0}), known, 1)
        x[where] = found.configs[0]["x"]
    assert x[0.1] < 0.35 < 0.65 < x[0.9]
