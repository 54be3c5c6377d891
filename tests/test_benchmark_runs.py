"""A run of the benchmark goes on where it stopped, and loses and mixes nothing."""

import json
import os
import subprocess
import sys
import tarfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from benchmark_cases import QUICK, Spy, cells_of, trials, write

from benchmarks import methods, runner
from benchmarks.__main__ import append_results, main, write_results
from benchmarks.folders import read_folder
from benchmarks.methods import METHODS
from benchmarks.runner import run_cell, unpack_cells

ROOT = Path(__file__).parents[1]
META = ["meta_model", "meta_model_mse_raw", "nearest_tasks", "learned_distance", "warm_start"]


# ---------------------------------------------------------------------- runs


def test_a_failed_method_is_shown_and_run_again(shared, tmp_path, monkeypatch, capsys):
    def broken(setting):
        if setting.meta_features is None and broken_on:
            raise ArithmeticError("no root")
        return Spy(setting)

    broken_on = True
    monkeypatch.setitem(METHODS, "broken", broken)
    run = [str(shared), "--out", str(tmp_path / "out"), "--methods", "random,broken",
           "--trials", "12", "--seeds", "1", "--jobs", "1"]  # fmt: skip
    assert main(run) == 0
    out = capsys.readouterr().out
    assert "`broken` failed on 5 of 5 tasks" in out
    assert "ArithmeticError: no root" in out
    assert "| 5 tasks |" in out
    table = pd.read_csv(tmp_path / "out" / "summary.csv").set_index("method")
    assert table.loc["broken", "tasks"] == 0
    assert np.isnan(table.loc["broken", "auc"])
    assert table.loc["broken", "rank_10"] == 2
    long = pd.read_parquet(tmp_path / "out" / "curves.parquet")
    assert long.loc[long["method"] == "broken", "regret"].isna().sum() == 5 * 12
    broken_on = False
    assert main(run) == 0
    assert "failed" not in capsys.readouterr().out


def test_a_suggestion_that_is_not_in_the_pool_is_a_failure(shared, tmp_path, monkeypatch):
    monkeypatch.setitem(METHODS, "astray", lambda s: methods.InOrder([{"kind": "a", "x": 0.5}]))
    cells = cells_of(shared, tmp_path / "out", ["astray"])
    assert all("accepted is a configuration of the pool" in cell.reason for cell in cells)


def test_a_run_goes_on_where_it_stopped(shared, tmp_path, monkeypatch):
    ran = []

    def counted(setting):
        ran.append(1)
        if len(ran) == 6:
            raise KeyboardInterrupt
        return Spy(setting)

    monkeypatch.setitem(METHODS, "counted", counted)
    with pytest.raises(KeyboardInterrupt):
        cells_of(shared, tmp_path / "out", ["counted"], n_trials=5)
    assert len(list((tmp_path / "out").rglob("*.json"))) == 2  # 5 searches, 2 a cell
    cells = cells_of(shared, tmp_path / "out", ["counted"], n_trials=5)
    assert len(ran) == 6 + 2 * 3
    assert len(cells) == 5
    cells_of(shared, tmp_path / "out", ["counted", "random"], n_trials=5)  # a method more
    assert len(ran) == 12
    cells_of(
        shared, tmp_path / "out", ["counted"], n_trials=5, n_seeds=3
    )  # another setting: nothing is mixed
    assert len(ran) == 12 + 15
    table = trials(seed=5)
    table.to_parquet(shared / "trials.parquet")  # other files too
    cells_of(shared, tmp_path / "out", ["counted"], n_trials=5)
    assert len(ran) == 27 + 10


def test_a_killed_run_leaves_whole_cells(tmp_path):
    folder = write(tmp_path / "many", trials(n_tasks=8, n_configs=40))
    run = [sys.executable, "-m", "benchmarks", str(folder), "--out", str(tmp_path / "out"),
           "--methods", "gp_bo", "--seeds", "1", "--jobs", "1"]  # fmt: skip
    process = subprocess.Popen(run, cwd=ROOT, stderr=subprocess.DEVNULL)
    while process.poll() is None and len(list((tmp_path / "out").rglob("*.json"))) < 2:
        time.sleep(0.01)
    process.kill()
    process.wait()
    before = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*.json")}
    assert len(before) >= 2
    cells = cells_of(folder, tmp_path / "out", ["gp_bo"], n_seeds=1)
    assert len(cells) == 8
    assert all(path.read_bytes() == content for path, content in before.items())


def test_a_damaged_cell_is_named(shared, tmp_path):
    cells_of(shared, tmp_path / "out", ["random"])
    path = next((tmp_path / "out").rglob("*.json"))
    path.write_text("{")
    with pytest.raises(ValueError, match=f"{path.name}: not a cell; delete it"):
        cells_of(shared, tmp_path / "out", ["random"])


def test_bad_calls_are_refused(shared, ours, tmp_path, monkeypatch, capsys):
    out = str(tmp_path / "out")
    assert main([str(shared), "--out", out, "--methods", "magic"]) == 1
    assert "--methods: got 'magic', accepted are random, random_2x" in capsys.readouterr().err
    assert main([str(shared), str(shared), "--out", out, "--methods", "random"]) == 1
    assert "accepted are one or more folders of other names" in capsys.readouterr().err
    monkeypatch.setattr(runner, "find_spec", lambda name: None)
    assert main([str(shared), "--out", out, "--methods", "skopt_gp"]) == 1
    error = capsys.readouterr().err
    assert "skopt_gp needs skopt, not installed: pip install metahpo_lite[bench]" in error
    with pytest.raises(SystemExit):
        main([str(shared), "--out", out, "--trials", "0"])
    assert not os.path.exists(out)


def test_the_default_is_every_method_that_is_installed(shared, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runner, "find_spec", lambda name: None)
    monkeypatch.delenv("OPENBOX_PYTHON", raising=False)
    assert main([str(shared), "--out", str(tmp_path / "out"), "--trials", "2", "--seeds", "1",
                 "--jobs", "1"]) == 0  # fmt: skip
    captured = capsys.readouterr()
    assert "not run, since not installed: portfolio_tpe, optuna_tpe, config" in captured.err
    assert set(pd.read_csv(tmp_path / "out" / "summary.csv")["method"]) == {*QUICK, *META}
    assert "## Compared with gp_bo" in captured.out


def test_all_methods_without_some(shared, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runner, "find_spec", lambda name: None)
    monkeypatch.delenv("OPENBOX_PYTHON", raising=False)
    run = [str(shared), "--out", str(tmp_path / "out"), "--trials", "2", "--seeds", "1"]
    assert main([*run, "--jobs", "1", "--without", "grid,skopt_gp,gp_bo"]) == 0
    made = set(pd.read_csv(tmp_path / "out" / "summary.csv")["method"])
    assert made == {*QUICK, *META} - {"grid", "gp_bo"}
    assert "skopt" not in capsys.readouterr().err
    assert main([*run, "--without", "magic"]) == 1
    assert "--without: got 'magic'" in capsys.readouterr().err


def test_meta_models_run_where_tasks_have_other_configurations(differing, tmp_path):
    """Each of our methods that reads experience, where it is predicted by surrogates."""
    found = cells_of(differing, tmp_path, ["config_predictor", *META], n_trials=8)
    assert not any(cell.reason for cell in found)
    curves = [curve for cell in found for curve in cell.regrets]
    assert all(len(curve) == 8 and (np.diff(curve) <= 0).all() for curve in curves)


def test_several_folders_are_put_together(shared, ours, tmp_path, capsys):
    run = [str(shared), str(ours), "--out", str(tmp_path / "out"), "--methods",
           "random,portfolio,gp_bo", "--trials", "10", "--seeds", "2", "--jobs", "1"]  # fmt: skip
    results = tmp_path / "results.md"
    assert main([*run, "--results", str(results)]) == 0
    out = capsys.readouterr().out
    for heading in ("## shared", "## ours", "## Over all 2 folders", "## Score still missing"):
        assert heading in out
    assert out in results.read_text()
    old = results.read_text().replace("20", "19", 1)  # as if it were of another day
    results.write_text(old)
    assert main([*run, "--results", str(results)]) == 0
    assert results.read_text() == old  # nothing but the date would change
    assert main([*run, "--append", "More"]) == 1
    assert "accepted is a title with --results FILE" in capsys.readouterr().err
    for _ in range(2):  # the second takes the place of the first
        assert main([*run, "--results", str(results), "--append", "More"]) == 0
        out = capsys.readouterr()
        assert results.read_text() == old + "\n## More\n\n" + out.out.replace("## ", "### ")
        assert "ends with the section 'More' now" in out.err
    append_results(results, "## a\n", "Last")
    append_results(results, "## b\n", "More")
    assert results.read_text() == old + "\n## Last\n\n### a\n\n## More\n\n### b\n"
    write_results(results, "other\n")
    assert results.read_text().endswith("other\n")


def test_names_and_packages_are_in_the_extra():
    text = (ROOT / "pyproject.toml").read_text()
    bench = text[text.index("bench = [") :].partition("\n]")[0].replace("-", "_")
    package = {"skopt": "scikit_optimize"}
    for needed in {name for names in methods.NEEDS.values() for name in names if name.islower()}:
        assert f'"{package.get(needed, needed)}>=' in bench
    issue = ["random", "random_2x", "grid", "default", "gp_bo", "portfolio", "portfolio_gp_bo",
             "portfolio_tpe", "optuna_tpe", "config_predictor", "meta_model",
             "meta_model_mse_raw", "nearest_tasks", "learned_distance",
             "rank_weighted", "warm_start", "warm_start_no_meta",
             "syne_tune_zero_shot", "syne_tune_cts", "openbox_rgpe", "skopt_gp"]  # fmt: skip
    assert list(METHODS) == issue
    readme = (ROOT / "benchmarks" / "README.md").read_text()
    assert all(f"`{name}`" in readme for name in issue)
    assert find_spec("optuna")  # the course has it


# ------------------------------------------------------------------ cells in one file

CELLS = ROOT / "benchmarks" / "cells.tar.xz"


def test_cells_in_a_file_are_not_run_again(shared, tmp_path, monkeypatch):
    run = [str(shared), "--methods", "random,portfolio", "--trials", "5", "--seeds", "1",
           "--jobs", "1", "--cells", str(tmp_path / "cells.tar.xz")]  # fmt: skip
    assert main([*run, "--out", str(tmp_path / "1")]) == 0
    first = (tmp_path / "cells.tar.xz").read_bytes()
    monkeypatch.setitem(METHODS, "random", None)  # would fail
    assert main([*run, "--out", str(tmp_path / "2")]) == 0
    assert (tmp_path / "cells.tar.xz").read_bytes() == first
    summaries = [(tmp_path / n / "summary.csv").read_text() for n in "12"]
    assert summaries[0] == summaries[1]


def test_a_file_that_holds_no_cells(shared, tmp_path, capsys):
    run = [str(shared), "--methods", "random", "--trials", "5", "--out", str(tmp_path / "out")]
    (tmp_path / "text").write_text("no archive")
    assert main([*run, "--cells", str(tmp_path / "text")]) == 1
    assert "not a file of cells" in capsys.readouterr().err
    with tarfile.open(tmp_path / "astray.tar.xz", "w:xz") as archive:
        archive.add(tmp_path / "text", "../text")
    assert main([*run, "--cells", str(tmp_path / "astray.tar.xz")]) == 1
    assert "holds '../text'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "method", ["random", "default", "portfolio", "nearest_tasks", "warm_start"]
)
def test_the_results_are_those_of_this_code(method, tmp_path):
    """A cell of the file that results.md is made of, run anew."""
    unpack_cells(CELLS, tmp_path)
    folder = "svc"
    (kept,) = (tmp_path / "cells" / "50-trials-5-seeds").glob(f"{folder}-*/{method}")
    path = sorted(kept.glob("*.json"))[60]
    before = json.loads(path.read_text())
    _, now = run_cell(ROOT / "data" / folder, tmp_path / "cache", before["task"], method, 50, 5,
                      tmp_path / "now.json")  # fmt: skip
    assert kept.parent.name.endswith(read_folder(ROOT / "data" / folder).fingerprint)
    assert np.allclose(now.regrets, before["regrets"])
