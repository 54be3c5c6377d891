"""Experience made of anything, used with any argument, saved anywhere: right, or refused."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from harness import REFUSED, fuzz, judged
from hostile import (
    CONFIGS,
    SPACE,
    columns,
    experience,
    json_values,
    objects,
    parts_of_experience,
    plain,
    same,
    typed,
    whole,
)
from hypothesis import example
from hypothesis import strategies as st
from values import mostly, scalars, texts

from metahpo_lite import MetaDataset, SearchSpace, greedy_portfolio

E = experience()
LEFT_OUT = "UserWarning: .* has fewer than two trials with a score: left out"

# ---- made of its parts

# pandas itself cannot hold half a surrogate pair in an index of texts
labels = st.one_of(scalars, st.tuples(texts)).filter(
    # half a surrogate pair, and what pandas cannot have as the name of a column
    lambda one: "\\ud" not in repr(one) and not isinstance(one, np.float16)
)


@st.composite
def spoiled(draw, frame: pd.DataFrame):
    """Return a table with other columns, rows or index."""
    frame = frame.copy()
    for _ in range(draw(st.integers(1, 2))):
        column, n = draw(st.integers(0, max(0, frame.shape[1] - 1))), len(frame)
        how = draw(st.sampled_from(["cells", "cells", "cell", "more", "twice", "less", "rows",
                                    "index", "named"]))  # fmt: skip
        if how == "cells" and frame.shape[1]:
            new = draw(columns(n)).set_axis(frame.index)
            frame = pd.concat([frame.iloc[:, :column], new.rename(frame.columns[column]),
                               frame.iloc[:, column + 1 :]], axis=1)  # fmt: skip
        elif how == "cell" and n and frame.shape[1]:
            cells = frame.iloc[:, column].tolist()
            cells[draw(st.integers(0, n - 1))] = draw(objects)
            new = pd.Series([*cells, None], dtype=object)[:n].set_axis(frame.index)
            frame = pd.concat([frame.iloc[:, :column], frame.iloc[:, column + 1 :],
                               new.rename(frame.columns[column])], axis=1)  # fmt: skip
        elif how == "more":
            name = draw(labels)
            new = draw(columns(n)).set_axis(frame.index).rename(name)
            frame = pd.concat([frame, new], axis=1)
        elif how == "twice" and frame.shape[1]:
            frame = pd.concat([frame, frame.iloc[:, [column]]], axis=1)
        elif how == "less" and frame.shape[1]:
            frame = frame.iloc[:, [i for i in range(frame.shape[1]) if i != column]]
        elif how == "rows" and n:
            frame = frame.iloc[draw(st.lists(st.integers(0, n - 1), max_size=40))]
        elif how == "index" and n:
            index = [*frame.index]
            index[draw(st.integers(0, n - 1))] = draw(labels)
            frame = frame.set_axis(pd.Index(index, dtype=object))
        elif how == "named" and frame.shape[1]:
            names = [*frame.columns]
            names[column] = draw(labels)
            frame = frame.set_axis(pd.Index(names, dtype=object), axis=1)
    return frame


def made(change: str, value) -> object:
    return judged(lambda: MetaDataset(**{**parts_of_experience(), change: value}), whole)


TABLES = {name: parts_of_experience()[name] for name in ("trials", "tasks", "meta_features")}


@fuzz(st.sampled_from([*TABLES]).flatmap(
    lambda name: st.tuples(st.just(name), spoiled(TABLES[name]))))  # fmt: skip
def test_tables(given):
    made(*given)


@example(part="configs", value=[])
@example(part="tasks", value=pd.DataFrame())
@example(part="about", value={1: 2, "added": ("t1",)})
@example(part="about", value={"date": float("nan")})
@fuzz(part=st.sampled_from([*parts_of_experience()]), value=objects)
def test_parts(part, value):
    made(part, value)


@fuzz(st.lists(st.dictionaries(st.sampled_from(SPACE.names) | texts, plain, max_size=4)
               | st.sampled_from(CONFIGS) | objects, max_size=4))  # fmt: skip
def test_configs(configs):
    trials = TABLES["trials"].query("config < @n", local_dict={"n": len(configs)})
    parts = {**parts_of_experience(), "configs": configs, "trials": trials}
    judged(lambda: MetaDataset(**parts), whole)


@fuzz(st.lists(texts, min_size=4, max_size=4))
def test_names_of_tasks(names):
    """Whatever a task is called, nothing is written beside the folder (`whole` looks)."""
    parts = parts_of_experience()
    new = dict(zip(parts["tasks"].index, names, strict=True))
    renamed = [new[task] for task in parts["trials"]["task"]]  # pandas' texts have no surrogates
    parts["trials"]["task"] = pd.Series(renamed, dtype=object)
    for table in ("tasks", "meta_features"):
        index = pd.Index([new[task] for task in parts[table].index], dtype=object)
        parts[table] = parts[table].set_axis(index)
    found = judged(lambda: MetaDataset(**parts), whole)
    if found is not REFUSED:
        for task in names:
            judged(lambda task=task: found.replay(task).evaluate(CONFIGS[0]), lambda s: s >= 0)


# ---- used


def answers(found) -> bool:
    return same(E, experience())  # it did not change


@example(numbers=[1.0])
@example(numbers=[True])
@example(numbers=[0, 0])
@fuzz(numbers=st.lists(st.integers(-1, 9), max_size=9, unique=True) | objects)
def test_with_configs(numbers):
    once = hasattr(numbers, "__next__")
    known = list(numbers) if once else numbers

    def right(found):
        assert [typed(c) for c in found.configs] == [typed(CONFIGS[i]) for i in known]
        assert (found.scores.fillna(9).to_numpy() == E.scores[list(known)].fillna(9)).all(axis=None)
        return answers(found)

    judged(lambda: E.with_configs(iter(known) if once else known), right)


@fuzz(st.lists(st.sampled_from([*E.tasks.index, "t9"]), max_size=4) | objects)
def test_subset(tasks):
    def right(found):
        kept = [tasks] if isinstance(tasks, str) else list(tasks)
        return list(found.tasks.index) == kept and found.scores.equals(E.scores.loc[kept])

    judged(lambda: E.subset(tasks), right)


@fuzz(st.lists(st.sampled_from([*E.families, "x"]), max_size=4) | objects)
def test_without(family):
    def right(found):
        gone = {family} if isinstance(family, str) else set(family)
        return list(found.families) == [f for f in E.families if f not in gone]

    judged(lambda: E.without(family), right)


@example(name="kind", choices=[True])
@example(name="kind", choices=[1.0, "1"])
@example(name="kind", choices=np.array([None, 1], dtype=object))
@example(name="name", choices="a")
@fuzz(
    name=mostly(st.sampled_from(SPACE.names), objects),
    choices=st.lists(st.sampled_from([None, True, 1, "1", 0.5, "a", "null", ""]), max_size=4)
    | objects,
)
def test_with_choices(name, choices):
    given, choices = choices, [1] if isinstance(choices, Iterator) else choices

    def right(found):
        assert all(c in E.configs for c in found.configs)
        kept = [typed({"": v}) for v in found.space[name].choices]
        assert kept == [typed({"": SPACE[name].check(c)}) for c in choices]
        assert whole(found)

    judged(lambda: E.with_choices(name, given), right)


@fuzz(st.integers(-1, 9) | objects, st.sampled_from([*E.tasks.index]) | objects, objects)
def test_numbers_and_names(n, task, config):
    def best(found):
        return list(found.groupby("task").size()) == [min(n, 6), *[min(n, len(CONFIGS))] * 3]

    judged(lambda: E.best_configs(n), best)
    judged(lambda: greedy_portfolio(E, n), lambda found: len(found) == min(n, len(CONFIGS)))
    replay = judged(lambda: E.replay(task), lambda found: found.name == task)
    if replay is not REFUSED:
        judged(lambda: replay.evaluate(config))


@fuzz(texts | st.lists(texts, max_size=3).map("/".join) | objects)
def test_save(name):
    """Into a new folder inside of this one, or not at all; what is there stays."""
    with tempfile.TemporaryDirectory() as here:
        there = Path(here) / "there"
        there.mkdir()
        (there / "file").write_text("x")
        folder = f"{here}/a/{name}" if isinstance(name, str) else name
        if isinstance(name, (str, type(None))) or not hasattr(name, "__fspath__"):
            found = judged(lambda: E.save(folder), lambda path: same(MetaDataset.load(path), E),
                           keep=[there])  # fmt: skip
            for path in (there, there / "file", there / "file" / "x", "/proc/e", "/dev/null/e"):
                assert judged(lambda path=path: E.save(path), keep=[there]) is REFUSED
            left = sorted(path.name for path in Path(here).rglob("*.part"))
            assert found is REFUSED or not left


def test_a_save_that_did_not_end_leaves_nothing_to_the_next(tmp_path):
    """Its meta-features are not those of other experience under the same name."""
    E.save(tmp_path / "old").rename(tmp_path / "e.part")
    plain_one = experience(meta_features=None)
    assert same(MetaDataset.load(plain_one.save(tmp_path / "e")), plain_one)


# ---- made of a table from elsewhere

TABLE = pd.DataFrame({
    "task": ["a"] * 4 + ["b"] * 4, "x": [0.1, 0.2, 0.3, 0.4] * 2, "n": [1, 2, 3, 4] * 2,
    "t": ["u", "v", "u", "v"] * 2, "score": [0.5, 0.25, 0.125, 0.75, 0.1, 0.2, 0.3, 0.4],
})  # fmt: skip


def scores_are_those_of(table: pd.DataFrame):
    def right(found):
        if not found.about:  # else a surrogate predicts
            left = sorted(table["score"].astype(float))
            assert np.array_equal(sorted(found.scores.to_numpy().ravel()), left)
        return whole(found)

    return right


@example(table=TABLE.assign(x=1j))
@example(table=TABLE.assign(x=float("inf")))
@fuzz(table=spoiled(TABLE))
def test_from_trials(table):
    judged(lambda: MetaDataset.from_trials(table, n_configs=3), scores_are_those_of(table))


OPTIONS = {
    "table": TABLE, "meta_features": pd.DataFrame({"m": [0.0, 1.0]}, index=["a", "b"]),
    "families": {"a": "f"}, "space": None, "n_configs": 3, "seed": 0,
}  # fmt: skip


@fuzz(st.sampled_from([*OPTIONS]), objects, st.booleans())
def test_options_of_from_trials(option, value, alike):
    options = {**OPTIONS, "table": TABLE if alike else TABLE[:-1], option: value}
    judged(lambda: MetaDataset.from_trials(**options), whole)


# ---- made of scikit-learn's searches

PARAMS = [{"C": 1.0, "k": "a"}, {"C": 10.0, "k": "b", "g": 2}, {"C": 5.0, "k": "b", "g": 3}]


@st.composite
def cv_results(draw):
    """What looks like ``cv_results_``."""
    values = st.sampled_from([1, True, 0.5, "a", None, 1.0, 10**400, 2**50]) | objects
    params = st.lists(
        st.sampled_from(PARAMS)
        | st.dictionaries(
            st.sampled_from(["C", "k", "g"]) | mostly(texts, scalars), values, max_size=3
        )
        | objects,
        max_size=5,
    )
    params = draw(mostly(params, objects))
    n = len(params) if isinstance(params, list) else 3
    scores = st.lists(st.floats(-1, 1) | st.just(float("nan")), min_size=n, max_size=n)
    scores = draw(mostly(scores.map(lambda some: np.array(some) if some else some), objects))
    table = {"params": params, "mean_test_score": scores, "rank_test_score": np.arange(n)}
    if not draw(st.integers(0, 9)):
        table.pop(draw(st.sampled_from([*table])))
    return table


GOOD = {"params": PARAMS, "mean_test_score": np.array([0.5, 0.25, 0.75])}


@example(results=[{"params": [{"a": 1}, {"a": True}], "mean_test_score": [0.5, 0.25]}])
@example(results=[{"params": [{"a": 1}] * 2, "mean_test_score": [1.8e308, 1.8e308]}])
@fuzz(results=st.lists(cv_results() | st.just(GOOD), max_size=3)
      | st.dictionaries(texts | st.integers(), cv_results() | st.just(GOOD), max_size=2)
      | objects)  # fmt: skip
def test_from_cv_results(results):
    judged(lambda: MetaDataset.from_cv_results(results, n_configs=3), whole, warns=LEFT_OUT)


# ---- with one search more

CHOSEN = SPACE.sample(np.random.default_rng(3), 4)
ROW = pd.Series({"m": 1.0, "k": 2.0})


@example(given={"name": "t1"})
@example(given={"meta_features": ROW.astype(object)})
@fuzz(given=st.dictionaries(
    st.sampled_from(["search", "name", "family", "meta_features", "configs_", "params"]),
    objects, max_size=2))  # fmt: skip
def test_add(given):
    table = {"params": given.pop("params", CHOSEN), "mean_test_score": [0.5, 0.25, np.nan, 1.0]}
    search = SimpleNamespace(cv_results_=table)
    if "configs_" in given:
        search.configs_ = given.pop("configs_")
    options = {"search": search, "meta_features": ROW, **given}

    def right(found):
        assert same(found.subset([*E.tasks.index]), MetaDataset(
            E.space, E.configs, E.trials, E.tasks, E.meta_features, found.about))  # fmt: skip
        return whole(found) and answers(found)

    judged(lambda: E.add(**options), right)


@fuzz(json_values | objects)
def test_a_space_for_searches(space):
    judged(lambda: MetaDataset.from_cv_results([GOOD], space=space))
    if isinstance(space, dict):
        judged(lambda: SearchSpace.from_scipy(space))
