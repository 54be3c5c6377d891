"""Search spaces: what may be tuned, and how a configuration becomes a point of the unit cube.

A configuration is a plain dict, ``{"C": 10.0, "kernel": "rbf", "gamma": 0.1}``. A space knows which
configurations are valid, and maps them to points of the unit cube [0, 1]^d and back, so that all
searchers can work with numbers and none needs to know what ``gamma`` means.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy.stats import qmc

Config = dict[str, Any]
_INACTIVE = 0.5  # where inactive hyperparameters sit: equal for all, so they add no distance
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
        if _is_number(value) and self.low <= value <= self.high:  # False for NaN
            return float(value)
        raise ValueError(f"{self.name}: got {value!r}, accepted is a number in {_range(self)}")

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
        if _is_number(value) and self.low <= value <= self.high and value == int(value):
            return int(value)
        raise ValueError(
            f"{self.name}: got {value!r}, accepted is a whole number in {_range(self)}"
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

    def __post_init__(self):
        _check_name_and_when(self)
        if isinstance(self.choices, str) or not len(self.choices):
            raise ValueError(
                f"{self.name}: choices={self.choices!r}, accepted is a list of one or more choices"
            )
        choices = tuple(_plain(choice) for choice in self.choices)
        for choice in choices:
            if (choice is not None and not isinstance(choice, (str, Real))) or choice != choice:
                raise ValueError(
                    f"{self.name}: choices has {choice!r}, accepted are str, bool, int, float, None"
                )
        if len({_key(choice) for choice in choices}) < len(choices):
            raise ValueError(f"{self.name}: choices={list(choices)!r} has a choice twice")
        object.__setattr__(self, "choices", choices)
        object.__setattr__(self, "_index", {_key(c): i for i, c in enumerate(choices)})

    @property
    def n_values(self) -> int:
        """How many choices there are."""
        return len(self.choices)

    def check(self, value: Any) -> Any:
        """Return the choice that equals `value`, or raise a ValueError."""
        try:
            return self.choices[self._index[_key(_plain(value))]]
        except (KeyError, TypeError):
            raise ValueError(
                f"{self.name}: got {value!r}, accepted is one of {list(self.choices)!r}"
            ) from None

    def encode(self, value: Any) -> float:
        """Map a choice to the middle of its interval."""
        return (self._index[_key(_plain(value))] + 0.5) / len(self.choices)

    def decode(self, u: float) -> Any:
        """Map a number of [0, 1] to the choice that owns it."""
        return self.choices[min(int(u * len(self.choices)), len(self.choices) - 1)]


Hyperparameter = Float | Int | Categorical
_KINDS = {"float": Float, "int": Int, "categorical": Categorical}


@dataclass(frozen=True)
class SearchSpace:
    """An ordered set of hyperparameters; everything that turns configurations into numbers.

    Parameters
    ----------
    hyperparameters : sequence of Float, Int and Categorical
        Parents stand before the hyperparameters whose conditions name them.

    Raises
    ------
    ValueError
        If the sequence is empty, a name occurs twice, or a condition names something that is not
        a `Categorical` or `Int` before it, or a value that this cannot take.

    Examples
    --------
    >>> space = SearchSpace([
    ...     Float("C", 0.01, 100, log=True),
    ...     Categorical("kernel", ["linear", "rbf"]),
    ...     Float("gamma", 0.001, 10, log=True, when={"kernel": ["rbf"]}),
    ... ])
    >>> space.decode([0.5, 0.0, 0.9])
    {'C': 1.0, 'kernel': 'linear'}
    """

    hyperparameters: tuple[Hyperparameter, ...]

    def __post_init__(self):
        object.__setattr__(self, "hyperparameters", tuple(self.hyperparameters))
        if not self.hyperparameters:
            raise ValueError("hyperparameters: got none, accepted are one or more")
        earlier: dict[str, Hyperparameter] = {}
        for h in self.hyperparameters:
            if not isinstance(h, (Float, Int, Categorical)):
                raise ValueError(
                    f"hyperparameters: got {h!r}, accepted are Float, Int and Categorical"
                )
            if h.name in earlier:
                raise ValueError(f"hyperparameters: the name {h.name!r} occurs twice")
            for parent, values in h.when.items():
                if not isinstance(earlier.get(parent), (Int, Categorical)):
                    able = [n for n, p in earlier.items() if not isinstance(p, Float)]
                    raise ValueError(
                        f"{h.name}: when names {parent!r}, accepted is a Categorical or Int that "
                        f"stands before it: {able}"
                    )
                for value in values:
                    earlier[parent].check(value)
            earlier[h.name] = h
        object.__setattr__(self, "_by_name", earlier)

    @property
    def names(self) -> list[str]:
        """The names of the hyperparameters, in order."""
        return list(self._by_name)

    def __len__(self) -> int:
        return len(self.hyperparameters)

    def __iter__(self) -> Iterator[Hyperparameter]:
        return iter(self.hyperparameters)

    def __getitem__(self, name: str) -> Hyperparameter:
        if name not in self._by_name:
            raise KeyError(f"name: got {name!r}, accepted is one of {self.names}")
        return self._by_name[name]

    def __str__(self) -> str:
        rows = []
        for h in self:
            values = ", ".join(map(str, h.choices)) if isinstance(h, Categorical) else _range(h)
            when = " and ".join(f"{p} in {', '.join(map(str, v))}" for p, v in h.when.items())
            rows.append((h.name, type(h).__name__.lower(), values, when and f"when {when}"))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(map(str.ljust, row, widths)).rstrip()  # one line a hyperparameter
            for row in rows
        )

    # ------------------------------------------------------------------ configurations

    def check(self, config: Mapping[str, Any]) -> Config:
        """Return the configuration with plain Python values, in the order of the space.

        Raises
        ------
        KeyError
            If a name is unknown, or an active hyperparameter is missing.
        ValueError
            If a value is NaN or outside its range, or an inactive hyperparameter is given.
        """
        if not isinstance(config, Mapping):
            raise ValueError(f"config: got {config!r}, accepted is a dict of {self.names}")
        if unknown := [name for name in config if name not in self._by_name]:
            raise KeyError(f"config: unknown name {unknown[0]!r}, accepted are {self.names}")
        checked: Config = {}
        for h in self.hyperparameters:
            if _is_active(h, checked):
                if h.name not in config:
                    raise KeyError(f"config: {h.name!r} is missing, {_range(h)}")
                checked[h.name] = h.check(config[h.name])
            elif h.name in config:
                raise ValueError(
                    f"{h.name}: got {config[h.name]!r}, accepted is nothing: it is active only "
                    f"when {dict(h.when)}"
                )
        return checked

    def drop_inactive(self, config: Mapping[str, Any]) -> Config:
        """Return the configuration without what its conditions switch off, and check the rest.

        For configurations from tools that know no conditions and give every hyperparameter.
        """
        kept = dict(config)
        for h in self.hyperparameters:
            if h.when and not _is_active(h, kept):
                kept.pop(h.name, None)
        return self.check(kept)

    def sample(self, rng: np.random.Generator, n: int | None = None) -> Config | list[Config]:
        """Draw a configuration uniformly from the unit cube, or a list of `n` of them.

        Parameters
        ----------
        rng : numpy.random.Generator
            The source of randomness: the same state gives the same configurations.
        n : int, optional
            How many; one (a dict, not a list) if not given.
        """
        if n is None:
            return self._decode(rng.random(len(self)).tolist())
        return [self._decode(u) for u in rng.random((at_least_one("n", n), len(self))).tolist()]

    def sobol(self, n: int, rng: np.random.Generator) -> list[Config]:
        """Draw `n` configurations that fill the cube more evenly than chance (Sobol, 1967).

        The points are scrambled (Owen, 1998) by `rng`. Conditions and few choices may make two
        configurations equal.
        """
        sampler = qmc.Sobol(len(self), scramble=True, rng=rng)
        points = sampler.random_base2(math.ceil(math.log2(at_least_one("n", n))))[:n]
        return [self._decode(u) for u in points.tolist()]

    def grid(self, budget: int) -> list[Config]:
        """Build the finest full grid with at most `budget` configurations.

        Every hyperparameter starts with one level (the middle, or the first choice). Levels are
        added as long as the grid fits: first all choices, then to the number with the fewest. A
        level sits in the middle of its share of the unit interval: three levels at 1/6, 1/2 and
        5/6. Inactive hyperparameters take no levels.

        Raises
        ------
        ValueError
            If the budget is below one.
        """
        at_least_one("budget", budget)
        levels = {h.name: _levels(h, 1) for h in self}
        size, growing = 1, [h for h in self if h.n_values > 1]
        while growing:
            growing.sort(key=lambda h: (not isinstance(h, Categorical), len(levels[h.name])))
            for h in list(growing):
                finer = {**levels, h.name: _levels(h, len(levels[h.name]) + 1)}
                finer_size = self._grid_size(finer)
                if finer_size > budget:
                    growing.remove(h)
                elif finer_size > size:  # equal: inactive, as its parents now stand
                    levels, size = finer, finer_size
                    if len(levels[h.name]) == h.n_values:
                        growing.remove(h)
                    break
            else:
                break
        configs: list[Config] = [{}]
        for h in self:
            configs = [
                {**c, h.name: value} if active else c
                for c in configs
                for active in [_is_active(h, c)]
                for value in (levels[h.name] if active else [None])
            ]
        return configs

    def _grid_size(self, levels: dict[str, list], start: int = 0, config: Config | None = None):
        """Count the grid's configurations without building it; only parents need a branch."""
        config, size = config or {}, 1
        for i in range(start, len(self)):
            h = self.hyperparameters[i]
            if not _is_active(h, config):
                continue
            if any(h.name in other.when for other in self):
                return size * sum(
                    self._grid_size(levels, i + 1, {**config, h.name: value})
                    for value in levels[h.name]
                )
            size *= len(levels[h.name])
        return size

    # ------------------------------------------------------------------ the unit cube

    def encode(self, configs: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Map configurations to points of the unit cube, with 0.5 where inactive.

        Parameters
        ----------
        configs : dict, or list of n dicts

        Returns
        -------
        numpy.ndarray of shape (d,), or (n, d) for a list

        Raises
        ------
        KeyError, ValueError
            As `check`.
        """
        one = isinstance(configs, Mapping)
        checked = [self.check(config) for config in ([configs] if one else configs)]
        points = np.empty((len(checked), len(self)))
        for point, c in zip(points, checked, strict=True):
            point[:] = [h.encode(c[h.name]) if h.name in c else _INACTIVE for h in self]
        return points[0] if one else points

    def decode(self, points: np.ndarray) -> Config | list[Config]:
        """Map points of the unit cube to configurations: the inverse of `encode`.

        Parameters
        ----------
        points : array of shape (d,) or (n, d), in [0, 1]

        Returns
        -------
        dict, or list of n dicts

        Raises
        ------
        ValueError
            If the shape is another, or a coordinate is NaN or outside [0, 1].
        """
        points = np.asarray(points, dtype=float)
        if points.ndim not in (1, 2) or points.shape[-1] != len(self):
            raise ValueError(
                f"points: got shape {points.shape}, accepted is ({len(self)},) or (n, {len(self)})"
            )
        if not ((points >= 0) & (points <= 1)).all():  # False for NaN too
            raise ValueError("points: a coordinate is NaN or outside [0, 1], the accepted range")
        if points.ndim == 1:
            return self._decode(points.tolist())
        return [self._decode(u) for u in points.tolist()]

    def _decode(self, point: list[float]) -> Config:
        config: Config = {}
        for h, u in zip(self.hyperparameters, point, strict=True):
            if not h.when or _is_active(h, config):
                config[h.name] = h.decode(u)
        return config

    # ------------------------------------------------------------------ other formats

    def to_json(self) -> str:
        """Write the space as JSON text, one object a hyperparameter; `from_json` reads it."""
        rows = [{"kind": type(h).__name__.lower(), **asdict(h)} for h in self]
        return json.dumps({"hyperparameters": rows}, indent=2, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> SearchSpace:
        """Read a space from the JSON text that `to_json` wrote.

        Raises
        ------
        ValueError
            If the text is not JSON, or not of a space.
        """
        try:
            rows = json.loads(text)["hyperparameters"]
            rows = [dict(row) for row in rows]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(
                f"text: not the JSON of a space ({error}); accepted is what to_json writes"
            ) from None
        hyperparameters = []
        for row in rows:
            kind = row.pop("kind", None)
            if not isinstance(kind, str) or kind not in _KINDS:
                raise ValueError(f"text: kind is {kind!r}, accepted is one of {list(_KINDS)}")
            try:
                hyperparameters.append(_KINDS[kind](**row))
            except (TypeError, AttributeError) as error:
                raise ValueError(f"text: {row!r} is not of kind {kind!r}: {error}") from None
        return cls(hyperparameters)

    def to_optuna(self) -> dict:
        """Return ``{name: Optuna distribution}``, for ``study.ask(space.to_optuna())``.

        Optuna's distributions know no conditions, so a trial has every hyperparameter;
        `drop_inactive` then removes what its conditions switch off.
        """
        from optuna import distributions as od

        def distribution(h: Hyperparameter):
            if isinstance(h, Categorical):
                return od.CategoricalDistribution(h.choices)
            kind = od.IntDistribution if isinstance(h, Int) else od.FloatDistribution
            return kind(h.low, h.high, log=h.log)

        return {h.name: distribution(h) for h in self}

    @classmethod
    def from_optuna(cls, distributions: Mapping[str, Any]) -> SearchSpace:
        """Build a space without conditions from ``{name: Optuna distribution}``.

        A distribution with a single value becomes a `Categorical` with one choice.

        Raises
        ------
        ValueError
            If a distribution has a step, which a space does not know.
        """
        from optuna import distributions as od

        def hyperparameter(name: str, d) -> Hyperparameter:
            if isinstance(d, od.CategoricalDistribution):
                return Categorical(name, d.choices)
            if not isinstance(d, (od.IntDistribution, od.FloatDistribution)):
                raise ValueError(f"{name}: got {d!r}, accepted is an Optuna distribution")
            if d.single():
                return Categorical(name, [d.low])
            if d.step not in (None, 1) or (isinstance(d, od.FloatDistribution) and d.step):
                raise ValueError(
                    f"{name}: step={d.step}, accepted is a distribution without one; list the "
                    f"values in a CategoricalDistribution instead"
                )
            return (Int if isinstance(d, od.IntDistribution) else Float)(
                name, d.low, d.high, log=d.log
            )

        return cls([hyperparameter(name, d) for name, d in distributions.items()])


# ---------------------------------------------------------------------- shared by all kinds


def _is_active(h: Hyperparameter, config: Mapping[str, Any]) -> bool:
    """Whether all parents of `h` are in the configuration, with one of the values listed."""
    return all(
        parent in config and any(_key(config[parent]) == _key(v) for v in values)
        for parent, values in h.when.items()
    )


def _levels(h: Hyperparameter, n: int) -> list:
    """The values of `n` grid levels, each in the middle of its share of the unit interval."""
    if isinstance(h, Categorical):
        return list(h.choices[:n])
    for shares in itertools.count(n):  # on a log scale, neighbouring levels may be one integer
        values = [h.decode((i + 0.5) / shares) for i in range(shares)]
        values = list(dict.fromkeys(values))
        if isinstance(h, Float) or len(values) >= n:
            return values


def _plain(value: Any) -> Any:
    """A numpy scalar as the Python value that it holds."""
    return value.item() if isinstance(value, np.generic) else value


def _is_number(value: Any) -> bool:
    """Tell numbers from booleans, which Python holds for numbers."""
    return isinstance(value, Real) and not isinstance(value, (bool, np.bool_))


def _key(value: Any) -> tuple:
    """Tell True from 1, which Python holds equal."""
    return isinstance(value, (bool, np.bool_)), value


def _range(h: Hyperparameter) -> str:
    if isinstance(h, Categorical):
        return f"one of {list(h.choices)!r}"
    return f"[{h.low:g}, {h.high:g}]{' log' if h.log else ''}"


def at_least_one(argument: str, n: int) -> int:
    """Return `n`, or raise a ValueError that names the argument."""
    if not isinstance(n, Integral) or isinstance(n, bool) or n < 1:
        raise ValueError(f"{argument}: got {n!r}, accepted is a whole number of at least 1")
    return int(n)


def _number(h: Float | Int, end: str) -> float:
    value = _plain(getattr(h, end))
    if not _is_number(value) or not math.isfinite(value):
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
        when[parent] = tuple(_plain(value) for value in values)
    object.__setattr__(h, "when", when)
