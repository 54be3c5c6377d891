"""Folders of experience, broken or hostile: read whole, or refused, and left as they are."""

import io
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from harness import REFUSED, fuzz, judged
from hostile import (
    NAMES,
    TABLES,
    arrays,
    experience,
    files_of_experience,
    folder_with,
    json_values,
    objects,
    same,
    texts,
    whole,
)
from hypothesis import example
from hypothesis import strategies as st

from metahpo_lite import MetaDataset
from metahpo_lite.__main__ import main
from metahpo_lite.storage import MAX_CELLS

HERE = Path(__file__).parent


def load(folder: Path, right=whole):
    return judged(lambda: MetaDataset.load(folder), right, keep=[folder.parent])


def as_it_was(found: MetaDataset) -> bool:
    return same(found, experience())


# ---- bytes


@fuzz(st.sampled_from(NAMES), st.floats(0, 1))
def test_truncated(name, part):
    content = files_of_experience()[name]
    kept = content[: int(part * len(content))]
    with folder_with(**{name: kept}) as folder:
        found = load(folder, as_it_was)
    assert found is REFUSED or kept.rstrip() == content.rstrip()


@fuzz(st.sampled_from(TABLES), st.floats(0, 1, exclude_max=True), st.integers(0, 7))
def test_a_bit_flips_in_a_table(name, part, bit):
    """The checksums of the pages tell; of the names of columns, a wrong one is missed."""
    content = bytearray(files_of_experience()[name])
    content[int(part * len(content))] ^= 1 << bit

    def right(found):
        described = found.meta_features.set_axis(["m", "k"], axis=1)
        return as_it_was(MetaDataset(found.space, found.configs, found.trials, found.tasks,
                                     described, found.about))  # fmt: skip

    with folder_with(**{name: bytes(content)}) as folder:
        load(folder, right)


@fuzz(
    st.sampled_from(NAMES),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=9),
)
def test_bytes_change(name, changes):
    """Of `space.json` another one may be valid; of a table none is, but the same."""
    content = bytearray(files_of_experience()[name])
    for part, byte in changes:
        content[int(part * len(content))] = byte
    with folder_with(**{name: bytes(content)}) as folder:
        load(folder)


@example(name="space.json", content=b"[" * 100_000)
@example(name="space.json", content=b'{"hyperparameters":' * 50_000)
@example(name="space.json", content=b"1" * 5000)
@example(name="space.json", content=b"\xff\xfe{}")
@example(name="space.json", content=b"PAR1")
@fuzz(name=st.sampled_from(NAMES), content=st.binary(max_size=200))
def test_other_bytes(name, content):
    with folder_with(**{name: content}) as folder:
        assert load(folder) is REFUSED
        with folder_with(**{name: b"PAR1" + content + b"PAR1"}) as folder:
            assert load(folder) is REFUSED


@fuzz(st.permutations(NAMES), st.integers(0, 5))
def test_files_change_places(names, n):
    """One lies under the name of another, or there is none."""
    files = files_of_experience()
    changed = {old: files[new] for old, new in zip(NAMES, names, strict=True)}
    if n < 5:
        changed[NAMES[n]] = None
    with folder_with(**changed) as folder:
        load(folder, None if n == 4 else as_it_was)


# ---- what else a name may lead to


def loop(path: Path) -> None:
    path.symlink_to(path)


ELSEWHERE = [Path.mkdir, os.mkfifo, loop, lambda path: path.symlink_to("nowhere"),
             lambda path: path.symlink_to("/dev/null"), lambda path: path.symlink_to("/dev/zero"),
             lambda path: path.symlink_to(path.parent)]  # fmt: skip


@pytest.mark.parametrize("make", ELSEWHERE)
@pytest.mark.parametrize("name", [*NAMES, ""])
def test_no_file(name, make):
    """A folder, a pipe, a link in a circle, a device: nothing waits, and nothing is passed over."""
    with folder_with() as folder:
        if name:
            (folder / name).unlink()
            make(folder / name)
        else:
            folder = folder.with_name("other")
            make(folder)
        assert load(folder) is REFUSED


@example(name="../svc")
@example(name="svc/")
@example(name="x" * 5000)
@example(name="data/svc/scores.parquet")
@example(name="\0")
@fuzz(name=texts | objects)
def test_names(name):
    """A path that leads to experience is read; no other name is."""

    def right(found):
        return isinstance(name, (str, os.PathLike)) and len(found.tasks) > 100

    judged(lambda: MetaDataset.load(name), right)


# ---- tables


@st.composite
def spoiled(draw):
    """Return the name of a table, and its bytes with other columns, rows or metadata."""
    name = draw(st.sampled_from(TABLES))
    table = pq.read_table(io.BytesIO(files_of_experience()[name]))
    for _ in range(draw(st.integers(1, 2))):
        column = draw(st.integers(0, table.num_columns - 1))
        known = table.column_names[column]
        how = draw(st.sampled_from(["cells", "cells", "more", "twice", "less", "rows", "about"]))
        if how == "cells":
            table = table.set_column(column, known, draw(arrays(len(table))))
        elif how == "more":
            table = table.append_column(draw(named), draw(arrays(len(table))))
        elif how == "twice":
            table = table.append_column(known, table[column])
        elif how == "less" and table.num_columns > 1:
            table = table.remove_column(column)
        elif how == "rows":
            rows = draw(st.lists(st.integers(0, len(table) - 1), max_size=40)) if len(table) else []
            table = table.take(pa.array(rows, pa.int64()))
        elif how == "about":
            about = json.dumps(draw(json_values)) if draw(st.booleans()) else draw(named)
            table = table.replace_schema_metadata({"pandas": about, "ARROW:schema": about})
    out = io.BytesIO()
    pq.write_table(table, out)
    return name, out.getvalue()


named = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@fuzz(spoiled())
def test_tables(given):
    name, content = given
    with folder_with(**{name: content}) as folder:
        load(folder)


def test_a_table_that_claims_to_be_huge():
    """Some kilobytes that would unpack to gigabytes: refused by their number of rows."""
    out = io.BytesIO()
    pq.write_table(pa.table({"task": pa.nulls(MAX_CELLS + 1)}), out, compression="zstd")
    assert len(out.getvalue()) < 300_000
    with folder_with(**{"scores.parquet": out.getvalue()}) as folder:
        assert load(folder) is REFUSED


# ---- the space, and how the scores were made


@st.composite
def spoiled_space(draw):
    """Return ``space.json`` with another value somewhere in it."""
    content = json.loads(files_of_experience()["space.json"])
    for _ in range(draw(st.integers(1, 2))):
        here = content
        while True:
            keys = list(here) if isinstance(here, dict) else list(range(len(here)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(here[key], (dict, list)) and here[key] and draw(st.integers(0, 4)):
                here = here[key]
                continue
            if draw(st.booleans()):
                here[key] = draw(json_values)
            elif draw(st.booleans()) and isinstance(here, dict):
                here[draw(texts)] = here[key]
            else:
                del here[key]
            break
    return json.dumps(content).encode()


@fuzz(spoiled_space())
def test_spaces(content):
    with folder_with(**{"space.json": content}) as folder:
        load(folder)


@example(about={"metric": "x"})
@example(about={"versions": [1], "date": 2})
@example(about={"added": 3})
@example(about={"learner": ["x"]})
@fuzz(about=st.dictionaries(st.sampled_from(
    ["learner", "metric", "folds", "seed", "max_rows", "time_limit", "versions", "date", "added",
     "surrogate", "x"]) | texts, json_values, max_size=4))  # fmt: skip
def test_how_it_was_made(about):
    content = json.loads(files_of_experience()["space.json"])
    content["collection"] = about
    with folder_with(**{"space.json": json.dumps(content).encode()}) as folder:
        load(folder)


# ---- at the command line


@fuzz(spoiled(), share=0.1)
def test_recommend_by_it(given):
    """One line on the standard error, and no traceback."""
    name, content = given
    with folder_with(**{name: content}) as folder:
        command = ["recommend", str(HERE / "iris.csv"), "--target", "y", "--learner", "svc"]
        found = judged(lambda: main([*command, "--experience", str(folder)]), keep=[folder.parent])
        assert found == 1
