"""The benchmark reads folders from elsewhere, and refuses what it cannot judge."""

import numpy as np
import pandas as pd
import pytest
from benchmark_cases import trials, write

from benchmarks.__main__ import main
from benchmarks.folders import read_folder

# ---------------------------------------------------------------------- folders


def test_one_hot_columns_and_inactive_ones_become_a_space(differing):
    space = read_folder(differing).space
    assert space["kind"].choices == ("a", "b", "c")
    assert dict(space["y"].when) == {"kind": ("b",)}
    assert (space["x"].low, space["x"].high) == (0, 1)
    pool, _ = read_folder(differing).pools["t0"]
    assert all(("y" in config) == (config["kind"] == "b") for config in pool)


def test_a_lone_column_and_a_group_with_gaps_get_another_choice(tmp_path):
    table = trials().drop(columns=["kind=c", "y"]).assign(**{"flag=True": [0.0, 1.0] * 30})
    space = read_folder(write(tmp_path / "f", table)).space
    assert space["kind"].choices == ("a", "b", "other")
    assert space["flag"].choices == ("True", "other")


def test_a_condition_may_need_two_parents(tmp_path):
    table = trials().assign(**{"flag=on": [0.0, 1.0] * 30})
    table["z"] = np.where((table["flag=on"] == 1) & (table["kind=b"] == 1), 0.5, -1)
    space = read_folder(write(tmp_path / "f", table)).space
    assert dict(space["z"].when) == {"kind": ("b",), "flag": ("on",)}


def test_level_tasks_are_left_out_and_that_is_said(tmp_path, capsys):
    table = trials()
    table.loc[table["task"] == "t3", "score"] = 0.5
    folder = write(tmp_path / "f", table)
    assert list(read_folder(folder).tasks.index) == ["t0", "t1", "t2", "t4"]
    run = ["--out", str(tmp_path / "out"), "--methods", "random", "--seeds", "1", "--jobs", "1"]
    assert main([str(folder), *run]) == 0
    assert "Left out, since all scores are the same: t3." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="score"), "trials.parquet: column 'score' is missing"),
        (lambda t: t.drop(columns="task"), "column 'task' is missing"),
        (lambda t: t.assign(x=t["x"] + 1), "column 'x', row .*, accepted is in"),
        (lambda t: t.assign(x="large"), "column 'x', row 0: got 'large', accepted is a number"),
        (lambda t: t.assign(x=np.nan), "column 'x', row 0: got nan"),
        (
            lambda t: t.assign(**{"kind=a": 0.5}),
            "column 'kind=a', row 0: got 0.5, accepted is 0",
        ),
        (lambda t: t.assign(**{"kind=a": 1.0}), "column 'kind=…', row .*: got 2.0, accepted is 1"),
        (lambda t: t.assign(y=[-1.0, 0.5] * 30), "column 'y', row 0: below 0, which is inactive"),
        (lambda t: t.assign(score=np.inf), "column 'score', row 0: got inf"),
        (
            lambda t: pd.concat([t, t], ignore_index=True),
            "column 'task', row 60: got 't0', accepted is each config",
        ),
        (lambda t: t[["task", "score"]], "no column of a hyperparameter"),
        (lambda t: t[t["task"] == "t0"], "1 families with different scores; accepted are at least"),
        (lambda t: t.assign(score=1.0), "0 families with different scores"),
    ],
)
def test_a_folder_of_another_form_is_refused(tmp_path, change, message):
    folder = write(tmp_path / "f", change(trials()))
    with pytest.raises(ValueError, match=message):
        read_folder(folder)


def test_other_files_are_refused(tmp_path, shared):
    with pytest.raises(FileNotFoundError, match="nowhere is no folder; accepted is a folder"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"has no space.json and no trials"):
        read_folder(tmp_path)
    pd.DataFrame({"task": ["t0"], "family": ["f"]}).to_parquet(shared / "tasks.parquet")
    with pytest.raises(ValueError, match=r"tasks.parquet: task 't1' is missing"):
        read_folder(shared)
    (shared / "tasks.parquet").unlink()
    pd.DataFrame({"rows": range(5)}).to_parquet(shared / "meta_features.parquet")
    with pytest.raises(ValueError, match=r"meta_features.parquet: column 'task' is missing"):
        read_folder(shared)


def test_a_part_of_the_tasks_is_the_same_at_each_call(shared):
    folder = read_folder(shared)
    assert folder.some_tasks(2) == ["t1", "t3"]
    assert folder.some_tasks(99) == folder.some_tasks(None) == [f"t{i}" for i in range(5)]
