"""What a user relies on in figures of races, landscapes and losses: styles that tell apart."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from figure_cases import START, overlaps, race

from metahpo_lite import plots
from metahpo_lite.plots import STYLES, plot_race

mpl.use("agg")
pytestmark = pytest.mark.usefixtures("no_figure_left")


# ------------------------------------------------------------------ styles


def test_a_method_looks_the_same_in_each_race():
    for order in ((0, 1), (1, 0)):
        _, axes = plt.subplots()
        for i in order:
            name = list(STYLES)[i]
            plot_race(axes, name, START, START, START)
            line = axes.get_lines()[-1]
            assert line.get_color() == STYLES[name]["color"]
            assert line.get_marker() == STYLES[name]["marker"]
            assert line.get_linestyle() == STYLES[name]["linestyle"]


def test_lines_of_methods_are_told_apart_by_line_and_by_marker():
    lines = [style for style in STYLES.values() if style["linestyle"] != "none"]
    for key in ("linestyle", "marker"):
        assert len({style[key] for style in lines}) == len(lines)
    for name in STYLES:  # and all of them can be drawn
        figure, axes = plt.subplots()
        plot_race(axes, name, START, START, START)
        figure.canvas.draw()


def test_methods_without_a_style_are_told_apart_too():
    _, axes = plt.subplots()
    for name in "xyz":
        plot_race(axes, name, START, START, START)
    assert len({line.get_color() for line in axes.get_lines()}) == 3


@pytest.mark.parametrize("order", [1, -1])
def test_a_race_shows_all_of_every_line(order):
    curves = [np.linspace(0.2, 0.1, 9), np.linspace(1, 0.3, 9)][::order]
    figure, axes = race(*curves)
    figure.canvas.draw()
    bottom, top = axes.get_ylim()
    assert bottom == 0
    assert 1.01 <= top < 1.2
    assert axes.get_lines()[0].get_xdata().tolist() == list(range(1, 10))  # trials count from 1
    assert axes.get_xlabel() == "trial"


def test_races_side_by_side():
    rng = np.random.default_rng(0)
    regrets = np.sort(rng.random((12, 3, 20)))[..., ::-1]
    found = {"random": regrets[:, :1], "Bayesian optimization": regrets}
    figure = plots.plot_races({"svc": found, "mlp": found}, "A claim", (0.01, 1))
    figure.canvas.draw()
    assert figure.get_suptitle() == "A claim"
    assert [axes.get_title("left") for axes in figure.axes] == ["svc (n = 12)", "mlp (n = 12)"]
    for axes in figure.axes:
        assert axes.get_yscale() == "log"
        assert axes.get_ylim() == (0.01, 1)
        _, ours = axes.get_lines()
        np.testing.assert_allclose(ours.get_ydata(), regrets.mean(axis=(0, 1)))  # over runs too
    (legend,) = figure.legends
    ends = {method: curves.mean(axis=(0, 1))[-1] for method, curves in found.items()}
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == sorted(found, key=lambda method: -ends[method])  # in the order of the lines
    assert overlaps(figure, figure.axes[-1]) == 0


@pytest.mark.filterwarnings("error")
def test_a_belief_and_what_it_promises():
    x = np.linspace(0, 1, 11)
    truth, mean, std = np.sin(5 * x), np.cos(5 * x), np.full(11, 0.3)
    for promises in ([], [x, 1 - x], [x, np.zeros(11)]):
        steps = [([0, 5], mean, std, *p) for p in (zip(promises) if promises else [()])]
        figure = plots.plot_belief(x, truth, steps, "A claim", "gamma", "score")
        figure.canvas.draw()
        assert len(figure.axes) == (2 * len(steps) if promises else 1)
        top = figure.axes[0]
        assert top.get_title("left") == "after 2 trials"
        assert top.get_ylabel() == "score"
        assert figure.axes[-1].get_xlabel() == "gamma"
        drawn = {line.get_linestyle(): line.get_ydata() for line in top.get_lines()}
        np.testing.assert_array_equal(drawn["--"], truth)
        np.testing.assert_array_equal(drawn["-"], mean)
        np.testing.assert_array_equal(drawn["None"], truth[[0, 5]])
        if promises:  # a dotted line at the next trial
            assert list(top.get_lines()[-1].get_xdata()) == [1, 1]


def test_landscapes_mark_the_best():
    scores = {"one": np.array([[0.1, 0.9, 0.3], [0.2, np.nan, 0.1]]), "two": np.eye(2, 3)[::-1]}
    figure = plots.plot_landscapes([0.1, 1, 10], [1, 100], scores, "C", "gamma")
    figure.canvas.draw()
    panels = [axes for axes in figure.axes if axes.get_title("left")]
    assert [axes.get_title("left") for axes in panels] == ["one", "two"]
    stars = [tuple(float(v[0]) for v in axes.get_lines()[0].get_data()) for axes in panels]
    assert stars[0] == (1, 1)
    assert panels[0].get_ylabel() == "gamma"
    assert panels[0].get_xlabel() == panels[1].get_xlabel() == "C"
    # each level in the middle of its cell, on the logarithmic axis
    cells = panels[0].collections[0].get_coordinates()
    np.testing.assert_allclose(cells[0, :, 0], 10.0 ** np.array([-1.5, -0.5, 0.5, 1.5]))
    np.testing.assert_allclose(cells[:, 0, 1], 10.0 ** np.array([-1, 1, 3]))


def test_heatmaps_mark_the_best_of_each_row():
    left = pd.DataFrame([[1.0, 2, -30], [0, -1, -2]], ["iris", "wine"], ["a", "b", "c"])
    figure = plots.plot_heatmaps({"slow": left, "fast": -left}, "It changes", "net", "points", 5)
    axes = figure.axes[:2]
    stars = [ax.lines[0].get_xydata().tolist() for ax in axes]
    assert stars == [[[1, 0], [0, 1]], [[2, 0], [2, 1]]]
    assert [tick.get_text() for tick in axes[0].get_yticklabels()] == ["iris", "wine"]
    assert [tick.get_text() for tick in axes[1].get_xticklabels()] == ["a", "b", "c"]
    assert axes[0].images[0].get_clim() == axes[1].images[0].get_clim() == (-5, 5)


def test_losses_of_one_run_and_of_two():
    run = {"loss": [1.0, 0.5], "val_loss": [1.1, 0.8]}
    for runs in ({0.1: run}, {0.1: run, 0.001: run}):
        figure = plots.plot_losses(runs, "learning rate", ignorant=0.6)
        figure.canvas.draw()
        titles = [axes.get_title("left") for axes in figure.axes]
        assert titles == [f"learning rate {value:g}" for value in runs]
        for axes in figure.axes:
            lines = {line.get_linestyle(): line for line in axes.get_lines()}
            assert lines[":"].get_ydata()[0] == 0.6
            assert list(lines["-"].get_ydata()) == run["loss"]
            assert list(lines["--"].get_ydata()) == run["val_loss"]
            assert list(lines["None"].get_xdata()) == [2]  # a dot at the lowest validation loss


def test_losses_may_have_other_names():
    run = {"loss": [1.0, 0.5], "val_loss": [1.1, 0.8]}
    figure = plots.plot_losses({3: run}, "inputs:", 0.6, "squared error", "left out")
    assert figure.axes[0].get_ylabel() == "squared error"
    assert "left out" in [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def test_intervals_stand_in_rows_from_above():
    panels = {"one": {"a": (0.8, 0.6, 1.1), "b": (0.9, 0.8, 0.95)},
              "two": {"a": (1.0, 0.9, 1.2), "b": (0.5, 0.4, 0.6)}}  # fmt: skip
    figure = plots.plot_intervals(panels, "b is ahead", "ratio")
    figure.canvas.draw()
    for axes, (name, rows) in zip(figure.axes, panels.items(), strict=True):
        assert (axes.get_title("left"), axes.get_xlabel()) == (name, "ratio")
        reference, *lines = axes.get_lines()
        assert list(reference.get_xdata()) == [1, 1]
        drawn = [list(line.get_xdata()) for line in lines]
        assert drawn == [x for m, low, high in rows.values() for x in ([low, high], [m])]
    low, high = figure.axes[0].get_ylim()
    assert low > high  # the first row above


def test_trends_have_a_line_each_with_its_bars():
    found = {"seen": [(0.2, 0.1, 0.4), (0.3, 0.2, 0.5)],
             "warm start": [(0.4, 0.3, 0.6), (0.5, 0.4, 0.9)]}  # fmt: skip
    rows = [(panel, line, x, *interval) for panel in ("two", "one") for line in found
            for x, interval in zip((100, 3), found[line], strict=True)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["panel", "line", "x", "middle", "low", "high"])
    figure = plots.plot_trends(table, "It falls", "source tasks", "ratio", 1)
    figure.canvas.draw()
    for axes, name in zip(figure.axes, ("two", "one"), strict=True):
        assert (axes.get_title("left"), axes.get_xlabel()) == (name, "source tasks")
        assert [label.get_text() for label in axes.get_xticklabels()] == ["100", "3"]
        assert list(axes.get_lines()[0].get_ydata()) == [1, 1]
        for container, (line, points) in zip(axes.containers, found.items(), strict=True):
            drawn, _, (bars,) = container.lines
            assert container.get_label() == line
            assert list(drawn.get_ydata()) == [middle for middle, *_ in points]
            ends = [tuple(segment[:, 1]) for segment in bars.get_segments()]
            assert np.allclose(ends, [(low, high) for _, low, high in points])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(found)
    bare = plots.plot_trends(table, "", "", "").axes[0]
    assert len(bare.get_lines()) == len(figure.axes[0].get_lines()) - 1  # no reference
    places = {tuple(row[:3]): tuple(row[3:]) for row in rows}
    same = plots.plot_trends(places, "It falls", "source tasks", "ratio", 1)
    for one, other in zip(same.axes, figure.axes, strict=True):
        for a, b in zip(one.get_lines(), other.get_lines(), strict=True):
            np.testing.assert_array_equal(a.get_xydata(), b.get_xydata())
    some = table[table["x"] == 3].assign(x=np.nan)
    figure = plots.plot_trends(some, "", "ratio", "", 1)  # nothing is set: a row each
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(found)
    plots.plt.close("all")
