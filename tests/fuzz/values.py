"""Values that nobody expects, for the arguments of any function."""

import math

import numpy as np
from hypothesis import strategies as st

ODD = 12  # one in so many values is odd
ODD_TEXTS = ("", " ", "\0", "\ud800", "é\u202e", "../x", "=1+1", "x" * 5000, "nan", "1", "None")
ODD_NUMBERS = (
    0, -1, 1, 2**31, 2**63, 2**64, -(2**70), 10**400, 0.0, -0.0, 5e-324, 1e-308, 1e300, 1.8e308,
    1e16, 0.5, math.nan, math.inf, -math.inf, True, False, 1j,
    np.float64(2.0), np.float32(0.1), np.float16("inf"), np.int8(3), np.bool_(1), np.int64(-5),
    np.longdouble(1) / 3, np.datetime64("NaT"), np.datetime64("2024-01-01"), np.str_("a"),
)  # fmt: skip


def odd_objects() -> list:
    """Return things that are no number and no text; new ones, since some can be changed."""
    return [
        None, [], (), {}, set(), [[]], {"a": {}}, object(), int, print, lambda: 0, range(3),
        np.array(1.0), np.array([]), np.zeros((2, 2)), np.array([None, 1], dtype=object),
        b"", b"\xff", bytearray(b"x"), Ellipsis, NotImplemented, iter([1]), Exception("x"),
    ]  # fmt: skip


texts = st.one_of(st.sampled_from(ODD_TEXTS), st.text(st.characters(), max_size=8))
numbers = st.one_of(
    st.sampled_from(ODD_NUMBERS), st.integers(-9, 9), st.integers(), st.floats(), st.floats(-2, 2)
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
objects = st.integers(0, len(odd_objects()) - 1).map(lambda i: odd_objects()[i])
anything = st.one_of(scalars, objects, st.lists(scalars, max_size=3))


def mostly(usual: st.SearchStrategy, odd: st.SearchStrategy = anything) -> st.SearchStrategy:
    """Draw what is usual, and now and then something else; the usual is the simpler."""
    return st.sampled_from([*range(ODD)]).flatmap(lambda i: odd if i == ODD - 1 else usual)


def arrays(*shapes: tuple[int, ...]) -> st.SearchStrategy:
    """Draw arrays of numbers, mostly of the first shape, with odd numbers in some."""
    usual = st.floats(-2, 2)
    odd = st.one_of(usual, st.floats(), st.sampled_from([1e308, -1e308, 5e-324, 0.0, 1.0]))

    def filled(shape):
        size = math.prod(shape)
        kinds = (st.floats(0, 1), st.integers(0, 3), usual, usual, usual, odd)
        each = st.one_of(*(st.lists(e, min_size=size, max_size=size) for e in kinds))
        return each.map(lambda numbers: np.array(numbers, dtype=float).reshape(shape))

    return mostly(st.just(shapes[0]), st.sampled_from(shapes)).flatmap(filled)
