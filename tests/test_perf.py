"""benchmarks/perf.py: a planted slow-down is reported, and no bound lets a doubling pass."""

import json
import time
from dataclasses import replace

import nbformat
import nbformat.v4 as nb
import pytest

from benchmarks import perf, perf_measures
from benchmarks.perf_measures import Measure
from metahpo_lite import GaussianProcess, MetaDataset, RandomSearch

KEYS = {"name", "what", "reference", "bound", "ratio", "lowest", "highest", "ok", "tries"}
ALL = [*perf.MEASURES, *perf.lesson_measures()]


def measure(*ratios, **options):
    """Return a measure that was 1, and now has these ratios, in turn."""
    turn = iter(ratios)
    return Measure("fake", "it", "one", 1.0, lambda: lambda: (next(turn), 1.0), **options)


@pytest.mark.parametrize("kept", ALL, ids=lambda kept: kept.name)
def test_a_bound_is_above_what_was_measured_and_below_its_double(kept):
    assert kept.within <= kept.now < kept.bound < 2 * kept.now - kept.within


def test_each_lesson_has_a_ratio_and_no_other():
    names = [path.name[:2] for path in perf.lessons.lessons(perf.ROOT)]
    assert sorted(perf.LESSONS) == names, "benchmarks/perf.py: LESSONS"


def test_the_median_decides_and_not_the_worst():
    row = perf.judge(measure(1.5, 9, 1.1, pairs=3))
    assert row["ok"]
    assert (row["lowest"], row["ratio"], row["highest"], row["tries"]) == (1.1, 1.5, 9, 1)


def test_what_is_above_its_bound_is_measured_again_and_the_lowest_median_counts():
    row = perf.judge(measure(1.8, 1.9, 1.5, pairs=1))
    assert (row["ok"], row["ratio"], row["tries"]) == (True, 1.5, 3)
    row = perf.judge(measure(1.9, 1.7, 1.8, pairs=1))
    assert (row["ok"], row["ratio"], row["tries"]) == (False, 1.7, 3)


def test_the_reference_within_does_not_hide_a_doubling():
    part = Measure("part", "it", "one", 1.1, lambda: lambda: (1.2, 1.0), within=1)
    assert not perf.judge(part)["ok"]
    assert perf.judge(replace(part, within=0))["ok"]


def test_a_process_keeps_what_it_compiles(monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert perf_measures.fresh("import sys; print(int(sys.dont_write_bytecode))") == [0]


def slower(function):
    """Let a function take three times as long, and 20 microseconds at least."""

    def slow(*args, **kwargs):
        start = time.process_time_ns()
        found = function(*args, **kwargs)
        end = start + 3 * max(time.process_time_ns() - start, 7000)
        while time.process_time_ns() < end:
            pass
        return found

    return slow


@pytest.mark.parametrize(
    ("name", "where", "what"),
    [
        ("run_loop", RandomSearch, "suggest"),
        ("gaussian_process", GaussianProcess, "fit"),
        ("load", MetaDataset, "load"),
    ],
)
def test_a_planted_slow_down_is_reported(name, where, what, monkeypatch):
    (kept,) = (m for m in perf.MEASURES if m.name == name)
    monkeypatch.setattr(where, what, slower(getattr(where, what)))
    monkeypatch.setattr(perf, "TRIES", 1)
    row = perf.judge(replace(kept, pairs=1))
    assert not row["ok"]


def test_the_command_reports_all_and_fails(tmp_path, monkeypatch, capsys):
    def broken():
        raise OSError("no such thing")

    fakes = [
        replace(measure(1.2, pairs=1), name="good"),
        replace(measure(3, 3, 3, pairs=1), name="slow"),
        replace(measure(), name="broken", prepare=broken),
    ]
    monkeypatch.setattr(perf, "MEASURES", fakes)
    out = tmp_path / "new" / "perf.json"
    assert perf.main(["--out", str(out)]) == 1
    found = json.loads(out.read_text(encoding="utf-8"))
    assert {"commit", "date", "python", "measures"} <= set(found)
    assert [row["ok"] for row in found["measures"]] == [True, False, False]
    assert set(found["measures"][0]) >= KEYS
    assert found["measures"][2]["error"] == "OSError: no such thing"
    printed = capsys.readouterr().out
    assert "slow" in printed and "TOO SLOW" in printed and "FAILED" in printed  # noqa: PT018
    assert printed.endswith("2 of 3 above their bound: slow broken\n")

    monkeypatch.setattr(perf, "MEASURES", [replace(measure(1.2, pairs=1), name="good")])
    assert perf.main(["--only", "good", "--out", str(out)]) == 0


def test_a_process_that_fails_says_why():
    with pytest.raises(RuntimeError, match="No module named 'nowhere'"):
        perf_measures.fresh("import nowhere")


def test_a_lesson_is_measured_with_what_it_starts(tmp_path):
    busy = "import time\nwhile time.process_time() < 1.5: pass"
    child = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {busy!r}])"
    seconds = []
    for name, source in (("00_see_cat", "x = 1"), ("01_see_dog", child)):
        path = tmp_path / f"{name}.ipynb"
        cells = [nb.new_code_cell(source), nb.new_code_cell("import time; time.sleep(0.2)")]
        nbformat.write(nb.new_notebook(cells=cells), path)
        seconds.append(perf.run_lesson(path))
    assert seconds[0] > 0
    assert seconds[1] > seconds[0] + 1
