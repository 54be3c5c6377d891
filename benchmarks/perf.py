"""Performance that is kept: what the library takes, as a ratio to a reference of the same run.

``python -m benchmarks.perf`` takes about two minutes, and ten more with ``--lessons``. Reference
and measure take turns; the median of the ratios of their seconds must stay below a bound, else the
exit status is 1. Seconds are those of the processor, which what else the machine does changes
little, those of all its processes where a lesson is measured; MetaSearchCV tells the clock's.

A bound is `SLACK` times the ratio on a quiet machine when it was set: below 2, so that no doubling
passes unseen. Where the reference is a part of what is measured, that holds for the rest. Other
work on the machine only adds to a ratio: what is above its bound is measured again, up to `TRIES`
times, and the lowest median counts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import psutil
from numpy.random import default_rng
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC

from benchmarks import TENSORFLOW
from benchmarks.perf_measures import MEASURES, ROOT, Measure, Pair
from metahpo_lite.storage import write_file
from tools import lessons

TRIES = 3


def judge(measure: Measure) -> dict:
    """Measure, again if need be, and return the row of the report."""
    pair, best = measure.prepare(), {"ratio": np.inf}
    for tries in range(1, TRIES + 1):
        seconds = np.array([pair() for _ in range(measure.pairs)])  # (pairs, 2)
        ratios = seconds[:, 0] / seconds[:, 1]
        if np.median(ratios) < best["ratio"]:
            ours, reference = np.median(seconds, axis=0).tolist()
            best = {"ratio": float(np.median(ratios)), "lowest": float(ratios.min()),
                    "highest": float(ratios.max()), "pairs": measure.pairs,
                    "seconds": ours, "reference_seconds": reference}  # fmt: skip
        best |= {"tries": tries, "ok": best["ratio"] <= measure.bound}
        if best["ok"]:
            break
    return best


# ---------------------------------------------------------------------- lessons

# Ratios to `workload`, as measured on a quiet machine
LESSONS = {
    "00": 4.3, "01": 19.2, "02": 13.0, "03": 38.3, "04": 20.1, "05": 13.1, "06": 2.6, "07": 17.9,
    "08": 34.0, "09": 23.6, "10": 27.9, "11": 28.7, "12": 14.7, "13": 18.2, "14": 30.7,
}  # fmt: skip


def workload() -> float:
    """Do what takes some seconds of one core, and return how many."""
    X, y = load_digits(return_X_y=True)
    start = time.process_time()
    for model in (RandomForestClassifier(300, random_state=0), SVC()):
        cross_val_score(model, X, y, cv=3)
    rng = default_rng(0)
    for _ in range(10):
        np.linalg.svd(rng.normal(size=(300, 300)))
    return time.process_time() - start


def spent(process: psutil.Process) -> float:
    """Return the processor's seconds of a process and its children, those that ended too."""
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            total += sum(each.cpu_times()[:4])  # user and system, its own and of ended children
    return total


def run_lesson(path: Path) -> float:
    """Run a lesson in a fresh kernel; return the processor's seconds of all that it starts."""
    most, done = 0.0, threading.Event()

    def sample(pid: int) -> None:
        nonlocal most
        while not done.wait(0.05):
            with suppress(psutil.NoSuchProcess):
                most = max(most, spent(psutil.Process(pid)))

    def watch(client) -> None:
        pid = client.km.provisioner.process.pid
        threading.Thread(target=sample, args=(pid,), daemon=True).start()

    try:
        lessons.run(path, lessons.read(path), watch)
    finally:
        done.set()
    return most


def lesson(path: Path) -> Pair:
    """Run a lesson between two references."""
    # as in the Makefile, and with as many threads as a learner has
    quiet = {name: value for name, value in TENSORFLOW.items() if "THREADS" not in name}
    usual = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}

    def pair() -> tuple[float, float]:
        before = workload()
        with patch.dict(os.environ, quiet | usual, clear=True):
            seconds = run_lesson(path)
        return seconds, (before + workload()) / 2

    return pair


def lesson_measures(root: Path = ROOT) -> list[Measure]:
    """Return a measure for each lesson."""
    return [
        Measure(f"lesson_{path.name[:2]}", f"{path.name} in a fresh kernel",
                "cross-validations and decompositions on one core", LESSONS[path.name[:2]],
                partial(lesson, path), pairs=1)
        for path in lessons.lessons(root)
    ]  # fmt: skip


# ---------------------------------------------------------------------- the report


def commit() -> str | None:
    """Return the commit that is measured, with a + where files differ from it; None without git."""
    command = ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None


def report(measures: list[Measure]) -> dict:
    """Measure all, print a line for each, and return what is to be kept."""
    rows = []
    for measure in measures:
        try:
            row = judge(measure)
            figures = f"{row['ratio']:.3g} ({row['lowest']:.3g} to {row['highest']:.3g})"
        except Exception as error:  # what cannot be measured is no reason to lose the rest
            row = {"ok": False, "error": f"{type(error).__name__}: {error}"}
            figures = row["error"]
        about = {"name": measure.name, "what": measure.what, "reference": measure.reference}
        rows.append(about | {"bound": measure.bound} | row)
        verdict = "ok" if row["ok"] else "TOO SLOW" if "ratio" in row else "FAILED"
        print(f"{measure.name:17} {figures}, bound {measure.bound:.3g}: {verdict}", flush=True)
    return {
        "commit": commit(), "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "python": platform.python_version(), "machine": platform.platform(),
        "cores": os.cpu_count(), "measures": rows,
    }  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return 1 if a measure is above its bound."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.perf",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    some, more = MEASURES, lesson_measures()
    names = [measure.name for measure in some + more]
    add = parser.add_argument
    add("--lessons", action="store_true", help="the lessons, too: ten minutes more")
    add("--only", nargs="+", choices=names, metavar="NAME", help="some of " + ", ".join(names))
    add("--out", type=Path, default=ROOT / "build" / "perf.json", help="(%(default)s)")
    args = parser.parse_args(argv)
    args.out.parent.mkdir(parents=True, exist_ok=True)  # what cannot be written is said at once
    chosen = args.only or names[: None if args.lessons else len(some)]
    found = report([measure for measure in some + more if measure.name in chosen])
    write_file(args.out, json.dumps(found, indent=1) + "\n")
    bad = [row["name"] for row in found["measures"] if not row["ok"]]
    print(f"{len(bad)} of {len(found['measures'])} above their bound" + ":" * bool(bad), *bad)
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
