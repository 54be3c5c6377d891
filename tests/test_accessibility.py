"""What a reader needs who does not see a figure, or not its colours: texts, headings, lines."""

import itertools
import re
from pathlib import Path

import matplotlib as mpl
import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup
from markdown_it import MarkdownIt
from matplotlib.colors import to_rgb

from metahpo_lite import plots

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted(
    path
    for folder in ("notebooks", "notebooks/solutions")
    for path in (ROOT / folder).glob("[0-9][0-9]_*.ipynb")
)
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "benchmarks").glob("*.md")),
    *sorted((ROOT / "data").rglob("README.md")),
]
WIDGET = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"
of_notebooks = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: f"{p.parent.name}-{p.stem}")
of_pages = pytest.mark.parametrize("path", PAGES, ids=lambda p: str(p.relative_to(ROOT)))


def outputs(book):
    """Yield what the cells of a notebook have shown, and what its widgets show."""
    for cell in book.cells:
        yield from cell.get("outputs", [])
    for model in book.metadata.get("widgets", {}).get(STATE, {}).get("state", {}).values():
        yield from model["state"].get("outputs", [])


def texts(book, kind):
    """Return the texts of one kind in the outputs of a notebook."""
    found = (output.get("data", {}).get(kind, "") for output in outputs(book))
    return [text for text in map("".join, found) if text]


# ------------------------------------------------------------------ figures


def alternatives(book):
    """Yield the alternative text of each picture in the outputs, once for each picture."""
    seen = set()
    for output in outputs(book):
        for kind, data in output.get("data", {}).items():
            if kind.startswith("image/") and (key := "".join(data)) not in seen:
                seen.add(key)
                yield str(output.get("metadata", {}).get(kind, {}).get("alt", ""))


def alt_faults(alts):
    """Yield what is wrong with the alternative texts of a notebook."""
    for alt in alts:
        words = re.findall(r"[A-Za-z]{2,}", alt)
        says = {word.lower() for word in words} - {"figure", "plot", "image", "picture", "chart"}
        if len(alt) < 40 or len(says) < 6:
            yield f"says too little: {alt!r}"
        elif len(alt) > 1000:
            yield f"is too long to listen to: {alt[:60]!r}..."
        if re.search(r"<[\w.]+ object|\bFigure size\b|\.png\b", alt):
            yield f"is not for people: {alt!r}"
    for alt in {alt for alt in alts if alts.count(alt) > 1}:
        yield f"stands at {alts.count(alt)} pictures: {alt!r}"


@of_notebooks
def test_alternative_text_of_each_figure_says_what_is_seen(path):
    book = nbformat.read(path, as_version=4)
    assert list(alt_faults(list(alternatives(book)))) == []


GOOD = "Random search falls from 0.4 to 0.1 within ten trials, grid search to 0.2."


@pytest.mark.parametrize(
    ("alts", "fault"),
    [
        ([GOOD, GOOD + " On mlp."], None),
        ([""], "too little"),
        (["Figure"], "too little"),
        (["figure plot image picture chart figure plot image picture"], "too little"),
        (["0.12 0.23 0.34 0.45 0.56 0.67 0.78 0.89 0.90"], "too little"),
        ([GOOD, GOOD], "at 2 pictures"),
        ([GOOD + " <Figure size 640x480 with 1 Axes>"], "not for people"),
        ([GOOD * 20], "too long"),
    ],
)
def test_a_poor_alternative_text_is_found(alts, fault):
    found = list(alt_faults(alts))
    assert len(found) == (fault is not None)
    assert fault is None or fault in found[0]


def test_figures_are_found_in_outputs_and_in_widgets():
    def picture(data):
        return {"data": {"image/png": data}, "metadata": {"image/png": {"alt": data * 2}}}

    cells = [{"outputs": [picture("a"), picture("a"), {"data": {"image/svg+xml": "b"}}]}]
    widgets = {STATE: {"state": {"x": {"state": {"outputs": [picture("c")]}}}}}
    book = nbformat.from_dict({"cells": cells, "metadata": {"widgets": widgets}})
    assert list(alternatives(book)) == ["aa", "", "cc"]
    lessons = [path for path in NOTEBOOKS if path.parent.name == "notebooks"]
    for path in lessons:  # each lesson has a figure
        assert list(alternatives(nbformat.read(path, as_version=4))), path.name


def bare_widgets(book):
    """Return the widgets that leave nothing to see where no kernel runs."""
    shown = [output for cell in book.cells for output in cell.get("outputs", [])]
    kinds = [set(output.get("data", {})) for output in shown]
    return [kind for kind in kinds if WIDGET in kind and not kind & {"image/png", "text/html"}]


@of_notebooks
def test_a_widget_leaves_a_picture_where_nothing_runs(path):
    assert bare_widgets(nbformat.read(path, as_version=4)) == []


def test_a_bare_widget_is_found():
    data = {WIDGET: {}, "text/plain": "interactive(children=..."}
    book = nbformat.from_dict({"cells": [{"outputs": [{"data": data}]}], "metadata": {}})
    assert len(bare_widgets(book)) == 1
    book.cells[0].outputs[0].data["image/png"] = "a"
    assert bare_widgets(book) == []
    sliders = [p for p in NOTEBOOKS if WIDGET in p.read_text(encoding="utf-8")]
    assert sliders  # and there is one


# ------------------------------------------------------------------ headings and tables

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")


def heading_faults(text, top=True):
    """Yield which headings of a page are out of order; `top`: it begins with its title."""
    levels = [int(t.tag[1]) for t in MARKDOWN.parse(text) if t.type == "heading_open"]
    if top and levels[:1] != [1]:
        yield f"the first heading has level {levels[:1]}"
    if levels.count(1) > top:
        yield f"{levels.count(1)} titles"
    for before, after in itertools.pairwise(levels):
        if after > before + 1:
            yield f"level {after} after level {before}"


def table_faults(html):
    """Yield which tables have a column without a header."""
    for table in BeautifulSoup(html, "html.parser").find_all("table"):
        heads = [row.find_all("th") for row in table.select("thead tr")]
        rows = [row.find_all(["td", "th"]) for row in table.select("tbody tr")]
        index = max((sum(cell.name == "th" for cell in row) for row in rows), default=0)
        if not heads or not any(heads):
            yield f"no headers: {table.get_text(' ', strip=True)[:60]}"
            continue
        # several rows of headers, of which pandas leaves some empty; the corner may be empty
        named = [any(c.get_text(strip=True) for c in column) for column in zip(*heads)]  # noqa: B905
        if not all(named[max(index, 1) :]):
            yield f"a column without a header: {table.get_text(' ', strip=True)[:60]}"


@of_pages
def test_headings_of_a_page_are_in_order(path):
    assert list(heading_faults(path.read_text(encoding="utf-8"))) == []


@of_pages
def test_tables_of_a_page_have_headers(path):
    assert list(table_faults(MARKDOWN.render(path.read_text(encoding="utf-8")))) == []


@of_notebooks
def test_headings_of_a_notebook_and_of_its_outputs_are_in_order(path):
    book = nbformat.read(path, as_version=4)
    cells = [cell.source for cell in book.cells if cell.cell_type == "markdown"]
    assert list(heading_faults("\n\n".join(cells))) == []
    for text in texts(book, "text/markdown"):  # below the headings of the text
        assert list(heading_faults(text, top=False)) == []


@of_notebooks
def test_tables_of_a_notebook_have_headers(path):
    book = nbformat.read(path, as_version=4)
    markdown = [cell.source for cell in book.cells if cell.cell_type == "markdown"]
    markdown += texts(book, "text/markdown")
    for html in [*map(MARKDOWN.render, markdown), *texts(book, "text/html")]:
        assert list(table_faults(html)) == []


def test_headings_out_of_order_and_bare_tables_are_found():
    assert list(heading_faults("# A\n\n## B\n\n```\n# no heading\n```\n\n### C\n\n## D")) == []
    assert len(list(heading_faults("## A"))) == 1
    assert len(list(heading_faults("# A\n\n### B"))) == 1
    assert len(list(heading_faults("# A\n\nB\n=\n"))) == 1
    assert len(list(heading_faults("# A", top=False))) == 1
    assert list(table_faults(MARKDOWN.render("| | a | b |\n|---|---|---|\n| 1 | 2 | 3 |"))) == []
    assert len(list(table_faults(MARKDOWN.render("| a | |\n|---|---|\n| 1 | 2 |")))) == 1
    assert len(list(table_faults("<table><tr><td>1</td></tr></table>"))) == 1
    head = "<tr><th></th><th>a</th></tr><tr><th>name</th><th></th></tr>"  # as pandas writes it
    body = "<tbody><tr><th>x</th><td>1</td></tr></tbody>"
    assert list(table_faults(f"<table><thead>{head}</thead>{body}</table>")) == []


# ------------------------------------------------------------------ colours

SEEN = {  # linear RGB as it is seen: Machado, Oliveira and Fernandes (2009), severity 1
    "all colours": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], LUMINANCE, [0.0193, 0.1192, 0.9505]])
DASHES = {"-": (1, 0), "--": (3.7, 1.6), "-.": (6.4, 1.6, 1, 1.6), ":": (1, 1.65)}  # matplotlib's
PALETTE = {name: style["color"] for name, style in plots.STYLES.items()}
PALETTE |= dict(enumerate(mpl.rcParams["axes.prop_cycle"].by_key()["color"]))


def linear(color):
    """Linear RGB of an sRGB colour."""
    c = np.array(to_rgb(color))
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def contrast(color):
    """How a colour stands out from white, from 1 to 21 (WCAG 2)."""
    return 1.05 / (LUMINANCE @ linear(color) + 0.05)


def lab(rgb):
    """CIELAB of a linear RGB, for D65: lightness, green to red, blue to yellow."""
    t = TO_XYZ @ np.clip(rgb, 0, 1) / TO_XYZ.sum(axis=1)
    x, y, z = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def difference(one, other, seen):
    """How different two colours look (CIE 1976); above 10 at a glance."""
    a, b = (lab(np.array(SEEN[seen]) @ linear(color)) for color in (one, other))
    return np.linalg.norm(a - b)


def dashes_differ(one, other):
    """Whether two line styles differ at a glance: dashes a period, their length, or the gaps."""
    looks = []
    for style in (one, other):
        dashes = DASHES[style] if isinstance(style, str) else style[1]
        longest = 100 if style == "-" else max(dashes[::2])
        looks.append((len(dashes), longest, sum(dashes[::2]) / sum(dashes)))
    (n, long, ink), (m, longer, more) = looks
    return n != m or max(long, longer) / min(long, longer) >= 1.7 or abs(ink - more) >= 0.15


def pair_faults(styles):
    """Yield which styles cannot be told apart, and how."""
    for (a, one), (b, other) in itertools.combinations(styles.items(), 2):
        if one["marker"] == other["marker"]:
            yield f"{a} and {b}: the same marker"
        for seen in SEEN:
            if (far := difference(one["color"], other["color"], seen)) < 10:
                yield f"{a} and {b}: colours differ by {far:.1f} with {seen}"
        lines = [style["linestyle"] for style in (one, other)]
        light = [lab(linear(style["color"]))[0] for style in (one, other)]
        if "none" not in lines and np.ptp(light) < 10 and not dashes_differ(*lines):
            yield f"{a} and {b}: alike in grey"


def test_methods_are_told_apart_in_grey_and_with_any_colour_vision():
    assert list(pair_faults(plots.STYLES)) == []


def test_styles_that_are_alike_are_found():
    random = {"color": "#000000", "linestyle": "-", "marker": "o"}
    red = {"color": "#D00000", "linestyle": "-", "marker": "s"}
    green = {"color": "#8A6A00", "linestyle": (0, (9, 1)), "marker": "d"}
    assert list(pair_faults({"a": random, "b": red})) == []
    assert "the same marker" in next(pair_faults({"a": random, "b": red | {"marker": "o"}}))
    assert "with deuteranopia" in " ".join(pair_faults({"a": red, "b": green}))
    grey = red | {"color": "#2E75C0"}
    assert list(pair_faults({"a": red, "b": grey | {"marker": "d"}})) == ["a and b: alike in grey"]


@pytest.mark.parametrize("name", PALETTE)
def test_lines_stand_out_from_the_page(name):
    assert contrast(PALETTE[name]) >= 3


def test_the_text_of_figures_stands_out_from_the_page():
    assert contrast(mpl.rcParams["figure.facecolor"]) == 1
    for what in ("text.color", "axes.labelcolor", "xtick.color", "ytick.color"):
        assert contrast(mpl.rcParams[what]) >= 4.5, what
    figure, axes = plots.plt.subplots()
    for name in plots.STYLES:  # labels are black, whatever the line's colour
        plots.plot_race(axes, name, *np.ones((3, 2)))
    plots.label_lines(axes)
    assert {contrast(text.get_color()) for text in axes.texts} == {21}
    plots.plt.close(figure)


def test_methods_without_a_style_differ_in_more_than_colour():
    figure, axes = plots.plt.subplots()
    for name in ("Bayesian optimization", "random", "x", "y", "z"):
        plots.plot_race(axes, name, *np.ones((3, 2)))
    lines = axes.get_lines()
    assert len({line.get_marker() for line in lines}) == len(lines)
    assert len({str(line._unscaled_dash_pattern) for line in lines}) == len(lines)
    plots.plt.close(figure)


def test_known_figures_of_colours():
    assert contrast("white") == pytest.approx(1)
    assert contrast("black") == pytest.approx(21)
    assert contrast("#767676") == pytest.approx(4.54, abs=0.01)  # WCAG's own limit of text
    np.testing.assert_allclose(lab(linear("red")), [53.2, 80.1, 67.2], atol=0.1)
    for seen in SEEN:  # grey stays grey
        assert difference("white", "black", seen) == pytest.approx(100, abs=0.1)
    assert difference("#FF0000", "#00FF00", "all colours") > 100
    assert difference("#D00000", "#8A6A00", "all colours") > 50
    assert difference("#D00000", "#8A6A00", "deuteranopia") < 10
