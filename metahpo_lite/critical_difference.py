"""The critical difference diagram: which mean ranks can be told apart."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure


def plot_critical_difference(ranks: Mapping[str, float], difference: float) -> Figure:
    """Draw the mean ranks of several methods, and which of them do not differ significantly.

    The critical-difference figure (Demsar, 2006). The best method stands at the right. A thick
    bar connects methods whose mean ranks are less than the critical difference (CD) apart.

    Parameters
    ----------
    ranks : dict or Series of method name to mean rank
        At least two, as from `mean_ranks`.
    difference : float
        The critical difference, in ranks, as from `nemenyi_difference`.

    Returns
    -------
    matplotlib.figure.Figure
        The mean rank stands beside each name, the critical difference above the axis.

    Raises
    ------
    ValueError
        If there are fewer than two methods, a mean rank is not from 1 to their number, or
        `difference` is not a number above 0.
    """
    ordered = sorted(ranks.items(), key=lambda item: item[1])  # the best first
    places, k = np.array([rank for _, rank in ordered], dtype=float), len(ordered)
    if k < 2 or not ((places >= 1) & (places <= k)).all():  # False for NaN too
        raise ValueError(
            f"ranks: got {dict(ranks)}, accepted are those of at least two methods, each from 1 "
            "to the number of methods"
        )
    if not (np.isfinite(difference) and difference > 0):
        raise ValueError(f"difference: got {difference!r}, accepted is a number above 0")
    pad = 0.012 * max(k - 1, difference)  # in ranks
    bars = _bars(places, difference, 3 * pad)
    first = 1.4 + 0.6 * max((level + 1 for *_, level in bars), default=0)  # below the bars
    # x in ranks, from the worst to the best; y in lines of text, downwards from the axis
    y_low, y_high = first + (k + 1) // 2 - 0.4, -4
    figure, axes = plt.subplots(figsize=(7.5, 0.2 * (y_low - y_high)))
    left, right = k + pad, min(1, k - difference) - pad
    axes.set(xlim=(left, right), ylim=(y_low, y_high))
    axes.set_axis_off()

    axes.plot([k, 1], [0, 0], color="black", linewidth=1)
    for tick in range(1, k + 1):
        axes.plot([tick, tick], [0, -0.3], color="black", linewidth=1)
        axes.text(tick, -0.4, str(tick), ha="center", va="bottom")
    axes.text((k + 1) / 2, -1.4, "mean rank (1 = best)", ha="center", va="bottom")
    axes.plot([k, k - difference], [-2.8, -2.8], "|-", color="black", linewidth=1.5)
    axes.text(k - difference / 2, -3, f"CD = {difference:.2f}", ha="center", va="bottom")

    for i, (name, rank) in enumerate(ordered):
        best = i < k // 2  # labels of the better half at the right, the best on top
        row = first + (i if best else k - 1 - i)
        edge = right if best else left  # of the axes, so that the layout makes room outside
        axes.plot([rank, rank, edge], [0, row, row], color="0.4", linewidth=0.8)
        axes.annotate(
            f"{name}  {rank:.2f}",
            (edge, row),
            xytext=(4 if best else -4, 0),
            textcoords="offset points",
            ha="left" if best else "right",
            va="center",
            annotation_clip=False,
        )
    for low, high, level in bars:
        y = 0.8 + 0.6 * level
        axes.plot([low, high], [y, y], "o-", color="black", linewidth=4, markersize=5)
    return figure


def _bars(places: np.ndarray, difference: float, gap: float) -> list[tuple[float, float, int]]:
    """Ends and level of a bar for each largest group within the difference, of sorted ranks.

    Bars of one level are more than `gap` apart.
    """
    bars: list[tuple[float, float, int]] = []
    ends: list[float] = []  # of the last bar on each level
    reached = 0
    for i, low in enumerate(places):
        last = int(np.sum(places - low < difference)) - 1
        if last > max(i, reached):
            level = next((n for n, end in enumerate(ends) if low > end + gap), len(ends))
            ends[level : level + 1] = [places[last]]
            bars.append((low, places[last], level))
            reached = last
    return bars
