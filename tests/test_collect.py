"""What a collection writes is the same in any number of processes; what must not mix is refused."""

import json
import multiprocessing
import shutil
import time

import joblib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from collect_cases import (
    CONFIGS,
    DEFAULT,
    LEARNER,
    TABLES,
    collect,
    contents,
    fork,
    forked,
    model,
    preprocess,
    snapshot,
    table,
)

from metahpo_lite import LiveTask, MetaDataset, draw_configs, get_learner, storage
from metahpo_lite.collect import LOG
from metahpo_lite.hyperparameters import Int
from metahpo_lite.learners import Learner
from metahpo_lite.spaces import SearchSpace

# ---- what it writes


def test_what_is_written(whole):
    names = ["README.md", "configs", "meta_features", "scores", "space.json", "tasks"]
    assert sorted(path.name.removesuffix(".parquet") for path in whole.iterdir()) == names
    experience = MetaDataset.load(whole)
    assert list(experience.configs) == CONFIGS
    assert experience.configs[0] == DEFAULT
    assert list(experience.tasks.index) == ["one", "three", "two"]
    assert experience.tasks.loc["two", "rows"] == 90
    assert experience.meta_features.loc["two", "rows"] == 90
    assert experience.meta_features["nothing"].isna().all()
    trials = experience.trials
    halves = {i for i, config in enumerate(CONFIGS) if config["kind"] == 0.5}
    assert halves
    failed = trials[trials["status"] == "failed"]
    assert set(failed["config"]) == halves
    assert set(failed["reason"]) == {"ArithmeticError: no half model"}
    assert trials["seconds"].ge(0).all()
    for dataset in TABLES[:2]:
        folds = LiveTask(dataset, LEARNER).evaluate_folds(CONFIGS[3])
        row = trials[(trials["task"] == dataset.name) & (trials["config"] == 3)].iloc[0]
        assert (row["score"], row["std"]) == (folds.mean(), folds.std())
    card = (whole / "README.md").read_text(encoding="utf-8")
    assert "no half model" in card
    assert "| two | two |  | none |" in card


def test_collecting_again_changes_nothing(whole):
    before = contents(whole)
    collect(whole)
    assert contents(whole) == before


def test_more_tasks_go_into_the_same_folder(whole, tmp_path):
    collect(tmp_path / "e", TABLES[:1])
    collect(tmp_path / "e", TABLES[2])
    collect(tmp_path / "e", TABLES[1:])
    assert contents(tmp_path / "e") == contents(whole)


def test_draw_configs():
    configs = draw_configs("svc", 100)
    assert configs[0] == get_learner("svc").default
    assert len({json.dumps(config) for config in configs}) == len(configs) == 101
    assert draw_configs("svc", 30) == configs[:31]
    assert draw_configs("svc", 30, seed=1) != configs[:31]
    tiny = Learner("tiny", SearchSpace([Int("n", 1, 4)]), {"n": 1}, preprocess, model)
    assert len(draw_configs(tiny, 3)) == 4
    with pytest.raises(ValueError, match="at most 3"):
        draw_configs(tiny, 4)
    for n, seed, message in ((0, 0, "n: got 0"), (True, 0, "n: got True"), (3, -1, "seed: got -1")):
        with pytest.raises(ValueError, match=f"^{message}, accepted is a whole number"):
            draw_configs(tiny, n, seed)


def test_timeouts_are_recorded(tmp_path):
    configs = [DEFAULT, {"kind": 1, "n": 9}, {"kind": 1, "n": 1}]
    trials = collect(tmp_path / "e", TABLES[0], configs, time_limit=1.5).trials
    assert list(trials["status"]) == ["ok", "timeout", "ok"]
    assert trials["reason"][1] == "stopped after 1.5 s"
    assert trials["seconds"][0] < 1 < trials["seconds"][1]
    assert trials["seconds"][2] < 1  # the start of the next process is not part of it


def test_progress(tmp_path, capsys):
    collect(tmp_path / "e", TABLES[0], progress=True)
    assert "100%" in capsys.readouterr().err
    collect(tmp_path / "f", TABLES[0], progress=None)  # not a terminal
    assert capsys.readouterr().err == ""


# ---- workers


def test_two_workers_write_the_same(whole, tmp_path):
    with joblib.parallel_config(n_jobs=2):
        collect(tmp_path / "e")
    assert contents(tmp_path / "e") == contents(whole)


@pytest.mark.filterwarnings("ignore")
def test_a_dask_cluster_writes_the_same(whole, tmp_path):
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    )
    with cluster, distributed.Client(cluster), joblib.parallel_config(backend="dask"):
        collect(tmp_path / "e")
    assert contents(tmp_path / "e") == contents(whole)


def same_names(n, high):
    return Learner("naive_bayes", SearchSpace([Int("n", 1, high)]), {"n": n}, preprocess, model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learner": same_names(1, 5), "configs": [{"n": 1}]}, "another space"),
        ({"configs": CONFIGS[:5]}, r"configs\.parquet holds others"),
        ({"configs": [*CONFIGS[1:], CONFIGS[0]]}, r"configs\.parquet holds others"),
        ({"folds": 5}, "folds: got 5"),
        ({"seed": 1}, "seed: got 1"),
        ({"max_rows": None}, "max_rows: got None"),
        ({"time_limit": 5.0}, "time_limit: got 5"),
        ({"metric": "neg_log_loss"}, "metric: got 'neg_log_loss'"),
        ({"configs": []}, "configs: none"),
        ({"configs": [DEFAULT, DEFAULT]}, "one occurs twice"),
        ({"configs": [{"kind": 7}]}, "kind: got 7"),
        ({"tables": []}, "datasets: got none"),
        ({"tables": [TABLES[0], TABLES[0]]}, "'one' occurs twice"),
        ({"tables": [table("small", 5)]}, "folds: got 3, but class"),
    ],
)
def test_another_collection_is_refused(whole, options, message):
    before = snapshot(whole)
    with pytest.raises(ValueError, match=message):
        collect(whole, **options)
    assert snapshot(whole) == before


@pytest.mark.parametrize("name", ["space.json", "configs", "scores", "tasks", "meta_features"])
def test_a_truncated_file_is_refused(name, whole, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "e")
    path = folder / (name if "." in name else f"{name}.parquet")
    path.write_bytes(path.read_bytes()[:50])
    before = snapshot(folder)
    with pytest.raises(ValueError, match=path.name):
        collect(folder)
    assert snapshot(folder) == before


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("score", np.inf, "column 'score', row 3: got inf"),
        ("config", 2, "column 'config', row 3: got 2, accepted is each configuration once"),
        ("task", None, "task 'one' lacks configuration 3"),
        ("status", "fine", "column 'status', row 3: got 'fine'"),
    ],
)
def test_wrong_scores_are_not_gone_on_with(column, value, message, whole, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "e")
    path = folder / "scores.parquet"
    frame = pq.read_table(path).to_pandas()
    frame.loc[3, column] = value
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)
    before = snapshot(folder)
    with pytest.raises(ValueError, match=rf"scores\.parquet: {message}"):
        collect(folder, [*TABLES, table("four")])
    assert snapshot(folder) == before


def test_settings_may_be_those_of_numpy(tmp_path):
    experience = collect(tmp_path / "e", TABLES[:1], CONFIGS[:2], folds=np.int64(3))
    assert experience.about["folds"] == 3


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ValueError, match=r"letter\.txt and no space\.json"):
        collect(tmp_path)
    with pytest.raises(ValueError, match="is a file"):
        collect(tmp_path / "letter.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@fork
def test_two_writers_are_refused(tmp_path):
    def hold(folder, ready):
        with storage.locked(folder / LOG) as log:
            storage.append(log, {"task": "x", "config": 0})
            ready.set()
            time.sleep(60)

    folder, ready = tmp_path, multiprocessing.get_context("fork").Event()
    with forked(hold, folder, ready):
        assert ready.wait(30)
        before = snapshot(folder)
        with pytest.raises(RuntimeError, match="another process collects"):
            collect(folder)
        assert snapshot(folder) == before
    (folder / LOG).unlink()
    with storage.locked(folder / LOG), pytest.raises(RuntimeError, match="another process"):
        collect(folder)
    collect(folder, TABLES[0])  # the locks ended with what held them


def test_a_failed_description_is_an_error_after_the_scores_are_safe(tmp_path):
    def bad(dataset):
        raise ZeroDivisionError("nothing to divide")

    with pytest.raises(RuntimeError, match="meta-features of 'one': ZeroDivisionError"):
        collect(tmp_path / "e", TABLES[0], describe=bad)
    assert (tmp_path / "e" / "scores.parquet").exists()
    assert collect(tmp_path / "e", TABLES[0]).meta_features.loc["one", "rows"] == 60
