"""The style of all figures: one look, one colour a method, and a sentence under each."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

# A method has the same colour, line and marker in all lessons. Colours: Okabe and Ito (2008), the
# pale ones darker, told apart with any colour vision; lines and markers tell them apart in grey.
STYLES: dict[str, dict[str, Any]] = {
    "random": {"color": "#000000", "linestyle": "-", "marker": "o"},
    "grid": {"color": "#905600", "linestyle": "--", "marker": "s"},
    "random, twice the budget": {"color": "#159AE6", "linestyle": ":", "marker": "^"},
    "default": {"color": "#CC79A7", "linestyle": "none", "marker": "X"},
    "single best default": {"color": "#0072B2", "linestyle": "none", "marker": "D"},
    "Bayesian optimization": {"color": "#D55E00", "linestyle": "-.", "marker": "v"},
    "portfolio": {"color": "#999933", "linestyle": (0, (2, 2)), "marker": "*"},
    "portfolio, then Bayesian optimization": {
        "color": "#332288",
        "linestyle": (0, (8, 2, 2, 2)),
        "marker": "h",
    },
    "meta-model": {"color": "#882255", "linestyle": (0, (4, 1)), "marker": "d"},
    "nearest tasks": {"color": "#007349", "linestyle": (0, (3, 1, 1, 1)), "marker": "<"},
    "warm start": {"color": "#0000CC", "linestyle": (0, (10, 1)), "marker": "p"},
    "Optuna's TPE": {"color": "#009E73", "linestyle": (0, (6, 1, 1, 1, 1, 1)), "marker": "P"},
}

plt.rcParams.update(
    {
        "figure.figsize": (6.4, 3.6),
        "figure.dpi": 100,
        "figure.constrained_layout.use": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlelocation": "left",
        "axes.titlesize": "medium",
        "axes.prop_cycle": plt.cycler(color=["#0072B2", "#D55E00", "#007349", "#882255"]),
        "image.cmap": "cividis",  # even in grey, and with any colour vision
    }
)


def show(figure: Figure, text: str) -> None:
    """Display a figure, and under it the sentence that says what to see in it.

    The figure's alternative text, for those who do not see the figure, is what is written in it
    (titles, axes, legend), and the sentence. JupyterLab 4 leaves that out; there, the sentence
    below is what they have.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        It is closed afterwards, so that it is not shown twice.
    text : str
        What to see: one or two sentences, with numbers taken from the values that are drawn.

    Raises
    ------
    ValueError
        If there is no text.
    """
    from IPython.display import Image, Markdown, display

    if not text.strip():
        raise ValueError("text: got nothing, accepted is a sentence that says what to see")
    png = io.BytesIO()
    figure.savefig(png, format="png", metadata={"Software": None})  # the same bytes at each run
    alt = " ".join([*_written(figure), text])
    plt.close(figure)
    display(Image(png.getvalue(), alt=alt))
    display(Markdown(text))


def _written(figure: Figure) -> list[str]:
    """Sentences with what is written in a figure: its titles, what its axes and lines are."""
    bars = [ax for ax in figure.axes if ax.get_label() == "<colorbar>"]
    axes = [ax for ax in figure.axes if ax not in bars]
    written = {
        "": [figure.get_suptitle(), *(ax.get_title("left") or ax.get_title() for ax in axes)],
        "Across: ": [figure.get_supxlabel(), *(ax.get_xlabel() for ax in axes)],
        "Up: ": [figure.get_supylabel(), *(ax.get_ylabel() for ax in axes)],
        "Shade: ": [bar.get_ylabel() or bar.get_xlabel() for bar in bars],
        "Rows: ": [name for ax in axes for name in _names(ax.get_yticklabels())],
        "Columns: ": [name for ax in axes for name in _names(ax.get_xticklabels())],
        "Shown: ": [name for ax in axes for name in ax.get_legend_handles_labels()[1]],
    }
    sentences = []
    for what, texts in written.items():
        different = dict.fromkeys(" ".join(text.split()).rstrip(".") for text in texts)
        if text := "; ".join(filter(None, different)):
            sentences.append(f"{what}{text}.")
    return sentences


def _names(ticks: Sequence[Text]) -> list[str]:
    """Names beside the ticks of an axis, without numbers."""
    found = [tick.get_text() for tick in ticks]
    return [name for name in found if any(map(str.isalpha, name)) and not name.startswith("$")]


def show_slider(draw: Callable[..., None], text: str, **ranges: Any) -> None:
    """Display a slider that draws a figure; where no kernel runs, its first figure stands there.

    Parameters
    ----------
    draw : callable
        Shows a figure by `show`. Its argument has the name of the slider.
    text : str
        A sentence below that says what the slider does.
    **ranges
        The slider's name and its range, such as ``n=(3, 9)``, as for `ipywidgets.interact`.
    """
    from IPython.display import Markdown, display
    from IPython.utils.capture import capture_output
    from ipywidgets import interactive

    widget = interactive(draw, **ranges)
    with capture_output() as first:
        draw(**widget.kwargs)
    figure = first.outputs[0]
    # a page shows the first of these kinds that it can show
    kinds = widget._repr_mimebundle_() | {"image/png": figure.data["image/png"]}
    display(kinds, metadata=figure.metadata, raw=True)
    display(Markdown(text))


def say(text: str) -> None:
    """Display a sentence, made from values, as text of the lesson.

    Parameters
    ----------
    text : str
        Markdown.
    """
    from IPython.display import Markdown, display

    display(Markdown(text))


def label_lines(axes: Axes) -> None:
    """Write each line's label beside its right end, instead of a legend.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        With labelled lines, in its final limits. Labels keep a distance of a line of text from
        each other.
    """
    lines = [line for line in axes.get_lines() if not str(line.get_label()).startswith("_")]
    gap = 1.3 * plt.rcParams["font.size"]  # points
    below = -np.inf
    ends = [(np.asarray(x)[-1], np.asarray(y)[-1]) for x, y in (line.get_data() for line in lines)]
    for line, end in sorted(zip(lines, ends, strict=True), key=lambda pair: pair[1][1]):
        y = axes.transData.transform(end)[1] * 72 / axes.figure.dpi
        below = max(y, below + gap)
        axes.annotate(
            str(line.get_label()),
            end,
            xytext=(8, below - y),
            textcoords="offset points",
            va="center",
            color="black",  # of the line: too pale for text
            annotation_clip=False,
        )
