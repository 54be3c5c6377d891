"""Grids: all combinations of a few levels of each hyperparameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from metahpo_lite.hyperparameters import Categorical, Hyperparameter, is_active, key_of, levels_of


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
                if growing == [h]:  # no other will take a turn: as many as fit, at once
                    finer, finer_size = _finest(space, levels, h, budget)
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


def _finest(
    space: Sequence[Hyperparameter], levels: dict[str, list], h: Hyperparameter, budget: int
) -> tuple[dict[str, list], int]:
    """Give one hyperparameter as many levels as fit the budget; return them with the size."""
    fits, above = len(levels[h.name]) + 1, int(min(h.n_values, budget)) + 1
    while above - fits > 1:
        middle = (fits + above) // 2
        if _size(space, {**levels, h.name: levels_of(h, middle)}, {}) <= budget:
            fits = middle
        else:
            above = middle
    finest = {**levels, h.name: levels_of(h, fits)}
    return finest, _size(space, finest, {})


def _size(space: Sequence[Hyperparameter], levels: dict[str, list], config: dict[str, Any]) -> int:
    """Count the grid's configurations without building it; only parents need a branch."""
    size = 1
    for i, h in enumerate(space):
        if not is_active(h, config):
            continue
        if any(h.name in other.when for other in space[i:]):
            named = {key_of(v) for other in space[i:] for v in other.when.get(h.name, ())}
            apart = [value for value in levels[h.name] if key_of(value) in named]
            alike = [value for value in levels[h.name] if key_of(value) not in named]
            branches = [(value, 1) for value in apart] + [(v, len(alike)) for v in alike[:1]]
            return size * sum(
                times * _size(space[i + 1 :], levels, {**config, h.name: value})
                for value, times in branches
            )
        size *= len(levels[h.name])
    return size
