"""Make the exercises of their solutions: notebooks/solutions/ is the source.

    python tools/exercises.py generate [SOLUTIONS ...]    write notebooks/exercises/
    python tools/exercises.py generate --check            fail if something is out of step

A solution stands between two lines, as nbgrader has it:

    ### BEGIN SOLUTION
    ### END SOLUTION

The exercise has `# YOUR CODE HERE` in its place, and inside a function `raise NotImplementedError`
below that. A cell with the tag "solution" is left out of the exercise, and so are all outputs.
"""

import argparse
import re
import sys
from pathlib import Path

import nbformat
from lessons import KERNEL, ROOT, LessonError, block, lessons, read, title_and_summary, write

BEGIN, END, STUB = "### BEGIN SOLUTION", "### END SOLUTION", "# YOUR CODE HERE"
HEADING = re.compile(r"^## (\d\d)-(\d) · (.+)$", re.M)
CHECK = re.compile(r"^check\(\"(\d\d-\d)\", .+\)$")
HOW = """Write your code where it says `YOUR CODE HERE`, run the cell, then run the check below it.
It says at once, and offline, whether your answer is right, and if not, what to look at. Try as
often as you like. `progress()` shows what is done. Stuck for ten minutes, or done? The
[solutions](../solutions/{name}) also say what came out, and why."""
SOLVED = "These are the solutions of the [exercises](../exercises/{name}). Yours may differ."


def stub(source, where):
    """Replace the solutions in the source of a cell."""
    lines, inside = [], None
    for number, line in enumerate(source.splitlines(), 1):
        mark = line.strip()
        if mark == BEGIN:
            if inside is not None:
                raise LessonError(f"{where}, line {number}: a solution begins within another")
            inside, length = line[: line.index("#")], 0
            lines.append(inside + STUB)
            if inside:  # a function, which can be called; at the top level the notebook goes on
                lines.append(f"{inside}raise NotImplementedError")
        elif mark == END:
            if inside is None:
                raise LessonError(f"{where}, line {number}: a solution ends that never began")
            if not length:
                raise LessonError(f"{where}, line {number}: there is no solution between the marks")
            inside = None
        elif "BEGIN SOLUTION" in line or "END SOLUTION" in line:
            raise LessonError(f"{where}, line {number}: {mark!r} is neither {BEGIN!r} nor {END!r}")
        elif inside is None:
            lines.append(line)
        else:
            length += bool(mark)
    if inside is not None:
        raise LessonError(f"{where}: a solution never ends")
    return "\n".join(lines)


def exercise_book(book, where):
    """Return the exercises of a notebook with solutions."""
    cells, found = [], 0
    for number, cell in enumerate(book.cells, 1):
        tags = set(cell.metadata.get("tags", []))
        if "solution" in tags:
            found += 1
            continue
        cell = nbformat.from_dict(cell)
        if cell.cell_type == "code":
            source = cell.source
            cell.source = stub(source, f"{where}: cell {number}")
            found += cell.source != source
            cell.outputs, cell.execution_count = [], None
        left = sorted(tags - {"nbval-check-output"})
        cell.metadata = {"tags": left} if left else {}
        cells.append(cell)
    if not found:
        raise LessonError(f"{where}: there is no solution in it")
    new = nbformat.v4.new_notebook(cells=cells)
    new.metadata = nbformat.from_dict({**book.metadata, "kernelspec": KERNEL})
    new.nbformat, new.nbformat_minor = book.nbformat, book.nbformat_minor
    return new


def checked(book, path):
    """Raise unless the exercises are numbered in order, each with its check below it."""
    lesson, at, seen = path.name[:2], None, []
    for number, cell in enumerate(book.cells, 1):
        where = f"{path}: cell {number}"
        if cell.cell_type == "markdown":
            for found in HEADING.finditer(cell.source):
                if at:
                    raise LessonError(f"{where}: exercise {at} has no check")
                at = f"{found[1]}-{found[2]}"
                if at != f"{lesson}-{len(seen) + 1}":
                    raise LessonError(f"{where}: {at} in place of {lesson}-{len(seen) + 1}")
        elif found := CHECK.match(cell.source):
            if found[1] != at:
                raise LessonError(f"{where}: it checks {found[1]}, and the exercise is {at}")
            if "nbval-check-output" not in cell.metadata.get("tags", []):
                raise LessonError(f"{where}: the tag nbval-check-output is missing: nobody would "
                                  "notice when the solution is no longer right")  # fmt: skip
            seen, at = [*seen, at], None
    if at:
        raise LessonError(f"{path}: exercise {at} has no check")
    if not seen:
        raise LessonError(f"{path}: there is no exercise in it")


def head(path, paths, solution):
    """Return what stands below the title of a notebook: links, and how it works."""
    at, here = paths.index(path), "solutions" if solution else "exercises"
    links = [f"[lesson {path.name[:2]}](../{path.name})", "[contents](../../README.md#the-lessons)"]
    if at + 1 < len(paths):
        links.append(f"[{here} {paths[at + 1].name[:2]} →](../{here}/{paths[at + 1].name})")
    how = (SOLVED if solution else HOW).format(name=path.name)
    return "{}\n\n{}".format(" · ".join(links), " ".join(how.split()))


def generate(root, only=(), check=False):
    """Write the exercises of all or some solutions; return the files that were out of step."""
    paths = [path for path in lessons(root) if path.name[:2] != "00"]
    folders = {kind: root / "notebooks" / kind for kind in ("solutions", "exercises")}
    names = {path.name for path in paths}
    for kind, folder in folders.items():
        for path in sorted(folder.glob("*.ipynb")):
            if path.name not in names:
                raise LessonError(f"{path}: there is no lesson of this name")
            if kind == "exercises" and not (folders["solutions"] / path.name).exists():
                raise LessonError(f"{path}: its solution is gone")
    stale = []
    for path in [p for p in paths if not only or p.name in {Path(one).name for one in only}]:
        source = folders["solutions"] / path.name
        if not source.exists():
            raise LessonError(f"{source} is missing: lesson {path.name[:2]} has no exercises")
        book, title = read(source), title_and_summary(path)[0]
        first = book.cells[0]
        if not first.source.startswith(f"# Exercises {title.split(':')[0]}\n"):
            raise LessonError(f"{source}: does not begin with '# Exercises {title.split(':')[0]}'")
        checked(book, source)
        first.source = block(first.source, "navigation", head(path, paths, True), source)
        new = exercise_book(book, source)
        new.cells[0].source = block(
            new.cells[0].source, "navigation", head(path, paths, False), source
        )
        for target, made in ((source, book), (folders["exercises"] / path.name, new)):
            text = nbformat.writes(made) + "\n"
            if not target.exists() or target.read_text(encoding="utf-8") != text:
                stale.append(target)
                if not check:
                    target.parent.mkdir(exist_ok=True)
                    write(made, target)
    return stale


def main(arguments=None):
    """Read the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    commands = parser.add_subparsers(dest="command", required=True)
    made = commands.add_parser("generate", help="write the exercises")
    made.add_argument("solutions", nargs="*", type=Path)
    made.add_argument("--check", action="store_true", help="change nothing, fail if out of step")
    options = parser.parse_args(arguments)
    try:
        if (stale := generate(options.root, options.solutions, options.check)) and options.check:
            names = ", ".join(str(path.relative_to(options.root)) for path in stale)
            raise LessonError(f"out of step: {names} (`make exercises` writes them)")
    except LessonError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
