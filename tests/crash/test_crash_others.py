"""Optuna's storage, the learner's progress and the notebooks, when the process is killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings

import nbformat
import numpy as np
import psutil
import pytest
from collect_cases import fork, forked
from project_files import ROOT
from victims import MANY, silent

from course import checking
from metahpo_lite import MetaDataset

optuna = pytest.importorskip("optuna")
COMPLETE, RUNNING = optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.RUNNING
SVC = MetaDataset.load("svc")
KNOWN = SVC.subset(list(SVC.tasks.index[:6]))


def optimize(storage, seed):
    """Go on with the study of a storage until it has 40 trials."""
    from metahpo_lite import MetaSampler

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    sampler = MetaSampler(KNOWN, pool=list(KNOWN.configs), seed=seed)
    study = optuna.load_study(study_name="shared", storage=storage, sampler=sampler)

    def objective(trial):
        config = KNOWN.space.suggest(trial)
        return float(np.log10(config["C"]))

    study.optimize(objective, callbacks=[optuna.study.MaxTrialsCallback(40, states=(COMPLETE,))])


def complete(storage):
    trials = optuna.load_study(study_name="shared", storage=storage).trials
    return {t.number: (t.params, t.value) for t in trials if t.state == COMPLETE}, trials


@fork
def test_two_processes_that_are_killed_on_one_storage(tmp_path, record_property):
    """Two processes on one storage of Optuna's, killed at random moments: no trial is lost."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage, rng = f"sqlite:///{tmp_path}/study.db", np.random.default_rng(5)
    optuna.create_study(study_name="shared", storage=storage, direction="maximize")
    before, kills, longest = {}, 0, 1.0
    for seed in range(0, 200, 2):
        last = kills >= MANY // 3
        with (
            silent(),
            forked(optimize, storage, seed) as one,
            forked(optimize, storage, seed + 1) as other,
        ):
            for process in (one, other):
                process.join(300 if last else rng.uniform(0, longest))
                if process.exitcode is None:
                    os.kill(process.pid, signal.SIGKILL)
                    process.join()
        kills += [one.exitcode, other.exitcode].count(-signal.SIGKILL)
        now, trials = complete(storage)
        assert {number: now[number] for number in before} == before
        longest *= 1 if len(now) > len(before) else 1.2
        before = now
        if last or len(now) >= 40:
            break
    assert len(now) >= 40
    assert sorted(trial.number for trial in trials) == list(range(len(trials)))
    assert sum(trial.state == RUNNING for trial in trials) <= kills  # at most what was under way
    record_property("kills", kills)


@fork
@pytest.mark.parametrize("at", ["fsync", "replace"])
def test_progress_that_is_killed(at, tmp_path, monkeypatch):
    """SIGKILL while the progress file of the course is written: the one before it is whole."""
    monkeypatch.setenv("METAHPO_PROGRESS", str(tmp_path / "progress.json"))
    checking._remember("03-1")
    before = (tmp_path / "progress.json").read_bytes()

    def remember():
        setattr(os, at, lambda *args: os.kill(os.getpid(), signal.SIGKILL))
        checking._remember("03-2")

    with forked(remember) as process:
        process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert (tmp_path / "progress.json").read_bytes() == before
    assert checking._remember("03-2") == ""
    assert set(json.loads((tmp_path / "progress.json").read_text())) == {"03-1", "03-2"}


def course(folder):
    """A course of one lesson, in a folder of its own."""
    (folder / "notebooks").mkdir()
    (folder / "README.md").write_text("<!-- lessons -->\n<!-- /lessons -->\n", encoding="utf-8")
    path = folder / "notebooks" / "00_try_it.ipynb"
    blocks = "<!-- time -->\n<!-- /time -->\n<!-- navigation -->\n<!-- /navigation -->"
    book = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell(f"# 00 · Try: it\n\n> What it is about\n\n{blocks}"),
            nbformat.v4.new_code_cell("print('here', flush=True)\nimport time\ntime.sleep(1)"),
            nbformat.v4.new_markdown_cell(f"The end\n\n{blocks}"),
        ],
        metadata={"language_info": {"name": "python"}},
    )
    nbformat.write(book, path)
    return path


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_lessons_that_are_killed(tmp_path, record_property):
    """SIGKILL while tools/lessons.py executes a notebook: it is as it was, and no kernel stays."""
    path = course(tmp_path)
    before = path.read_bytes()
    call = [sys.executable, str(ROOT / "tools/lessons.py"), "execute", str(path)]
    process = subprocess.Popen(call, stdout=subprocess.DEVNULL)
    below, until = [], time.monotonic() + 120
    while not below and time.monotonic() < until:
        time.sleep(0.1)
        below = psutil.Process(process.pid).children(recursive=True)
    time.sleep(1)
    process.kill()
    process.wait()
    assert below
    assert path.read_bytes() == before
    assert not psutil.wait_procs(below, timeout=60)[1]
    subprocess.run(call, check=True, stdout=subprocess.DEVNULL)
    assert nbformat.read(path, as_version=4).cells[1].outputs[0].text == "here\n"
    assert [p.name for p in path.parent.iterdir()] == [path.name]


DIE = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv.pop(1))
import lessons
step, seen, root = int(sys.argv.pop(1)), 0, sys.argv[1]
plain = {"write": Path.write_text, "replace": os.replace}
def torn(path, text, **given):
    global seen
    seen += 1
    plain["write"](path, text[: len(text) // 2] if seen == step else text, **given)
    if seen == step:
        os.kill(os.getpid(), signal.SIGKILL)
def replace(*args):
    global seen
    seen += 1
    if seen == step:
        os.kill(os.getpid(), signal.SIGKILL)
    plain["replace"](*args)
Path.write_text, os.replace = torn, replace
lessons.run_and_watch = lambda path: (1.0, 1e8)
lessons.main(["--root", root, "measure"])
"""


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_measures_that_are_killed(tmp_path, record_property):
    """SIGKILL at each file that `make times` writes: README, notebook and times stay whole."""
    (tmp_path / "right").mkdir()
    course(tmp_path / "right")
    kills = 0
    for step in range(1, 30):
        root = tmp_path / str(step)
        shutil.copytree(tmp_path / "right", root)
        call = [sys.executable, "-c", DIE, str(ROOT / "tools"), str(step), str(root)]
        done = subprocess.run(call, capture_output=True, text=True)
        readme = (root / "README.md").read_text(encoding="utf-8")
        assert readme.endswith("<!-- /lessons -->\n")
        nbformat.read(root / "notebooks/00_try_it.ipynb", as_version=4)
        times = root / "notebooks/times.json"
        assert not times.exists() or json.loads(times.read_text())
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        kills += 1
    assert kills >= 5
    assert "00_try_it" in readme
    record_property("kills", kills)
