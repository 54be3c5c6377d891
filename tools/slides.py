"""Make slides of the lessons, which open offline: reveal.js and MathJax lie beside them.

    python tools/slides.py [--modules node_modules] [--out build/slides] [NOTEBOOK ...]

A tag of a cell says what it becomes. ``slide``: a new slide. ``fragment``: on the same slide, at
the next key. ``with-code``: a code cell that has outputs shows its code, too (one without always
does). All other text of the lesson, answers and long passages, goes into the speaker's notes.
"""

import argparse
import html
import re
import shutil
import sys
from pathlib import Path

import nbformat
from nbconvert.exporters import SlidesExporter
from traitlets.config import Config

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = Path(__file__).with_name("slides.html.j2")
# What a deck loads, of each npm package
FILES = {
    "reveal.js": ["dist/reset.css", "dist/reveal.css", "dist/reveal.js", "plugin/notes/notes.js"],
    "mathjax": ["es5/tex-svg.js"],
}
WORDS = 65  # of running text on a slide; formulas, tables and lists are always shown
ANSWER = re.compile(r"<details><summary>(.*?)</summary>(.*?)</details>", re.S)
IN_NOTES = {"Try it yourself", "Further reading"}


class SlidesError(Exception):
    """A message for the user, without a traceback."""


def plain(text):
    """Markdown without what is generated, and without links: they lead nowhere from a slide."""
    text = re.sub(r"<!-- (\w+) -->.*?<!-- /\1 -->", "", text, flags=re.S)
    text = re.sub(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?:[^()\s]|\([^()]*\))+\)", r"\1", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def chunks(text):
    """Split Markdown at its headings: (heading or None, body)."""
    for part in filter(str.strip, re.split(r"^(?=#{1,3} )", text, flags=re.M)):
        found = re.match(r"#{1,3} (.+)\n?", part)
        yield (found[1], part[found.end() :].strip()) if found else (None, part.strip())


def unfolded(body):
    """Show a folded answer as a paragraph."""
    return ANSWER.sub(lambda found: f"**{found[1]}.** {found[2].strip()}", body)


def shortened(body):
    """Divide a passage into what stands on the slide, and what the speaker says."""
    spoken = [unfolded(found[0]) for found in ANSWER.finditer(body)]
    shown, room = [], WORDS
    for block in re.split(r"\n{2,}", ANSWER.sub("", body).strip()):
        if re.match(r"\$\$|\||[-*] |\d+\. |> |```|\*\*Predict", block):
            shown.append(block)
            continue
        kept = []
        sentences = re.split(r"(?<=[.?!:])(?<!al\.)\s+(?=[A-Z*`(\[])", block)
        while sentences and len(" ".join([*kept, sentences[0]]).split()) <= room:
            kept.append(sentences.pop(0))
        if not kept and block.startswith("**"):  # each of several named things
            kept.append(sentences.pop(0))
        if sentences and kept and kept[-1].endswith(":"):  # what it announces is cut off
            sentences.insert(0, kept.pop())
        room -= len(" ".join(kept).split())
        if sentences:
            room = 0
            spoken.append(" ".join(sentences))
        shown += [" ".join(kept)] if kept else []
    return "\n\n".join(shown), "\n\n".join(spoken)


def markdown(text, kind):
    return nbformat.v4.new_markdown_cell(text, metadata={"slideshow": {"slide_type": kind}})


def code(cell, kind):
    """Copy a code cell; without its code if its outputs are what is to be seen."""
    tags = set(cell.metadata.get("tags", []))
    new = nbformat.v4.new_code_cell(cell.source, outputs=cell.outputs)
    new.metadata["slideshow"] = {"slide_type": kind}
    new.metadata["tags"] = ["no-input"] if cell.outputs and "with-code" not in tags else []
    return new


def deck(book):
    """Turn a lesson into the notebook of its slides."""
    cells, notes, heading, first = [], [], "", 0

    def end():  # of a slide: its notes, which reveal.js does not show if a fragment holds them
        nonlocal first
        if notes and cells:
            cells.insert(first + 1, markdown("\n\n".join(notes), "notes"))
        notes.clear()
        first = len(cells)

    for cell in book.cells:
        tags = set(cell.metadata.get("tags", [])) & {"slide", "fragment"}
        if len(tags) > 1:
            raise SlidesError(f"cell {cell.id} is tagged slide and fragment: choose one")
        kind = next(iter(tags), None)
        if cell.cell_type == "code":
            if kind == "slide":
                end()
                cells += [markdown(f"## {heading}", "slide"), code(cell, "-")]
            elif kind:
                cells.append(code(cell, kind))
            continue
        found = list(chunks(plain(cell.source)))
        for title, body in found:
            heading = title or heading
            shown, spoken = shortened(body)
            before = title is None and len(found) > 1  # what ends the section before
            if not kind or before or title in IN_NOTES or not (title or shown):
                notes += [f"**{title}**"] if title else []
                notes += [unfolded(body)] if body else []
                continue
            if kind == "slide":
                end()
                if not cells:  # the title: what the lesson is about, and no more
                    spoken = body
                    shown = "\n".join(re.findall(r"^> .*", body, re.M))
                shown = f"{'##' if cells else '#'} {heading}\n\n{shown}"
            cells.append(markdown(shown, kind))
            notes += [spoken] if spoken else []
    end()
    if not cells:
        raise SlidesError("no cell is tagged slide")
    return nbformat.v4.new_notebook(cells=cells, metadata=book.metadata)


def count(slides):
    """Count the slides of a deck."""
    return sum(c.metadata.slideshow.slide_type == "slide" for c in slides.cells)


def page(slides, title):
    """Write a deck as HTML."""
    settings = Config()
    settings.TagRemovePreprocessor.remove_input_tags = {"no-input"}
    settings.TagRemovePreprocessor.enabled = True
    exporter = SlidesExporter(
        config=settings,
        template_file=str(TEMPLATE),
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    slides.metadata["title"] = html.escape(title)
    return exporter.from_notebook_node(slides)[0]


def ship(modules, out):
    """Copy what a deck loads; the licences, too."""
    for package, files in FILES.items():
        if not (modules / package).is_dir():
            raise SlidesError(f"{modules / package} is missing: `make slides` installs it by npm")
        for name in [*files, "LICENSE"]:
            (out / package / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(modules / package / name, out / package / name)


def main(words=None):
    parser = argparse.ArgumentParser(description="Make slides of the lessons.")
    parser.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK")
    parser.add_argument("--modules", type=Path, default=ROOT / "build/npm/node_modules")
    parser.add_argument("--out", type=Path, default=ROOT / "build/slides")
    given = parser.parse_args(words)
    given.out.mkdir(parents=True, exist_ok=True)
    listed = []
    try:
        ship(given.modules, given.out)
        for path in given.notebooks or sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")):
            book = nbformat.read(path, as_version=4)
            title = book.cells[0].source.partition("\n")[0].lstrip("# ")
            slides = deck(book)
            (given.out / f"{path.stem}.html").write_text(page(slides, title), encoding="utf-8")
            listed.append((path.stem, title, count(slides)))
            print(f"{path.stem}: {count(slides)} slides")
    except SlidesError as error:
        sys.exit(f"slides: {error}")
    rows = "\n".join(
        f'<li><a href="{stem}.html">{html.escape(title)}</a>: {n} slides</li>'
        for stem, title, n in listed
    )
    (given.out / "index.html").write_text(
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Slides</title></head>'
        f"\n<body><main><h1>Slides of the lessons</h1>\n<ul>\n{rows}\n</ul></main></body></html>\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
