"""The teacher's kit: a page for each lesson with all its parts, sums of minutes, links, slides."""

import html.parser
import json
import re
import shutil
import sys
from functools import cache
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import slides  # noqa: E402
import teaching  # noqa: E402

FOLDER = ROOT / "docs/teaching"
LESSONS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
SOURCES = sorted((FOLDER / "assignments/source").glob("*/*.ipynb"))
LINK = re.compile(r"\[[^\[\]]+\]\(([^)\s]+)\)")
by_stem = {"argvalues": LESSONS, "ids": [path.stem for path in LESSONS]}


def sections(text):
    """Return the second-level sections of a page: heading, body."""
    return dict(re.findall(r"^## ([^\n]+)\n\n(.*?)(?=\n## |\Z)", text, flags=re.M | re.S))


@pytest.mark.parametrize("lesson", **by_stem)
def test_each_lesson_has_a_page_with_all_parts(lesson):
    text = (FOLDER / f"{lesson.stem}.md").read_text(encoding="utf-8")
    title = nbformat.read(lesson, as_version=4).cells[0].source.partition("\n")[0][2:]
    assert text.startswith(f"# Teaching {title}\n")
    assert f"(../../notebooks/{lesson.name})" in text
    parts = sections(text)
    assert list(parts) == [
        "Aims",
        "What usually goes wrong",
        "Questions for the class",
        "On the board",
    ]
    assert parts["Aims"].count("\n- ") >= 3
    machine, head = parts["What usually goes wrong"].split("In the head:")
    assert machine.count("\n- ") >= 2
    assert head.count("\n- ") >= 3
    questions = re.findall(r"^\d\. ", parts["Questions for the class"], flags=re.M)
    assert 4 <= len(questions) == parts["Questions for the class"].count("*Answer:* ")
    said, sketch, _ = parts["On the board"].split("```")
    assert len(said.split()) >= 15, "say in words what the sketch shows: not everybody sees it"
    assert sketch.startswith("text\n")
    assert sketch.count("\n") >= 6
    assert max(map(len, sketch.splitlines())) <= 90


@cache
def times():
    return json.loads((ROOT / "notebooks/times.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("lesson", **by_stem)
def test_minutes_are_those_that_were_measured(lesson):
    text = (FOLDER / f"{lesson.stem}.md").read_text(encoding="utf-8")
    read, run, exercises, plan = map(
        int,
        re.search(
            r"(\d+) to read, (\d+) to run, (\d+) for the exercises: plan (\d+)\.", text
        ).groups(),
    )
    measured = times()[lesson.name]
    assert read == measured["minutes"] == exercises
    assert 60 * (run - 1) < measured["seconds"] <= 60 * run
    assert plan == read + run + exercises
    assert f"{measured['gigabytes']} GB" in text


def test_what_is_generated_is_up_to_date():
    for path, text in teaching.generated(ROOT).items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: python tools/teaching.py"


def test_what_is_generated_follows_the_times(tmp_path):
    shutil.copytree(FOLDER, tmp_path / "docs/teaching")
    (tmp_path / "notebooks").mkdir()
    longer = {name: t | {"minutes": t["minutes"] + 1} for name, t in times().items()}
    (tmp_path / "notebooks/times.json").write_text(json.dumps(longer), encoding="utf-8")
    made = teaching.generated(tmp_path)
    changed = {path.stem for path, text in made.items() if path.read_text("utf-8") != text}
    assert changed == {path.stem for path in LESSONS} | {"index", "syllabi"}


def rows(name, heading):
    """Return the cells of the first table under a heading."""
    body = sections((FOLDER / name).read_text(encoding="utf-8"))[heading]
    lines = [line for line in body.splitlines() if line.startswith("|")]
    return [[c.strip() for c in line.strip("|").split("|")] for line in lines]


def test_the_day_adds_up():
    plan = rows("syllabi.md", "One day")[2:]
    clock = [60 * int(at[:2]) + int(at[3:]) for at, *_ in plan]
    lasts = [int(minutes) for _, minutes, *_ in plan]
    for now, long, then in zip(clock, lasts, clock[1:], strict=False):
        assert now + long == then
    t = teaching.times(ROOT)
    taught = {}
    for _, minutes, _, cell in plan:
        for number in re.findall(r"\[(\d\d)\]", cell):
            taught[number] = t[number]["read"] + t[number]["run"]
            assert taught[number] <= int(minutes), f"lesson {number} takes {taught[number]}"
    text = (FOLDER / "syllabi.md").read_text(encoding="utf-8")
    assert f"lessons {', '.join(sorted(taught)[:-1])} and {max(taught)} on" in text.replace(
        "\n", " "
    )


def test_the_weeks_add_up():
    head, _, *weeks, totals = [row for row in rows("syllabi.md", "Eight weeks") if len(row) == 7]
    assert head[-2:] == ["in all", "at home"]
    assert len(weeks) == 8
    t, met, sums = teaching.times(ROOT), [], [0] * 5
    for _, cell, *numbers in weeks:
        lessons = re.findall(r"\[(\d\d)\]", cell)
        met += lessons
        together, talk, exercises, whole, home = map(int, numbers)
        assert together == sum(t[n]["read"] + t[n]["run"] for n in lessons)
        assert exercises + home == sum(t[n]["exercises"] for n in lessons)
        assert together + talk + exercises == whole <= teaching.CLASS
        assert exercises >= 10, "too little time for exercises in class"
        sums = [a + int(b) for a, b in zip(sums, numbers, strict=True)]
    assert met == sorted(t)
    assert [int(n) for n in totals[2:]] == sums
    text = (FOLDER / "syllabi.md").read_text(encoding="utf-8")
    assert f"One meeting of {teaching.CLASS} minutes" in text


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.md")), ids=lambda path: path.stem)
def test_links_lead_somewhere(path):
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.S)
    for address in LINK.findall(text):
        if re.match(r"\w+:", address):
            continue
        name, _, anchor = address.partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.is_file(), f"{path.name} links to {address}"
        if anchor:
            heads = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), flags=re.M)
            assert anchor in {re.sub(r"[^\w-]", "", h.replace(" ", "-")).lower() for h in heads}


def test_pages_are_reached_from_the_first():
    seen, todo = set(), [FOLDER / "index.md"]
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            found = LINK.findall(path.read_text(encoding="utf-8"))
            todo += [FOLDER / a.partition("#")[0] for a in found if re.fullmatch(r"\w+\.md.*", a)]
    assert seen == set(FOLDER.glob("*.md"))


class Page(html.parser.HTMLParser):
    """What a deck's HTML has: slides, pictures without alt text, addresses."""

    def __init__(self, text):
        super().__init__()
        self.slides, self.bare, self.addresses, self.notes = 0, 0, [], 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        of = dict(attrs)
        self.slides += tag == "section"
        self.notes += tag == "aside"
        self.bare += tag == "img" and len(of.get("alt", "")) < 20
        self.addresses += [of[k] for k in ("src", "href") if k in of]


@pytest.mark.parametrize("lesson", **by_stem)
def test_slides_are_made_by_tag(lesson):
    deck = slides.deck(nbformat.read(lesson, as_version=4))
    page = Page(slides.page(deck, lesson.stem))
    assert 8 <= slides.count(deck) <= 15
    assert page.slides == 2 * slides.count(deck)  # nbconvert nests each in a column
    assert page.notes >= slides.count(deck) / 2
    assert page.bare == 0
    outside = [a for a in page.addresses if re.match(r"https?:|//", a)]
    assert outside == []
    last = [c.source for c in deck.cells if c.metadata.slideshow.slide_type == "slide"][-1]
    assert last.startswith("## What you take away")
    for cell in deck.cells:
        if cell.metadata.slideshow.slide_type in ("slide", "fragment") and "```" not in cell.source:
            assert "<details>" not in cell.source
            assert "](" not in cell.source, "a link leads nowhere from a slide"


def lesson_of(*cells):
    return nbformat.v4.new_notebook(cells=list(cells))


def markdown(text, *tags):
    return nbformat.v4.new_markdown_cell(text, metadata={"tags": list(tags)})


def test_what_is_said_and_what_is_shown():
    figure = nbformat.v4.new_output("display_data", {"text/plain": "x"})
    code = nbformat.v4.new_code_cell("draw()", outputs=[figure], metadata={"tags": ["fragment"]})
    text = (
        "<details><summary>Before</summary>\n\nold\n\n</details>\n\n## New [claim](a.md)\n\n"
        + "Short one. "
        + " ".join(["Word"] * 99)
        + ".\n\n$$x$$"
    )
    deck = slides.deck(
        lesson_of(markdown("# T\n\n> About.\n\nMore.", "slide"), markdown(text, "slide"), code)
    )
    kinds = [(c.cell_type, c.metadata.slideshow.slide_type) for c in deck.cells]
    m = "markdown"
    assert kinds == [(m, "slide"), (m, "notes"), (m, "slide"), (m, "notes"), ("code", "fragment")]
    title, before, claim, said, shown = deck.cells
    assert title.source == "# T\n\n> About."
    assert before.source == "> About.\n\nMore.\n\n**Before.** old"
    assert claim.source == "## New claim\n\nShort one.\n\n$$x$$"
    assert said.source.startswith("Word Word")
    assert shown.metadata.tags == ["no-input"]


def test_a_lesson_without_tags_is_refused():
    with pytest.raises(slides.SlidesError, match="no cell is tagged slide"):
        slides.deck(lesson_of(markdown("# T")))
    with pytest.raises(slides.SlidesError, match="choose one"):
        slides.deck(lesson_of(markdown("# T", "slide", "fragment")))


def test_missing_npm_packages_are_named(tmp_path):
    with pytest.raises(slides.SlidesError, match=r"reveal\.js is missing: `make slides`"):
        slides.ship(tmp_path, tmp_path / "out")


def assignments():
    """Return the rows of the table of assignments."""
    text = (FOLDER / "assignments.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("| [")]
    return [[c.strip() for c in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_assignments_are_what_the_page_says(path):
    book = nbformat.read(path, as_version=4)
    cells = {c.metadata.nbgrader.grade_id: c for c in book.cells}
    points = {n: c.metadata.nbgrader.points for n, c in cells.items() if c.metadata.nbgrader.grade}
    answers = [n for n, c in cells.items() if c.metadata.nbgrader.solution]
    assert 3 <= len(answers) <= 5
    assert [f"{n}-tests" for n in answers] == list(points)
    row = next(r for r in assignments() if path.stem in r[0])
    assert int(row[3]) == sum(points.values())
    assert f"{sum(points.values())} points" in book.cells[0].source
    for name in answers:
        title = re.search(r"## Task .*\((\d+) points\)", cells[f"{name}-text"].source)
        assert int(title[1]) == points[f"{name}-tests"]
        assert "### BEGIN SOLUTION" in cells[name].source
        tests = cells[f"{name}-tests"].source
        assert re.search(r"assert .*### BEGIN HIDDEN TESTS.*assert ", tests, re.S)
        assert tests.rstrip().endswith("### END HIDDEN TESTS")
    assert not any(c.get("outputs") for c in book.cells)
