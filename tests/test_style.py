"""What a user relies on in figures: a text for those who do not see, labels that are read."""

import base64
import sys

import IPython.display
import matplotlib as mpl
import matplotlib.pyplot as plt
import nbformat
import pytest
from figure_cases import START, overlaps, race
from IPython.core.formatters import DisplayFormatter
from nbclient import NotebookClient

from metahpo_lite import plots
from metahpo_lite.plots import label_lines, show

pytestmark = pytest.mark.usefixtures("no_figure_left")

mpl.use("agg")
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


@pytest.fixture
def shown(monkeypatch):
    """What is displayed, as pairs of data and metadata."""
    found = []
    format_ = DisplayFormatter().format
    monkeypatch.setattr(IPython.display, "display", lambda thing: found.append(format_(thing)))
    return found


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


def test_the_text_of_a_lesson(shown):
    plots.say("**1** of 2")
    assert shown[0][0]["text/markdown"] == "**1** of 2"
    assert "matplotlib.pyplot" in sys.modules
