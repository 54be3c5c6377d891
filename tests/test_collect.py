"""A collection survives kill -9, refuses what it must not mix, and does not depend on workers."""

import contextlib
import io
import json
import multiprocessing
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.naive_bayes import GaussianNB

from metahpo_lite import Dataset, LiveTask, MetaDataset, draw_configs, get_learner, storage
from metahpo_lite.__main__ import main, read_own
from metahpo_lite.collect import LOG, collect_experience
from metahpo_lite.hyperparameters import Categorical, Float, Int
from metahpo_lite.learners import Learner
from metahpo_lite.spaces import SearchSpace

SPACE = SearchSpace(
    [
        Categorical("kind", [None, True, 1, "1", 0.5]),
        Float("smoothing", 1e-9, 1.0, log=True, when={"kind": [None, True, "1"]}),
        Int("n", 1, 9, when={"kind": [1]}),
    ]
)
DEFAULT = {"kind": None, "smoothing": 1e-9}


def model(config, seed):
    if config["kind"] == 0.5:
        raise ArithmeticError("no half model")
    if config.get("n") == 9:
        time.sleep(60)
    return GaussianNB(var_smoothing=config.get("smoothing", 1e-3))


def preprocess():
    return get_learner("mlp").preprocess()


LEARNER = Learner("naive_bayes", SPACE, DEFAULT, preprocess, model)
# without those that sleep
CONFIGS = [c for c in draw_configs(LEARNER, 60) if c.get("n") != 9][:40]


def table(name, rows=60, columns=3, shift=1.0):
    rng = np.random.default_rng(len(name) + rows)
    y = np.arange(rows) % 3
    X = rng.normal(size=(rows, columns)) + shift * y[:, None]
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(columns)])
    return Dataset.from_frame(frame.assign(y=y), "y", name, licence="none")


TABLES = [table("one"), table("two", 90), table("three", 75, 5)]


def describe(dataset):
    return pd.Series({"rows": len(dataset.X), "nothing": np.nan})


def collect(folder, tables=TABLES, configs=CONFIGS, learner=LEARNER, **options):
    options = {"time_limit": None, "describe": describe, "progress": False, **options}
    return collect_experience(learner, tables, configs, folder, **options)


def contents(folder):
    """All files as bytes, the scores without the seconds."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    scores = pq.read_table(folder / "scores.parquet").drop_columns("seconds")
    buffer = io.BytesIO()
    pq.write_table(scores, buffer)
    return {**files, "scores.parquet": buffer.getvalue()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a collection that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "experience"
    collect(folder)
    return folder


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


# ---- interruptions

fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@contextlib.contextmanager
def forked(target, *args):
    """Run a function in a copy of this process; kill it at the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads in a process that forks
        process = multiprocessing.get_context("fork").Process(target=target, args=args)
        process.start()
    try:
        yield process
    finally:
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
        process.join()


def finished(folder):
    """All evaluations that a folder holds: those of the log, then those of the table."""
    log, scores, rows = folder / LOG, folder / "scores.parquet", []
    if log.exists():
        lines = log.read_bytes().splitlines(keepends=True)
        rows = [json.loads(line) for line in lines if line.endswith(b"\n")]
        rows = [row for row in rows if "config" in row]
        assert len({(row["task"], row["config"]) for row in rows}) == len(rows)  # none twice
    rows += pq.read_table(scores).to_pylist() if scores.exists() else []
    return {(row["task"], row["config"]): row for row in rows}


@fork
def test_kill_at_twenty_random_moments(whole, tmp_path):
    rng, folder = np.random.default_rng(0), tmp_path / "e"
    killed, before = 0, {}
    for _ in range(20):
        with forked(collect, folder) as process:
            process.join(rng.uniform(0.0, 0.2))
        killed += process.exitcode == -signal.SIGKILL
        now = finished(folder)
        assert {key: now[key] for key in before} == before  # the seconds too: none is done again
        before = now
    assert killed >= 5
    collect(folder)
    now = finished(folder)
    assert {key: now[key] for key in before} == before
    assert contents(folder) == contents(whole)


def die_at(step, folder):
    """Collect, and die at the end of the step-th file."""
    replace, done = os.replace, []

    def replace_and_die(*args):
        done.append(args)
        if len(done) == step:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(*args)

    os.replace = replace_and_die
    collect(folder)


@fork
@pytest.mark.parametrize("step", range(1, 7))
def test_kill_while_files_are_renamed(step, whole, tmp_path):
    with forked(die_at, step, tmp_path / "e") as process:
        process.join(30)
    assert process.exitcode == -signal.SIGKILL
    collect(tmp_path / "e")
    assert contents(tmp_path / "e") == contents(whole)


@fork
def test_a_torn_line_is_dropped(whole, tmp_path):
    folder = tmp_path / "e"
    with forked(collect, folder):
        while not (folder / LOG).exists() or (folder / LOG).stat().st_size < 2000:
            time.sleep(0.01)
    log = folder / LOG
    log.write_bytes(log.read_bytes()[:1000])
    collect(folder)
    assert contents(folder) == contents(whole)


def test_a_broken_line_is_named(tmp_path):
    (tmp_path / LOG).write_bytes(b'{"task": "one"\n')
    with pytest.raises(ValueError, match=r"collect\.log: line 1"):
        collect(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_kill_and_resume_on_the_command_line(tmp_path, capsys, monkeypatch):
    """Killed with two workers and a time limit, finished with one worker."""
    command = [sys.executable, "-m", "metahpo_lite", "collect", "--learner", "svc"]
    command += ["--datasets", "iris", "--configs", "60", "--out", "mine", "--jobs", "2"]
    log = tmp_path / "mine" / LOG
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
    while process.poll() is None and (not log.exists() or log.stat().st_size < 500):
        time.sleep(0.01)
    below = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert len(below) >= 4  # two workers, each with the process of its own
    assert not psutil.wait_procs(below, timeout=20)[1]  # nothing goes on without it
    assert log.read_bytes().count(b"\n") < 61
    monkeypatch.chdir(tmp_path)
    assert main([*command[3:-1], "1"]) == 0
    assert "61 ok" in capsys.readouterr().out
    assert "--learner svc --configs 60" in (tmp_path / "mine" / "README.md").read_text()
    trials = MetaDataset.load(tmp_path / "mine").trials
    assert not trials.duplicated(["task", "config"]).any()


# ---- what is refused


def snapshot(folder):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


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


# ---- the command line


def test_a_table_of_ones_own(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({
        "number": rng.normal(size=60).round(2),
        "text": rng.choice(["a", "b", None], 60),
        "date": pd.date_range("2020-01-01", periods=60),
        "flag": rng.choice([True, False], 60),
        "y": ["yes", "no", "yes"] * 20,
    })  # fmt: skip
    frame.loc[::7, "number"] = np.nan
    frame.to_csv("my.csv", index=False)
    frame.to_csv("my.tsv", index=False, sep="\t")
    frame.to_parquet("my.parquet")
    for suffix in (".csv", ".tsv", ".parquet"):
        X = read_own(f"my{suffix}", "y").X
        assert [dtype.name for dtype in X.dtypes] == ["float64", "category", "float64", "float64"]
        assert X["date"].diff().dropna().eq(1).all()  # days
    call = [
        "collect",
        "--learner",
        "svc",
        "--table",
        "my.csv",
        "--target",
        "y",
        "--configs",
        "3",
        "--out",
        "mine",
    ]
    assert main(call) == 0
    experience = MetaDataset.load("mine")
    assert experience.scores.shape == (1, 4)
    assert experience.meta_features.loc["my", "missing_share"] > 0
    assert "4 ok" in capsys.readouterr().out
    assert main([*call, "--time-limit", "3"]) == 1
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("metahpo_lite: time_limit: got 3")


def test_the_words_of_the_readme(tmp_path, monkeypatch):
    """Its table, its command and its Python, as they stand there."""
    text = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    text = text[text.index("### Collect your own experience") :]
    blocks = re.findall(r"```(\w*)\n(.*?)```", text, re.DOTALL)
    (_, table), (_, command), (kind, code), *_ = blocks
    assert command.startswith(".venv/bin/python -m metahpo_lite collect --learner svc --table my")
    (tmp_path / "my.csv").write_text(table, encoding="utf-8")
    call = [sys.executable, *shlex.split(command)[1:]]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "31 ok" in done.stdout
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(code, names)
    assert kind == "py"
    assert names["mine"].scores.shape == (1, 31)
    assert names["mine"].meta_features.loc["my", ["numeric_share", "missing_share"]].gt(0).all()
    card = (tmp_path / "mine" / "README.md").read_text(encoding="utf-8")
    assert "--configs 30 --time-limit 20 --table my.csv --target COLUMN --out DIR" in card


def test_another_table_of_the_same_name_is_refused(whole):
    before = snapshot(whole)
    message = r"datasets: 'one' has 66 rows, but .*tasks\.parquet says 60; accepted is the same"
    with pytest.raises(ValueError, match=message):
        collect(whole, [table("one", 66)])
    assert snapshot(whole) == before


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        ("--table no.csv --target y", 1, "there is no file no.csv"),
        ("--table bad.csv --target y", 1, "bad.csv: "),
        ("--table bad.parquet --target y", 1, "bad.parquet: "),
        ("--table my.xlsx --target y", 1, "ends in .csv"),
        ("--table twice.csv --target y", 1, "the column 'y' occurs twice; accepted: values"),
        ("--table tabs.csv --target y", 1, "saw 2; accepted: values between ','"),
        ("--table utf16.csv --target y", 1, "utf16.csv is not UTF-8; accepted: text saved as"),
        ("--table once.csv --target y", 1, "class 'c' of 'once' has 1 rows; accepted is"),
        ("--table small.csv --target z", 1, "'z' is not a column"),
        ("--table small.csv --target y", 1, "different in each of 2 rows"),
        ("--datasets irix", 1, "did you mean 'iris'"),
        ("--datasets @none.txt", 1, "none.txt"),
        ("--table my.csv", 2, "belong together"),
        ("--configs 0", 2, "0; accepted: a whole number of at least 1"),
        ("--time-limit nan", 2, "nan; accepted: a number above 0"),
        ("--jobs x", 2, "x; accepted: a whole number"),
        ("--learner none", 2, "invalid choice"),
    ],
)
def test_errors_are_one_line(given, code, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.csv").write_bytes(b'a,b\n"1,2\n')
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 not")
    (tmp_path / "small.csv").write_text("x,y\n1,2\n3,4\n")
    (tmp_path / "twice.csv").write_text("x,y,y\n" + "1,a,a\n2,b,b\n" * 5)
    (tmp_path / "tabs.csv").write_text("x\ty\n1\t2\n1,5\t2\n")
    (tmp_path / "utf16.csv").write_text("x,y\n1,2\n", encoding="utf-16")
    (tmp_path / "once.csv").write_text("x,y\n" + "1,a\n2,b\n" * 5 + "3,c\n")
    try:
        got = main(f"collect --learner svc --out mine {given}".split())
    except SystemExit as error:  # argparse
        got = error.code
    lines = capsys.readouterr().err.splitlines()
    assert (got, "Traceback" in lines) == (code, False)
    assert message in lines[-1]
    assert code == 2 or len(lines) == 1
    assert not (tmp_path / "mine").exists()


def test_help_is_a_manual(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["collect", "--help"])
    text = capsys.readouterr().out
    for word in ("--table my.csv --target y", "interrupted", "MetaDataset.load", "--time-limit"):
        assert word in text


def test_fewer_tables_after_an_interrupt_lose_nothing(tmp_path, monkeypatch):
    """What the log holds whole of another table stays there until that is asked for again."""
    count = []

    def stop(path, content):
        if path.name == "tasks.parquet":
            raise KeyboardInterrupt
        storage.write_file(path, content)

    with monkeypatch.context() as patch:
        patch.setattr("metahpo_lite.collect.write_file", stop)
        with pytest.raises(KeyboardInterrupt):
            collect(tmp_path / "e")
    few = collect(tmp_path / "e", TABLES[:1])
    assert list(few.tasks.index) == ["one"]
    assert (tmp_path / "e" / LOG).stat().st_size > 0

    def evaluated(*args):
        count.append(args)

    monkeypatch.setattr("metahpo_lite.collect.evaluate", evaluated)
    everything = collect(tmp_path / "e")
    assert sorted(everything.tasks.index) == ["one", "three", "two"]
    assert not count
    assert everything.meta_features.notna()["rows"].all()
