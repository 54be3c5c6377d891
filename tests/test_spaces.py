"""What a user relies on in spaces: round trips, bounds, scales, conditions, clear errors."""

import math

import numpy as np
import pytest
from hypothesis import example as example_of
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from space_cases import MANY, SOME, example, same, spaces, spaces_and_points

from metahpo_lite.spaces import Categorical, Float, Int, SearchSpace

# ------------------------------------------------------------------ properties


@MANY
@example_of((SearchSpace([Float("a", 0.0, 2.2250738585e-313)]), [0.25]))
@given(spaces_and_points())
def test_a_point_survives_the_round_trip(case):
    space, point = case
    config = space.decode(point)
    assert space.check(config) == config  # within bounds, conditions kept
    encoded = space.encode(config)
    assert encoded.shape == (len(space),)
    assert ((encoded >= 0) & (encoded <= 1)).all()
    assert same(space.decode(encoded), config)
    for h, u, v in zip(space, point, encoded, strict=True):
        if h.name not in config:
            assert v == 0.5  # inactive: the same for all
        elif isinstance(h, Float):
            # exact to rounding; where the range is narrow beside its values, that is coarser
            size = max(abs(h.low), abs(h.high)) / (h.high - h.low)
            # and no float is nearer to another than the least one is to 0
            least = math.ulp(0.0) / (h.high - h.low)
            assert abs(u - v) < 1e-12 * (1 + size) + least
        else:
            # an interval as long as its value's
            assert abs(u - v) <= 1 / h.n_values or h.log


@MANY
@given(spaces(), st.integers(0, 2**32 - 1))
def test_samples_are_valid_and_repeatable(space, seed):
    configs = space.sample(np.random.default_rng(seed), 3)
    assert configs == space.sample(np.random.default_rng(seed), 3)
    for config in configs:
        assert same(space.check(config), config)
        for h in space:
            active = all(p in config and config[p] in v for p, v in h.when.items())
            # `in` holds True for 1: those spaces are checked by name below
            if not any(isinstance(v, bool) for values in h.when.values() for v in values):
                assert (h.name in config) == active or any(
                    isinstance(config.get(p), bool) for p in h.when
                )
            if h.name in config and not isinstance(h, Categorical):
                assert h.low <= config[h.name] <= h.high
                assert type(config[h.name]) is (int if isinstance(h, Int) else float)
            elif h.name in config:
                assert config[h.name] in h.choices


@SOME
@given(st.floats(1e-6, 1e6), st.floats(1.5, 1e6), st.integers(0, 2**32 - 1))
def test_log_floats_are_log_uniform(low, ratio, seed):
    h = Float("x", low, low * ratio, log=True)
    draws = SearchSpace([h]).sample(np.random.default_rng(seed), 500)
    uniform = (np.log([c["x"] for c in draws]) - np.log(low)) / np.log(ratio)
    # 300 cases: one in a thousand is not yet a surprise, one in a million is
    assert stats.kstest(uniform, "uniform").pvalue > 1e-6


def test_log_integers_are_as_frequent_as_their_share_of_the_log_scale():
    h = Int("n", 1, 8, log=True)
    draws = [c["n"] for c in SearchSpace([h]).sample(np.random.default_rng(0), 20_000)]
    edges = np.log(np.arange(0.5, 9))
    expected = np.diff(edges) / (edges[-1] - edges[0]) * len(draws)
    counts = np.bincount(draws, minlength=9)[1:]
    assert stats.chisquare(counts, expected).pvalue > 1e-4


def test_integers_and_choices_are_equally_frequent():
    space = SearchSpace([Int("n", -2, 4), Categorical("c", ["a", "b", "c"])])
    draws = space.sample(np.random.default_rng(0), 20_000)
    for name in space.names:
        counts = np.unique([c[name] for c in draws], return_counts=True)[1]
        assert stats.chisquare(counts).pvalue > 1e-4


def test_encoding_by_hand():
    space = example()
    config = {"C": 1.0, "kernel": "rbf", "gamma": 0.1, "layers": 2}
    np.testing.assert_allclose(space.encode(config), [0.5, 0.75, 0.5, 0.5])
    linear = {"C": 100, "kernel": "linear", "layers": 3}
    np.testing.assert_allclose(space.encode(linear), [1, 0.25, 0.5, 5 / 6])
    np.testing.assert_allclose(space.encode([config, linear])[1], space.encode(linear))
    assert space.encode([]).shape == (0, 4)
    assert space.decode(space.encode([config, linear])) == [config, {**linear, "C": 100.0}]


def test_the_ends_of_the_cube_are_the_ends_of_the_range():
    space = example()
    assert space.decode([0] * 4) == {"C": 0.01, "kernel": "linear", "layers": 1}
    assert space.decode([1] * 4) == {"C": 100.0, "kernel": "rbf", "gamma": 10.0, "layers": 3}


def test_choices_that_python_holds_equal_stay_apart():
    space = SearchSpace([Categorical("c", [True, 1]), Float("x", 0, 1, when={"c": [True]})])
    assert list(space.check({"c": 1})) == ["c"]
    assert type(space.check({"c": 1})["c"]) is int
    assert space.check({"c": np.True_, "x": 1})["c"] is True
    with pytest.raises(KeyError, match="'x' is missing"):
        space.check({"c": True})


def test_numpy_values_become_plain():
    checked = example().check(
        {"layers": np.int64(2), "C": np.float32(1), "kernel": np.str_("linear")}
    )
    assert list(checked) == ["C", "kernel", "layers"]
    assert [type(v) for v in checked.values()] == [float, str, int]
    assert type(example().check({"C": 1, "kernel": "linear", "layers": 3.0})["layers"]) is int


@pytest.mark.filterwarnings("error")
def test_a_short_float_is_compared_with_long_ends():
    assert Float("x", 0.1, 1e200).check(np.float16(2)) == 2.0
    assert Int("n", 1, 10**6).check(np.float16(2)) == 2
    with pytest.raises(ValueError, match="x: got"):
        Float("x", 0.1, 1e200).check(np.float16(np.inf))


def test_drop_inactive():
    flat = {"C": 1, "kernel": "linear", "gamma": 0.1, "layers": 1}
    assert example().drop_inactive(flat) == {"C": 1.0, "kernel": "linear", "layers": 1}
    with pytest.raises(ValueError, match="kernel"):
        example().drop_inactive({**flat, "kernel": "cosine"})


def test_a_condition_on_an_inactive_parent_is_not_met():
    space = SearchSpace(
        [
            Int("layers", 1, 3),
            Int("units", 8, 64, when={"layers": [2, 3]}),
            Float("dropout", 0, 1, when={"units": [8]}),
        ]
    )
    assert space.decode([0, 0, 0]) == {"layers": 1}
    assert space.decode([1, 0, 0]) == {"layers": 3, "units": 8, "dropout": 0.0}


def test_print_shows_one_line_a_hyperparameter():
    lines = str(example()).splitlines()
    assert len(lines) == 4
    assert lines[2].split() == [
        "gamma",
        "float",
        "[0.001,",
        "10]",
        "log",
        "when",
        "kernel",
        "in",
        "rbf",
    ]


def test_lookup():
    space = example()
    assert len(space) == 4
    assert space["C"].high == 100
    with pytest.raises(KeyError, match="accepted is one of"):
        space["c"]


# ------------------------------------------------------------------ bad input

BAD_HYPERPARAMETERS = {
    "empty range": lambda: Float("C", 1, 1),
    "reversed range": lambda: Float("C", 2, 1),
    "reversed integers": lambda: Int("C", 2, 1),
    "log from zero": lambda: Float("C", 0, 1, log=True),
    "log integers from zero": lambda: Int("C", 0, 9, log=True),
    "log from below zero": lambda: Float("C", -1, 1, log=True),
    "NaN end": lambda: Float("C", math.nan, 1),
    "infinite end": lambda: Float("C", 0, math.inf),
    "overflow": lambda: Float("C", -1.7e308, 1.7e308),
    "text for a number": lambda: Float("C", "0", 1),
    "bool for a number": lambda: Int("C", False, 1),
    "fraction for an integer": lambda: Int("C", 0.5, 2),
    "huge integer": lambda: Int("C", 0, 2**60),
    "log is a number": lambda: Float("C", 1, 2, 10),
    "no choices": lambda: Categorical("C", []),
    "a text as choices": lambda: Categorical("C", "abc"),
    "a choice twice": lambda: Categorical("C", ["a", "b", "a"]),
    "1 and 1.0": lambda: Categorical("C", [1, 1.0]),
    "NaN choice": lambda: Categorical("C", [math.nan]),
    "list as choice": lambda: Categorical("C", [[1], [2]]),
    "when is no dict": lambda: Float("C", 0, 1, when=["kernel"]),
    "when without values": lambda: Float("C", 0, 1, when={"kernel": []}),
    "when with a text": lambda: Float("C", 0, 1, when={"kernel": "rbf"}),
}


@pytest.mark.parametrize("make", BAD_HYPERPARAMETERS.values(), ids=BAD_HYPERPARAMETERS)
def test_bad_hyperparameters_are_named(make):
    with pytest.raises(ValueError, match=r"^C: .*(accepted|twice)"):
        make()


@pytest.mark.parametrize("name", ["", None, 3])
def test_bad_names(name):
    with pytest.raises(ValueError, match=r"^name: got"):
        Float(name, 0, 1)


BAD_SPACES = {
    "none": ([], "got none"),
    "a dict": ([{"name": "C"}], "accepted are Float"),
    "duplicate": ([Float("C", 0, 1), Int("C", 0, 1)], "'C' occurs twice"),
    "unknown parent": ([Float("C", 0, 1, when={"kernel": ["rbf"]})], "when names 'kernel'"),
    "later parent": (
        [Float("C", 0, 1, when={"k": ["a"]}), Categorical("k", ["a"])],
        "stands before it",
    ),
    "float parent": ([Float("a", 0, 1), Float("b", 0, 1, when={"a": [0.5]})], "when names 'a'"),
    "impossible value": (
        [Categorical("k", ["a"]), Float("C", 0, 1, when={"k": ["z"]})],
        "k: got 'z'",
    ),
}


@pytest.mark.parametrize(("made", "message"), BAD_SPACES.values(), ids=BAD_SPACES)
def test_bad_spaces(made, message):
    with pytest.raises(ValueError, match=message):
        SearchSpace(made)


GOOD = {"C": 1.0, "kernel": "rbf", "gamma": 0.1, "layers": 2}
BAD_CONFIGS = {
    "unknown name": ({**GOOD, "c": 1}, KeyError, "unknown name 'c', accepted are"),
    "missing": ({"C": 1, "kernel": "rbf", "layers": 1}, KeyError, r"'gamma' is missing, \[0.001"),
    "too large": ({**GOOD, "C": 101}, ValueError, r"C: got 101, accepted is .*\[0.01, 100\]"),
    "too small": ({**GOOD, "layers": 0}, ValueError, "layers: got 0, accepted"),
    "NaN": ({**GOOD, "C": math.nan}, ValueError, "C: got nan, accepted"),
    "NaN integer": ({**GOOD, "layers": math.nan}, ValueError, "layers: got nan"),
    "NaN choice": ({**GOOD, "kernel": math.nan}, ValueError, "kernel: got nan"),
    "infinite": ({**GOOD, "C": math.inf}, ValueError, "C: got inf"),
    "fraction": ({**GOOD, "layers": 1.5}, ValueError, "layers: got 1.5, accepted is a whole"),
    "bool": ({**GOOD, "layers": True}, ValueError, "layers: got True"),
    "text": ({**GOOD, "C": "1"}, ValueError, "C: got '1'"),
    "choice": ({**GOOD, "kernel": "poly"}, ValueError, r"accepted is one of \['linear', 'rbf'\]"),
    "list": ({**GOOD, "kernel": ["rbf"]}, ValueError, r"kernel: got \['rbf'\]"),
    "inactive": ({**GOOD, "kernel": "linear"}, ValueError, "gamma: got 0.1, accepted is nothing"),
    "no dict": ([1, 2], ValueError, "config: got"),
}


@pytest.mark.parametrize(("config", "error", "message"), BAD_CONFIGS.values(), ids=BAD_CONFIGS)
def test_bad_configurations(config, error, message):
    for use in (example().check, example().encode):
        with pytest.raises(error, match=message):
            use(config)


@pytest.mark.parametrize(
    "points",
    [[0.5], [0.5] * 5, 0.5, [[0.5]], [math.nan] * 4, [1.1, 0, 0, 0], [-0.1, 0, 0, 0]],
)
def test_bad_points(points):
    with pytest.raises(ValueError, match=r"^points: .*accepted"):
        example().decode(points)


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "3"])
def test_bad_counts(n):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"^n: got"):
        example().sample(rng, n)
    with pytest.raises(ValueError, match=r"^n: got"):
        example().sobol(n, rng)
    with pytest.raises(ValueError, match=r"^budget: got"):
        example().grid(n)
