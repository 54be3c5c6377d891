"""Run lessons in JupyterLab in a real browser: what a learner sees, which nbval does not.

    make browser                                     every lesson
    python tests/browser/run_all.py [NOTEBOOK ...]   some; --screenshots FOLDER keeps pictures
    python tests/browser/run_all.py --exercises      every exercise notebook, as a learner gets it

README line: `make browser` runs every lesson in JupyterLab in Chromium (Debian: apt install
chromium; another one: CHROMIUM=/path/to/it).

JupyterLab starts as `make lab` starts it, on a free port and on a copy of the notebooks without
their outputs. The notebook's model is asked how it went: the page shows old outputs and leaves
out cells that are not in view, and a kernel is idle before the first cell too.

The notebooks run one after the other in one JupyterLab, and each kernel is shut down before the
next. Server and kernels together may take 2 GB, as much as Binder gives: sampled ten times a
second (no limit of the system is set), and a fault of the notebook that takes more. Each slider
is then dragged with the mouse. The figures go into build/browser.json.

With --keep-kernels no kernel is shut down: the run ends with the first notebook above the limit.
"""

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

import psutil
from lab_page import run_lesson
from lab_server import ROOT, Memory, browser, lab, listening_faults, server_faults

from lessons import cores  # isort: skip - of the folder tools, which lab_server puts on the path


def inside(path):
    """Return where a notebook stands in the folder notebooks/; one from elsewhere goes on top."""
    path, folder = path.resolve(), ROOT / "notebooks"
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else path.name


def copy_without_outputs(notebooks, folder):
    """Copy the lessons; outputs and counts go, so that only this run can fill them in."""
    copy_with_outputs(folder)
    for path in notebooks:
        book = json.loads(path.read_text(encoding="utf-8"))
        for cell in book["cells"]:
            if cell["cell_type"] == "code":
                cell["outputs"], cell["execution_count"] = [], None
        book["metadata"].pop("widgets", None)
        (folder / "notebooks" / inside(path)).write_text(json.dumps(book), encoding="utf-8")


def copy_with_outputs(folder):
    """Copy the lessons as they are stored, with what they read."""
    ignored = shutil.ignore_patterns(".ipynb_checkpoints")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks", ignore=ignored)
    shutil.copy(ROOT / "README.md", folder)
    shutil.copytree(ROOT / "data/grids", folder / "data/grids")  # read from ../data
    (folder / "benchmarks").mkdir()
    for table in (ROOT / "benchmarks").glob("*.csv"):  # read from ../benchmarks
        shutil.copy(table, folder / "benchmarks")


def report(name, faults, detail=""):
    """Print one line, and one for each fault."""
    print(f"{name}: {detail}{'FAULTS' if faults else 'ok'}", flush=True)
    for fault in faults:
        print(f"    {fault}", flush=True)
    return bool(faults)


def run_lessons(process, address, token, options, begin):
    """Run the lessons one after the other; return the figures and whether one has a fault."""
    figures = {"server_seconds": round(time.monotonic() - begin, 1), "lessons": {}}
    failed = report("server", list(server_faults(process, address, token)))
    used = Memory(process)
    time.sleep(1)
    figures["server_gigabytes"] = used.gigabytes()["total"]
    with browser(address, token) as context:
        figures["chromium"] = context.browser.version
        for path in options.notebooks:
            used.begin()
            page, started = context.new_page(), time.monotonic()
            cells, opened, faults = run_lesson(page, address, inside(path), options.limit)
            faults += listening_faults(process)
            seconds = time.monotonic() - started
            if options.screenshots:
                # no promise to wait for: JupyterLab may never keep this one
                page.evaluate(
                    "() => { window.jupyterapp.shell.currentWidget.content.scrollToItem(0); }"
                )
                page.wait_for_timeout(500)
                page.screenshot(path=options.screenshots / f"{path.stem}.png")
            if not options.keep_kernels:
                page.evaluate("() => window.jupyterapp.serviceManager.sessions.shutdownAll()")
                if not used.wait_for_kernels_to_end():
                    faults += ["its kernel is not shut down"]
            page.close()
            took = used.gigabytes()
            above = took["total"] > options.memory
            if above and not options.keep_kernels:
                faults += [f"takes {took['total']:.2f} GB, more than {options.memory:g}"]
            figures["lessons"][path.stem] = {
                "seconds_to_open": round(opened, 1), "seconds": round(seconds, 1), **took,
            }  # fmt: skip
            detail = f"{cells} cells, {seconds:.0f} s, server {took['server']:.2f} GB, "
            detail += f"kernels {took['kernels']:.2f} GB, together {took['total']:.2f} GB, "
            failed |= report(path.name, faults, detail)
            if above and options.keep_kernels:
                n = len(figures["lessons"])
                print(f"{n} kernels left running take more than {options.memory:g} GB.")
                break
    return figures, failed


def machine():
    """Return what the figures depend on."""
    return {
        "date": date.today().isoformat(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": cores(),
        "gigabytes": round(psutil.virtual_memory().total / 1e9),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "jupyterlab": version("jupyterlab"),
    }


def page_of_figures(figures, kept):
    """Return docs/measured.md."""
    rows = figures["lessons"]
    most = {key: max(row[key] for row in rows.values()) for key in ("server", "kernels", "total")}
    first, m = next(iter(rows.values())), figures["machine"]
    table = ["| lesson | seconds to open | seconds in all | GB: kernel | GB: server and kernel |"]
    table += ["|---|--:|--:|--:|--:|"]
    table += [
        f"| {name.replace('_', ' ')} | {row['seconds_to_open']:.0f} | {row['seconds']:.0f} "
        f"| {row['kernels']:.2f} | {row['total']:.2f} |"
        for name, row in rows.items()
    ]
    left = ""
    if kept:
        *_, (last, row) = kept["lessons"].items()
        left = (
            f"If you shut none down, they add up: {len(kept['lessons'])} lessons, up to "
            f"{last.replace('_', ' ')}, take {row['total']:.2f} GB.\n"
        )
    return f"""# Measured: the lessons in a browser

Every lesson by Run All, one after the other, in one JupyterLab and a headless Chromium. The kernel
of each lesson is shut down before the next one (in JupyterLab: *Kernel*, *Shut Down Kernel*).
{left}
- All {len(rows)} lessons: {figures["seconds"] / 60:.0f} minutes.
- The most memory at once: {most["total"]:.2f} GB, of {figures["limit"]:g} that are allowed. The
  server takes up to {most["server"]:.2f} GB, a kernel up to {most["kernels"]:.2f} GB.
  The browser is not counted.
- Start: JupyterLab answers after {figures["server_seconds"]:.0f} s and takes
  {figures["server_gigabytes"]:.2f} GB; the first lesson is open, with its kernel, after
  {first["seconds_to_open"]:.0f} s more.

{chr(10).join(table)}

Seconds in all: to open, to run, and to check what the page shows. Memory: sampled ten times a
second; 1 GB is 10^9 bytes.

Measured on {m["date"]}: {m["system"]}, {m["cores"]} cores, {m["gigabytes"]} GB of memory; load
{m["load"]:.1f} before the run, {m["load_after"]:.1f} in its last 15 minutes.
Python {m["python"]}, JupyterLab {m["jupyterlab"]}, Chromium {figures["chromium"]}. Written
by `tests/browser/run_all.py --write docs/measured.md`.
"""


def main():
    """Read the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--exercises", action="store_true", help="those of notebooks/exercises")
    parser.add_argument("--screenshots", type=Path, help="folder for the top of each lesson")
    parser.add_argument("--limit", type=float, default=180, help="seconds for one lesson")
    parser.add_argument("--memory", type=float, default=2.0, help="GB for server and kernels")
    parser.add_argument("--keep-kernels", action="store_true", help="until above the memory")
    parser.add_argument("--figures", type=Path, default=ROOT / "build/browser.json")
    parser.add_argument("--write", type=Path, help="write the figures of all lessons as a page")
    options = parser.parse_args()
    lessons = sorted(ROOT.glob("notebooks/[0-9][0-9]_*.ipynb"))
    if options.exercises:
        options.notebooks += sorted(ROOT.glob("notebooks/exercises/[0-9][0-9]_*.ipynb"))
        if not options.notebooks:
            raise SystemExit("no notebooks in notebooks/exercises")
    options.notebooks = options.notebooks or lessons
    if options.write and (options.keep_kernels or options.notebooks != lessons):
        raise SystemExit("--write: needs a run of all lessons, and nothing else")
    if options.screenshots:
        options.screenshots.mkdir(parents=True, exist_ok=True)
    figures, begin = {"machine": machine(), "limit": options.memory}, time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        copy_without_outputs(options.notebooks, Path(name))
        with lab(Path(name)) as running:
            found, failed = run_lessons(*running, options, begin)
    figures |= found | {"seconds": round(time.monotonic() - begin)}
    figures["machine"]["load_after"] = round(os.getloadavg()[2], 1)
    most = max(row["total"] for row in figures["lessons"].values())
    print(f"{len(figures['lessons'])} notebooks in {figures['seconds']} s, at most {most:.2f} GB")
    stored = json.loads(options.figures.read_text()) if options.figures.exists() else {}
    stored["kept" if options.keep_kernels else "shut down"] = figures
    options.figures.parent.mkdir(exist_ok=True)
    options.figures.write_text(json.dumps(stored, indent=1) + "\n")
    if options.write and not failed:
        options.write.write_text(page_of_figures(figures, stored.get("kept")), encoding="utf-8")
    return failed


if __name__ == "__main__":
    sys.exit(main())
