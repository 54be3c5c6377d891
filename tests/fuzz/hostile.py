"""Hostile values, and a small experience to be spoiled by them."""

from __future__ import annotations

import decimal
import fractions
import functools
import json
import tempfile
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import strategies as st
from values import anything, scalars, texts

from metahpo_lite import Categorical, Float, Int, MetaDataset, SearchSpace

NAMES = ("space.json", "configs.parquet", "scores.parquet", "tasks.parquet",
         "meta_features.parquet")  # fmt: skip
TABLES = NAMES[1:]
SPACE = SearchSpace(
    [
        Categorical("kind", [None, True, 1, "1", 0.5]),
        Float("c", 0.01, 100.0, log=True, when={"kind": [None, True, "1"]}),
        Int("n", 1, 2**40, when={"kind": [1]}),
        Categorical("name", ["a", "null", ""]),
    ]
)
CONFIGS = list({str(c): c for c in SPACE.sample(np.random.default_rng(0), 8)}.values())

# ---- values of Python

plain = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 9), st.integers(), st.floats(), texts,
    st.sampled_from([2**31, 2**53 + 1, -(2**63), 2**64, 10**400, 5e-324, 1.8e308]),
)  # fmt: skip
json_values = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
tables = st.sampled_from(
    [
        pd.NA, pd.NaT, decimal.Decimal("1.5"), fractions.Fraction(1, 3), timedelta(1), Path("svc"),
        datetime(2024, 2, 29, tzinfo=timezone.utc), pd.Series([1.0, 2.0]), pd.DataFrame({"a": [1]}),
    ]
)  # fmt: skip
objects = st.one_of(anything, tables, json_values)


# ---- experience


def experience(**parts: Any) -> MetaDataset:
    """Return experience of four tasks, with failures and missing cells; some parts may be given."""
    return MetaDataset(**{**parts_of_experience(), **parts})


def parts_of_experience() -> dict[str, Any]:
    """Return what `experience` is made of."""
    rng, names = np.random.default_rng(1), ["t1", "t2", "t3", "t4"]
    trials = pd.DataFrame(
        [(task, i, rng.random()) for task in names for i in range(len(CONFIGS))],
        columns=["task", "config", "score"],
    ).assign(std=0.1, seconds=0.5, status="ok", reason="")
    trials.loc[1, ["score", "std"]] = np.nan
    trials.loc[1, ["status", "reason"]] = "timeout", "stopped after 1 s"
    trials.loc[2, ["score", "status", "reason"]] = [np.nan, "failed", "ValueError: no"]
    tasks = pd.DataFrame({"family": ["f", "f", "g", "h"], "rows": [10, 20, 30, 40]}, index=names)
    described = pd.DataFrame({"m": [1.0, np.nan, 3.0], "k": 2.0}, index=["t1", "t2", "t4"])
    about = {"learner": "mine", "metric": "accuracy", "folds": 3, "seed": 0, "max_rows": None,
             "time_limit": 2.5, "date": "2024-02-29", "versions": {"python": "3.12"}}  # fmt: skip
    return {"space": SPACE, "configs": CONFIGS, "trials": trials, "tasks": tasks,
            "meta_features": described, "about": about}  # fmt: skip


@functools.cache
def files_of_experience() -> dict[str, bytes]:
    """Return the bytes of each file of `experience` in a folder."""
    with tempfile.TemporaryDirectory() as here:
        folder = experience().save(Path(here) / "e")
        return {path.name: path.read_bytes() for path in folder.iterdir()}


@contextmanager
def folder_with(**changed: bytes | None):
    """Make a folder of `experience`, with other bytes in some files (None: without the file)."""
    with tempfile.TemporaryDirectory() as here:
        folder = Path(here) / "e"
        folder.mkdir()
        for name, content in {**files_of_experience(), **changed}.items():
            if content is not None:
                (folder / name).write_bytes(content)
        yield folder


def same(one: MetaDataset, other: MetaDataset) -> bool:
    """Tell whether two experiences hold the same."""
    for part in ("trials", "tasks", "meta_features"):
        a, b = getattr(one, part), getattr(other, part)
        if (a is None) != (b is None):
            return False
        if a is not None:
            pd.testing.assert_frame_equal(a, b, check_dtype=False, check_column_type=False)
    alike = one.space == other.space and list(map(typed, one.configs)) == list(
        map(typed, other.configs)
    )
    return alike and json.dumps(one.about) == json.dumps(other.about)


def typed(config: dict) -> str:
    """Return a configuration as text that tells True from 1."""
    return repr(list(config.items()))


def whole(one: MetaDataset) -> bool:
    """Tell whether experience is what it says: it survives its checks, and a folder."""
    again = MetaDataset(one.space, one.configs, one.trials, one.tasks, one.meta_features, one.about)
    assert same(again, one)
    assert one.scores.shape == (len(one.tasks), len(one.configs)) == one.regrets.shape
    assert one.regrets.isin([0, 1]).any(axis=None) or one.regrets.notna().all(axis=None)
    assert np.isfinite(one.points).all()
    with tempfile.TemporaryDirectory() as here:
        path = one.save(Path(here) / "e")
        assert path.parent.name == Path(here).name
        assert [p.name for p in Path(here).iterdir()] == ["e"]
        assert same(MetaDataset.load(path), one)
    return True


# ---- columns


def arrays(n: int) -> st.SearchStrategy:
    """Columns of a Parquet file with `n` rows, of any type."""

    def of(kind: pa.DataType, values: st.SearchStrategy) -> st.SearchStrategy:
        cells = st.lists(st.none() | values, min_size=n, max_size=n)
        return cells.map(lambda some: pa.array(some, kind))

    valid = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    named = valid | st.sampled_from(["t1", "t2", "t3", "t4", "../t1", "ok", "failed", ""])
    small, whole_numbers = st.integers(-2, 9), st.integers(-(2**63), 2**63 - 1)
    return st.one_of(
        of(pa.string(), named),
        of(pa.large_string(), named),
        of(pa.float64(), st.floats() | small.map(float)),
        of(pa.float32(), st.floats(width=32)),
        of(pa.int64(), small | whole_numbers),
        of(pa.int8(), small),
        of(pa.uint64(), st.integers(0, 2**64 - 1)),
        of(pa.bool_(), st.booleans()),
        of(pa.binary(), st.binary(max_size=4)),
        of(pa.null(), st.none()),
        of(pa.date32(), st.dates()),
        of(pa.timestamp("ns"), st.integers(-(2**62), 2**62)),
        of(pa.duration("s"), small),
        of(pa.decimal128(5, 2), st.integers(-99, 99).map(decimal.Decimal)),
        of(pa.list_(pa.float64()), st.lists(st.floats(), max_size=2)),
        of(pa.struct({"task": pa.string()}), st.fixed_dictionaries({"task": valid})),
        of(pa.string(), named).map(lambda column: column.dictionary_encode()),
    )


def columns(n: int) -> st.SearchStrategy:
    """Columns of a DataFrame with `n` rows, of any type."""
    cells = st.lists(scalars | anything | tables, min_size=n, max_size=n).map(
        lambda some: pd.Series([*some, None], dtype=object)[:n]
    )
    floats = st.lists(st.floats(), min_size=n, max_size=n).map(pd.Series)
    whole_numbers = st.lists(st.integers(-2, 9), min_size=n, max_size=n)
    types = ["Int64", "float32", "bool", "boolean", "complex128", "category", "string", "uint8",
             "datetime64[ns]", "Float64", "object"]  # fmt: skip
    typed = st.tuples(whole_numbers, st.sampled_from(types)).map(
        lambda given: pd.Series(
            np.abs(given[0]) if given[1] != "boolean" else [bool(i) for i in given[0]]
        ).astype(given[1])
    )
    arrow = arrays(n).map(lambda column: column.to_pandas())
    return st.one_of(cells, floats, typed, arrow)
