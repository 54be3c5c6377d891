"""What meta-models read: quantiles, what is active, ranks, and past trials."""

import numpy as np
import pandas as pd
from meta_model_cases import SPACE
from scipy.stats import norm

from metahpo_lite import history_features
from metahpo_lite.hyperparameters import Categorical, Float, Int
from metahpo_lite.inputs import TaskInputs, config_inputs, left_out_folds, normal_ranks
from metahpo_lite.spaces import SearchSpace

# ------------------------------------------------------------------ what is read


def test_inputs_are_quantiles_among_the_training_tasks():
    table = pd.DataFrame({"a": [1.0, 10.0, 1000.0], "b": [0.0, np.nan, 2.0], "same": 7.0})
    inputs = TaskInputs(table)
    assert np.allclose(inputs(table), [[-1, -1, -1], [0, 0, 1], [1, 1, -1]])  # a, b, mark of b
    far = inputs(pd.Series({"same": 0.0, "b": 99.0, "a": 1e9}))
    assert np.allclose(far, [[1, 1, -1]])  # in any order, never farther than what was seen


def test_what_is_active_is_an_input():
    configs = [{"kernel": "rbf", "gamma": 0.1}, {"kernel": "linear"},
               {"kernel": "poly", "gamma": 1.0, "degree": 2}]  # fmt: skip
    wanted = [[1, 0, 0, 0, 1, 0, 0], [0, 0, 1, 0, 0, 0, 0], [0, 1, 0, 1, 1, -2 / 3, 1]]
    assert np.allclose(config_inputs(SPACE, SPACE.encode(configs)), wanted)


def test_a_condition_on_what_is_inactive_is_not_met():
    space = SearchSpace([
        Int("layers", 1, 2),
        Categorical("second", ["relu", "tanh", "none"], when={"layers": [2]}),
        Float("slope", 0, 1, when={"second": ["tanh"]}),  # tanh lies where inactive ones sit
    ])  # fmt: skip
    assert config_inputs(space, space.encode([{"layers": 1}]))[0, -1] == 0


def test_normal_ranks_by_hand():
    ranks = normal_ranks(np.array([[10.0, 30.0, np.nan, 30.0], [1.0, 2.0, 3.0, 4.0]]))
    assert np.allclose(ranks[0], norm.ppf([1.5 / 4, 3 / 4, 0.5 / 4, 3 / 4]))
    assert np.allclose(ranks[1], norm.ppf([0.125, 0.375, 0.625, 0.875]))


def test_folds_keep_families_whole():
    families = [f"f{i % 7}" for i in range(30)]
    left_out = left_out_folds(families, np.random.default_rng(0))
    assert left_out.shape == (3, 30)
    assert (left_out.sum(axis=0) == 1).all()
    for family in families:
        assert len(np.unique(left_out[:, np.array(families) == family], axis=1).T) == 1
    assert len(left_out_folds(["a", "b", "b"], np.random.default_rng(0))) == 2


def test_history_is_how_trials_did_against_each_other():
    scores = pd.DataFrame({3: [0.5, 0.9], 7: [0.7, np.nan]}, index=["a", "b"])
    table = history_features(scores)
    assert list(table.columns) == ["trial_3", "trial_7"]
    assert np.allclose(table, [[-0.1, 0.1], [0, np.nan]], equal_nan=True)
    assert np.allclose(history_features(scores.loc["a"]), [-0.1, 0.1])
