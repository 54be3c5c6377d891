"""Experience: what is written is read again, and what is wrong is named, with file, column, row."""

import math
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metahpo_lite import MetaDataset, RandomSearch, normalised_regret, run
from metahpo_lite.hyperparameters import Categorical, Float, Int
from metahpo_lite.spaces import SearchSpace

SPACE = SearchSpace(
    [
        Categorical("kind", [None, True, 1, "1", 0.5]),
        Float("c", 0.01, 100.0, log=True, when={"kind": [None, True, "1"]}),
        Int("n", 1, 2**40, when={"kind": [1]}),
        Categorical("name", ["a", "null", ""]),
    ]
)
CONFIGS = list({str(c): c for c in SPACE.sample(np.random.default_rng(0), 40)}.values())


def experience(**options):
    rng = np.random.default_rng(1)
    names = ["t1", "t2", "t3", "t4"]
    trials = pd.DataFrame(
        [(task, i, rng.random()) for task in names for i in range(len(CONFIGS))],
        columns=["task", "config", "score"],
    ).assign(std=0.1, seconds=0.5, status="ok", reason="")
    trials.loc[1, ["score", "std"]] = np.nan
    trials.loc[1, ["status", "reason"]] = "timeout", "stopped after 1 s"
    trials.loc[2, ["score", "status", "reason"]] = [np.nan, "failed", "ValueError: no"]
    tasks = pd.DataFrame({"family": ["f", "f", "g", "h"], "rows": [10, 20, 30, 40]}, index=names)
    described = pd.DataFrame({"m": [1.0, np.nan, 3.0]}, index=["t1", "t2", "t4"])
    parts = {"trials": trials, "tasks": tasks, "meta_features": described, **options}
    return MetaDataset(SPACE, CONFIGS, about={"learner": "mine"}, **parts)


def test_families_may_be_a_category():
    mine = experience()
    alike = experience(tasks=mine.tasks.assign(family=mine.tasks["family"].astype("category")))
    pd.testing.assert_frame_equal(alike.tasks, mine.tasks)


@pytest.fixture
def folder(tmp_path):
    return experience().save(tmp_path / "e")


def test_round_trip(folder):
    old, new = experience(), MetaDataset.load(folder)
    assert list(new.configs) == CONFIGS
    assert [list(map(type, c.values())) for c in new.configs] == [
        list(map(type, c.values())) for c in CONFIGS
    ]
    assert (new.space, new.about, new.name) == (old.space, old.about, "mine")
    for part in ("trials", "tasks", "meta_features", "scores", "seconds"):
        pd.testing.assert_frame_equal(getattr(new, part), getattr(old, part), check_dtype=False)
    assert repr(new) == f"MetaDataset('mine': 4 tasks of 3 families, {len(CONFIGS)} configurations)"
    again = new.save(folder.with_name("again"))
    for path in folder.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes()
    assert "# Experience: mine" in (folder / "README.md").read_text(encoding="utf-8")
    assert pd.read_parquet(folder / "configs.parquet").index.name == "config"
    assert pd.read_parquet(folder / "meta_features.parquet").index.name == "task"


def test_nothing_is_overwritten(folder):
    with pytest.raises(FileExistsError, match="there already"):
        experience().save(folder)


def test_matrix():
    mine = experience()
    assert mine.scores.shape == mine.seconds.shape == (4, len(CONFIGS))
    assert mine.scores.isna().sum().sum() == 2
    assert (
        mine.scores.loc["t3", 5]
        == mine.trials.query("task == 't3' and config == 5")["score"].item()
    )
    assert mine.points.shape == (len(CONFIGS), 4)
    assert list(mine.meta_features.index) == list(mine.scores.index)
    assert mine.meta_features.loc["t3"].isna().all()


def test_best_configs():
    mine = experience()
    best = mine.best_configs(2)
    assert list(best.index.names) == ["task", "rank"]
    for task, row in mine.scores.iterrows():
        ranked = row.sort_values(ascending=False, kind="stable").index[:2]
        assert list(best.loc[task, "config"]) == list(ranked)
        assert best.loc[(task, 1), "score"] == row.max()
    number = best.loc[("t1", 1), "config"]
    assert best.loc[("t1", 1), "name"] == CONFIGS[number]["name"]


def test_regrets():
    e = experience()
    for task, row in e.regrets.iterrows():
        known = e.replay(task)
        expected = normalised_regret(known.scores, known.best, known.worst)  # NaN is the worst
        np.testing.assert_allclose(row, expected, atol=1e-12)
    assert e.best_default() == CONFIGS[int(np.argmin(e.regrets.to_numpy().mean(axis=0)))]
    flat = experience(trials=e.trials.assign(score=1.0, status="ok"))
    assert (flat.regrets == 0).all(axis=None)
    assert flat.best_default() == CONFIGS[0]  # of equals the first


def test_parts():
    mine = experience()
    assert list(mine.without("f").tasks.index) == ["t3", "t4"]
    assert list(mine.without(["f", "g"]).scores.index) == ["t4"]
    assert list(mine.subset(["t4", "t1"]).scores.index) == ["t4", "t1"]
    assert mine.subset(["t4", "t1"]).scores.equals(mine.scores.loc[["t4", "t1"]])
    for wrong in (lambda: mine.without("t1"), lambda: mine.subset(["t9"]), lambda: mine.replay("")):
        with pytest.raises(KeyError, match="is not in this experience"):
            wrong()
    with pytest.raises(KeyError, match=r"task: 'T3' is not in .* \(did you mean 't3'.*one of 4"):
        mine.replay("T3")
    with pytest.raises(ValueError, match="nothing would be left"):
        mine.without(["f", "g", "h"])
    with pytest.raises(ValueError, match="none, or one twice"):
        mine.subset([])


def test_replay():
    task = experience().replay("t1")
    row = experience().scores.loc["t1"]
    assert (task.best, task.worst) == (row.max(), row.min())
    assert task.evaluate(CONFIGS[0]) == row[0]
    with pytest.raises(TimeoutError, match="stopped after 1 s"):
        task.evaluate(CONFIGS[1])
    with pytest.raises(RuntimeError, match="ValueError: no"):
        task.evaluate(CONFIGS[2])
    with pytest.raises(ValueError, match="never evaluated on 't1'"):
        task.evaluate({"kind": 1, "n": 12345, "name": "a"})
    with pytest.raises(ValueError, match="kind: got 7"):
        task.evaluate({"kind": 7})
    history = run(RandomSearch(SPACE, np.random.default_rng(0)), task, 5)
    assert set(history["status"]) <= {"ok", "failed", "timeout"}


# ---- what is wrong is named


def edit(folder, name, change):
    """Write a Parquet file again after a change of its frame."""
    path = folder / f"{name}.parquet"
    frame = pq.read_table(path).to_pandas(ignore_metadata=True)
    changed = change(frame)
    frame = frame if changed is None else changed
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)


def cell(column, row, value):
    def change(frame):
        frame[column] = frame[column].astype(object) if isinstance(value, str) else frame[column]
        frame.loc[row, column] = value

    return change


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("scores", cell("score", 7, math.nan), "column 'score', row 7: got nan"),
        ("scores", cell("score", 7, math.inf), "column 'score', row 7: got inf"),
        ("scores", cell("score", 7, -1e155), "column 'score', row 7: got -1e+155"),
        ("scores", cell("score", 1, 0.5), "column 'score', row 1: got 0.5, accepted is no score"),
        ("scores", cell("config", 3, 4), "column 'config', row 4: got 4, accepted is each"),
        ("scores", cell("config", 3, 999), "column 'config', row 3: got 999"),
        ("scores", cell("config", 3, -1), "column 'config', row 3: got -1"),
        ("scores", cell("task", 3, "t9"), "column 'task', row 3: got 't9'"),
        ("scores", cell("status", 3, "fine"), "column 'status', row 3: got 'fine'"),
        ("scores", cell("seconds", 3, -1.0), "column 'seconds', row 3: got -1.0"),
        ("scores", cell("std", 3, math.inf), "column 'std', row 3: got inf"),
        ("scores", lambda f: f.drop(index=5), "task 't1' lacks configuration 5"),
        ("scores", lambda f: f.drop(columns="std"), "column 'std' is missing"),
        ("scores", lambda f: f.assign(score="0.5"), "column 'score' is of type"),
        ("scores", lambda f: f.assign(config=0.5), "column 'config', row 0: got 0.5"),
        ("configs", cell("c", 0, 1e9), "row 0: "),
        ("configs", cell("kind", 2, "7"), "row 2: kind: got '7'"),
        ("configs", lambda f: f.assign(n="x"), "column 'n' is of type"),
        ("configs", cell("config", 2, 5), "column 'config', row 2: got 5"),
        ("configs", lambda f: pd.concat([f, f[:1].assign(config=len(f))]), "as in row 0"),
        ("configs", lambda f: f.drop(columns="name"), "column 'name' is missing"),
        ("configs", lambda f: f.assign(more=1), "column 'more' is not in the space"),
        ("tasks", cell("task", 1, "t1"), "column 'task', row 1: got 't1', accepted is each"),
        ("tasks", cell("family", 1, None), "column 'family', row 1"),
        ("tasks", cell("rows", 1, -5), "column 'rows', row 1: got -5"),
        ("tasks", lambda f: f.assign(rows="many"), "column 'rows' is of type"),
        ("tasks", lambda f: f[:0], "no row"),
        ("meta_features", cell("task", 1, "t9"), "column 'task', row 1: got 't9'"),
        ("meta_features", cell("m", 0, math.inf), "column 'm', row 0: got inf"),
        ("meta_features", lambda f: f.assign(m="x"), "column 'm', row 0: got 'x'"),
        ("meta_features", lambda f: f.drop(columns="task"), "column 'task' is missing"),
    ],
)
def test_a_wrong_file_is_named(folder, name, change, message):
    edit(folder, name, change)
    with pytest.raises(ValueError, match=rf"{name}\.parquet: .*{re.escape(message)}"):
        MetaDataset.load(folder)


@pytest.mark.parametrize("name", ["configs", "scores", "tasks", "meta_features"])
@pytest.mark.parametrize("keep", [0, 10, 300])
def test_a_truncated_file_is_named(folder, name, keep):
    path = folder / f"{name}.parquet"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=rf"{name}\.parquet: truncated"):
        MetaDataset.load(folder)


@pytest.mark.parametrize(
    "name", ["space.json", "configs.parquet", "scores.parquet", "tasks.parquet"]
)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=rf"{name} is missing"):
        MetaDataset.load(folder)


def test_meta_features_may_be_missing(folder):
    (folder / "meta_features.parquet").unlink()
    assert MetaDataset.load(folder).meta_features is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"hyperparameters": [{"kind": "x"}]}', "\xff"]
)
def test_a_wrong_space_is_named(folder, text):
    (folder / "space.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"space\.json"):
        MetaDataset.load(folder)


def test_an_unknown_name():
    with pytest.raises(FileNotFoundError, match="neither shipped nor a folder"):
        MetaDataset.load("svx")


# ---- tables from elsewhere


def long_table(shared, n_tasks=4, n=30):
    rng = np.random.default_rng(0)
    rows = []
    for task in range(n_tasks):
        draw = np.random.default_rng(7 if shared else task)
        for x, k in zip(draw.random(n), draw.integers(1, 5, n), strict=True):
            rows.append((task, x, k, "ab"[k % 2], -((x - task / 4) ** 2)))
    table = pd.DataFrame(rows, columns=["task", "x", "k", "text", "score"])
    return table.sample(frac=1, random_state=int(rng.integers(9)))


def test_a_table_with_the_same_configurations():
    table = long_table(shared=True)
    mine = MetaDataset.from_trials(table, families={1: "f", 2: "f"})
    assert mine.scores.shape == (4, 30)
    assert sorted(mine.scores.to_numpy().ravel()) == sorted(table["score"])
    for row in table.head(9).itertuples():
        config = {"x": row.x, "k": row.k, "text": row.text}
        assert mine.replay(str(row.task)).evaluate(config) == row.score
    assert mine.families.to_dict() == {"0": "0", "1": "f", "2": "f", "3": "3"}
    assert [type(h).__name__ for h in mine.space] == ["Float", "Int", "Categorical"]


def test_a_table_with_other_configurations(tmp_path):
    described = pd.DataFrame({"m": [0.0, 1.0, 2.0, 3.0]}, index=[0, 1, 2, 3])
    mine = MetaDataset.from_trials(long_table(shared=False), described, n_configs=50)
    assert mine.scores.shape == (4, 50)
    assert list(mine.meta_features.loc[["0", "3"], "m"]) == [0.0, 3.0]
    x = np.array([config["x"] for config in mine.configs])
    for task, row in mine.scores.iterrows():
        truth = -((x - int(task) / 4) ** 2)
        assert np.corrcoef(row, truth)[0, 1] > 0.9
    again = MetaDataset.from_trials(long_table(shared=False), described, n_configs=50)
    assert again.scores.equals(mine.scores)
    assert "extremely randomised" in (mine.save(tmp_path / "e") / "README.md").read_text()
    assert MetaDataset.load(tmp_path / "e").scores.equals(mine.scores)


@pytest.mark.parametrize("option", [{"n_configs": 0}, {"seed": -1}, {"seed": 0.5}])
def test_a_wrong_option_is_named(option):
    ((name, value),) = option.items()
    with pytest.raises(ValueError, match=f"^{name}: got {value}, accepted is a whole number"):
        MetaDataset.from_trials(long_table(shared=False), **option)


def test_a_table_with_conditions():
    space = SearchSpace(
        [Categorical("kernel", ["rbf", "linear"]), Float("gamma", 0, 1, when={"kernel": ["rbf"]})]
    )
    table = pd.DataFrame({
        "task": ["a", "a", "b", "b"], "kernel": ["rbf", "linear"] * 2,
        "gamma": [0.5, np.nan] * 2, "score": [1.0, 2.0, 3.0, 4.0],
    })  # fmt: skip
    mine = MetaDataset.from_trials(table, space=space)
    assert list(mine.configs) == [{"kernel": "rbf", "gamma": 0.5}, {"kernel": "linear"}]
    with pytest.raises(ValueError, match="column 'gamma', row 1"):
        MetaDataset.from_trials(table)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="score"), "column 'score' is missing"),
        (lambda t: t.assign(score=np.nan), "column 'score', row 0: got nan"),
        (lambda t: t.assign(score="x"), "column 'score', row 0: got 'x'"),
        (lambda t: t.assign(task=None), "column 'task', row 0"),
        (lambda t: pd.concat([t, t[:1]]), "column 'task', row 120"),
        (lambda t: t[:0], "or no row"),
        (lambda t: t.assign(x=t["x"].where(t.index > 0, np.inf)), "column 'x', row 0"),
        (lambda t: t.assign(score=t["score"].where(t.index > 0, 1e155)), "column 'score', row 0"),
    ],
)
def test_a_wrong_table_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        MetaDataset.from_trials(change(long_table(shared=True).reset_index(drop=True)))


def test_meta_features_and_families_of_unknown_tasks():
    table = long_table(shared=True)
    with pytest.raises(ValueError, match=r"meta_features: column 'task', row 0: got '9'"):
        MetaDataset.from_trials(table, pd.DataFrame({"m": [1.0]}, index=["9"]))
    with pytest.raises(ValueError, match=r"families: column 'task', row 0: got '9'"):
        MetaDataset.from_trials(table, families={"9": "f"})
