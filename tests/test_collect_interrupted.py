"""A collection survives kill -9, and does what is left."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
from collect_cases import collect, contents, fork, forked

from metahpo_lite import MetaDataset
from metahpo_lite.__main__ import main
from metahpo_lite.collect import LOG


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
