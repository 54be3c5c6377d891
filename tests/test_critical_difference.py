"""What a user relies on in a critical difference: the printed example, bars, and labels."""

import itertools

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from figure_cases import overlaps
from matplotlib.colors import to_rgb

from metahpo_lite import plots
from metahpo_lite.ranks import nemenyi_difference

mpl.use("agg")
pytestmark = pytest.mark.usefixtures("no_figure_left")


# ------------------------------------------------------------------ critical difference

METHODS = [
    *("random", "random_2x", "grid", "default", "gp_bo", "portfolio", "portfolio_gp_bo"),
    *("portfolio_tpe", "optuna_tpe", "syne_tune_zero_shot", "syne_tune_cts", "skopt_gp"),
    *("experience_as_prior", "rank_weighted_sources"),
]


def groups(figure):
    """The thick bars, as (from, to) in ranks."""
    lines = figure.axes[0].get_lines()
    return sorted(tuple(line.get_xdata()) for line in lines if line.get_linewidth() > 3)


def test_the_printed_example_of_critical_differences():
    """Demsar (2006), figure 1 (a): at 0.10 two groups, at 0.05 all are connected."""
    ranks = {"C4.5": 3.143, "C4.5+m": 2.0, "C4.5+cf": 2.893, "C4.5+m+cf": 1.964}
    figure = plots.plot_critical_difference(ranks, 1.12)
    assert groups(figure) == [(1.964, 2.893), (2.893, 3.143)]
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert "CD = 1.12" in texts
    for name, rank in ranks.items():
        assert f"{name}  {rank:.2f}" in texts
    assert figure.axes[0].xaxis_inverted()  # the best at the right
    assert groups(plots.plot_critical_difference(ranks, 1.25)) == [(1.964, 3.143)]
    assert groups(plots.plot_critical_difference(ranks, 0.03)) == []


@pytest.mark.parametrize("k", range(2, 15))
@pytest.mark.parametrize("spread", [0, 0.02, 1])
def test_labels_of_a_critical_difference_do_not_overlap(k, spread):
    rng = np.random.default_rng(k)
    middle = (k + 1) / 2
    places = middle + spread * (rng.permutation(k) + 1 - middle)
    for difference in (0.1, 2.5, nemenyi_difference(k, 2)):  # longer than the axis
        ranks = dict(zip(METHODS[-k:], places, strict=True))
        figure = plots.plot_critical_difference(ranks, difference)
        assert overlaps(figure, figure.axes[0]) == 0
        for text in figure.axes[0].texts:
            box = text.get_window_extent()
            assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1, text.get_text()
            assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1, text.get_text()
        plt.close(figure)


def test_bars_connect_what_is_less_than_the_difference_apart():
    places = [1, 1.5, 2, 4, 4.25, 5.5, 7]
    figure = plots.plot_critical_difference(dict(zip(METHODS, places, strict=False)), 1.25)
    assert groups(figure) == [(1, 2), (4, 4.25)]  # 4.25 and 5.5 are 1.25 apart: significant


@pytest.mark.parametrize("difference", [0.5, 1.1, 2.5, 7])
def test_no_bar_is_drawn_over_another(difference):
    places = np.sort(np.random.default_rng(0).uniform(3, 12, 14))
    ranks = dict(zip(METHODS, places, strict=True))
    figure = plots.plot_critical_difference(ranks, difference)
    for low, high in itertools.combinations(places, 2):  # connected by a bar if, and only if, close
        joined = any(start <= low and high <= end for start, end in groups(figure))
        assert joined == (high - low < difference)
    lines = [line for line in figure.axes[0].get_lines() if line.get_linewidth() > 3]
    for one, other in itertools.combinations(lines, 2):  # none is drawn over another
        (_, end), (start, _) = sorted(tuple(line.get_xdata()) for line in (one, other))
        assert end < start or one.get_ydata()[0] != other.get_ydata()[0]


def test_the_bar_of_methods_with_the_same_rank_is_seen():
    figure = plots.plot_critical_difference(dict.fromkeys(METHODS[:3], 2), 1)
    figure.canvas.draw()
    (bar,) = (line for line in figure.axes[0].get_lines() if line.get_linewidth() > 3)
    x, y = figure.axes[0].transData.transform((2, bar.get_ydata()[0])).astype(int)
    drawn = np.asarray(figure.canvas.buffer_rgba())[::-1, :, 0]
    dark = drawn[y - 5 : y + 6, x - 8 : x + 9].min(axis=0) < 128
    assert dark.sum() >= 5  # pixels wide: wider than the thin line of the methods
    assert (drawn[y + 6, x - 8 : x + 9] < 128).sum() <= 2


def test_a_critical_difference_needs_no_colour_and_takes_a_series():
    ranks = pd.Series({"random": 2.8, "gp_bo": 1.0, "grid": 2.2})
    figure = plots.plot_critical_difference(ranks, 1)
    for line in figure.axes[0].get_lines():
        assert np.ptp(to_rgb(line.get_color())) == 0
    heights = {t.get_text().split()[0]: t.xy[1] for t in figure.axes[0].texts if hasattr(t, "xy")}
    assert heights["gp_bo"] == heights["random"] < heights["grid"]  # the extremes on top


@pytest.mark.parametrize(
    ("argument", "ranks", "difference"),
    [
        ("ranks", {}, 1),
        ("ranks", {"a": 1}, 1),
        ("ranks", {"a": 1, "b": np.nan}, 1),
        ("ranks", {"a": 0.5, "b": 2}, 1),
        ("ranks", {"a": 1, "b": 2.5}, 1),
        ("difference", {"a": 1, "b": 2}, 0),
        ("difference", {"a": 1, "b": 2}, np.nan),
        ("difference", {"a": 1, "b": 2}, np.inf),
    ],
)
def test_critical_difference_refuses(argument, ranks, difference):
    with pytest.raises(ValueError, match=rf"^{argument}: got .*accepted (is|are) "):
        plots.plot_critical_difference(ranks, difference)
