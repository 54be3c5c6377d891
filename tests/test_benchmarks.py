"""The benchmark judges: what it says of a method must be true, and nothing may be lost."""

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

from benchmarks import methods, peers, policy, runner
from benchmarks.__main__ import append_results, main, write_results
from benchmarks.folders import predict_sources, read_folder
from benchmarks.methods import METHODS, Setting, best_mean_rank, grid_of_pool
from benchmarks.report import SUMMARY, Figures, curves, geometric_ratio, summary
from benchmarks.runner import run_benchmark, run_cell, unpack_cells
from metahpo_lite import Categorical, Float, MetaDataset, SearchSpace
from metahpo_lite.evaluation import expected_incumbent, normalised_regret
from metahpo_lite.storage import config_key

ROOT = Path(__file__).parents[1]
QUICK = [
    "random",
    "random_2x",
    "grid",
    "default",
    "portfolio",
    "gp_bo",
    "portfolio_gp_bo",
    "rank_weighted",
    "warm_start_no_meta",
]
META = ["meta_model", "meta_model_mse_raw", "nearest_tasks", "learned_distance", "warm_start"]
PEERS = {
    "optuna_tpe": "optuna",
    "portfolio_tpe": "optuna",
    "skopt_gp": "skopt",
    "syne_tune_zero_shot": "syne_tune",
    "syne_tune_cts": "syne_tune",
}


def trials(n_tasks=5, n_configs=12, shared=True, seed=0):
    """A table from elsewhere: a categorical one, a number, and one that needs the choice b."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n_tasks):
        draw = np.random.default_rng(1) if shared else rng
        for choice, x, y in zip(
            draw.integers(3, size=n_configs), *draw.random((2, n_configs)), strict=True
        ):
            row = {"task": f"t{i}", "kind=a": 0.0, "kind=b": 0.0, "kind=c": 0.0, "x": x}
            row[f"kind={'abc'[choice]}"] = 1.0
            row["y"] = y if choice == 1 else -0.25
            row["score"] = -((x - 0.6) ** 2) + 0.3 * (choice == 1) * y + 0.05 * rng.random()
            rows.append(row)
    return pd.DataFrame(rows)


def write(folder, table, families=None, meta_features=None):
    folder.mkdir(parents=True)
    table.to_parquet(folder / "trials.parquet")
    if families is not None:
        frame = pd.DataFrame({"task": list(families), "family": list(families.values())})
        frame.to_parquet(folder / "tasks.parquet")
    if meta_features is not None:
        meta_features.to_parquet(folder / "meta_features.parquet")
    return folder


@pytest.fixture
def shared(tmp_path):
    return write(tmp_path / "shared", trials())


@pytest.fixture
def differing(tmp_path):
    return write(tmp_path / "differing", trials(shared=False))


@pytest.fixture
def ours(tmp_path):
    space = SearchSpace([Float("C", 0.1, 10, log=True), Categorical("kernel", ["rbf", "linear"])])
    configs, rng = space.sample(np.random.default_rng(0), 10), np.random.default_rng(1)
    names = [f"t{i}" for i in range(4)]
    table = pd.DataFrame({
        "task": np.repeat(names, 10), "config": np.tile(range(10), 4), "score": rng.random(40)
    })  # fmt: skip
    table.loc[[3, 14], "score"] = np.nan  # failed
    tasks = pd.DataFrame({"family": ["f0", "f0", "f1", "f2"]}, index=pd.Index(names, name="task"))
    return MetaDataset(space, configs, table, tasks).save(tmp_path / "ours")


def cells_of(folder, out, names, **options):
    return run_benchmark([folder], out, names, **{"n_seeds": 2, "n_jobs": 1, **options})[1]


# ---------------------------------------------------------------------- the judge


@pytest.mark.parametrize(("method", "draws"), [("random", 1), ("random_2x", 2)])
def test_random_agrees_with_the_exact_expectation(ours, tmp_path, method, draws):
    cells = cells_of(ours, tmp_path / "out", [method], n_trials=5, n_seeds=400)
    folder = read_folder(ours)
    for cell in cells:
        scores = folder.target(cell.task, tmp_path).scores
        expected = normalised_regret(
            expected_incumbent(scores), np.nanmax(scores), np.nanmin(scores)
        )
        found = np.array(cell.regrets)
        error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
        # 20 means are looked at, so some may be 3 standard errors off
        assert (np.abs(found.mean(axis=0) - expected[draws - 1 :: draws][:5]) <= 4 * error).all()


def test_a_table_of_figures_is_right_by_hand(shared, tmp_path):
    cells = cells_of(shared, tmp_path / "out", ["random", "default", "portfolio"], n_trials=12)
    figures = Figures(cells, 12)
    table = summary(figures)
    assert list(table.columns) == SUMMARY
    long = curves(cells, 12, 2)
    assert list(long.columns) == ["folder", "method", "task", "family", "seed", "trial", "regret"]
    assert len(long) == 3 * 5 * 2 * 12
    row = table.set_index("method").loc["random"]
    mine = long[long["method"] == "random"]
    assert row["auc"] == pytest.approx(mine["regret"].mean())
    assert row["regret_5"] == pytest.approx(mine.loc[mine["trial"] == 5, "regret"].mean())
    assert row["auc_low"] <= row["auc"] <= row["auc_high"]
    assert np.isnan(row["regret_25"])
    assert np.isnan(row["rank_50"])
    assert table["rank_10"].sum() == pytest.approx(6)  # 1 + 2 + 3
    assert (mine.loc[mine["trial"] == 12, "regret"] == 0).all()  # the whole pool
    default = long[long["method"] == "default"].groupby("task")["regret"]
    assert (default.max() == default.min()).all()  # flat after the first trial
    assert geometric_ratio(figures, "random", "random") == (1, 1, 1)


def test_pools_smaller_than_the_budget_keep_the_last_value(shared, tmp_path):
    cells = cells_of(shared, tmp_path / "out", QUICK, n_trials=20)
    assert not any(cell.reason for cell in cells)
    for cell in cells:
        regrets = np.array(cell.regrets)
        assert regrets.shape == (2, 20)
        assert (np.diff(regrets) <= 0).all()
        if cell.method in ("random", "random_2x", "portfolio", "gp_bo", "portfolio_gp_bo"):
            assert (regrets[:, 12:] == 0).all()


def test_same_seed_same_result_and_any_number_of_jobs(differing, tmp_path):
    once = cells_of(differing, tmp_path / "1", QUICK, n_trials=8)
    again = cells_of(differing, tmp_path / "2", QUICK, n_trials=8, n_jobs=2)
    assert [c.regrets for c in once] == [c.regrets for c in again]
    assert [(c.method, c.task) for c in once] == [(c.method, c.task) for c in again]
    by_method = {c.method: c.regrets for c in once if c.task == "t1"}
    assert by_method["random"][0] != by_method["random"][1]  # seeds differ
    tasks = [c.regrets for c in once if c.method == "random"]
    assert len({str(r) for r in tasks}) == len(tasks)


# ---------------------------------------------------------------------- nothing leaks


class Spy:
    def __init__(self, setting):
        self.setting, self.left = setting, list(setting.pool)
        seen.append(setting)

    def suggest(self):
        return self.left.pop()

    def update(self, config, score):
        pass


seen: list[Setting] = []


@pytest.mark.parametrize("kind", ["shared", "differing"])
def test_a_method_sees_other_families_alone(tmp_path, monkeypatch, kind):
    table = trials(shared=kind == "shared")
    families = {"t0": "f", "t1": "f", "t2": "g", "t3": "h", "t4": "h"}
    features = pd.DataFrame({"rows": range(5)}, index=pd.Index(list(families), name="task"))
    folder = write(tmp_path / kind, table, families, features)
    monkeypatch.setitem(METHODS, "spy", Spy)
    seen.clear()
    cells = cells_of(folder, tmp_path / "out", ["spy"], n_trials=3, n_seeds=1)
    assert not any(cell.reason for cell in cells)
    assert len(seen) == 5
    for setting in seen:
        task = f"t{int(setting.meta_features['rows'])}"
        assert families[task] not in set(setting.experience.families)
        assert len(setting.experience.tasks) == 5 - list(families.values()).count(families[task])
        assert set(setting.experience.meta_features.index) == set(setting.experience.tasks.index)
        assert list(setting.experience.configs) == list(setting.pool)
        assert [h.name for h in setting.space] == ["kind", "x", "y"]
        own = table[table["task"] == task]
        assert sorted(c["x"] for c in setting.pool) == sorted(own["x"])
        # none of the numbers that it gets is a score of the target
        assert not np.isin(setting.experience.scores.to_numpy(), own["score"].to_numpy()).any()


def test_changing_the_target_does_not_change_its_experience(tmp_path):
    table = trials(shared=False)
    other = table.assign(score=np.where(table["task"] == "t2", 1 - table["score"], table["score"]))
    scores = []
    for name, rows in (("one", table), ("two", other)):
        folder = read_folder(write(tmp_path / name, rows))
        predict_sources(folder, tmp_path / "cache", 1, lambda iterable, *_: iterable)
        scores.append(folder.target("t2", tmp_path / "cache").experience.scores)
    pd.testing.assert_frame_equal(*scores)


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


# ---- the policy


def test_policy_is_trained_without_the_families_that_it_is_judged_on():
    experience = MetaDataset.load("svc")
    judged = []
    for fold in range(policy.FOLDS):
        sources, targets = policy.split(experience, fold)
        assert not set(sources.families) & set(targets.families)
        assert len(sources.tasks) + len(targets.tasks) == len(experience.tasks)
        judged += list(targets.tasks.index)
    assert sorted(judged) == sorted(experience.tasks.index)


def test_policy_report_pairs_by_task(tmp_path, monkeypatch):
    monkeypatch.setattr(policy, "FOLDS", 1)
    monkeypatch.setattr(policy, "METHODS", {"random": None})
    for method, found in (("random", [[0.5, 0.3], [0.9, 0.5]]), ("policy", [[0.1, 0.1], [0.4, 0]])):
        cell = {"task": ["a", "b"], "family": ["a", "b"], "found": found}
        path = tmp_path / "out" / "here" / f"0-{method}-0.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(cell))
    table = policy.figures(Path("here"), 1, tmp_path / "out").set_index("method")
    assert table.loc["random", "regret"] == pytest.approx((0.4 + 0.7) / 2)
    assert table.loc["random", "policy_less"] == pytest.approx((0.3 + 0.5) / 2)
    assert "| here | random | 2 | 0.5500 | +0.4000 |" in policy.report(table.reset_index(), 1)
