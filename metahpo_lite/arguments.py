"""Arguments: checks that many functions share, with errors that name what was given."""

from __future__ import annotations

import math
import os
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from metahpo_lite.hyperparameters import is_number, plain

LARGEST = 1e100  # of larger numbers, the square or the sum of some may overflow


def whole_number(
    argument: str, n: Any, low: int = 1, high: float = math.inf, or_else: str = ""
) -> int:
    """Return `n` as an int, or raise a ValueError that names the argument."""
    if not (isinstance(n, Integral) and is_number(n) and low <= int(n) <= high):
        upto = f"of at least {low}" if high == math.inf else f"from {low} to {high}"
        raise ValueError(f"{argument}: got {n!r}, accepted is a whole number {upto}{or_else}")
    return int(n)


def as_path(argument: str, path: Any) -> Path:
    """Return what is given as a path, or raise a TypeError that names the argument."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{argument}: got {path!r}, accepted is a path")
    return Path(path)


def check_one_of(argument: str, got: Any, accepted: tuple) -> None:
    """Raise a ValueError that names the argument if `got` is not accepted."""
    if not isinstance(got, tuple({type(each) for each in accepted})) or got not in accepted:
        raise ValueError(f"{argument}: got {got!r}, accepted is one of {accepted}")


def is_finite(value: Any) -> bool:
    """Tell finite numbers, none too large for a sum of squares, from anything else."""
    return is_number(value) and abs(plain(value)) <= LARGEST


def as_score(score: Any, argument: str = "score") -> float:
    """Return a trial's score as a float, or raise a ValueError.

    NaN is a trial that failed, and so is one whose score is infinite or beyond ±1e100: fits that
    diverge have such.
    """
    try:
        if isinstance(score, (str, bytes)):
            raise TypeError  # else "0.5" were one
        found = float(score)
    except OverflowError:  # an int
        return math.nan
    except (TypeError, ValueError):
        raise ValueError(f"{argument}: got {score!r}, accepted is a number, or NaN") from None
    return found if is_finite(found) else math.nan


def check_between(argument: str, got: Any, low: float, high: float) -> None:
    """Raise a ValueError unless `got` is a number between the two, neither included."""
    if not (is_number(got) and low < plain(got) < high):
        raise ValueError(f"{argument}: got {got!r}, accepted is between {low:g} and {high:g}")


def check_rng(rng: Any) -> None:
    """Raise a TypeError that says how to make a random generator, if it is none."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng: got {rng!r}, accepted is a generator: numpy.random.default_rng(0)")


def is_text(value: Any) -> bool:
    """Tell what a file can hold as text: half of a surrogate pair is none."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def check_text(argument: str, value: Any) -> None:
    """Raise a ValueError that names the argument unless `value` is a text that is not empty."""
    if not (is_text(value) and value):
        raise ValueError(f"{argument}: got {value!r}, accepted is a text that is not empty")


def as_list(argument: str, given: Any, accepted: str) -> list:
    """Return what is given as a list, or raise a ValueError that says what is accepted."""
    try:
        return list(given)
    except TypeError:
        raise ValueError(f"{argument}: got {given!r}, accepted is {accepted}") from None


def as_floats(argument: str, values: Any) -> np.ndarray:
    """Return the values as an array of float64, or raise a ValueError that names the argument."""
    try:
        if np.asarray(values).dtype.kind in "biufO":
            with np.errstate(all="ignore"):  # a longer float becomes infinite
                numbers = np.asarray(values, dtype=float)
            if not np.any((np.abs(numbers) > LARGEST) & np.isfinite(numbers)):
                return numbers
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(f"{argument}: got {_shortened(values)}, accepted are numbers within "
                     f"±{LARGEST:g}, in an array or lists of one length")  # fmt: skip


def _shortened(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 200 else f"{text[:200]}..."


def check_seed(seed: Any) -> int:
    """Return the seed as an int, or raise a ValueError: scikit-learn takes 32 bits."""
    return whole_number("seed", seed, 0, 2**32 - 1)
