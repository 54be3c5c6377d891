"""Spaces that are generated, and one by hand, for the tests of spaces and searches."""

import math

from hypothesis import assume, settings
from hypothesis import strategies as st

from metahpo_lite.spaces import Categorical, Float, Int, SearchSpace

MANY = settings(max_examples=1000, deadline=None)  # thousands of generated spaces
SOME = settings(max_examples=300, deadline=None)


# ------------------------------------------------------------------ generated spaces

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)
choices = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.floats(-2, 2).filter(math.isfinite), texts
)


@st.composite
def hyperparameters(draw, name, parents):
    """One hyperparameter of any kind, under a condition on earlier ones or not."""
    when = {}
    if parents:
        for parent in draw(st.lists(st.sampled_from(parents), max_size=2, unique_by=id)):
            values = (
                list(parent.choices)
                if isinstance(parent, Categorical)
                else list(range(parent.low, min(parent.high, parent.low + 4) + 1))
            )
            when[parent.name] = draw(st.lists(st.sampled_from(values), min_size=1, max_size=3))
    kind = draw(st.sampled_from(["float", "int", "categorical"]))
    if kind == "categorical":
        unique = st.lists(choices, min_size=1, max_size=5, unique_by=lambda c: (type(c) is bool, c))
        return Categorical(name, draw(unique), when=when)
    log = draw(st.booleans())
    if kind == "int":
        low = draw(st.integers(1 if log else -(10**6), 10**6))
        return Int(name, low, low + draw(st.integers(1, 10**6)), log=log, when=when)
    low = draw(st.floats(1e-9 if log else -1e9, 1e9))
    high = draw(st.floats(1e-9 if log else -1e9, 1e9))
    assume(low < high and high - low > 1e-9 * max(abs(low), abs(high)))
    return Float(name, low, high, log=log, when=when)


@st.composite
def spaces(draw):
    """A space of one to six hyperparameters."""
    made = []
    for i in range(draw(st.integers(1, 6))):
        parents = [h for h in made if not isinstance(h, Float)]
        made.append(draw(hyperparameters(f"h{i}", parents)))
    return SearchSpace(made)


@st.composite
def spaces_and_points(draw):
    space = draw(spaces())
    unit = st.floats(0, 1)
    return space, draw(st.lists(unit, min_size=len(space), max_size=len(space)))


def same(a: dict, b: dict) -> bool:
    """Equal configurations: floats to rounding, everything else exactly and of one type."""
    return list(a) == list(b) and all(
        math.isclose(a[k], b[k], rel_tol=1e-9, abs_tol=1e-9)
        if isinstance(a[k], float) and isinstance(b[k], float)
        else a[k] == b[k] and type(a[k]) is type(b[k])
        for k in a
    )


# ------------------------------------------------------------------ known answers


def example() -> SearchSpace:
    return SearchSpace(
        [
            Float("C", 0.01, 100, log=True),
            Categorical("kernel", ["linear", "rbf"]),
            Float("gamma", 0.001, 10, log=True, when={"kernel": ["rbf"]}),
            Int("layers", 1, 3),
        ]
    )


MIXED = SearchSpace(
    [
        Float("rate", 1e-4, 1, log=True),
        Int("layers", 1, 3),
        Categorical("kind", ["a", "b", "c"]),
        Float("slope", 0, 1, when={"kind": ["b"]}),
    ]
)
