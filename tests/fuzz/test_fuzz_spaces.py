"""Search spaces of anything: made and used right, or refused with a clear error."""

import fractions

import numpy as np
import pytest
from harness import REFUSED, fuzz, in_time, judged
from hypothesis import example
from hypothesis import strategies as st
from odd_spaces import (
    SPACE,
    D,
    choice_lists,
    consistent,
    hyperparameters,
    logs,
    names,
    odd_configs,
    ranges,
    same,
    valid,
    whens,
)
from scipy import stats
from values import anything, arrays, mostly

from metahpo_lite import Categorical, Float, Int, SearchSpace


@fuzz(names, ranges, logs, whens)
def test_float(name, ends, log, when):
    low, high = ends
    judged(lambda: Float(name, low, high, log, when), consistent)


@fuzz(names, ranges, logs, whens)
def test_int(name, ends, log, when):
    low, high = ends
    judged(lambda: Int(name, low, high, log, when), consistent)


@fuzz(names, choice_lists, whens)
def test_categorical(name, choices, when):
    judged(lambda: Categorical(name, choices, when), consistent)


@fuzz(hyperparameters(), st.one_of(anything, st.integers(-9, 9), st.floats(-9, 9)))
def test_value(make, value):
    h = judged(make, consistent)
    if h is REFUSED:
        return
    judged(lambda: h.check(value), lambda got: got == value and h.check(got) == got)


# ---- spaces


@st.composite
def lists_of_hyperparameters(draw):
    kinds = {
        "f": lambda name, when: Float(name, 0, 1, when=when),
        "i": lambda name, when: Int(name, 0, 3, when=when),
        "c": lambda name, when: Categorical(name, ["x", "y", 1, None], when=when),
    }
    made = []
    for name in draw(mostly(st.permutations("abcd"), st.just("aab"))):
        if draw(st.integers(0, 3)) == 3 and made:
            continue
        when = draw(
            mostly(
                st.dictionaries(
                    st.sampled_from("abc"),
                    st.lists(st.sampled_from(["x", "y", 0, 1, None, True, 9]), min_size=1),
                    max_size=2,
                ),
                st.just({}),
            )
        )
        kind = draw(st.sampled_from("fic"))
        if draw(st.integers(0, 15)) < 15:  # the conditions that can be
            able = {h.name: h for h in made if not isinstance(h, Float)}
            when = {p: [able[p].decode(0.3), able[p].decode(0.9)] for p in when if p in able}
        made.append(kinds[kind](name, when))
    if draw(st.integers(0, 15)) == 15:
        made.append(draw(anything))
    return made


@fuzz(mostly(lists_of_hyperparameters()), st.integers(1, 40), st.integers(0, 99))
def test_space(given, n, seed):
    """Samples, grid, JSON and text of any space that can be made."""
    space = judged(lambda: SearchSpace(given))
    if space is REFUSED:
        return
    found = judged(lambda: space.sample(np.random.default_rng(seed), n))
    valid(found, space)
    assert all(same(c, d) for c, d in zip(space.decode(space.encode(found)), found, strict=True))
    valid(judged(lambda: space.sobol(n, np.random.default_rng(seed)), lambda f: len(f) == n), space)
    valid(judged(lambda: space.grid(n), lambda f: 1 <= len(f) <= n), space)
    judged(lambda: SearchSpace.from_json(space.to_json()), lambda read: read == space)
    assert len(str(space).splitlines()) == len(space)


@example({"C": 1.0, "kernel": [], "layers": 1})
@example({"C": 1.0, "kernel": "rbf", "gamma": 1, "layers": np.array([1, 2])})
@fuzz(st.one_of(odd_configs(), anything))
def test_check(config):
    def right(found):
        valid(found)
        assert found == dict(config)

    judged(lambda: SPACE.check(config), right)


@fuzz(st.one_of(odd_configs(), anything))
def test_drop_inactive(config):
    judged(lambda: SPACE.drop_inactive(config), valid)


@fuzz(st.one_of(odd_configs(), st.lists(odd_configs(), max_size=3), anything))
def test_encode(given):
    def right(points):
        assert points.shape == ((D,) if isinstance(given, dict) else (len(given), D))
        assert ((points >= 0) & (points <= 1)).all()
        assert SPACE.decode(points) == SPACE.decode(SPACE.encode(SPACE.decode(points)))

    judged(lambda: SPACE.encode(given), right)


unit = st.lists(st.floats(0, 1), min_size=D, max_size=D)


@fuzz(
    st.one_of(unit, st.lists(unit, min_size=1, max_size=3), arrays((D,), (2, D), (0, D), (D, 1)),
              arrays((1, 1, D)), anything)
)  # fmt: skip
def test_decode(points):
    judged(lambda: SPACE.decode(points), valid)
    judged(lambda: SPACE.snap(points), lambda found: valid(found[0]))


@fuzz(mostly(st.integers(-1, 70)), mostly(st.integers(0, 9).map(np.random.default_rng)))
def test_samples(n, rng):
    judged(lambda: SPACE.sample(rng, n), valid)
    judged(lambda: SPACE.sobol(n, rng), valid)
    judged(lambda: SPACE.grid(n), valid)


@fuzz(st.one_of(st.sampled_from(SPACE.names), anything))
def test_name(name):
    judged(lambda: SPACE[name], lambda h: h.name == name)


# ---- what once went wrong

MENDED = {
    "a set": lambda: Categorical("x", {"a", "b"}),
    "a fraction": lambda: Categorical("x", [0.5, fractions.Fraction(1, 3)]),
    "an endless integer": lambda: Float("x", 0, 10**400),
    "too many samples": lambda: SPACE.sample(np.random.default_rng(0), 2**31),
    "too many points": lambda: SPACE.sobol(2**31, np.random.default_rng(0)),
    "too fine a grid": lambda: SPACE.grid(10**9),
    "a seed for a generator": lambda: SPACE.sample(0),
    "a list for a name": lambda: SPACE[["C"]],
    "texts for points": lambda: SPACE.decode(["0.5"] * D),
    "no numbers in scipy": lambda: SearchSpace.from_scipy({"x": stats.uniform("a", None)}),
    "no dict of Optuna": lambda: SearchSpace.from_optuna([1]),
}


@pytest.mark.parametrize("name", MENDED)
def test_what_is_refused(name):
    assert judged(MENDED[name]) is REFUSED


@pytest.mark.parametrize("h", [Int("n", 1, 2**40, log=True), Int("n", 1, 2**40), Float("n", 0, 1)])
def test_a_fine_grid_of_one(h):
    """The levels of one number took cubic time."""
    with in_time(10):
        found = judged(lambda: SearchSpace([h]).grid(1000), valid_of(SearchSpace([h])))
    assert len({config["n"] for config in found}) == 1000


def valid_of(space):
    return lambda found: valid(found, space)
