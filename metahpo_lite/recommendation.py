"""Recommendations: which configurations to try first on a table of yours, and why these.

Nothing is fitted to the table: its meta-features say which known tasks are near, and these say what
does well. ``python -m metahpo_lite recommend`` prints the same.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from metahpo_lite.arguments import whole_number
from metahpo_lite.distances import neighbour_weights
from metahpo_lite.learned_distance import LearnedDistance
from metahpo_lite.metadata import MetaDataset
from metahpo_lite.portfolio import greedy_portfolio
from metahpo_lite.spaces import Config
from metahpo_lite.warmstart import NEAR

TEXTS = ("string", "mixed", "mixed-integer", "categorical", "bytes")  # not dates as objects


@dataclass(frozen=True, eq=False)
class Recommendation:
    """What to try first, and the tasks that say so.

    Attributes
    ----------
    configs : list of dict
        The best first.
    ranks : numpy.ndarray of shape (n,)
        The predicted rank of each among the configurations of the experience: the mean over the
        near tasks; 1 is the best on all of them.
    distances : Series
        Index the tasks of the experience, the nearest first: how far they are.
    """

    configs: list[Config]
    ranks: np.ndarray
    distances: pd.Series


def recommend(
    meta_features: pd.Series, experience: MetaDataset, n: int = 5, seed: int = 0
) -> Recommendation:
    """Choose the configurations that together do best on the tasks near to a table.

    Parameters
    ----------
    meta_features : Series
        Of the table (see `meta_features`).
    experience : MetaDataset
        With meta-features.
    n : int
        How many; all of the experience at most.
    seed : int
        Fixes the distance that is learned.

    Returns
    -------
    Recommendation

    Raises
    ------
    TypeError, ValueError
        If the meta-features are not those of the experience, or it has none; or `n` is below 1.
    """
    whole_number("n", n)
    distance = LearnedDistance(seed=seed).fit(experience)
    far = distance(meta_features)  # (1, n_tasks)
    weights = neighbour_weights(far, min(NEAR, far.shape[1]))[0]
    ranks = weights @ rankdata(experience.regrets.to_numpy(), axis=1)
    numbers = [experience.configs.index(c) for c in greedy_portfolio(experience, n, weights)]
    numbers.sort(key=lambda i: ranks[i])
    distances = pd.Series(far[0], experience.tasks.index, name="distance").sort_values(
        kind="stable"
    )
    return Recommendation([experience.configs[i] for i in numbers], ranks[numbers], distances)


def doubtful_columns(frame: pd.DataFrame) -> dict[str, str]:
    """Name the columns that no learner should see as they are, and say what each looks like.

    Parameters
    ----------
    frame : DataFrame
        The features alone.

    Returns
    -------
    dict of column to str
        "an identifier" or "free text": more than half of its texts, and more than 30, are
        different; or "a row number": whole numbers without a gap, or named so, all different.
    """
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"frame: got {type(frame).__name__}, accepted is a DataFrame")
    found: dict[str, str] = {}
    for name, column in frame.items():
        # of what as_table refuses
        with contextlib.suppress(ArithmeticError, UnicodeError), np.errstate(all="ignore"):
            if kind := _doubt(column, str(name).lower()):
                found[name] = kind
    return found


def _doubt(column: pd.Series, label: str) -> str:
    """Say what a column looks like, or nothing."""
    present = column.reset_index(drop=True).dropna()
    try:
        distinct = present.nunique()
    except TypeError:  # lists and the like, which become texts
        present = present.map(str)
        distinct = present.nunique()
    if pd.api.types.infer_dtype(present) in TEXTS:
        texts = present.astype(object).map(str)
        if distinct > max(30, len(texts) / 2):
            words = texts.str.count(r"\s+\S").mean() + 1
            return "free text" if words >= 3 else "an identifier"
    elif pd.api.types.is_integer_dtype(present.dtype) and distinct == len(column) > 30:
        gapless = present.max() - present.min() == distinct - 1
        if gapless or label in ("id", "index") or label.endswith(("_id", " id")):
            return "a row number"
    return ""
