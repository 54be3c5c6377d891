"""A plugin of pytest for `mutants.py`: which lines each test runs, how long it takes, what fails.

With MUTANTS_ORDER, a file of JSON: run those of the tests that are named there, in that order, and
write the first that fails into MUTANTS_OUT. Without it: run all, and write there what each test
runs of the package, in this process; and whether it starts another process.
"""

import inspect
import json
import os
import sys
import time
from pathlib import Path

import hypothesis
import psutil
import pytest

OUT = Path(os.environ["MUTANTS_OUT"])
ORDER = os.environ.get("MUTANTS_ORDER")
CLOCKS = ("perf_counter", "monotonic", "process_time", "time.time", "cheapest")  # of a timed test

# The same examples at each run; to find the smallest one that fails takes too long
hypothesis.settings.register_profile(
    "mutants",
    database=None,
    derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
    deadline=None,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
hypothesis.settings.load_profile("mutants")


class FirstFailure:
    """Runs the tests that are wanted, in the order wanted, and writes down what fails."""

    def __init__(self):
        self.place = {name: i for i, name in enumerate(json.loads(Path(ORDER).read_text()))}

    def pytest_collection_modifyitems(self, items):
        """Leave out what is not wanted, and sort the rest."""
        items[:] = [item for item in items if item.nodeid in self.place]
        items.sort(key=lambda item: self.place[item.nodeid])

    def pytest_collectreport(self, report):
        """A file that cannot be imported is no test that fails."""
        if report.failed:
            write({"kind": "not collected", "test": report.nodeid, "text": str(report.longrepr)})

    def pytest_runtest_logreport(self, report):
        """Write down the test that fails; pytest stops then (-x)."""
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            text = crash.message if crash else str(report.longrepr)
            write({"kind": "failed", "test": report.nodeid, "text": text})


class Coverage:
    """Measures what each test runs of the package."""

    def __init__(self):
        import coverage  # comes with nbval

        self.tests, self.processes = {}, 0
        self.coverage = coverage.Coverage(data_file=None, include=["*/metahpo_lite/*.py"])
        self.coverage.start()
        sys.addaudithook(self._notice)

    def _notice(self, event, args):
        self.processes += event in ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn")

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item):
        """Note what one test does, its fixtures included."""
        self.coverage.switch_context(item.nodeid)
        before, begin = self.processes, time.monotonic()
        yield
        seconds = time.monotonic() - begin
        self.coverage.switch_context("")
        children = psutil.Process().children(recursive=True)
        # of joblib's, which start otherwise; its tracker of resources stays until the end
        workers = [p for p in children if not is_tracker(p)]
        started = self.processes > before or bool(workers)
        timed = any(word in inspect.getsource(item.function) for word in CLOCKS)
        self.tests[item.nodeid] = {"seconds": round(seconds, 3), "processes": started,
                                   "timed": timed, "lines": {}}  # fmt: skip

    def pytest_sessionfinish(self, exitstatus):
        """Write all of it."""
        self.coverage.stop()
        data, imports = self.coverage.get_data(), {}
        for file in data.measured_files():
            for line, contexts in data.contexts_by_lineno(file).items():
                for context in contexts:
                    lines = self.tests[context]["lines"] if context else imports
                    lines.setdefault(Path(file).stem, []).append(line)
        write({"exit": int(exitstatus), "tests": self.tests, "imports": imports})


def is_tracker(process):
    """Tell whether a process only keeps track of what others leave behind."""
    try:
        return "resource_tracker" in " ".join(process.cmdline())
    except psutil.Error:
        return True  # it has ended


def write(result):
    """Write what was found, once."""
    if not OUT.exists():
        OUT.write_text(json.dumps(result), encoding="utf-8")


def pytest_configure(config):
    """Begin before the first test is imported."""
    config.pluginmanager.register(FirstFailure() if ORDER else Coverage(), "mutants")
