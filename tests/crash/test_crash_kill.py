"""A collection that is killed or interrupted at any moment, and two at once."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from collect_cases import CONFIGS, TABLES, collect, contents, fork, forked
from victims import MANY, counting, finished, silent, slow

from metahpo_lite import MetaDataset
from metahpo_lite.storage import LOG


def interrupted_collection(folder, notes, rng, sign):
    """Collect in copies of this process that are ended at random moments; return how many."""
    before, begun, longest = {}, 0, 0.3
    for ended in range(200):
        with silent(), forked(counting, notes, collect, folder) as process:
            process.join(rng.uniform(0, longest))
            if process.exitcode is None:
                os.kill(process.pid, sign)
                process.join(30)
        assert process.exitcode is not None  # no hang
        now = finished(folder) if folder.exists() else {}
        assert {key: now[key] for key in before} == before  # the seconds too: none is done again
        lines = notes.read_text().splitlines() if notes.exists() else []
        again = {tuple(line.split()) for line in lines[begun:]}
        assert not again & {(task, str(number)) for task, number in before}
        longest *= 1 if len(now) > len(before) else 1.2  # on a busy machine it takes longer
        before, begun = now, len(lines)
        if process.exitcode == 0:
            # each end may have cost the evaluation that was under way, and no other
            assert len(lines) <= len(now) + ended
            return ended
    raise AssertionError("it does not come to its end")


@fork
def test_kill_at_random_moments(whole, tmp_path, record_property):
    """SIGKILL at 60 or more random moments; each time the same call goes on."""
    rng, kills, number = np.random.default_rng(1), 0, 0
    while kills < MANY:
        folder, number = tmp_path / str(number), number + 1
        notes = tmp_path / f"notes of {number}"
        kills += interrupted_collection(folder, notes, rng, signal.SIGKILL)
        assert contents(folder) == contents(whole)
    record_property("kills", kills)
    record_property("collections killed", number)


@fork
def test_ctrl_c_at_random_moments(whole, tmp_path, record_property):
    """SIGINT (Ctrl-C) at 60 or more random moments; each time the same call goes on."""
    rng, interrupts, number = np.random.default_rng(2), 0, 0
    while interrupts < MANY:
        folder, number = tmp_path / str(number), number + 1
        notes = tmp_path / f"notes of {number}"
        interrupts += interrupted_collection(folder, notes, rng, signal.SIGINT)
        assert contents(folder) == contents(whole)
    record_property("interrupts", interrupts)


FILES = {"open", "os.rename", "os.remove", "os.mkdir", "fcntl.lockf"}


def die_at(step, folder, tables):
    """Collect, and die just before it touches a file of the folder for the step-th time."""
    seen = [0]

    def watch(event, args):
        if event in FILES and (event == "fcntl.lockf" or str(folder) in str(args[0])):
            seen[0] += 1
            if seen[0] == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    collect(folder, tables, CONFIGS[:2])


@fork
def test_kill_before_each_touch_of_a_file(tmp_path, record_property):
    """SIGKILL before each opening, renaming and removing of a file, when a folder grows."""
    kills = 0
    collect(tmp_path / "right", TABLES, CONFIGS[:2])
    for step in range(1, 200):
        folder = tmp_path / str(step)
        collect(folder, TABLES[0], CONFIGS[:2])
        first = MetaDataset.load(folder).trials
        with forked(die_at, step, folder, TABLES) as process:
            process.join(60)
        # what was there before can be read at any moment
        assert MetaDataset.load(folder).trials.head(len(first)).equals(first)
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        kills += 1
        collect(folder, TABLES, CONFIGS[:2])
        assert contents(folder) == contents(tmp_path / "right")
    assert kills >= 15
    record_property("kills", kills)


@fork
def test_two_at_once_on_one_folder(whole, tmp_path, record_property):
    """Two collections begin at once in one folder: one is done, the other refuses clearly."""
    refused = 0
    for number in range(3):
        folder, notes = tmp_path / str(number), tmp_path / f"notes {number}"
        with (
            silent(),
            forked(counting, notes, collect, folder) as one,
            forked(counting, notes, collect, folder) as other,
        ):
            one.join(60)
            other.join(60)
        codes = sorted([one.exitcode, other.exitcode])
        refused += codes == [0, 1]
        assert codes[0] == 0  # one did all, the other nothing, now or afterwards
        assert len(notes.read_text().splitlines()) == len(finished(folder))
        assert contents(folder) == contents(whole)
    assert refused
    record_property("refused", refused)


def command(folder, jobs=2, configs=30):
    return [sys.executable, "-m", "metahpo_lite", "collect", "--learner", "svc", "--datasets",
            "iris", "wine", "--configs", str(configs), "--out", str(folder),
            "--jobs", str(jobs)]  # fmt: skip


def lines_of(log):
    try:
        return log.read_bytes().count(b"\n")
    except FileNotFoundError:  # not yet, or no longer
        return 0


def idle(processes):
    """End processes, and return how many; none of them works on.

    A worker that had no evaluation yet does not know whose it is, and waits for one.
    """
    before = [process.cpu_times()[:2] for process in processes]
    time.sleep(1)
    assert [process.cpu_times()[:2] for process in processes] == before
    for process in processes:
        process.kill()
    return len(processes)


@slow
@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT", "SIGTERM"])
def test_the_command_with_workers(name, tmp_path, record_property):
    """The command line with two workers and a time limit, ended at random moments, goes on."""
    sign = getattr(signal, name)
    rng, ended, left, before = np.random.default_rng(int(sign)), 0, 0, {}
    folder, log = tmp_path / "e", tmp_path / "e" / LOG
    for _ in range(60):
        with open(tmp_path / "errors", "w") as errors:
            process = subprocess.Popen(command(folder), stderr=errors, start_new_session=True)
        # by what is finished, not by a clock: a fast machine is through in a second
        enough = lines_of(log) + rng.integers(1, 16)
        while process.poll() is None and lines_of(log) < enough:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.05))
        if process.poll() is None:
            below = psutil.Process(process.pid).children(recursive=True)
            if sign == signal.SIGINT:  # as a terminal does: to the workers too
                os.killpg(process.pid, sign)
            else:
                os.kill(process.pid, sign)
            process.wait(60)
            ended += process.returncode != 0
            if sign == signal.SIGINT and process.returncode:
                assert process.returncode == 130
                lines = (tmp_path / "errors").read_text().splitlines()
                assert "interrupted: the same command goes on from here" in lines, lines
            left += idle(psutil.wait_procs(below, timeout=10)[1])
        now = finished(folder)
        assert {key: now[key] for key in before} == before
        before = now
        if process.returncode == 0:
            break
    assert ended >= 2
    record_property("ended", ended)
    record_property("idle workers left", left)
    trials = MetaDataset.load(folder).trials
    assert len(trials) == 62
    assert set(trials["status"]) == {"ok"}
    assert not (folder / LOG).exists()
