"""The benchmark judges: what it says of a method must be true, and nothing may leak."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from benchmark_cases import QUICK, Spy, cells_of, seen, trials, write

from benchmarks import policy
from benchmarks.folders import predict_sources, read_folder
from benchmarks.methods import METHODS
from benchmarks.report import SUMMARY, Figures, curves, geometric_ratio, summary
from metahpo_lite import MetaDataset
from metahpo_lite.regret import expected_incumbent, normalised_regret

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
