"""Arguments: checks that many functions share, with errors that name what was given."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

from metahpo_lite.hyperparameters import is_number


def whole_number(
    argument: str, n: Any, low: int = 1, high: float = math.inf, or_else: str = ""
) -> int:
    """Return `n` as an int, or raise a ValueError that names the argument."""
    if not (isinstance(n, Integral) and is_number(n) and low <= n <= high):
        upto = f"of at least {low}" if high == math.inf else f"from {low} to {high}"
        raise ValueError(f"{argument}: got {n!r}, accepted is a whole number {upto}{or_else}")
    return int(n)


def check_one_of(argument: str, got: Any, accepted: tuple) -> None:
    """Raise a ValueError that names the argument if `got` is not accepted."""
    if got not in accepted:
        raise ValueError(f"{argument}: got {got!r}, accepted is one of {accepted}")


def check_seed(seed: Any) -> int:
    """Return the seed as an int, or raise a ValueError: scikit-learn takes 32 bits."""
    return whole_number("seed", seed, 0, 2**32 - 1)
