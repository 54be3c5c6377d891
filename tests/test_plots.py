"""What a user relies on in figures: a text for those who do not see, styles that tell apart."""

import base64
import itertools
import sys

import matplotlib as mpl

mpl.use("agg")

import IPython.display
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter
from matplotlib.colors import to_rgb
from nbclient import NotebookClient

from metahpo_lite import plots
from metahpo_lite.evaluation import nemenyi_difference
from metahpo_lite.plots import STYLES, label_lines, plot_race, show

TEXT = "Regret falls from 1 to 0.2 *within* 30 trials."
ALT = f"Across: trial. Up: normalised regret (0 = best). Shown: random. {TEXT}"
DRAW = f"""
import numpy as np
import matplotlib.pyplot as plt
from metahpo_lite.plots import label_lines, plot_race, show
figure, axes = plt.subplots()
mean = np.linspace(1, 0.2, 30)
plot_race(axes, "random", mean, mean - 0.05, mean + 0.05)
label_lines(axes)
show(figure, {TEXT!r})
"""


@pytest.fixture(autouse=True)
def _no_figure_left():
    yield
    plt.close("all")


@pytest.fixture
def shown(monkeypatch):
    """What is displayed, as pairs of data and metadata."""
    found = []
    format_ = DisplayFormatter().format
    monkeypatch.setattr(IPython.display, "display", lambda thing: found.append(format_(thing)))
    return found


def race(*curves):
    figure, axes = plt.subplots()
    names = [*STYLES, *"vwxyz"]
    for name, mean in zip(names, curves, strict=False):
        plot_race(axes, name, mean, mean - 0.01, mean + 0.01)
    return figure, axes


# ------------------------------------------------------------------ show


def test_a_figure_and_its_text_in_a_notebook(shown):
    cells = [nbformat.v4.new_code_cell(source) for source in (DRAW, DRAW, "plt.get_fignums()")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    exec(DRAW, {})
    for cell in cells[:2]:
        image, text = cell.outputs  # the figure is not shown a second time
        assert image.output_type == text.output_type == "display_data"
        assert image.metadata["image/png"]["alt"] == ALT
        assert text.data["text/markdown"] == TEXT
        png = base64.b64decode(image.data["image/png"])
        assert png.startswith(b"\x89PNG")
        # the same bytes at each run, and in another process
        assert png == base64.b64decode(shown[0][0]["image/png"])
    assert cells[2].outputs[0].data["text/plain"] == "[]"


SLIDER = f"""
def draw(n):
    figure, axes = plt.subplots()
    axes.set_title(f"{{n}} trials")
    show(figure, {TEXT!r})

show_slider(draw, "Move the slider to see more.", n=(3, 9))
"""


def test_a_slider_and_what_stands_there_where_nothing_runs():
    """Jupyter puts what is drawn into the slider's own output, a part of the widget's state."""
    cells = [nbformat.v4.new_code_cell(DRAW + SLIDER.replace("show_", "plots.show_"))]
    cells[0].source = "from metahpo_lite import plots\n" + cells[0].source
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    slider, below = cells[0].outputs[2:]
    widgets = notebook.metadata["widgets"]["application/vnd.jupyter.widget-state+json"]["state"]
    assert slider.data["application/vnd.jupyter.widget-view+json"]["model_id"] in widgets
    assert below.data["text/markdown"] == "Move the slider to see more."
    (image, text), *others = (
        w["state"]["outputs"] for w in widgets.values() if "outputs" in w["state"]
    )
    assert not others
    assert text["data"]["text/markdown"] == TEXT
    for kept in (image, slider):  # the figure of the slider's middle, moved or not
        assert kept["metadata"]["image/png"]["alt"] == f"6 trials. {TEXT}"
    assert image["data"]["image/png"] == slider.data["image/png"]


def test_the_alternative_text_has_what_is_written_in_the_figure(shown):
    figure, axes = plt.subplots(1, 2)
    figure.suptitle("Near tasks\nguide better.")
    for ax, name in zip(axes, ("svc", "mlp"), strict=True):
        image = ax.imshow([[0.1, 0.2]])
        ax.plot([0, 1], label="mean")
        ax.plot([0, 1], label="_left out")
        ax.set(title=name, xlabel="C", ylabel="gamma")
    ax.set_xticks([0, 1], ["near", "far"])
    figure.colorbar(image, label="points")
    show(figure, TEXT)
    assert shown[0][1]["image/png"]["alt"] == (
        "Near tasks guide better; svc; mlp. Across: C. Up: gamma. Shade: points. "
        "Columns: near; far. Shown: mean. " + TEXT
    )


def test_show_closes_the_figure_and_no_other(shown):
    other, _ = plt.subplots()
    figure, _ = plt.subplots()
    show(figure, TEXT)
    assert plt.get_fignums() == [other.number]
    (image, metadata), (text, _) = shown
    assert metadata["image/png"]["alt"] == TEXT  # nothing is written in it
    assert text["text/markdown"] == TEXT
    assert b"matplotlib" not in base64.b64decode(image["image/png"]).lower()  # no version in it


@pytest.mark.parametrize("text", ["", "  \n"])
def test_a_figure_without_a_text_is_refused(shown, text):
    figure, _ = plt.subplots()
    with pytest.raises(ValueError, match=r"^text: got nothing, accepted is a sentence"):
        show(figure, text)
    assert not shown


# ------------------------------------------------------------------ labels


def overlaps(figure, axes):
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in axes.texts]
    return sum(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


START = np.linspace(1, 0.2, 30)


@pytest.mark.parametrize("step", [0, 1e-3, 0.02, 0.04, 0.3])
def test_labels_do_not_overlap(step):
    figure, axes = race(*(START + step * i for i in (2, 0, 1, 3)))
    label_lines(axes)
    assert [text.get_text() for text in axes.texts] != []
    assert len(axes.texts) == 4
    assert overlaps(figure, axes) == 0
    heights = {text.get_text(): text.get_window_extent().y0 for text in axes.texts}
    if step:  # in the order of the lines' ends
        ends = {line.get_label(): line.get_ydata()[-1] for line in axes.get_lines()}
        assert sorted(heights, key=heights.get) == sorted(ends, key=ends.get)


def test_labels_do_not_overlap_when_the_layout_changes_afterwards():
    figure, axes = race(*[START] * 5)
    label_lines(axes)
    axes.set_title("A claim\nof two lines", fontsize=20)
    figure.suptitle("One more")
    axes.set_xlabel("trial", fontsize=20)
    assert overlaps(figure, axes) == 0
    assert overlaps_after_zoom(figure, axes) == 0


def overlaps_after_zoom(figure, axes):
    axes.set_ylim(0, 5)
    return overlaps(figure, axes)


def test_a_single_label_stands_beside_its_line():
    figure, axes = race(START)
    axes.axhline(0.5)  # has no label
    label_lines(axes)
    figure.canvas.draw()
    (text,) = axes.texts
    box = text.get_window_extent()
    x, y = axes.transData.transform((30, START[-1]))
    assert box.x0 > x
    assert box.y0 < y < box.y1
    assert text.get_text() == "random"
    assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1


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


def test_the_text_of_a_lesson(shown):
    plots.say("**1** of 2")
    assert shown[0][0]["text/markdown"] == "**1** of 2"
    assert "matplotlib.pyplot" in sys.modules


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
