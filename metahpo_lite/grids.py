"""Grids: all combinations of a few levels of each hyperparameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from metahpo_lite.hyperparameters import Categorical, Hyperparameter, is_active, levels_of


def finest_grid(space: Sequence[Hyperparameter], budget: int) -> list[dict[str, Any]]:
    """Return the configurations of the finest grid within the budget; see `SearchSpace.grid`."""
    levels = {h.name: levels_of(h, 1) for h in space}
    size, growing = 1, [h for h in space if h.n_values > 1]
    while growing:

        def coarsest_first(h, levels=levels):
            return not isinstance(h, Categorical), len(levels[h.name])

        for h in sorted(growing, key=coarsest_first):  # of equals, the first in the space
            finer = {**levels, h.name: levels_of(h, len(levels[h.name]) + 1)}
            finer_size = _size(space, finer, {})
            if finer_size > budget:
                growing.remove(h)
            elif finer_size > size:  # equal: inactive, as its parents now stand
                levels, size = finer, finer_size
                if len(levels[h.name]) == h.n_values:
                    growing.remove(h)
                break
        else:
            break
    configs: list[dict[str, Any]] = [{}]
    for h in space:
        configs = [
            {**c, h.name: value} if active else c
            for c in configs
            for active in [is_active(h, c)]
            for value in (levels[h.name] if active else [None])
        ]
    return configs


def _size(space: Sequence[Hyperparameter], levels: dict[str, list], config: dict[str, Any]) -> int:
    """Count the grid's configurations without building it; only parents need a branch."""
    size = 1
    for i, h in enumerate(space):
        if not is_active(h, config):
            continue
        if any(h.name in other.when for other in space[i:]):
            return size * sum(
                _size(space[i + 1 :], levels, {**config, h.name: value}) for value in levels[h.name]
            )
        size *= len(levels[h.name])
    return size
