"""Hyperparameters and configurations of anything, and what must hold of a space."""

import math

from hypothesis import strategies as st
from values import anything, mostly, numbers, scalars, texts

from metahpo_lite import Categorical, Float, Int, SearchSpace

# ---- strategies

names = mostly(st.sampled_from(["a", "b", "learning rate", "é", "名"]), st.one_of(texts, anything))
logs = mostly(st.booleans())
whens = st.one_of(
    *[st.just({})] * 6,
    st.dictionaries(
        mostly(st.sampled_from("abc"), scalars), st.one_of(anything, st.lists(scalars))
    ),
    anything,
)
choice_lists = st.one_of(
    st.lists(st.sampled_from(["a", "b", 1, True, "1", 0, None, 0.5]), min_size=1, unique_by=repr),
    st.lists(st.sampled_from(["a", "b", 1, 1.0, True, 0, None, 0.5, -0.0, 2**70]), max_size=5),
    st.lists(scalars, max_size=5),
    st.lists(anything, max_size=3),
    anything,
)
SPACE = SearchSpace(
    [
        Float("C", 0.01, 100, log=True),
        Categorical("kernel", ["linear", "rbf", None, True, 1.5]),
        Float("gamma", -1, 10, when={"kernel": ["rbf", True]}),
        Int("layers", 1, 3),
        Int("units", 1, 2**40, log=True, when={"layers": [2, 3], "kernel": ["rbf", True]}),
        Categorical("é", ["\ud800", ""], when={"layers": [3]}),
    ]
)
D = len(SPACE)
configs = st.lists(st.floats(0, 1), min_size=D, max_size=D).map(SPACE.decode)


@st.composite
def odd_configs(draw):
    """A configuration with one or two changes."""
    config = draw(configs)
    for _ in range(draw(st.integers(0, 2))):
        name = draw(mostly(st.sampled_from(SPACE.names), scalars))
        if draw(st.booleans()):
            config.pop(name, None)
        else:
            config[name] = draw(anything)
    return config


@st.composite
def hyperparameters(draw):
    """A hyperparameter that can be made, with odd bounds."""
    ends = sorted(draw(st.lists(st.one_of(numbers.filter(_is_real), st.integers()), min_size=2)))
    kinds = [
        lambda: Float("x", ends[0], ends[-1], log=draw(st.booleans())),
        lambda: Int("x", ends[0], ends[-1], log=draw(st.booleans())),
        lambda: Categorical("x", draw(choice_lists)),
    ]
    return draw(st.sampled_from(kinds))


def _is_real(x) -> bool:
    return isinstance(x, (int, float)) and abs(x) < 1e301


def consistent(h) -> None:
    """What any hyperparameter promises: its values go to the unit interval and back."""
    assert h.n_values >= 1
    for u in (0.0, 1e-9, 0.25, 0.5, 0.9, 1.0):
        value = h.decode(u)
        assert type(h.check(value)) is type(value)
        assert h.check(value) == value
        v = h.encode(value)
        assert 0 <= v <= 1
        again = h.decode(v)
        if isinstance(h, Float):
            assert math.isclose(again, value, rel_tol=1e-9, abs_tol=1e-9 * (h.high - h.low))
        else:
            assert again == value
            assert type(again) is type(value)
    if not isinstance(h, Categorical):
        assert math.isclose(h.decode(0.0), h.low, rel_tol=1e-9, abs_tol=1e-9 * (h.high - h.low))
        assert math.isclose(h.decode(1.0), h.high, rel_tol=1e-9, abs_tol=1e-9 * (h.high - h.low))


def valid(found, space=SPACE) -> None:
    """All configurations are of the space."""
    for config in [found] if isinstance(found, dict) else found:
        assert space.check(config) == config


def same(a, b) -> bool:
    """Equal configurations, but for rounding and with equal types."""
    return a.keys() == b.keys() and all(
        type(a[n]) is type(b[n])
        and (math.isclose(a[n], b[n], rel_tol=1e-9) if isinstance(a[n], float) else a[n] == b[n])
        for n in a
    )


# ---- hyperparameters


ranges = st.one_of(
    st.tuples(numbers, numbers),
    st.lists(numbers.filter(_is_real), min_size=2, max_size=2).map(sorted),
    st.tuples(st.sampled_from([1e-308, 1e-9, 1]), st.sampled_from([2, 1e6, 2**40, 1e300])),
    st.lists(st.integers(-(2**41), 2**41), min_size=2, max_size=2).map(sorted),
)
