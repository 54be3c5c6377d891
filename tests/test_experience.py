"""The experience that is shipped: whole, honest, and the same when it is evaluated again."""

import functools
import json
import re

import numpy as np
import pandas as pd
import pytest

from metahpo_lite import (
    LiveTask,
    MetaDataset,
    draw_configs,
    get_learner,
    list_datasets,
    load_dataset,
    meta_features,
)
from metahpo_lite.card import ALIKE, COPY, alike, card
from metahpo_lite.catalogue import catalogue, data_folder

NAMES = ["svc", "hist_gradient_boosting", "mlp"]
DATA = data_folder()
SHIPPED = sorted(path.parent.name for path in DATA.glob("*/space.json"))
FILES = ["README.md", "configs.parquet", "meta_features.parquet", "scores.parquet", "space.json",
         "tasks.parquet"]  # fmt: skip
load = functools.cache(MetaDataset.load)
each = pytest.mark.parametrize("name", sorted({*NAMES, *SHIPPED}))


def test_all_are_there_and_small():
    assert set(SHIPPED) >= set(NAMES)
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) <= 20e6


@each
def test_size(name):
    experience = load(name)
    assert len(experience.tasks) >= 120
    assert experience.families.nunique() >= 110
    assert len(experience.configs) == 201
    assert experience.scores.shape == (len(experience.tasks), 201)
    assert (experience.trials["status"] != "ok").mean() <= 0.01
    assert experience.scores.nunique(axis=1).min() >= 2  # no task on which all are equal
    assert experience.trials["score"].dropna().between(0, 1).all()


@each
def test_space_and_configurations_are_those_of_the_learner(name):
    experience, learner = load(name), get_learner(name)
    assert experience.space == learner.space
    assert experience.configs[0] == learner.default
    assert list(experience.configs) == draw_configs(learner, 200)
    about = experience.about
    assert (about["learner"], about["metric"]) == (name, "balanced_accuracy")
    assert (about["folds"], about["seed"], about["max_rows"]) == (3, 0, 2000)


@each
def test_every_task_is_described(name):
    table = load(name).meta_features
    assert list(table.columns) == list(meta_features(load_dataset("iris")).index)
    assert not np.isinf(table.to_numpy()).any()
    undefined = table.columns[table.isna().any()]  # those that need varying numeric columns
    numeric = meta_features(load_dataset("iris"), groups="statistical").index
    assert set(undefined) <= set(numeric)
    assert table["numeric_share"][table["skewness_mean"].isna()].max() < 0.2


@each
def test_tasks_agree_with_the_catalogue(name):
    for task, row in load(name).tasks.iterrows():
        known = catalogue()[task]
        assert (row["family"], row["licence"]) == (known["family"], known["licence"])
        assert row["source"].removeprefix("shipped, from ") == known["source"]
        assert row["source"].startswith("shipped") == bool(known["shipped"])
        for column in ("rows", "features", "classes"):
            assert row[column] == int(known[column])


@each
def test_the_card(name):
    """It is generated from what the folder holds, and no raw table lies beside it."""
    assert sorted(path.name for path in (DATA / name).iterdir()) == FILES
    experience, text = load(name), (DATA / name / "README.md").read_text(encoding="utf-8")
    command = re.search(r"```\n(.*)\n```", text)[1]
    assert command.startswith(f"python -m metahpo_lite collect --learner {name} --configs 200")
    assert text == card(experience, command), "make data writes the card again"
    about = json.loads((DATA / name / "space.json").read_text())["collection"]
    versions = [f"{package} {number}" for package, number in about["versions"].items()]
    for fact in (*versions, about["date"], "the seed 0", "3 stratified folds", "## Known flaws"):
        assert fact in text
    for task, row in experience.tasks.iterrows():
        cells = (task, row["family"], row["source"], row["licence"].replace("|", "/"))
        assert f"| {' | '.join(cells)} |" in text


def test_the_card_tells_which_flaws_are_left_out():
    text = card(load("svc"))
    for line in (
        "expenditure and share are zero without a card. Left out: expenditure, share.",
        "- kakadu: lower and upper bid follow from the answer. Left out: lower, upper.",
        "Left out: week, emp1, ..., emp52.",
        "duplicates; strip the byte-order mark. Left out: rows that occur again.",
        "701 duplicate rows of 1066.\n",
    ):
        assert line in text


def test_meta_features_do_not_depend_on_the_learner():
    first, *others = (load(name).meta_features for name in NAMES)
    for other in others:
        shared = first.index.intersection(other.index)
        pd.testing.assert_frame_equal(first.loc[shared], other.loc[shared])


# ---- evaluated again


def at_hand(names):
    """Of some tasks those whose tables can be read here: 35 without the extra `data`."""
    return names[names.isin(list_datasets().index)]


@each
def test_random_cells_are_the_same_again(name):
    """Among the quick ones, so that this test takes seconds; drawn by the seed 4."""
    experience = load(name)
    trials = experience.trials.query("status == 'ok' and seconds < 0.7")
    trials = trials[trials["task"].isin(at_hand(experience.tasks.index))]
    cells = trials.groupby("task").sample(1, random_state=4).sample(12, random_state=4)
    tolerance = 0.02 if name == "mlp" else 1e-6  # a network's sums depend on the processor
    for cell in cells.itertuples():
        score = LiveTask(cell.task, name).evaluate(experience.configs[cell.config])
        assert score == pytest.approx(cell.score, rel=0, abs=tolerance), cell


def test_random_tables_are_described_the_same_again():
    stored = load("svc").meta_features
    for task in np.random.default_rng(4).choice(at_hand(stored.index), 4, replace=False):
        again = meta_features(load_dataset(task))
        pd.testing.assert_series_equal(again, stored.loc[task], check_names=False, atol=1e-6)


# ---- relatives


@each
def test_no_two_families_are_copies(name):
    """Many tasks rank the configurations alike; none of them looks like the table of another."""
    pairs = alike(load(name))
    copies = pairs[pairs["copy"]]
    assert copies.empty, copies.to_string()


@pytest.mark.parametrize("task", ["german", "vowel", "wine"])
def test_a_copy_would_be_found(task):
    """Half the rows of a table, under another name: the same scores, nearly the same table."""
    experience, dataset = load("svc"), load_dataset(task)
    half = np.random.default_rng(0).permutation(len(dataset.y))[::2]
    described = meta_features(dataset.X.iloc[half], dataset.y.iloc[half])
    rows = experience.trials.query("task == @task").assign(task="copy")
    with_copy = MetaDataset(
        experience.space,
        experience.configs,
        pd.concat([experience.trials, rows]),
        pd.concat([experience.tasks, experience.tasks.loc[[task]].set_axis(["copy"]).assign(
            family="copy", rows=len(half))]),
        pd.concat([experience.meta_features, described.to_frame("copy").T]),
        experience.about,
    )  # fmt: skip
    found = alike(with_copy).query("copy")
    assert found[["task", "other"]].to_numpy().tolist() == [[task, "copy"]]
    assert found["correlation"].item() > ALIKE
    assert found["distance"].item() < COPY
    assert f"as copies have: {task} and copy." in card(with_copy)


def test_the_grid_of_lesson_02():
    grid, svc = (MetaDataset.load(DATA / name) for name in ("grids/svc", "svc"))
    assert list(grid.configs) == svc.space.grid(36)
    assert (grid.trials["status"] == "ok").all()
    assert set(grid.tasks.index) <= set(svc.tasks.index)
    for name in ("metric", "folds", "seed", "max_rows"):
        assert grid.about[name] == svc.about[name]
