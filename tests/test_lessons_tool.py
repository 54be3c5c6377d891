"""tools/lessons.py, on small lessons in a folder of their own."""

import json
import sys
from pathlib import Path

import nbformat
import nbformat.v4 as nb
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import lessons

BAR = "<!-- navigation --><!-- /navigation -->"
FIRST = f"# {{}}\n> What a {{}} is.\n\n{BAR}\n\nText.\n\n<!-- time --><!-- /time -->"


def write(folder, number, word, *sources):
    """Write a lesson that was never run."""
    title = f"{number} · See {word}s: and a subtitle"
    cells = [nb.new_markdown_cell(FIRST.format(title, word))]
    cells += [nb.new_code_cell(source) for source in sources]
    cells += [nb.new_markdown_cell(f"## Further reading\nNone.\n\n{BAR}\n")]
    path = folder / f"{number}_see_{word}.ipynb"
    nbformat.write(nb.new_notebook(cells=cells), path)
    return path


@pytest.fixture
def course(tmp_path):
    """Return a project of three lessons."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    (tmp_path / "README.md").write_text("# A\n\n<!-- lessons -->\n<!-- /lessons -->\n\nEnd.\n")
    for number, word in (("00", "cat"), ("01", "dog"), ("02", "elk")):
        write(folder, number, word, "x = 1", "x + 1")
    return tmp_path


def run(root, *arguments):
    return lessons.main(["--root", str(root), *map(str, arguments)])


def test_execute_runs_in_the_notebooks_folder_and_keeps_ids(course):
    path = course / "notebooks" / "00_see_cat.ipynb"
    before = lessons.read(path)
    before.cells[2].source = "from pathlib import Path\nprint('a')\nprint('b')\nPath.cwd().name"
    before.cells[1].execution_count = 7
    lessons.write(before, path)
    assert run(course, "execute", path) == 0
    text = path.read_text(encoding="utf-8")
    after = lessons.read(path)
    assert [cell.id for cell in after.cells] == [cell.id for cell in before.cells]
    assert [cell.execution_count for cell in after.cells if "execution_count" in cell] == [1, 2]
    assert [output.get("text") for output in after.cells[2].outputs] == ["a\nb\n", None]
    assert after.cells[2].outputs[1].data["text/plain"] == "'notebooks'"
    assert after.metadata.kernelspec == lessons.KERNEL
    assert "version" not in after.metadata.language_info
    assert all(not cell.metadata for cell in after.cells)
    assert text.startswith('{\n "cells": [\n')
    assert text.endswith("}\n")
    assert run(course, "execute", path) == 0
    assert path.read_text(encoding="utf-8") == text
    assert not list(path.parent.glob(".*"))


def test_execute_leaves_the_file_on_error(course, capsys):
    path = write(course / "notebooks", "03", "fox", "x = 1", "x = 1 / 0", "x = 2")
    before = path.read_bytes()
    assert run(course, "execute", path) == 1
    assert path.read_bytes() == before
    said = capsys.readouterr().err
    assert "03_see_fox.ipynb: cell 3 failed: ZeroDivisionError" in said
    assert "x = 1 / 0" in said


def test_execute_says_that_the_kernel_died(course, capsys):
    path = write(course / "notebooks", "03", "fox", "import os", "os._exit(1)")
    assert run(course, "execute", path) == 1
    assert "cell 3 failed: the kernel died" in capsys.readouterr().err


def test_a_cell_without_id_gets_the_same_id_at_each_reading(course):
    path = course / "notebooks" / "00_see_cat.ipynb"
    raw = json.loads(path.read_text(encoding="utf-8"))
    raw["nbformat_minor"] = 4
    for cell in raw["cells"]:
        del cell["id"]
    path.write_text(json.dumps(raw), encoding="utf-8")
    assert lessons.read(path) == lessons.read(path)


def test_navigation_links_neighbours_and_changes_nothing_else(course):
    old = {path: lessons.read(path) for path in lessons.lessons(course)}
    assert run(course, "navigation", "--check") == 1
    assert {path: lessons.read(path) for path in old} == old
    assert run(course, "navigation") == 0
    assert run(course, "navigation", "--check") == 0
    books = [lessons.read(path) for path in old]
    bars = [book.cells[-1].source.split("\n")[4] for book in books]
    contents = "[contents](../README.md#the-lessons)"
    assert bars == [
        f"{contents} · [01 · See dogs →](01_see_dog.ipynb)",
        f"[← 00 · See cats](00_see_cat.ipynb) · {contents} · [02 · See elks →](02_see_elk.ipynb)",
        f"[← 01 · See dogs](01_see_dog.ipynb) · {contents}",
    ]
    for book, was, links in zip(books, old.values(), bars, strict=True):
        assert links in book.cells[0].source
        time = "Time and memory: not measured yet (`make times`)."
        source = book.cells[0].source.replace(f"\n{links}\n", "").replace(f"\n{time}\n", "")
        assert source == was.cells[0].source
        assert book.cells[1:-1] == was.cells[1:-1]


def test_navigation_is_idempotent(course):
    assert lessons.navigation(course)
    files = [course / "README.md", *lessons.lessons(course)]
    before = [(file.read_bytes(), file.stat().st_mtime_ns) for file in files]
    assert lessons.navigation(course) == []
    assert [(file.read_bytes(), file.stat().st_mtime_ns) for file in files] == before


def test_readme_has_the_map(course):
    times = {"01_see_dog.ipynb": {"cores": 2, "gigabytes": 0.4, "minutes": 12, "seconds": 35}}
    (course / "notebooks" / "times.json").write_text(json.dumps(times))
    lessons.navigation(course)
    readme = (course / "README.md").read_text(encoding="utf-8")
    dog = "[01 · See dogs: and a subtitle](notebooks/01_see_dog.ipynb)"
    assert f"\n| {dog} | What a dog is. | 12 | 35 | 0.4 | - |\n" in readme
    assert "| What a elk is. | - | - | - | - |" in readme
    assert readme.startswith("# A\n\n<!-- lessons -->\n\n| lesson |")
    assert readme.endswith("|\n\n<!-- /lessons -->\n\nEnd.\n")
    first = lessons.read(course / "notebooks" / "01_see_dog.ipynb").cells[0].source
    assert "12 min to read, 35 s to run, 0.4 GB (measured on 2 cores)" in first


def test_exercises_are_linked_from_the_lesson_and_the_map(course):
    heads = ["# Exercises 01", "## 01-1 · A\n\nText.\n\n## 01-2 · B", "## Five questions"]
    book = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_markdown_cell, heads)))
    (course / "notebooks" / "exercises").mkdir()
    nbformat.write(book, course / "notebooks" / "exercises" / "01_see_dog.ipynb")
    lessons.navigation(course)
    readme = (course / "README.md").read_text(encoding="utf-8")
    assert "| - | - | - | [2](notebooks/exercises/01_see_dog.ipynb) |\n" in readme
    last = lessons.read(course / "notebooks" / "01_see_dog.ipynb").cells[-1].source
    assert " · [exercises](exercises/01_see_dog.ipynb) · [02 · See elks →]" in last


@pytest.mark.parametrize("missing", ["<!-- time -->", "> What", BAR])
def test_a_missing_block_is_named(course, capsys, missing):
    path = course / "notebooks" / "01_see_dog.ipynb"
    book = lessons.read(path)
    book.cells[0].source = book.cells[0].source.replace(missing, "")
    lessons.write(book, path)
    assert run(course, "navigation") == 1
    assert "01_see_dog.ipynb" in capsys.readouterr().err


ALLOCATE = "x = bytearray({0} * 10**6)\nimport time\ntime.sleep(0.3)"
CHILD = """import subprocess, sys
code = "import time; x = bytearray(300 * 10**6); time.sleep(0.5)"
_ = subprocess.run([sys.executable, "-c", code])"""


def test_measure_counts_memory_of_the_kernel_and_its_children(course):
    folder = course / "notebooks"
    small = write(folder, "03", "fox", ALLOCATE.format(1))
    large = write(folder, "04", "gnu", ALLOCATE.format(300))
    child = write(folder, "05", "hen", CHILD)
    before = small.read_bytes()
    peaks = [lessons.run_and_watch(path)[1] for path in (small, large, child)]
    assert 2e7 < peaks[0] < 2e8
    assert 2.9e8 < peaks[1] - peaks[0] < 3.5e8
    assert 2.9e8 < peaks[2] - peaks[0] < 3.5e8
    assert small.read_bytes() == before


def test_measure_writes_figures_and_keeps_limits(course, capsys, monkeypatch):
    path = course / "notebooks" / "00_see_cat.ipynb"
    gone = {"99_see_yak.ipynb": {}}
    (course / "notebooks" / "times.json").write_text(json.dumps(gone))
    assert run(course, "measure", path) == 0
    assert run(course, "navigation", "--check") == 0
    times = json.loads((course / "notebooks" / "times.json").read_text())
    assert list(times) == [path.name]
    assert times[path.name].pop("gigabytes") in (0.1, 0.2)
    assert times[path.name].pop("seconds") in (5, 10, 15)
    assert times[path.name] == {"cores": lessons.cores(), "minutes": 1}
    assert lessons.read(path).cells[1].execution_count is None
    monkeypatch.setattr(lessons, "MAX_GIGABYTES", 0.001)
    assert run(course, "measure", path) == 1
    assert "above 60 s or 0.001 GB: 00_see_cat.ipynb" in capsys.readouterr().err
    assert run(course, "measure", path, "--no-limits") == 0


def test_minutes_to_read():
    prose = f"{'word ' * 360}<!-- time -->{'word ' * 999}<!-- /time --> [link](a_b.ipynb)"
    book = nb.new_notebook(cells=[nb.new_markdown_cell(prose), nb.new_code_cell("x = 1\n\n" * 15)])
    assert lessons.minutes_to_read(book) == 4  # 361 words are 2.01 minutes, 15 lines are 1
