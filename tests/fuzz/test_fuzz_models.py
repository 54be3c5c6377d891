"""Files of meta-models and of progress that are broken or hostile: nothing of them is executed."""

import functools
import io
import json
import os
import pickle
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import skops.io
from harness import REFUSED, fuzz, judged
from hostile import SPACE, experience, json_values, objects
from hypothesis import example
from hypothesis import strategies as st

from course.checking import progress
from metahpo_lite import ConfigPredictor, PerformancePredictor, load_model, save_model

ROW = experience().meta_features.iloc[0]


@functools.cache
def model() -> bytes:
    """Return the file of a small meta-model."""
    with tempfile.TemporaryDirectory() as here:
        fitted = ConfigPredictor("tree").fit(experience())
        return save_model(fitted, Path(here) / "model.skops").read_bytes()


def predicts(found) -> bool:
    return SPACE.check(found.predict(ROW)) == ConfigPredictor("tree").fit(experience()).predict(ROW)


def load(content: bytes):
    with tempfile.TemporaryDirectory() as here:
        path = Path(here) / "model.skops"
        path.write_bytes(content)
        return judged(lambda: load_model(path), predicts, keep=[Path(here)])


# ---- bytes


@fuzz(st.floats(0, 1))
def test_truncated(part):
    content = model()[: int(part * len(model()))]
    assert load(content) is REFUSED or content == model()


@fuzz(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=3))
def test_bytes_change(changes):
    content = bytearray(model())
    for part, byte in changes:
        content[int(part * len(content))] = byte
    load(bytes(content))


@example(content=pickle.dumps(SPACE))
@example(content=b"PK\5\6" + bytes(18))
@example(content=b"{}")
@fuzz(content=st.binary(max_size=99))
def test_other_bytes(content):
    assert load(content) is REFUSED


def with_member(name: str, content: bytes, kind=zipfile.ZIP_STORED) -> bytes:
    """Return the file with another content of one member."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(model())) as old, zipfile.ZipFile(out, "w") as new:
        for member in old.namelist():
            if member != name:
                new.writestr(member, old.read(member))
        new.writestr(name, content, kind)
    return out.getvalue()


@functools.cache
def schema() -> dict:
    with zipfile.ZipFile(io.BytesIO(model())) as archive:
        return json.loads(archive.read("schema.json"))


@st.composite
def spoiled(draw):
    """Return what the file says of itself, with another value somewhere in it."""
    content = json.loads(json.dumps(schema()))
    here = content
    while True:
        key = draw(st.sampled_from([*here] if isinstance(here, dict) else range(len(here))))
        if isinstance(here[key], (dict, list)) and here[key] and draw(st.integers(0, 9)):
            here = here[key]
            continue
        if draw(st.booleans()):
            del here[key]
        else:
            names = ["os", "system", "builtins", "eval", "MethodNode", "OperatorFuncNode",
                     "open", "TypeNode", "FunctionNode", "ReduceNode", "ObjectNode"]  # fmt: skip
            here[key] = draw(st.sampled_from(names) | json_values)
        return json.dumps(content).encode()


@fuzz(spoiled())
def test_what_it_says_of_itself(content):
    with tempfile.TemporaryDirectory() as here:
        path = Path(here) / "model.skops"
        path.write_bytes(with_member("schema.json", content))
        judged(lambda: load_model(path), keep=[Path(here)])


# ---- hostile


class Runs:
    """Who unpickles it runs a command."""

    def __init__(self, sentinel):
        self.sentinel = sentinel

    def __reduce__(self):
        return os.system, (f"touch {self.sentinel}",)


@pytest.mark.parametrize("kind", ["pickle", "member", "array", "function", "state"])
def test_nothing_is_executed(tmp_path, kind):
    sentinel = tmp_path / "sentinel"
    thing = Runs(sentinel)
    array = io.BytesIO()
    np.save(array, np.array([thing], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(io.BytesIO(model())) as archive:
        npy = next(name for name in archive.namelist() if name.endswith(".npy"))
    content = {
        "pickle": lambda: pickle.dumps(thing),
        "member": lambda: with_member("schema.json", pickle.dumps(thing)),
        "array": lambda: with_member(npy, array.getvalue()),
        "function": lambda: skops.io.dumps({"kind": "ConfigPredictor", "state": os.system}),
        "state": lambda: skops.io.dumps(
            {"kind": "ConfigPredictor", "state": {"spaces": [], "predict": os.system}}
        ),
    }[kind]()
    assert load(content) is REFUSED
    assert not sentinel.exists()
    with open(os.devnull, "wb"):  # the sentinel bites: unpickled, it is there
        pickle.loads(pickle.dumps(thing))
    assert sentinel.exists()


@pytest.mark.parametrize("size", [2 * 10**8, 10**7])
def test_a_bomb(size):
    """It would unpack to a thousand times its size: refused before it is unpacked."""
    bomb = with_member("bomb.npy", bytes(size), zipfile.ZIP_DEFLATED)
    assert len(bomb) < size / 9
    assert load(bomb) is REFUSED


def test_an_array_that_claims_to_be_huge():
    with zipfile.ZipFile(io.BytesIO(model())) as archive:
        npy = next(name for name in archive.namelist() if name.endswith(".npy"))
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        out, {"descr": "<f8", "fortran_order": False, "shape": (10**13,)}
    )
    assert load(with_member(npy, out.getvalue())) is REFUSED


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to(path)])
def test_no_file(tmp_path, make):
    make(tmp_path / "model.skops")
    assert judged(lambda: load_model(tmp_path / "model.skops"), keep=[tmp_path]) is REFUSED


@example(given="x" * 5000)
@example(given="\0")
@fuzz(given=objects)
def test_arguments(given):
    judged(lambda: load_model(given), predicts)
    judged(lambda: save_model(given, "/dev/null/model"))
    judged(lambda: save_model(ConfigPredictor("tree"), given))
    for kind in (ConfigPredictor, PerformancePredictor):
        judged(lambda kind=kind: kind(given))
        judged(lambda kind=kind: kind("tree" + "s" * (kind is PerformancePredictor)).fit(given))


# ---- the progress of a learner


@pytest.fixture
def done(tmp_path, monkeypatch):
    path = tmp_path / "progress.json"
    monkeypatch.setenv("METAHPO_PROGRESS", str(path))
    return path


def told(path: Path) -> None:
    """Ask for the progress: whatever its file is, there comes a table or a clear error."""

    def table():
        try:
            return progress()
        except ValueError as error:  # `course` is no part of the package that `judged` knows
            return str(error)

    def right(found):
        if isinstance(found, str):
            return str(path) in found and "progress(reset=True)" in found
        return list(found.columns) == ["done", "exercises", "next"]

    judged(table, right, [path])


@example(content=b"[" * 100_000)
@example(content=b"\xff")
@example(content=b'{"01-1": ' * 2000)
@fuzz(content=st.binary(max_size=20) | json_values.map(lambda v: json.dumps(v).encode()))
def test_progress(done, content):
    done.write_bytes(content)
    told(done)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to(path)])
def test_progress_is_no_file(done, make):
    make(done)
    told(done)
