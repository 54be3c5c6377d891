"""A replayed task: it answers like a live one, by looking the score up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from metahpo_lite.spaces import Config, SearchSpace
from metahpo_lite.storage import config_key


@dataclass(frozen=True, eq=False)
class ReplayTask:
    """A task that looks its scores up: microseconds, and the same at each run.

    It knows only the configurations of its pool; a searcher must choose among them.

    Attributes
    ----------
    name : str
    space : SearchSpace
    pool : sequence of dict
    scores : array of shape (n_configs,)
        NaN where the evaluation failed.
    failures : sequence of (status, reason)
        One for each configuration, empty where it did not fail.
    """

    name: str
    space: SearchSpace = field(repr=False)
    pool: Sequence[Config] = field(repr=False)
    scores: np.ndarray = field(repr=False)
    failures: Sequence[tuple[str, str]] = field(repr=False)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {config_key(config): i for i, config in enumerate(self.pool)}

    @property
    def best(self) -> float:
        """The best score of the pool: for who measures a search, not for the searcher."""
        return float(np.nanmax(self.scores))

    @property
    def worst(self) -> float:
        """The worst score of the pool."""
        return float(np.nanmin(self.scores))

    def evaluate(self, config: Mapping[str, Any]) -> float:
        """Return the score of a configuration of the pool.

        Raises
        ------
        KeyError, ValueError
            If the configuration is not valid, or not in the pool.
        TimeoutError, RuntimeError
            If the evaluation had failed, with the reason of then.
        """
        number = self._numbers.get(config_key(self.space.check(config)))
        if number is None:
            raise ValueError(f"config: {dict(config)} was never evaluated on {self.name!r}; "
                             "accepted is one of the pool")  # fmt: skip
        status, reason = self.failures[number]
        if status:
            raise (TimeoutError if status == "timeout" else RuntimeError)(reason or status)
        return float(self.scores[number])
