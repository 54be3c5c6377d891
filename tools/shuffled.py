"""Run each lesson on shuffled data, and see that its claims fail.

    python tools/shuffled.py [NOTEBOOK ...]      without one, all lessons

The scores of each task of the shipped experience are permuted over its configurations, each task
by itself; so are the results in the tables of benchmarks/. Lessons 00 to 03 also get tables whose
classes are permuted over the rows. A claim that nevertheless holds is none that the data could
have refuted. What failed stands in build/shuffled.json, with each assert that held; a result is
kept as long as the lesson, the library and the data stay as they are. The exit status is 1 if
there is a lesson of which no assert fails.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat.v4 as nb
from lessons import LessonError, lessons, read, run
from matrix import files
from mutants import digest

ROOT = Path(__file__).resolve().parents[1]
LIVE = ("00", "01", "02", "03")  # their claims rest on tables that are searched in the lesson
SECONDS = 600  # for a cell
PATCH = Path(__file__).with_name("shuffled_kernel.py")


def shuffled(path, out, go_on=True):
    """Return the lesson with a first cell that shuffles, and a last one that says what failed.

    With `go_on`, an assert that fails is noted in the file `out`, and no error ends the lesson.
    """
    book = read(path)
    labels = path.name[:2] in LIVE
    begin = f"import sys\nsys.path.insert(0, {str(PATCH.parent)!r})\nimport shuffled_kernel\n"
    begin += f"shuffled_kernel.shuffle(labels={labels})\n"
    begin += f"shuffled_kernel.watch(get_ipython(), {str(out)!r})" if go_on else ""
    book.cells.insert(0, nb.new_code_cell(begin, id="shuffle"))
    if go_on:
        for cell in book.cells:
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), "raises-exception"]
    return book


def patient(client):
    """Let a cell take longer: a search may, where nothing can be learned."""
    client.timeout = SECONDS


def first_failure(path):
    """Run a lesson on shuffled data until something fails; return what, or None."""
    try:
        run(path, shuffled(path, None, go_on=False), patient)
    except LessonError as error:
        return str(error)
    return None


def claims(path):
    """Run a lesson on shuffled data; return what became of each of its asserts, and other errors.

    Returns
    -------
    found : list of dict
        cell (its number, counted from 1), source, and result: "failed", "held", or "not reached"
        if its cell ended before it, or an error came in its place.
    errors : list of dict
        cell, and what was raised there.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "claims.jsonl"
        out.touch()
        book = shuffled(path, out)
        run(path, book, patient)
        if wrong := [o for o in book.cells[0].outputs if o.output_type == "error"]:
            raise LessonError(f"{path.name} cannot be shuffled: {wrong[0].evalue}")
        seen = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    of_code = [i for i, cell in enumerate(book.cells) if cell.cell_type == "code"]
    found = {}
    for row in seen:  # an assert in a loop comes often; it failed if it failed once
        place = of_code[row["number"]], row["source"]
        worst = found.setdefault(place, row["result"])
        if row["result"] == "failed" or worst == "not reached":
            found[place] = row["result"]
    found = [{"cell": cell, "source": source, "result": result}
             for (cell, source), result in found.items()]  # fmt: skip
    errors = [{"cell": i, "error": f"{out.ename}: {out.evalue}"[:300]}
              for i, cell in enumerate(book.cells) for out in cell.get("outputs", ())
              if out.output_type == "error"]  # fmt: skip
    return found, errors


def summary(path, key):
    """Run a lesson; return the counts, and each assert."""
    found, errors = claims(path)
    failed = [claim["cell"] for claim in found if claim["result"] == "failed"]
    counts = {name: sum(claim["result"] == name for claim in found)
              for name in ("failed", "held", "not reached")}  # fmt: skip
    first = min(failed, default=None)
    about = {"lesson": path.stem, "asserts": len(found), **counts, "first_failing_cell": first}
    return about | {"claims": found, "errors": errors, "key": key}


def main(arguments=None):
    """Read the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once (%(default)s)")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that kernels are ended
    root, out = options.root, options.root / "build" / "shuffled.json"
    kept = json.loads(out.read_text(encoding="utf-8")) if out.exists() else []
    results = {row["lesson"]: row for row in kept}
    read_by_all = [
        n for n in files(root) if n.startswith(("metahpo_lite/", "data/", "benchmarks/"))
    ]
    common = digest(PATCH, *(root / name for name in read_by_all))
    paths = [path.resolve() for path in options.notebooks] or lessons(root)

    def one(path):
        key = digest(common, path)
        if results.get(path.stem, {}).get("key") != key:
            results[path.stem] = row = summary(path, key)
            print(f"{row['lesson']}: {row['failed']} of {row['asserts']} asserts fail", flush=True)

    out.parent.mkdir(exist_ok=True)
    with ThreadPoolExecutor(options.jobs) as pool:
        for _ in pool.map(one, paths):
            beside = out.with_suffix(".new")
            rows = [results[name] for name in sorted(results)]
            beside.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
            os.replace(beside, out)
    rows = [results[path.stem] for path in paths]
    print("| lesson | asserts | failed | held | not reached | first failing cell |")
    print("|---|--:|--:|--:|--:|--:|")
    for row in rows:
        numbers = [row[n] for n in ("asserts", "failed", "held", "not reached")]
        cells = [row["lesson"], *numbers, row["first_failing_cell"]]
        print("| " + " | ".join(map(str, cells)) + " |")
    if idle := [row["lesson"] for row in rows if not row["failed"]]:
        print(f"no assert fails on shuffled data: {', '.join(idle)}", file=sys.stderr)
    return int(bool(idle))


if __name__ == "__main__":
    if hasattr(os, "nice"):
        os.nice(10)
    sys.exit(main())
