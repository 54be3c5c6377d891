"""The command line: tables of one's own, errors of one line, help."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from collect_cases import TABLES, collect, snapshot, table

from metahpo_lite import MetaDataset
from metahpo_lite.__main__ import main, read_own
from metahpo_lite.collect import LOG

# ---- the command line


def test_a_table_of_ones_own(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({
        "number": rng.normal(size=60).round(2),
        "text": rng.choice(["a", "b", None], 60),
        "date": pd.date_range("2020-01-01", periods=60),
        "flag": rng.choice([True, False], 60),
        "y": ["yes", "no", "yes"] * 20,
    })  # fmt: skip
    frame.loc[::7, "number"] = np.nan
    frame.to_csv("my.csv", index=False)
    frame.to_csv("my.tsv", index=False, sep="\t")
    frame.to_parquet("my.parquet")
    for suffix in (".csv", ".tsv", ".parquet"):
        X = read_own(f"my{suffix}", "y").X
        assert [dtype.name for dtype in X.dtypes] == ["float64", "category", "float64", "float64"]
        assert X["date"].diff().dropna().eq(1).all()  # days
    call = [
        "collect",
        "--learner",
        "svc",
        "--table",
        "my.csv",
        "--target",
        "y",
        "--configs",
        "3",
        "--out",
        "mine",
    ]
    assert main(call) == 0
    experience = MetaDataset.load("mine")
    assert experience.scores.shape == (1, 4)
    assert experience.meta_features.loc["my", "missing_share"] > 0
    assert "4 ok" in capsys.readouterr().out
    assert main([*call, "--time-limit", "3"]) == 1
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("metahpo_lite: time_limit: got 3")


def test_the_words_of_the_readme(tmp_path, monkeypatch):
    """Its table, its command and its Python, as they stand there."""
    text = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    text = text[text.index("### Collect your own experience") :]
    blocks = re.findall(r"```(\w*)\n(.*?)```", text, re.DOTALL)
    (_, table), (_, command), (kind, code), *_ = blocks
    assert command.startswith(".venv/bin/python -m metahpo_lite collect --learner svc --table my")
    (tmp_path / "my.csv").write_text(table, encoding="utf-8")
    call = [sys.executable, *shlex.split(command)[1:]]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "31 ok" in done.stdout
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(code, names)
    assert kind == "py"
    assert names["mine"].scores.shape == (1, 31)
    assert names["mine"].meta_features.loc["my", ["numeric_share", "missing_share"]].gt(0).all()
    card = (tmp_path / "mine" / "README.md").read_text(encoding="utf-8")
    assert "--configs 30 --time-limit 20 --table my.csv --target COLUMN --out DIR" in card


def test_another_table_of_the_same_name_is_refused(whole):
    before = snapshot(whole)
    message = r"datasets: 'one' has 66 rows, but .*tasks\.parquet says 60; accepted is the same"
    with pytest.raises(ValueError, match=message):
        collect(whole, [table("one", 66)])
    assert snapshot(whole) == before


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        ("--table no.csv --target y", 1, "there is no file no.csv"),
        ("--table bad.csv --target y", 1, "bad.csv: "),
        ("--table bad.parquet --target y", 1, "bad.parquet: "),
        ("--table my.xlsx --target y", 1, "ends in .csv"),
        ("--table twice.csv --target y", 1, "the column 'y' occurs twice; accepted: values"),
        ("--table tabs.csv --target y", 1, "saw 2; accepted: values between ','"),
        ("--table utf16.csv --target y", 1, "utf16.csv is not UTF-8; accepted: text saved as"),
        ("--table once.csv --target y", 1, "class 'c' of 'once' has 1 rows; accepted is"),
        ("--table small.csv --target z", 1, "'z' is not a column"),
        ("--table small.csv --target y", 1, "different in each of 2 rows"),
        ("--datasets irix", 1, "did you mean 'iris'"),
        ("--datasets @none.txt", 1, "none.txt"),
        ("--table my.csv", 2, "belong together"),
        ("--configs 0", 2, "0; accepted: a whole number of at least 1"),
        ("--time-limit nan", 2, "nan; accepted: a number above 0"),
        ("--jobs x", 2, "x; accepted: a whole number"),
        ("--learner none", 2, "invalid choice"),
    ],
)
def test_errors_are_one_line(given, code, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.csv").write_bytes(b'a,b\n"1,2\n')
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 not")
    (tmp_path / "small.csv").write_text("x,y\n1,2\n3,4\n")
    (tmp_path / "twice.csv").write_text("x,y,y\n" + "1,a,a\n2,b,b\n" * 5)
    (tmp_path / "tabs.csv").write_text("x\ty\n1\t2\n1,5\t2\n")
    (tmp_path / "utf16.csv").write_text("x,y\n1,2\n", encoding="utf-16")
    (tmp_path / "once.csv").write_text("x,y\n" + "1,a\n2,b\n" * 5 + "3,c\n")
    try:
        got = main(f"collect --learner svc --out mine {given}".split())
    except SystemExit as error:  # argparse
        got = error.code
    lines = capsys.readouterr().err.splitlines()
    assert (got, "Traceback" in lines) == (code, False)
    assert message in lines[-1]
    assert code == 2 or len(lines) == 1
    assert not (tmp_path / "mine").exists()


def test_help_is_a_manual(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["collect", "--help"])
    text = capsys.readouterr().out
    for word in ("--table my.csv --target y", "interrupted", "MetaDataset.load", "--time-limit"):
        assert word in text


def test_fewer_tables_after_an_interrupt_lose_nothing(tmp_path, monkeypatch):
    """What the log holds whole of another table stays there until that is asked for again."""
    count = []

    def stop(contents):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("metahpo_lite.collect.write_files", stop)  # of the tasks and their scores
        with pytest.raises(KeyboardInterrupt):
            collect(tmp_path / "e")
    few = collect(tmp_path / "e", TABLES[:1])
    assert list(few.tasks.index) == ["one"]
    assert (tmp_path / "e" / LOG).stat().st_size > 0

    def evaluated(*args):
        count.append(args)

    monkeypatch.setattr("metahpo_lite.collect.evaluate", evaluated)
    everything = collect(tmp_path / "e")
    assert sorted(everything.tasks.index) == ["one", "three", "two"]
    assert not count
    assert everything.meta_features.notna()["rows"].all()
