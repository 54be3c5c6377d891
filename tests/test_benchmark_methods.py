"""The methods of the benchmark are what their names say, those of other libraries too."""

import os
import sys

import numpy as np
import pytest
from benchmark_cases import cells_of

from benchmarks import methods, peers, runner
from benchmarks.__main__ import main
from benchmarks.folders import read_folder
from benchmarks.methods import METHODS, best_mean_rank, grid_of_pool
from metahpo_lite import MetaDataset
from metahpo_lite.storage import config_key

PEERS = {
    "optuna_tpe": "optuna",
    "portfolio_tpe": "optuna",
    "skopt_gp": "skopt",
    "syne_tune_zero_shot": "syne_tune",
    "syne_tune_cts": "syne_tune",
}


# ---------------------------------------------------------------------- methods


def test_the_grid_lies_in_the_pool_and_repeats_nothing(differing):
    folder = read_folder(differing)
    pool, _ = folder.pools["t0"]
    taken = grid_of_pool(folder.space, pool, 9, np.random.default_rng(0))
    keys = [config_key(config) for config in taken]
    assert len(set(keys)) == len(keys) == len(folder.space.grid(9))
    assert set(keys) <= {config_key(config) for config in pool}


def test_the_default_has_the_best_mean_rank_and_failures_rank_last(ours):
    experience = MetaDataset.load(ours)
    ranks = experience.scores.rank(axis=1, ascending=False).fillna(9.5)
    chosen = experience.configs.index(best_mean_rank(experience))
    means = ranks.mean()
    assert means[chosen] <= means.min() + 0.5  # two failures share the last ranks of a task


def test_a_method_is_one_line(shared, tmp_path, monkeypatch):
    monkeypatch.setitem(METHODS, "first", lambda s: methods.InOrder(s.pool[:1]))
    cells = cells_of(shared, tmp_path / "out", ["first"], n_trials=3)
    assert {cell.method for cell in cells} == {"first"}


@pytest.mark.parametrize("method", PEERS)
@pytest.mark.parametrize("kind", ["ours", "differing"])
def test_a_peer_searches_the_pool_and_is_told_of_failures(method, kind, request, tmp_path):
    pytest.importorskip(PEERS[method])
    if PEERS[method] == "syne_tune":
        pytest.importorskip("huggingface_hub")
    folder = request.getfixturevalue(kind)
    once, again = (
        cells_of(folder, tmp_path / out, [method], n_trials=12, n_tasks=2, n_seeds=1)
        for out in ("1", "2")
    )
    assert [cell.reason for cell in once] == ["", ""]
    assert [c.regrets for c in once] == [c.regrets for c in again]
    assert all(cell.regrets[0][-1] == 0 for cell in once)  # nothing twice: the whole pool


def test_zero_shot_is_greedy_on_mean_ranks(ours):
    pytest.importorskip("syne_tune")
    pytest.importorskip("huggingface_hub")
    experience = MetaDataset.load(ours)
    scores = experience.scores.apply(lambda row: row.fillna(row.min()), axis=1)
    ranks, chosen = scores.rank(axis=1, ascending=False).to_numpy(), []
    while len(chosen) < 3:  # Wistuba et al. (2015), in three lines
        chosen.append(int(ranks.mean(axis=0).argmin()))
        ranks = np.minimum(ranks, ranks[:, chosen[-1:]])
    searcher = peers.SyneTuneZeroShot(np.random.default_rng(0), experience)
    found = [experience.configs.index(searcher.suggest()) for _ in chosen]
    assert found == list(dict.fromkeys(chosen))


def test_tpe_is_told_of_what_it_did_not_propose(ours):
    folder = read_folder(ours)
    pool = folder.shared.configs
    searcher = peers.OptunaTPE(folder.space, np.random.default_rng(0), pool, initial=3)
    for i, score in enumerate([0.1, np.nan, 0.3, 0.2]):
        searcher.update(pool[i], score)
    told = searcher.study.trials
    assert [t.value for t in told] == [0.1, None, 0.3, 0.2]
    rest = []
    for _ in range(6):
        rest.append(searcher.suggest())
        searcher.update(rest[-1], 0.5)
    assert sorted(map(config_key, rest)) == sorted(map(config_key, pool[4:]))
    with pytest.raises(StopIteration):
        searcher.suggest()


def openbox(folder, seed=0):
    experience = read_folder(folder).shared
    return peers.OpenBoxRGPE(experience.space, np.random.default_rng(seed), experience)


def tried(searcher, score, n=8):
    """Search, and return what was tried, in order; the second trial fails."""
    configs = []
    for i in range(n):
        configs.append(searcher.suggest())
        searcher.update(configs[-1], np.nan if i == 1 else score(configs[-1]))
    return list(map(config_key, configs))


@pytest.mark.skipif("OPENBOX_PYTHON" not in os.environ, reason="OpenBox has its own Python")
@pytest.mark.parametrize("kind", ["ours", "shared"])
def test_openbox_searches_the_pool_and_learns(kind, request):
    folder = request.getfixturevalue(kind)
    number = {config_key(c): i for i, c in enumerate(read_folder(folder).shared.configs)}
    up, again, down = (
        tried(openbox(folder), lambda config, sign=sign: sign * number[config_key(config)])
        for sign in (1, 1, -1)
    )
    assert len(set(up)) == 8  # nothing twice
    assert up == again
    assert up[:3] == down[:3]  # the best of three sources
    assert up != down
    searcher = openbox(folder)
    searcher.update(read_folder(folder).shared.configs[0], 0.5)  # did not propose it
    assert len(set(tried(searcher, lambda config: 0.5, len(number) - 1))) == len(number) - 1
    with pytest.raises(StopIteration):
        searcher.suggest()


def test_openbox_has_a_process_that_ends_and_may_die(shared, tmp_path, monkeypatch, capsys):
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import json, sys\n"
        "json.loads(sys.stdin.readline())\n"
        "for i, line in enumerate(sys.stdin):\n"
        "    if i > 3: sys.exit('no more memory')\n"
        "    if 'ask' in json.loads(line): print([i, 0.5 + i], flush=True)\n"
    )
    monkeypatch.setattr(peers.OpenBoxRGPE, "worker", worker)
    monkeypatch.setenv("OPENBOX_PYTHON", sys.executable)
    searcher = openbox(shared)
    process, pool = searcher.process, searcher.pool.configs
    assert [searcher.suggest(), searcher.suggest()] == pool[:2]
    assert searcher.other_seconds == 1.5
    assert process.poll() is None
    del searcher
    assert process.poll() is not None
    searcher = openbox(shared)
    with pytest.raises(RuntimeError, match=r"worker.py ended with code 1: no more memory"):
        tried(searcher, lambda config: 0.5)
    (cell, *_) = cells_of(shared, tmp_path / "out", ["openbox_rgpe"], n_trials=2, n_seeds=1)
    assert cell.suggest_ms >= 1000  # the time of the process counts

    monkeypatch.setenv("OPENBOX_PYTHON", str(tmp_path / "none"))
    assert runner.not_installed("openbox_rgpe") == ["OPENBOX_PYTHON"]
    monkeypatch.delenv("OPENBOX_PYTHON")
    assert runner.not_installed("openbox_rgpe") == ["OPENBOX_PYTHON"]
    run = [str(shared), "--out", str(tmp_path / "no"), "--methods", "openbox_rgpe"]
    assert main(run) == 1
    error = capsys.readouterr().err
    assert "openbox_rgpe needs OPENBOX_PYTHON, not installed: benchmarks/README.md" in error
