"""`make crash` runs the slow tests too, and writes what was tried to build/crash.json."""

import json
import os
import signal
import subprocess
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
START = time.monotonic()
WHAT = {}  # the first line of each test's docstring, by its name


@pytest.fixture(autouse=True)
def ctrl_c():
    """Let SIGINT interrupt, here and in what is started: in the background a shell lets it not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def pytest_collection_modifyitems(items):
    """Note what each test tries."""
    for item in items:
        if "tests/crash" in item.path.as_posix():
            WHAT[item.nodeid] = item.function.__doc__.splitlines()[0]


def pytest_terminal_summary(terminalreporter):
    """Write what was tried and how it went."""
    if not os.environ.get("METAHPO_CRASH"):
        return
    rows = [
        {
            "test": report.nodeid.rpartition("/")[2],
            "what": WHAT[report.nodeid],
            "outcome": outcome,
            "figures": dict(report.user_properties),
        }
        for outcome in ("passed", "failed", "error", "skipped")
        for report in terminalreporter.getreports(outcome)
        if report.nodeid in WHAT
    ]
    command = ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found = {
        "commit": done.stdout.strip() or None,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - START, 1),
        "tried": sorted(rows, key=lambda row: row["test"]),
    }
    out = ROOT / "build" / "crash.json"
    out.parent.mkdir(exist_ok=True)
    part = out.with_suffix(".part")
    part.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    part.replace(out)
    failed = sum(row["outcome"] in ("failed", "error") for row in rows)
    terminalreporter.write_line(f"crash: {len(rows)} tests, {failed} failures: {out}")
