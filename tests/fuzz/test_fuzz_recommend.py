"""`recommend`, in Python and on the command line, with anything for each argument."""

import contextlib
import io
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from harness import MANY, REFUSED, fuzz, judged
from hypothesis import strategies as st
from values import anything, mostly, numbers, scalars, texts

from metahpo_lite import MetaDataset, recommend
from metahpo_lite.__main__ import main, parser, run_recommend

SVC = MetaDataset.load("svc")
NAMES = [*SVC.meta_features.columns]


@cache
def little() -> MetaDataset:
    return SVC.subset(["wine", "iris", "german", "hepatitis"])


# ---- in Python


@st.composite
def descriptions(draw):
    """The meta-features of a task, with some of them changed, gone, doubled or renamed."""
    row = SVC.meta_features.iloc[draw(st.integers(0, len(SVC.tasks) - 1))].copy()
    for _ in range(draw(st.integers(0, 3))):
        change = draw(st.sampled_from(["value", "drop", "extra", "order", "nan"]))
        name = draw(st.sampled_from(NAMES))
        if change == "value":
            row = row.astype(object) if draw(st.booleans()) else row
            with contextlib.suppress(Exception):  # pandas refused it itself
                row[name] = draw(mostly(numbers, scalars))
        elif change == "nan":
            row[:] = np.nan
        elif change == "drop":
            row = row.drop(name, errors="ignore")
        elif change == "order":
            row = row[::-1]
        else:
            row = pd.concat([row, row[:1] if draw(st.booleans()) else pd.Series({"x": 1.0})])
    return draw(mostly(st.just(row), st.sampled_from([row.to_frame().T, row.to_dict(), row.array])))


@fuzz(mostly(descriptions()), mostly(st.integers(-1, 9)), mostly(st.integers(0, 3)))
def test_recommend(described, n, seed):
    known = little()

    def right(found):
        assert len(found.configs) == len(found.ranks) == min(n, len(known.configs))
        for config in found.configs:
            assert known.space.check(config) == config
            assert config in known.configs
        assert (np.diff(found.ranks) >= 0).all()
        assert found.ranks.min() >= 1
        assert found.ranks.max() <= len(known.configs)
        assert set(found.distances.index) == set(known.tasks.index)
        assert np.isfinite(found.distances).all()
        assert found.distances.is_monotonic_increasing

    judged(lambda: recommend(described, known, n, seed), right)


@fuzz(anything)
def test_no_experience(experience):
    judged(lambda: recommend(SVC.meta_features.loc["wine"], experience))


# ---- on the command line


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table, and some experience of one's own."""
    folder = tmp_path_factory.mktemp("mine")
    y = np.arange(40) % 2
    frame = pd.DataFrame({"a": np.sin(np.arange(40)) + y, "é b": y[::-1] * 0.5, "y": y})
    frame.to_csv(folder / "mine.csv", index=False)
    frame.to_parquet(folder / "mine.parquet")
    (folder / "bad.csv").write_bytes(b"\xff\0")
    little().save(folder / "experience")
    return folder


def called(words):
    """What a call prints; a wrong call exits with 2, and says what is accepted."""
    said, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(errors):
        try:
            run_recommend(parser().parse_args(["recommend", *words]))
        except SystemExit as stopped:
            said_so = stopped.code == 2 and "recommend: error: " in errors.getvalue()
            return REFUSED if said_so else errors.getvalue()
    return said.getvalue()


words = st.one_of(texts, scalars.map(str)).filter(lambda text: not text.startswith("@"))
options = {
    "--target": mostly(st.sampled_from(["y", "y", "y", "a"]), words),
    "--learner": mostly(st.just("svc"), words),
    "--n": mostly(st.sampled_from(["1", "3", "300"]), words),
    "--format": mostly(st.sampled_from(["json", "text"]), words),
    "--jobs": mostly(st.just("1"), words),
}


@fuzz(
    st.fixed_dictionaries(
        {"--target": options["--target"], "--learner": options["--learner"]},
        optional={name: options[name] for name in ("--n", "--format", "--jobs")},
    ),
    mostly(st.sampled_from(["mine.csv", "mine.csv", "mine.parquet", "bad.csv", "", "."]), words),
    mostly(st.sampled_from(["experience", "experience", "nowhere", "mine.csv"]), words),
    mostly(st.sampled_from([None, None, "out.json", "no/out.json", ".", "mine.csv/x"]), words),
)
def test_command(folder, given, table, experience, out):
    given = {"--experience": str(folder / "experience"), **given}
    if experience != "experience":
        given["--experience"] = (
            str(folder / experience) if experience in ("nowhere", "mine.csv") else experience
        )
    made = Path(folder, "out.json")
    made.unlink(missing_ok=True)
    argv = [f"{folder}/{table}", *(word for pair in given.items() for word in pair)]
    if out is not None:
        inside = out in ("out.json", "no/out.json", ".", "mine.csv/x")
        if not inside and ("/" in out or not out.isprintable() or len(out) > 50):
            return  # it would write elsewhere
        argv += ["--out", str(folder / out)]
    keep = [folder / name for name in ("mine.csv", "mine.parquet", "bad.csv", "experience")]

    def right(said):
        if said is REFUSED:
            return
        if given.get("--format") == "json":
            answer = json.loads(said)
            assert len(answer["recommended"]) == min(
                int(given.get("--n", 5)), len(little().configs)
            )
            for row in answer["recommended"]:
                assert little().space.check(row["config"]) == row["config"]
        else:
            assert "predicted rank of" in said

    judged(lambda: called(argv), right, keep=keep)
    for path in folder.iterdir():  # what --out made
        if path.is_file() and path not in keep:
            assert json.loads(path.read_text())["learner"] == "svc"
            path.unlink()


PROCESSES = [
    (["nowhere.csv", "--target", "y", "--learner", "svc"], 1),
    (["mine.csv", "--target", "z", "--learner", "svc"], 1),
    (["mine.csv", "--target", "y", "--learner", "svc", "--out", "."], 1),
    (["mine.csv", "--target", "y", "--learner", "sv"], 2),
    (["mine.csv", "--target", "y", "--learner", "svc", "--n", "0"], 2),
    (["\udcff.csv", "--target", "y", "--learner", "svc"], 1),
    (["mine.csv", "--target", "y", "--learner", "svc", "--experience", "experience"], 0),
]


@pytest.mark.parametrize(("words", "code"), PROCESSES if MANY else PROCESSES[:1])
def test_process(words, code, folder):
    """As a process: the exit code, and no traceback."""
    command = [sys.executable, "-m", "metahpo_lite", "recommend", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=120, check=False)
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode == code, said
    assert "Traceback" not in said


def test_a_table_whose_name_is_no_text(folder):
    """Linux takes any bytes for a name: the answer is printed all the same."""
    odd = folder / "\udcff.csv"
    odd.write_bytes((folder / "mine.csv").read_bytes())
    try:
        test_process([odd.name, "--target", "y", "--learner", "svc"], 0, folder)
    finally:
        odd.unlink()


def test_main_says_it_in_one_line(folder, capsys):
    assert main(["recommend", str(folder / "bad.csv"), "--target", "y", "--learner", "svc"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
