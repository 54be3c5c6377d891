"""Search spaces: which configurations are valid, and how one becomes a point of the unit cube.

A configuration is a plain dict, ``{"C": 10.0, "kernel": "rbf", "gamma": 0.1}``. A space maps it to
a point of the unit cube [0, 1]^d and back, so that all searchers can work with numbers and none
needs to know what ``gamma`` means.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from scipy.stats import qmc

from metahpo_lite.arguments import as_floats, as_list, check_rng, whole_number
from metahpo_lite.formats import from_optuna, from_row, from_scipy, suggested, to_optuna, to_row
from metahpo_lite.grids import finest_grid
from metahpo_lite.hyperparameters import (
    Categorical,
    Float,
    Hyperparameter,
    Int,
    accepted,
    is_active,
    printed,
)

Config = dict[str, Any]
MOST = 10**6  # configurations at once: more than memory and patience hold
_INACTIVE = 0.5  # where inactive hyperparameters sit: equal for all, so they add no distance


def check_same_space(space: SearchSpace, trained: SearchSpace) -> None:
    """Raise a ValueError if a searcher's space is not the one that its experience is of."""
    if space != trained:
        raise ValueError(
            f"space: got {space.names}, accepted is the space of the experience: "
            f"{trained.names}, with the same bounds and choices"
        )


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

    hyperparameters: Sequence[Hyperparameter]
    if TYPE_CHECKING:  # no field: it follows from the others
        _by_name: dict[str, Hyperparameter] = field(init=False)

    def __post_init__(self):
        given = as_list("hyperparameters", self.hyperparameters, "a list of them")
        object.__setattr__(self, "hyperparameters", tuple(given))
        if not self.hyperparameters:
            raise ValueError("hyperparameters: got none, accepted are one or more")
        earlier: dict[str, Hyperparameter] = {}
        for h in self.hyperparameters:
            if not isinstance(h, (Float, Int, Categorical)):
                raise ValueError(
                    f"hyperparameters: got {h!r}, accepted are Float, Int and Categorical"
                )
            if h.name in earlier:
                raise ValueError(
                    f"hyperparameters: the name {h.name!r} occurs twice; accepted "
                    "are different names"
                )
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

    @property
    def categorical(self) -> np.ndarray:
        """Which dimensions of the unit cube have no order: a bool array of shape (d,)."""
        return np.array([isinstance(h, Categorical) for h in self])

    def __len__(self) -> int:
        return len(self.hyperparameters)

    def __iter__(self) -> Iterator[Hyperparameter]:
        return iter(self.hyperparameters)

    def __getitem__(self, name: str) -> Hyperparameter:
        if not isinstance(name, Hashable) or name not in self._by_name:
            raise KeyError(f"name: got {name!r}, accepted is one of {self.names}")
        return self._by_name[name]

    def __str__(self) -> str:
        return printed(self.hyperparameters)

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
            if is_active(h, checked):
                if h.name not in config:
                    raise KeyError(f"config: {h.name!r} is missing, {accepted(h)} is accepted")
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
        if not isinstance(config, Mapping):
            return self.check(config)  # which says what is accepted
        kept = dict(config)
        for h in self.hyperparameters:
            if h.when and not is_active(h, kept):
                kept.pop(h.name, None)
        return self.check(kept)

    @overload
    def sample(self, rng: np.random.Generator) -> Config: ...
    @overload
    def sample(self, rng: np.random.Generator, n: int) -> list[Config]: ...
    def sample(self, rng: np.random.Generator, n: int | None = None) -> Config | list[Config]:
        """Draw a configuration uniformly from the unit cube, or a list of `n` of them.

        Parameters
        ----------
        rng : numpy.random.Generator
            The source of randomness: the same state gives the same configurations.
        n : int, optional
            How many; one (a dict, not a list) if not given.
        """
        check_rng(rng)
        if n is None:
            return self._decode(rng.random(len(self)).tolist())
        n = whole_number("n", n, 1, MOST)
        return [self._decode(u) for u in rng.random((n, len(self))).tolist()]

    def sobol(self, n: int, rng: np.random.Generator) -> list[Config]:
        """Draw `n` configurations that fill the cube more evenly than chance (Sobol, 1967).

        The points are scrambled (Owen, 1998) by `rng`. Conditions and few choices may make two
        configurations equal.
        """
        check_rng(rng)
        n = whole_number("n", n, 1, MOST)
        sampler = qmc.Sobol(len(self), scramble=True, rng=rng)
        points = sampler.random_base2(math.ceil(math.log2(n)))[:n]
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
            If the budget is below one, or above 10,000.
        """
        return finest_grid(self.hyperparameters, whole_number("budget", budget, 1, MOST // 100))

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
        if isinstance(configs, Mapping):
            return self._encode([self.check(configs)])[0]
        given = as_list("configs", configs, "a dict, or a list of them")
        return self._encode([self.check(config) for config in given])

    def _encode(self, checked: Sequence[Config]) -> np.ndarray:
        rows = [[h.encode(c[h.name]) if h.name in c else _INACTIVE for h in self] for c in checked]
        return np.array(rows, dtype=float).reshape(len(checked), len(self))

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
        points = self._checked_points(points)
        if points.ndim == 1:
            return self._decode(points.tolist())
        return [self._decode(u) for u in points.tolist()]

    def _checked_points(self, points: np.ndarray) -> np.ndarray:
        points = as_floats("points", points)
        if points.ndim not in (1, 2) or points.shape[-1] != len(self):
            raise ValueError(
                f"points: got shape {points.shape}, accepted is ({len(self)},) or (n, {len(self)})"
            )
        if not ((points >= 0) & (points <= 1)).all():  # False for NaN too
            raise ValueError("points: a coordinate is NaN or outside [0, 1], the accepted range")
        return points

    def snap(self, points: np.ndarray) -> tuple[list[Config], np.ndarray]:
        """Move points to where the configurations that they stand for are encoded.

        Whole numbers and choices own an interval each, and inactive hyperparameters sit at 0.5:
        many points stand for one configuration, and a model of the scores is to see one of them.

        Parameters
        ----------
        points : array of shape (n, d), in [0, 1]

        Returns
        -------
        configs : list of n dicts
            As from `decode`.
        points : numpy.ndarray of shape (n, d)
            As from `encode`.

        Raises
        ------
        ValueError
            As `decode`.
        """
        points = self._checked_points(np.atleast_2d(as_floats("points", points)))
        configs = [self._decode(u) for u in points.tolist()]
        return configs, self._encode(configs)

    def _decode(self, point: list[float]) -> Config:
        config: Config = {}
        for h, u in zip(self.hyperparameters, point, strict=True):
            if not h.when or is_active(h, config):
                config[h.name] = h.decode(u)
        return config

    # ------------------------------------------------------------------ other formats

    def to_json(self) -> str:
        """Write the space as JSON text, one object a hyperparameter; `from_json` reads it."""
        rows = [to_row(h) for h in self]
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
        return cls([from_row(row) for row in rows])

    def to_optuna(self) -> dict:
        """Return ``{name: Optuna distribution}``, for ``study.ask(space.to_optuna())``.

        Optuna's distributions know no conditions, so a trial has every hyperparameter;
        `drop_inactive` then removes what its conditions switch off.
        """
        return {h.name: to_optuna(h) for h in self}

    def suggest(self, trial: Any) -> Config:
        """Let an Optuna trial suggest a configuration: what is active, and nothing else.

        Parameters
        ----------
        trial : optuna.Trial

        Returns
        -------
        dict
        """
        if not hasattr(trial, "suggest_float"):
            raise TypeError(f"trial: got {trial!r}, accepted is a trial of Optuna")
        config: Config = {}
        for h in self:
            if is_active(h, config):
                config[h.name] = suggested(h, trial)
        return config

    @classmethod
    def from_optuna(cls, distributions: Mapping[str, Any]) -> SearchSpace:
        """Build a space without conditions from ``{name: Optuna distribution}``.

        A distribution with a single value becomes a `Categorical` with one choice.

        Raises
        ------
        ValueError
            If a distribution has a step, which a space does not know.
        """
        if not isinstance(distributions, Mapping):
            raise ValueError(f"distributions: got {distributions!r}, accepted is a dict of Optuna "
                             "distributions")  # fmt: skip
        return cls([from_optuna(name, given) for name, given in distributions.items()])

    @classmethod
    def from_scipy(cls, distributions: Mapping[str, Any]) -> SearchSpace:
        """Build a space without conditions from what `RandomizedSearchCV` takes.

        Parameters
        ----------
        distributions : dict
            A list of choices, or one of scipy's frozen distributions: ``uniform``, ``loguniform``
            and ``randint``.

        Raises
        ------
        ValueError
            If there is another one; the message says how to write it.
        """
        if not isinstance(distributions, Mapping):
            raise ValueError(f"space: got {distributions!r}, accepted is a SearchSpace, or a dict "
                             "of lists and scipy distributions")  # fmt: skip
        return cls([from_scipy(name, given) for name, given in distributions.items()])
