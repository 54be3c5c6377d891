"""Search spaces in the formats of others: JSON, scipy and Optuna."""

import json

import numpy as np
from harness import REFUSED, fuzz, judged
from hypothesis import example
from hypothesis import strategies as st
from odd_spaces import (
    SPACE,
    choice_lists,
    consistent,
    hyperparameters,
    names,
    ranges,
    valid,
)
from optuna import create_study, logging, trial
from optuna import distributions as od
from scipy import stats
from values import anything, mostly, scalars

from metahpo_lite import SearchSpace

logging.set_verbosity(logging.ERROR)

# ---- JSON


@st.composite
def json_texts(draw):
    """The JSON of a space, changed in a place or two."""
    rows = json.loads(SPACE.to_json())["hyperparameters"]
    values = st.one_of(
        scalars.filter(_is_json), st.lists(scalars.filter(_is_json), max_size=3),
        st.dictionaries(st.sampled_from(["kernel", "layers", "C", ""]),
                        st.lists(scalars.filter(_is_json), max_size=2), max_size=2),
    )  # fmt: skip
    for _ in range(draw(st.integers(0, 2))):
        row = draw(st.sampled_from(rows))
        key = draw(st.one_of(st.sampled_from([*row]), st.sampled_from(["extra", "", "kind"])))
        if draw(st.booleans()):
            row.pop(key, None)
        else:
            row[key] = draw(values)
    whole = draw(mostly(st.just({"hyperparameters": rows}), st.one_of(values, st.just(rows))))
    text = json.dumps(whole)
    cut = draw(mostly(st.just(len(text)), st.integers(0, len(text))))
    return text[:cut]


def _is_json(value) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


ROW = '{"kind": "float", "name": "x", "low": 0, "high": 1, "log": false, "when": {}}'


@example("[" * 100_000)
@example('{"hyperparameters": ' + "[" * 900 + "]" * 900 + "}")
@example('{"hyperparameters": [' + ROW.replace("1,", "1" * 5000 + ",") + "]}")
@example('{"hyperparameters": [' + ROW.replace("1,", "1e999,") + "]}")
@example('{"hyperparameters": [' + ROW.replace("1,", "NaN,") + "]}")
@example('{"hyperparameters": [' + ROW.replace("}}", '}, "name": "y"}') + "]}")
@example('{"hyperparameters": [' + ROW + "], " + '"hyperparameters": []}')
@example('{"hyperparameters": [[["kind", "float"]]]}')
@example('{"hyperparameters": [[[1, 2]]]}')
@example('{"hyperparameters": {"a": 1}}')
@example('{"hyperparameters": [' + ROW.replace('"x"', '"\\ud800"') + "]}")
@example("\ufeff{}")
@fuzz(st.one_of(json_texts(), anything))
def test_from_json(text):
    def right(space):
        valid(space.sample(np.random.default_rng(0), 3), space)
        assert SearchSpace.from_json(space.to_json()) == space
        for h in space:
            consistent(h)

    judged(lambda: SearchSpace.from_json(text), right)


# ---- other tools


@example((1, 2**64), 1, "x")
@fuzz(ranges, st.integers(0, 5), names)
def test_from_scipy(ends, kind, name):
    a, b = ends
    name = name if isinstance(name, str) else "x"
    kinds = [
        lambda: stats.uniform(a, b), lambda: stats.loguniform(a, b), lambda: stats.randint(a, b),
        lambda: [a, b], lambda: stats.norm(a, b), lambda: a,
    ]  # fmt: skip
    try:
        given = kinds[kind]()
    except Exception:  # scipy refused it itself
        given = a

    def right(space):
        for h in space:
            consistent(h)

    judged(lambda: SearchSpace.from_scipy({name: given}), right)


@fuzz(anything)
def test_from_other_objects(given):
    judged(lambda: SearchSpace.from_scipy(given))
    judged(lambda: SearchSpace.from_optuna(given))


@fuzz(ranges, st.booleans(), st.integers(0, 3), names, choice_lists)
def test_from_optuna(ends, log, kind, name, choices):
    a, b = ends
    name = name if isinstance(name, str) else "x"
    kinds = [
        lambda: od.FloatDistribution(a, b, log=log),
        lambda: od.IntDistribution(a, b, log=log),
        lambda: od.CategoricalDistribution(choices),
        lambda: a,
    ]
    try:
        given = kinds[kind]()
    except Exception:  # Optuna refused it itself
        given = a

    def right(space):
        for h in space:
            consistent(h)

    judged(lambda: SearchSpace.from_optuna({name: given}), right, warns="optuna|Categorical")


@fuzz(anything, share=0.3)
def test_no_trial(given):
    judged(lambda: SPACE.suggest(given))


@fuzz(hyperparameters(), st.floats(0, 1))
def test_suggest(make, u):
    """A space serves an Optuna trial; what it suggests is of the space."""
    h = judged(make)
    if h is REFUSED:
        return
    space = SearchSpace([h])
    fixed = trial.FixedTrial({"x": h.decode(u)})
    judged(lambda: space.suggest(fixed), lambda c: valid(c, space))
    asked = judged(lambda: create_study().ask(space.to_optuna()))
    if asked is not REFUSED:
        valid(space.drop_inactive(asked.params), space)
