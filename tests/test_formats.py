"""What a user relies on when a space is written: it comes back from JSON and from Optuna."""

import json

import pytest
from hypothesis import given
from space_cases import MANY, SOME, example, spaces

from metahpo_lite.spaces import SearchSpace


@MANY
@given(spaces())
def test_json_round_trip(space):
    text = space.to_json()
    json.loads(text)
    back = SearchSpace.from_json(text)
    assert back == space
    assert back.to_json() == text


@SOME
@given(spaces())
def test_optuna_round_trip(space):
    pytest.importorskip("optuna")
    back = SearchSpace.from_optuna(space.to_optuna())
    assert back.names == space.names
    for old, new in zip(space, back, strict=True):
        assert not new.when  # Optuna knows no conditions
        assert {**vars(old), "when": {}} == {**vars(new), "when": {}}


def test_optuna_accepts_what_the_space_samples():
    optuna = pytest.importorskip("optuna")
    space = example()
    trial = optuna.create_study().ask(space.to_optuna())
    assert set(trial.params) == set(space.names)
    config = space.drop_inactive(trial.params)
    assert space.check(config) == config


def test_optuna_single_values_and_steps():
    optuna = pytest.importorskip("optuna")
    from optuna.distributions import FloatDistribution, IntDistribution

    single = SearchSpace.from_optuna({"x": FloatDistribution(2, 2)})
    assert single.decode([0.3]) == {"x": 2.0}
    for stepped in (FloatDistribution(0, 1, step=0.25), IntDistribution(0, 10, step=5)):
        with pytest.raises(ValueError, match="x: step="):
            SearchSpace.from_optuna({"x": stepped})
    with pytest.raises(ValueError, match=r"accepted is an Optuna distribution"):
        SearchSpace.from_optuna({"x": optuna})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"hyperparameters": 3}',
        '{"hyperparameters": [3]}',
        '{"hyperparameters": []}',
        '{"hyperparameters": [{"kind": "Float", "name": "C", "low": 0, "high": 1}]}',
        '{"hyperparameters": [{"kind": ["float"], "name": "C", "low": 0, "high": 1}]}',
        '{"hyperparameters": [{"kind": "float", "name": "C", "low": 0}]}',
        '{"hyperparameters": [{"kind": "float", "name": "C", "low": 0, "high": 1, "x": 1}]}',
        '{"hyperparameters": [{"kind": "float", "name": "C", "low": 0, "high": NaN}]}',
        '{"hyperparameters": [{"kind": "categorical", "name": "C", "choices": 3}]}',
        "[" * 100_000,
    ],
)
def test_bad_json(text):
    with pytest.raises(ValueError, match=r"accepted|text:"):
        SearchSpace.from_json(text)
