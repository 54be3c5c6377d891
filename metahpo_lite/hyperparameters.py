"""Hyperparameters: a name, the values that it may take, and its place on the unit interval.

Each maps its values to [0, 1] and back. On a log scale every factor of ten gets the same room;
whole numbers and choices own an interval each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

_LARGEST_FLOAT = 1e300  # above it, a difference or a power may overflow
_LARGEST_INT = 2**40  # above it, logarithms in double precision no longer tell neighbours apart


@dataclass(frozen=True)
class Float:
    """A real number between ``low`` and ``high``, both included.

    Parameters
    ----------
    name : str
        Its name, the key in a configuration.
    low, high : float
        The range, in the hyperparameter's own unit; ``low < high``, and ``low > 0`` if `log`.
    log : bool
        Whether the unit interval is spread over orders of magnitude: half of all samples then lie
        below ``sqrt(low * high)``.
    when : mapping of str to sequence, optional
        The condition: active only when each parent (a `Categorical` or `Int` before it in the
        space) has one of the listed values, as in ``when={"kernel": ["rbf", "poly"]}``.

    Raises
    ------
    ValueError
        If the range is empty, reversed or not finite, or a log scale starts at or below zero.
    """

    name: str
    low: float
    high: float
    log: bool = False
    when: Mapping[str, Sequence] = field(default_factory=dict)

    def __post_init__(self):
        _check_name_and_when(self)
        _check_range(self, float(_number(self, "low")), float(_number(self, "high")))

    @property
    def n_values(self) -> float:
        """How many different values there are: infinitely many."""
        return math.inf

    def check(self, value: Any) -> float:
        """Return `value` as a float, or raise a ValueError that says what is accepted."""
        value = plain(value)
        if is_number(value) and self.low <= value <= self.high:  # False for NaN
            return float(value)
        raise ValueError(f"{self.name}: got {value!r}, accepted is a number in {accepted(self)}")

    def encode(self, value: float) -> float:
        """Map a value to [0, 1]."""
        low, high, value = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return (value - low) / (high - low)

    def decode(self, u: float) -> float:
        """Map a number of [0, 1] to a value."""
        if self.log:
            low, high = math.log10(self.low), math.log10(self.high)
            value = 10 ** (low + u * (high - low))  # base 10 keeps decades free of rounding
        else:
            value = self.low + u * (self.high - self.low)
        return min(max(value, self.low), self.high)  # rounding may step over the border


@dataclass(frozen=True)
class Int:
    """A whole number between ``low`` and ``high``, both included.

    Parameters
    ----------
    name, low, high, log, when
        As for `Float`, with whole numbers for the range. Each value owns an interval of the unit
        interval: all of one length, or with `log` as long as it is on a log scale.

    Raises
    ------
    ValueError
        If the range is empty, reversed or not whole, or a log scale starts at or below zero.
    """

    name: str
    low: int
    high: int
    log: bool = False
    when: Mapping[str, Sequence] = field(default_factory=dict)

    def __post_init__(self):
        _check_name_and_when(self)
        low, high = _number(self, "low"), _number(self, "high")
        for end, value in (("low", low), ("high", high)):
            if value != int(value) or abs(value) > _LARGEST_INT:
                raise ValueError(
                    f"{self.name}: {end}={value!r}, accepted is a whole number within ±2**40"
                )
        _check_range(self, int(low), int(high))

    @property
    def n_values(self) -> int:
        """How many different values there are."""
        return self.high - self.low + 1

    def check(self, value: Any) -> int:
        """Return `value` as an int (3.0 counts as 3), or raise a ValueError."""
        value = plain(value)
        if is_number(value) and self.low <= value <= self.high and value == int(value):
            return int(value)
        raise ValueError(
            f"{self.name}: got {value!r}, accepted is a whole number in {accepted(self)}"
        )

    def _ends(self) -> tuple[float, float]:
        low, high = self.low - 0.5, self.high + 0.5
        return (math.log(low), math.log(high)) if self.log else (low, high)

    def encode(self, value: int) -> float:
        """Map a value into the interval of [0, 1] that it owns."""
        low, high = self._ends()
        return ((math.log(value) if self.log else value) - low) / (high - low)

    def decode(self, u: float) -> int:
        """Map a number of [0, 1] to the value that owns it."""
        low, high = self._ends()
        value = low + u * (high - low)
        # floor(x + 1/2): Python's round() would give the even neighbour at every border
        value = math.floor((math.exp(value) if self.log else value) + 0.5)
        return min(max(value, self.low), self.high)


@dataclass(frozen=True)
class Categorical:
    """One of a few choices, without an order.

    Parameters
    ----------
    name : str
        Its name, the key in a configuration.
    choices : sequence of str, bool, int, float or None
        The choices, all different; choice number i owns the interval [i/k, (i+1)/k].
    when : mapping of str to sequence, optional
        The condition, as for `Float`.

    Raises
    ------
    ValueError
        If there is no choice, a choice twice, or one of another type.
    """

    name: str
    choices: Sequence
    when: Mapping[str, Sequence] = field(default_factory=dict)
    if TYPE_CHECKING:  # no field: it follows from the choices
        _index: dict[Any, int] = field(init=False)

    def __post_init__(self):
        _check_name_and_when(self)
        # no set: its order is another one each time
        listed = isinstance(self.choices, Sequence) or getattr(self.choices, "ndim", 0) == 1
        if isinstance(self.choices, (str, bytes)) or not listed or not len(self.choices):
            raise ValueError(
                f"{self.name}: choices={self.choices!r}, accepted is a list of one or more choices"
            )
        choices = tuple(plain(choice) for choice in self.choices)
        for choice in choices:
            if not isinstance(choice, (str, int, float, type(None))) or choice != choice:
                raise ValueError(
                    f"{self.name}: choices has {choice!r}, accepted are str, bool, int, float, None"
                )
        object.__setattr__(self, "choices", choices)
        object.__setattr__(self, "_index", {key_of(c): i for i, c in enumerate(choices)})
        if len(self._index) < len(choices):
            raise ValueError(
                f"{self.name}: choices={list(choices)!r} has a choice twice, "
                "accepted are different ones"
            )

    @property
    def n_values(self) -> int:
        """How many choices there are."""
        return len(self.choices)

    def check(self, value: Any) -> Any:
        """Return the choice that equals `value`, or raise a ValueError."""
        try:
            return self.choices[self._index[key_of(plain(value))]]
        except (KeyError, TypeError):
            raise ValueError(
                f"{self.name}: got {value!r}, accepted is one of {list(self.choices)!r}"
            ) from None

    def encode(self, value: Any) -> float:
        """Map a choice to the middle of its interval."""
        return (self._index[key_of(plain(value))] + 0.5) / len(self.choices)

    def decode(self, u: float) -> Any:
        """Map a number of [0, 1] to the choice that owns it."""
        return self.choices[min(int(u * len(self.choices)), len(self.choices) - 1)]


Hyperparameter = Float | Int | Categorical
KINDS = {"float": Float, "int": Int, "categorical": Categorical}


# ---------------------------------------------------------------------- shared by all kinds


def is_active(h: Hyperparameter, config: Mapping[str, Any]) -> bool:
    """Tell whether all parents of `h` are in the configuration, with one of the values listed."""
    return not h.when or all(
        parent in config and any(key_of(config[parent]) == key_of(v) for v in values)
        for parent, values in h.when.items()
    )


def levels_of(h: Hyperparameter, n: int) -> list:
    """Return `n` grid levels, each in the middle of its share of the unit interval."""
    if isinstance(h, Categorical):
        return list(h.choices[:n])
    shares = n
    while True:  # on a log scale, neighbouring levels may be one integer
        values = [h.decode((i + 0.5) / shares) for i in range(shares)]
        values = list(dict.fromkeys(values))
        if isinstance(h, Float) or len(values) >= n:
            return values
        shares += max(1, (n - len(values)) // 2)


def plain(value: Any) -> Any:
    """Return a numpy scalar as the Python value that it holds: short floats overflow sooner."""
    return value.item() if isinstance(value, np.generic) else value


def is_number(value: Any) -> bool:
    """Tell numbers from booleans, which Python holds for numbers."""
    return isinstance(value, Real) and not isinstance(value, (bool, np.bool_))


def key_of(value: Any) -> tuple:
    """Tell True from 1, which Python holds equal."""
    return isinstance(value, (bool, np.bool_)), value


def accepted(h: Hyperparameter) -> str:
    """Say which values `h` accepts, for errors and for print."""
    if isinstance(h, Categorical):
        return f"one of {list(h.choices)!r}"
    return f"[{h.low:g}, {h.high:g}]{' log' if h.log else ''}"


def _number(h: Float | Int, end: str) -> float:
    value = plain(getattr(h, end))
    if not is_number(value) or not abs(value) <= 1.7e308:  # infinite, NaN, or an endless integer
        raise ValueError(f"{h.name}: {end}={value!r}, accepted is a finite number")
    return value


def _check_range(h: Float | Int, low: float, high: float) -> None:
    if not low < high or max(abs(low), abs(high)) > _LARGEST_FLOAT:
        raise ValueError(
            f"{h.name}: low={low!r} and high={high!r}, accepted is low below high, "
            f"both within ±{_LARGEST_FLOAT:g}"
        )
    if not isinstance(h.log, (bool, np.bool_)):
        raise ValueError(f"{h.name}: log={h.log!r}, accepted is True or False")
    if h.log and low <= 0:
        raise ValueError(f"{h.name}: low={low!r} on a log scale, accepted is low above 0")
    object.__setattr__(h, "low", low)
    object.__setattr__(h, "high", high)


def _check_name_and_when(h: Hyperparameter) -> None:
    if not isinstance(h.name, str) or not h.name:
        raise ValueError(f"name: got {h.name!r}, accepted is a text that is not empty")
    if not isinstance(h.when, Mapping):
        raise ValueError(f"{h.name}: when={h.when!r}, accepted is a dict of parent and values")
    when = {}
    for parent, values in h.when.items():
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise ValueError(
                f"{h.name}: when[{parent!r}]={values!r}, accepted is a list of one or more values"
            )
        when[parent] = tuple(plain(value) for value in values)
    object.__setattr__(h, "when", when)


def printed(hyperparameters: Sequence[Hyperparameter]) -> str:
    """Return one line a hyperparameter: its name, kind, values and condition."""
    rows = []
    for h in hyperparameters:
        values = ", ".join(map(str, h.choices)) if isinstance(h, Categorical) else accepted(h)
        when = " and ".join(f"{p} in {', '.join(map(str, v))}" for p, v in h.when.items())
        rows.append((h.name, type(h).__name__.lower(), values, when and f"when {when}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
