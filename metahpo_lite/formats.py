"""Formats: a hyperparameter as JSON, Optuna and scipy write it."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np

from metahpo_lite.hyperparameters import KINDS, Categorical, Float, Hyperparameter, Int


def to_row(h: Hyperparameter) -> dict[str, Any]:
    """Return a hyperparameter as an object of JSON."""
    return {"kind": type(h).__name__.lower(), **asdict(h)}


def from_row(row: dict[str, Any]) -> Hyperparameter:
    """Return the hyperparameter that `to_row` wrote, or raise a ValueError."""
    kind = row.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"text: kind is {kind!r}, accepted is one of {list(KINDS)}")
    try:
        return KINDS[kind](**row)
    except (TypeError, AttributeError) as error:
        raise ValueError(
            f"text: {row!r} is not of kind {kind!r} ({error}); accepted is what to_json writes"
        ) from None


def to_optuna(h: Hyperparameter) -> Any:
    """Return the Optuna distribution of a hyperparameter, without its condition."""
    from optuna import distributions as od

    if isinstance(h, Categorical):
        return od.CategoricalDistribution(h.choices)
    if isinstance(h, Int):
        return od.IntDistribution(h.low, h.high, log=h.log)
    return od.FloatDistribution(h.low, h.high, log=h.log)


def suggested(h: Hyperparameter, trial: Any) -> Any:
    """Return the value that an Optuna trial suggests."""
    if isinstance(h, Categorical):
        return trial.suggest_categorical(h.name, h.choices)
    ask = trial.suggest_int if isinstance(h, Int) else trial.suggest_float
    return ask(h.name, h.low, h.high, log=h.log)


def from_optuna(name: str, given: Any) -> Hyperparameter:
    """Return the hyperparameter of an Optuna distribution, or raise a ValueError."""
    from optuna import distributions as od

    if isinstance(given, od.CategoricalDistribution):
        return Categorical(name, given.choices)
    if not isinstance(given, (od.IntDistribution, od.FloatDistribution)):
        raise ValueError(f"space: {name!r} is {given!r}, accepted is an Optuna distribution")
    if given.single():
        return Categorical(name, [given.low])
    if given.step not in (None, 1) or (given.step and isinstance(given, od.FloatDistribution)):
        raise ValueError(
            f"{name}: step={given.step}, accepted is a distribution without one; list the "
            f"values in a CategoricalDistribution instead"
        )
    if isinstance(given, od.IntDistribution):
        return Int(name, given.low, given.high, log=given.log)
    return Float(name, given.low, given.high, log=given.log)


def from_scipy(name: str, given: Any) -> Hyperparameter:
    """Return the hyperparameter of a list or of a scipy distribution, or raise a ValueError."""
    kind = getattr(getattr(given, "dist", None), "name", None)
    if isinstance(given, (list, tuple, np.ndarray)):
        return Categorical(name, list(given) if getattr(given, "ndim", 1) else [])
    if kind in ("uniform", "loguniform", "reciprocal", "randint"):
        try:
            with np.errstate(all="ignore"):
                low, high = given.support()
        except (TypeError, ValueError, OverflowError):  # made of what is no number, or a huge one
            low = high = math.nan
        return (
            Int(name, low, high) if kind == "randint" else Float(name, low, high, kind != "uniform")
        )
    raise ValueError(
        f"space: {name!r} is {given!r}, accepted is a list, or scipy's uniform, "
        "loguniform or randint; a SearchSpace can have conditions too"
    )
