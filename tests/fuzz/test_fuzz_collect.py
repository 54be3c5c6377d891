"""A collection goes on in a folder that is broken or hostile: right, or refused and left alone."""

import functools
import json
import os
import tempfile
from pathlib import Path

import pytest
from harness import REFUSED, fuzz, judged
from hostile import json_values, objects, same
from hypothesis import example
from hypothesis import strategies as st
from values import mostly

from metahpo_lite import MetaDataset, collect_experience, draw_configs

CONFIGS = draw_configs("svc", 2)
LOG = "collect.log"


def collect(folder, **options) -> MetaDataset:
    given = {"datasets": ["iris", "wine"], "configs": CONFIGS, "max_rows": 60, **options}
    return collect_experience("svc", folder=folder, progress=False, **given)


@functools.cache
def collected() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as here:
        collect(Path(here) / "e")
        return {path.name: path.read_bytes() for path in (Path(here) / "e").iterdir()}


def goes_on(**changed: bytes):
    """Collect in the folder with other files; what is refused is as it was, and nothing is lost."""
    with tempfile.TemporaryDirectory() as here:
        folder = Path(here) / "e"
        folder.mkdir()
        for name, content in {**collected(), **changed}.items():
            (folder / name).write_bytes(content)
        found = judged(lambda: collect(folder), lambda found: len(found.tasks) >= 2)
        left = {path.name: path.read_bytes() for path in folder.iterdir()}
        if found is REFUSED:
            assert left == {**collected(), **changed}
        else:
            assert same(MetaDataset.load(folder), found)
        return found


LINE = {"task": "iris", "config": 1, "score": 0.5, "std": 0.1, "seconds": 0.1, "status": "ok",
        "reason": ""}  # fmt: skip


@st.composite
def lines(draw):
    """A line of the log: with another value, or any."""
    row = dict(LINE)
    for name in draw(st.lists(st.sampled_from([*LINE]), min_size=1, max_size=2)):
        row[name] = draw(json_values)
    row = draw(st.sampled_from([row, {"task": "iris", "meta_features": draw(json_values)}]))
    return json.dumps(draw(mostly(st.just(row), json_values))).encode() + b"\n"


@example(log=b"[1]\n")
@example(log=b"[" * 100_000 + b"\n")
@example(log=json.dumps({**LINE, "config": 99}).encode() + b"\n")
@example(log=json.dumps({"task": "iris", "meta_features": {"m": "x"}}).encode() + b"\n")
@fuzz(log=st.lists(lines(), min_size=1, max_size=2).map(b"".join), share=0.5)
def test_its_log(log):
    goes_on(**{LOG: log})


@fuzz(st.sampled_from(["space.json", "configs.parquet", "scores.parquet", "tasks.parquet"]),
      st.floats(0, 1, exclude_max=True), st.integers(0, 255), share=0.3)  # fmt: skip
def test_its_files(name, part, byte):
    content = bytearray(collected()[name])
    content[int(part * len(content))] = byte
    goes_on(**{name: bytes(content)})


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to(path)])
@pytest.mark.parametrize("name", [LOG, "README.md", "scores.parquet", "space.json"])
def test_no_file(name, make):
    with tempfile.TemporaryDirectory() as here:
        folder = Path(here) / "e"
        folder.mkdir()
        for other, content in collected().items():
            if other != name:
                (folder / other).write_bytes(content)
        make(folder / name)
        kept = [folder / other for other in collected() if other not in (name, "README.md")]
        judged(lambda: collect(folder), keep=kept)


@example(given={"folder": "/dev/null/e"})
@example(given={"folder": "x" * 5000})
@fuzz(given=st.dictionaries(st.sampled_from(
    ["folder", "datasets", "configs", "metric", "folds", "max_rows", "seed", "time_limit"]),
    objects, min_size=1, max_size=2), share=0.5)  # fmt: skip
def test_arguments(given):
    with tempfile.TemporaryDirectory() as here:
        folder = Path(here) / "e"
        folder.mkdir()
        for name, content in collected().items():
            (folder / name).write_bytes(content)
        if not isinstance(given.get("folder"), str) or given["folder"].startswith(("/dev", "xx")):
            judged(lambda: collect(**{"folder": folder, **given}), keep=[folder])
