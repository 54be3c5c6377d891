"""Execute and measure the lessons, and write what is generated in them.

    python tools/lessons.py execute [NOTEBOOK ...]     run in place, in a fresh kernel
    python tools/lessons.py measure [NOTEBOOK ...]     time and memory, into notebooks/times.json
    python tools/lessons.py navigation [--check]       links, times, and the README's map

Without a NOTEBOOK, each works on every lesson: notebooks/NN_verb_topic.ipynb.
"""

import argparse
import json
import math
import os
import re
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

ROOT = Path(__file__).resolve().parents[1]
MAX_SECONDS, MAX_GIGABYTES = 60, 1.0
WORDS_A_MINUTE, SECONDS_A_CODE_LINE = 180, 4
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


class LessonError(Exception):
    """A message for the user, without a traceback."""


def lessons(root):
    """Return the lessons in their order."""
    return sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def read(path):
    """Read a notebook; a cell without an id gets its number as id."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    raw["nbformat_minor"] = max(5, raw["nbformat_minor"])
    for number, cell in enumerate(raw["cells"]):
        cell.setdefault("id", f"cell-{number}")
    return nbformat.reads(json.dumps(raw), as_version=4)


def write(book, path):
    """Write a notebook."""
    write_text(nbformat.writes(book).rstrip("\n") + "\n", path)


def write_text(text, path):
    """Write a file under another name first: an interrupted run leaves the old one."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)


def run(path, book, watch=lambda client: None):
    """Run all cells in a fresh kernel, in the notebook's folder, as JupyterLab does."""
    at = [0]  # the indices of the cells begun
    client = NotebookClient(
        book,
        kernel_name="python3",
        timeout=120,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.resolve().parent)}},
        on_cell_execute=lambda cell, cell_index: at.append(cell_index),
        on_notebook_start=lambda notebook: watch(client),
    )
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    try:
        client.execute()
    except CellExecutionError as error:
        why = f"{error.ename}: {error.evalue}"
    except CellTimeoutError:
        why = f"no answer in {client.timeout} seconds"
    except DeadKernelError:
        why = "the kernel died (out of memory?)"
    else:
        return
    source = book.cells[at[-1]].source
    raise LessonError(f"{path}: cell {at[-1] + 1} failed: {why}\n\n{source}")


def execute(path):
    """Run a notebook in place; it stays as it was if a cell fails."""
    book = read(path)
    run(path, book)
    book.metadata["kernelspec"] = KERNEL
    book.metadata["language_info"].pop("version", None)  # so that a new Python changes no file
    for cell in book.cells:
        cell.metadata.pop("execution", None)
    write(book, path)


def memory(process):
    """Bytes of a process and its children: all of its own, and what is private to each child.

    What a child shares with its parent is counted once. Where the system does not tell what is
    private, resident memory stands in, which counts too much.
    """
    total = process.memory_info().rss
    for child in process.children(recursive=True):
        try:
            total += child.memory_full_info().uss
        except psutil.AccessDenied:
            total += child.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def run_and_watch(path):
    """Run a notebook without saving it; return seconds, kernel start included, and peak bytes."""
    peak, done = [0], threading.Event()

    def sample(pid):
        while not done.wait(0.05):
            with suppress(psutil.NoSuchProcess):
                peak[0] = max(peak[0], memory(psutil.Process(pid)))

    def watch(client):
        pid = client.km.provisioner.process.pid
        threading.Thread(target=sample, args=(pid,), daemon=True).start()

    begin = time.perf_counter()
    try:
        run(path, read(path), watch)
    finally:
        done.set()
    return time.perf_counter() - begin, peak[0]


def minutes_to_read(book):
    """Minutes for the prose and the code; what a cell prints is not counted."""
    prose = "\n".join(cell.source for cell in book.cells if cell.cell_type == "markdown")
    prose = re.sub(r"<!-- (navigation|time) -->.*?<!-- /\1 -->|<[^>]*>", " ", prose, flags=re.S)
    prose = re.sub(r"\]\([^)]*\)", "]", prose)
    words = len(re.findall(r"\S*\w\S*", prose))
    code = "\n".join(cell.source for cell in book.cells if cell.cell_type == "code").splitlines()
    lines = sum(bool(line.strip()) for line in code)
    return math.ceil(words / WORDS_A_MINUTE + lines * SECONDS_A_CODE_LINE / 60)


def cores():
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def read_times(root):
    """Return the figures measured so far, of lessons that still exist."""
    file = root / "notebooks" / "times.json"
    times = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return {path.name: times[path.name] for path in lessons(root) if path.name in times}


def measure(root, paths, limits=True):
    """Measure lessons, write the figures, and raise when one needs more than it may."""
    times, too_much = read_times(root), []
    for path in paths:
        seconds, peak = run_and_watch(path)
        print(f"{path.name}: {seconds:.1f} s, {peak / 1e9:.2f} GB", flush=True)
        times[path.name] = {
            "cores": cores(),
            "gigabytes": math.ceil(peak / 1e8) / 10,
            "minutes": minutes_to_read(read(path)),
            "seconds": 5 * math.ceil(seconds / 5),
        }
        if seconds > MAX_SECONDS or peak > MAX_GIGABYTES * 1e9:
            too_much.append(path.name)
    text = json.dumps(times, indent=1, sort_keys=True) + "\n"
    write_text(text, root / "notebooks" / "times.json")
    navigation(root)
    if too_much and limits:
        raise LessonError(f"above {MAX_SECONDS} s or {MAX_GIGABYTES} GB: {', '.join(too_much)}")


def block(text, name, content, where):
    """Replace what stands between <!-- name --> and <!-- /name -->."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    new, n = re.subn(f"{begin}.*?{end}", lambda _: f"{begin}\n{content}\n{end}", text, flags=re.S)
    if not n:
        raise LessonError(f"{where}: no {begin} ... {end} to write in")
    return new


def title_and_summary(path):
    """Return the text of the first line, '# NN · Title: subtitle', and of the line after '> '."""
    found = re.match(r"# (.+)\n+> (.+)", read(path).cells[0].source)
    if not found:
        raise LessonError(f"{path}: does not begin with '# NN · Title' and '> what it is about'")
    return found[1].strip(), found[2].strip()


def time_line(cost):
    """Say what a lesson costs."""
    if cost is None:
        return "Time and memory: not measured yet (`make times`)."
    return (
        f"{cost['minutes']} min to read, {cost['seconds']} s to run, "
        f"{cost['gigabytes']} GB (measured on {cost['cores']} cores)"
    )


def exercises_of(path):
    """Return the notebook with the exercises of a lesson, or None."""
    found = path.parent / "exercises" / path.name
    return found if found.exists() else None


def bar(paths, titles, at):
    """Return the links to the lessons before and after, to the contents and the exercises."""
    name = [title.split(":")[0] for title in titles]
    links = ["[contents](../README.md#the-lessons)"]
    if exercises_of(paths[at]):
        links.append(f"[exercises](exercises/{paths[at].name})")
    if at > 0:
        links.insert(0, f"[← {name[at - 1]}]({paths[at - 1].name})")
    if at + 1 < len(paths):
        links.append(f"[{name[at + 1]} →]({paths[at + 1].name})")
    return " · ".join(links)


def readme_map(paths, heads, times):
    """Return the README's table of lessons."""
    rows = ["| lesson | what it is about | minutes to read | seconds to run | GB | exercises |"]
    rows.append("|---|---|--:|--:|--:|--:|")
    for path, (title, summary) in zip(paths, heads, strict=True):
        cost = times.get(path.name, {})
        figures = [str(cost.get(key, "-")) for key in ("minutes", "seconds", "gigabytes")]
        cells = [f"[{title}](notebooks/{path.name})", summary, *figures]
        if found := exercises_of(path):
            prose = [cell.source for cell in read(found).cells if cell.cell_type == "markdown"]
            number = len(re.findall(r"^## \d\d-\d ", "\n".join(prose), re.M))
            cells.append(f"[{number}](notebooks/exercises/{path.name})")
        else:
            cells.append("-")
        rows.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n" + "\n".join(rows) + "\n"


def navigation(root, check=False):
    """Write the generated blocks; return the files that were out of step."""
    paths, stale = lessons(root), []
    heads = [title_and_summary(path) for path in paths]
    times = read_times(root)
    for at, path in enumerate(paths):
        book = read(path)
        texts = [cell for cell in book.cells if cell.cell_type == "markdown"]
        first, last, links = book.cells[0], texts[-1], bar(paths, [h[0] for h in heads], at)
        before = [first.source, last.source]
        first.source = block(first.source, "time", time_line(times.get(path.name)), path)
        for cell in (first, last):
            cell.source = block(cell.source, "navigation", links, path)
        if [first.source, last.source] != before:
            stale.append(path)
            if not check:
                write(book, path)
    if not paths:
        return stale
    readme = root / "README.md"
    old = readme.read_text(encoding="utf-8")
    new = block(old, "lessons", readme_map(paths, heads, times), readme)
    if new != old:
        stale.append(readme)
        if not check:
            write_text(new, readme)
    return stale


def main(arguments=None):
    """Read the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (("execute", "run in place"), ("measure", "time and memory")):
        commands.add_parser(name, help=what).add_argument("notebooks", nargs="*", type=Path)
    commands.choices["measure"].add_argument("--no-limits", action="store_true", help="only report")
    written = commands.add_parser("navigation", help="write links, times and the README's map")
    written.add_argument("--check", action="store_true", help="change nothing, fail if out of step")
    options = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # as in the Makefile: TensorFlow is quiet
    try:
        if options.command == "execute":
            for path in options.notebooks or lessons(options.root):
                print(path.name, flush=True)
                execute(path)
        elif options.command == "measure":
            paths = options.notebooks or lessons(options.root)
            measure(options.root, paths, limits=not options.no_limits)
        elif (stale := navigation(options.root, options.check)) and options.check:
            names = ", ".join(str(path.relative_to(options.root)) for path in stale)
            raise LessonError(f"out of step: {names} (tools/lessons.py navigation writes them)")
    except LessonError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
