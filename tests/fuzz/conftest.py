"""Count what the fuzz tests tried; ``make fuzz`` writes the counts to build/fuzz.json."""

import json
import subprocess
import time
from datetime import datetime, timezone
from pathlib import Path

import harness
import pytest

ROOT = Path(__file__).parents[2]
KINDS = ("right answers", "clear errors")
START = time.monotonic()


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    """Count the inputs of one test, before its report is made."""
    harness.counts.clear()
    answer = yield
    found = {kind: harness.counts[kind] for kind in KINDS}
    found["fuzz inputs"] = sum(found.values())
    if found["fuzz inputs"]:
        pyfuncitem.user_properties += found.items()
    return answer


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """Escape what is no text, such as half of a surrogate pair: a worker can not send it."""
    report = yield
    if report.failed:
        report.longrepr = escaped(report.longreprtext)
        report.sections = [(name, escaped(text)) for name, text in report.sections]
    return report


def escaped(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def pytest_report_header():
    """Say how to repeat this run."""
    inputs = f"{harness.MANY} inputs a test, METAHPO_FUZZ_SEED={harness.SEED}"
    return f"fuzz: {inputs if harness.MANY else 'the fixed sample'}"


def pytest_terminal_summary(terminalreporter, config):
    """Write what was tried and found; the counts of all tests are printed by tests/conftest.py."""
    if not harness.MANY:
        return
    tests = {
        report.nodeid.removeprefix("tests/fuzz/test_fuzz_"): dict(report.user_properties)
        for report in sorted(terminalreporter.getreports("passed"), key=lambda r: r.nodeid)
        if "fuzz inputs" in dict(report.user_properties)
    }
    failed = [r.nodeid for kind in ("failed", "error") for r in terminalreporter.getreports(kind)]
    found = {
        "commit": commit(),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "seed": harness.SEED,
        "seconds": round(time.monotonic() - START, 1),
        "inputs": sum(counts["fuzz inputs"] for counts in tests.values()),
        **{kind: sum(counts[kind] for counts in tests.values()) for kind in KINDS},
        "failures": failed,
        "tests": {name: {kind: counts[kind] for kind in KINDS} for name, counts in tests.items()},
    }
    out = ROOT / "build" / "fuzz.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    terminalreporter.write_line(f"{found['inputs']} inputs, {len(failed)} failures: {out}")


def commit() -> str | None:
    """Return the commit that is tried, with a + where files differ from it; None without git."""
    command = ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None
