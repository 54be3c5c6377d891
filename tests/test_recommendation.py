"""Which configurations to try first: in Python, and on the command line."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata
from sklearn.model_selection import cross_val_score

from metahpo_lite import MetaDataset, get_learner, meta_features, recommend
from metahpo_lite.__main__ import main
from metahpo_lite.datasets import load_dataset
from metahpo_lite.recommendation import doubtful_columns

SVC = MetaDataset.load("svc")
ROWS = 120
RNG = np.random.default_rng(0)
CLASS = np.arange(ROWS) % 2
PLAIN = pd.DataFrame({"a": RNG.normal(size=ROWS) + CLASS, "b": RNG.normal(size=ROWS)})
PLAIN["y"] = np.where(CLASS, "yes", "no")
MIXED = PLAIN.assign(
    colour=pd.Categorical(np.where(RNG.random(ROWS) < 0.3, None, "red")),
    day=pd.date_range("2024-01-01", periods=ROWS).astype(str),
    hole=np.where(RNG.random(ROWS) < 0.5, np.nan, 1.0),
    number=np.arange(ROWS) + 1000,
    user=[f"u{i}" for i in range(ROWS)],
    remark=[f"the word number {i} was here" for i in range(ROWS)],
)


def write(frame, path):
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return str(path)


@pytest.fixture
def call(capsys):
    """Call ``recommend``: its exit code, what it prints, and its errors."""

    def called(table, *options, target="y", learner="svc"):
        code = main(["recommend", str(table), "--target", target, "--learner", learner, *options])
        return code, *capsys.readouterr()

    return called


# ------------------------------------------------------------------ in Python


def test_the_recommended_do_best_on_near_tasks():
    known = SVC.without(SVC.families["wine"])
    found = recommend(SVC.meta_features.loc["wine"], known, 6)
    assert len(found.configs) == len({str(config) for config in found.configs}) == 6
    assert (np.diff(found.ranks) >= 0).all()  # the best first
    assert list(found.distances.index[:1]) == [found.distances.idxmin()]
    assert found.distances.is_monotonic_increasing
    assert set(found.distances.index) == set(known.tasks.index)
    replay = SVC.replay("wine")
    scores = [replay.evaluate(config) for config in found.configs]
    assert max(scores) > np.nanquantile(replay.scores, 0.8)


def test_the_rank_is_that_among_the_configurations():
    """Of one source it is the rank there; 1 is the best."""
    one = SVC.subset(["wine", "iris"])
    found = recommend(SVC.meta_features.loc["wine"], one, len(SVC.configs))
    near = found.distances.index[0]
    assert near == "wine"
    ranks = rankdata(one.regrets, axis=1)
    assert found.ranks.min() >= 1
    assert found.ranks.max() <= len(SVC.configs)
    first = SVC.configs.index(found.configs[0])
    assert ranks[:, first].min() <= found.ranks[0] <= ranks[:, first].max()


@pytest.mark.parametrize("n", [2, 3])
def test_little_experience_is_enough(n):
    found = recommend(SVC.meta_features.loc["wine"], SVC.subset(list(SVC.tasks.index[:n])), 2)
    assert len(found.configs) == 2


def test_bad_arguments_are_named():
    row = SVC.meta_features.loc["wine"]
    with pytest.raises(ValueError, match="n: got 0"):
        recommend(row, SVC, 0)
    with pytest.raises(ValueError, match=r"experience: got 1 task.* accepted are two"):
        recommend(row, SVC.subset("wine"))
    with pytest.raises(ValueError, match="meta_features"):
        recommend(pd.Series({"other": 1.0}), SVC)


def test_doubtful_columns():
    frame = pd.concat([MIXED.drop(columns="y")], axis=1).assign(
        day=pd.to_datetime(MIXED["day"]),
        date=pd.to_datetime(MIXED["day"]).dt.date,  # objects, as a database gives them
        choice=pd.Categorical(MIXED["remark"]),
        some=[f"c{i % 30}" for i in range(ROWS)],
        customer_id=np.random.default_rng(0).permutation(ROWS) * 7,
        count=np.random.default_rng(0).permutation(ROWS) * 7,
        decimals=np.arange(ROWS) + 0.5,
        nothing=[None] * ROWS,
    )
    assert doubtful_columns(frame) == {
        "number": "a row number", "user": "an identifier", "remark": "free text",
        "choice": "free text", "customer_id": "a row number",
    }  # fmt: skip
    assert doubtful_columns(frame[:20]) == {}  # too few to tell


# ------------------------------------------------------------------ on the command line


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_what_it_prints(suffix, call, tmp_path):
    code, out, err = call(write(MIXED, tmp_path / f"mine{suffix}"), "--n", "4")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    features = 4 if suffix == ".parquet" else 5  # a text in Parquet is no date
    assert f"mine{suffix}: 120 rows, {features} features, 2 classes of 'y'" in lines[0]
    for name, kind in [("number", "a row number"), ("user", "an ident"), ("remark", "free text")]:
        assert f"note: column '{name}' looks like {kind}" in out
    ranks = [float(line.split()[2]) for line in lines if "rank " in line and "C=" in line]
    assert len(ranks) == 4
    assert ranks == sorted(ranks)
    assert "predicted rank of 201 configurations" in out
    similar = lines[-1].partition("(distance): ")[2].split(", ")
    assert len(similar) == 3
    assert {text.split()[0] for text in similar} <= set(SVC.tasks.index)


def test_the_answer_is_that_of_recommend(call, tmp_path):
    table = load_dataset("wine")
    path = write(table.X.assign(y=table.y), tmp_path / "wine.csv")
    code, out, _ = call(path, "--format", "json", "--n", "3", "--out", str(tmp_path / "o.json"))
    answer = json.loads(out)
    found = recommend(meta_features(table.X, table.y), SVC, 3)
    assert code == 0
    assert [row["config"] for row in answer["recommended"]] == found.configs
    assert np.allclose([row["rank"] for row in answer["recommended"]], found.ranks, atol=0.051)
    assert [row["task"] for row in answer["similar"]] == list(found.distances.index[:3])
    assert answer["similar"][0] == {"task": "wine", "distance": 0.0}
    kept = json.loads((tmp_path / "o.json").read_text())
    assert (kept["learner"], kept["target"]) == ("svc", "y")
    assert kept["config"] == found.configs[0]


def test_a_search_says_what_it_gains(call, tmp_path):
    path = write(MIXED, tmp_path / "mine.csv")
    code, out, err = call(path, "--trials", "3", "--out", str(tmp_path / "best.json"))
    assert code == 0
    assert "3/3" in err  # the progress
    assert "Best of 3 trials: 0." in out
    assert "(the default: 0." in out
    best = json.loads((tmp_path / "best.json").read_text())
    assert best["trials"] == 3
    assert best["metric"] == "balanced_accuracy"
    assert 0.5 < best["score"] <= 1
    assert 0.5 < best["default_score"] <= 1
    model = get_learner(best["learner"]).build(best["config"])
    X = PLAIN.drop(columns="y")
    assert model.fit(X, PLAIN["y"]).score(X, PLAIN["y"]) > 0.5


def test_the_score_is_that_of_the_configuration_that_is_written(call, tmp_path):
    path, out = write(PLAIN, tmp_path / "mine.csv"), tmp_path / "best.json"
    answer = json.loads(call(path, "--trials", "6", "--format", "json", "--out", str(out))[1])
    best, X = json.loads(out.read_text()), PLAIN.drop(columns="y")
    scores = cross_val_score(
        get_learner("svc").build(best["config"]), X, PLAIN["y"], scoring="balanced_accuracy"
    )
    assert best["score"] == pytest.approx(scores.mean())
    assert best["config"] == answer["search"]["config"]
    assert best["config"] != answer["recommended"][0]["config"]  # else a swap would not be seen


def test_a_search_begins_with_what_was_recommended_to_others(call, tmp_path):
    code, out, _ = call(
        write(PLAIN, tmp_path / "mine.csv"), "--trials", "1", "--format", "json",
        learner="hist_gradient_boosting",
    )  # fmt: skip
    answer = json.loads(out)
    assert code == 0
    assert answer["search"]["config"] in MetaDataset.load("hist_gradient_boosting").configs
    assert answer["search"]["trust"] > 0.5


def test_experience_of_ones_own(call, tmp_path):
    folder = SVC.subset(["wine", "iris", "german"]).save(tmp_path / "mine")
    path = write(PLAIN, tmp_path / "mine.csv")
    code, out, _ = call(path, "--experience", str(folder), "--format", "json")
    assert code == 0
    assert {row["task"] for row in json.loads(out)["similar"]} == {"wine", "iris", "german"}
    code, out, err = call(path, "--experience", str(folder), learner="mlp")
    assert (code, out) == (1, "")
    assert "--experience" in err
    assert "accepted is that of mlp: ['layers'" in err


def test_a_huge_table_is_described_by_some_of_its_rows(call, tmp_path):
    n = 200_000
    y = np.arange(n) % 2
    frame = pd.DataFrame({"a": np.random.default_rng(0).normal(size=n).round(2) + y, "y": y})
    code, out, _ = call(write(frame, tmp_path / "huge.csv"), "--trials", "1", learner="svc")
    assert code == 0
    assert "200,000 rows: described by 10,000 of them" in out
    assert "200,000 rows: the search evaluates on 5,000 of them" in out


def test_no_tensorflow_is_loaded(tmp_path):
    path = write(PLAIN, tmp_path / "mine.csv")
    code = (
        "import sys; from metahpo_lite.__main__ import main; code = main(sys.argv[1:]);"
        "loaded = {name.split('.')[0] for name in sys.modules};"
        "sys.exit(code or sorted(loaded & {'tensorflow', 'keras', 'torch', 'optuna'}) or 0)"
    )
    call = [sys.executable, "-c", code, "recommend", path, "--target", "y", "--learner", "svc"]
    done = subprocess.run([*call, "--trials", "1"], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr.count("Error")) == (0, 0), done.stderr
    assert "Best of 1 trials" in done.stdout


def test_what_is_in_a_table_is_never_evaluated(call, tmp_path):
    mark = tmp_path / "mark"
    evil = f"__import__('pathlib').Path({str(mark)!r}).touch()"
    frame = pd.DataFrame(
        {evil: [evil, "=cmd|'/c calc'!A1"] * 20, "a": [1, 2] * 20, "y": [0, 1] * 20}
    )
    code, _, _ = call(write(frame, tmp_path / "evil.csv"), "--trials", "1")
    assert code == 0
    assert not mark.exists()


# ------------------------------------------------------------------ what it refuses

FILES = {
    "empty.csv": b"", "lines.csv": b"\n\n", "header.csv": b"a,b,y\n",
    "semicolon.csv": PLAIN.to_csv(index=False, sep=";").encode(),
    "latin.csv": PLAIN.assign(a="caf\xe9").to_csv(index=False).encode("latin-1"),
    "utf16.csv": PLAIN.to_csv(index=False).encode("utf-16"),
    "ragged.csv": b"a,b,y\n1,2,0\n1,2,3,4,5\n", "twice.csv": b"a,y,y\n1,0,0\n2,1,1\n",
    "broken.parquet": b"PAR1", "table.xlsx": b"PK",
    "one.csv": PLAIN.assign(y=1).to_csv(index=False).encode(),
    "regression.csv": PLAIN.assign(y=PLAIN["a"]).to_csv(index=False).encode(),
    "rounded.csv": PLAIN.assign(y=PLAIN["a"].round(1)).to_csv(index=False).encode(),
    "users.csv": MIXED[["user", "y"]].to_csv(index=False).encode(),
    "infinite.csv": PLAIN.assign(a=np.inf).to_csv(index=False).encode(),
    "fine.csv": PLAIN.to_csv(index=False).encode(),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("empty.csv", (), "empty.csv: No columns"),
        ("lines.csv", (), "lines.csv: No columns"),
        ("header.csv", (), "0 rows x 3 columns; accepted: rows, with a target"),
        ("semicolon.csv", (), "the values seem to be between ';'"),
        ("latin.csv", (), "is not UTF-8; accepted: text saved as UTF-8"),
        ("utf16.csv", (), "is not UTF-8"),
        ("ragged.csv", (), "Expected 3 fields in line 3, saw 5; accepted: values between ','"),
        ("twice.csv", (), "the column 'y' occurs twice"),
        ("broken.parquet", (), "accepted: Parquet"),
        ("table.xlsx", (), "accepted: a name that ends in .csv, .tsv or .parquet"),
        ("nowhere.csv", (), "there is no file"),
        ("one.csv", (), "'y' has 1 distinct values; accepted: at least two classes"),
        ("regression.csv", (), "looks like regression"),
        ("rounded.csv", (), "MetaDataset.from_cv_results"),
        ("users.csv", (), "no feature is left: column 'user' looks like an identifier"),
        ("infinite.csv", (), "column 'a' holds an infinite value"),
        ("fine.csv", ("--experience", "nowhere"), "'nowhere' is neither shipped nor a folder"),
        ("fine.csv", ("--trials", "2", "--out", "no/best.json"), "--out: there is no folder"),
        ("fine.csv", ("--target", "why"), "target: 'why' is not a column"),
        ("fine.csv", ("--target", "Y"), "did you mean 'y'?"),
    ],
)
def test_bad_input_is_said_in_one_line(name, options, words, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if name in FILES:
        Path(name).write_bytes(FILES[name])
    code, out, err = call(name, *options)
    assert (code, out) == (1, "")
    assert words in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--n", "0"], "--n: 0; accepted: a whole number of at least 1"),
        (["--trials", "0"], "--trials: 0; accepted"),
        (["--trials", "two"], "--trials: two; accepted"),
        (["--learner", "svx"], "--learner: invalid choice: 'svx'"),
        (["--format", "xml"], "--format: invalid choice: 'xml'"),
    ],
)
def test_a_wrong_call_says_what_is_accepted(options, words, call, capsys):
    with pytest.raises(SystemExit, match="2"):
        call("mine.csv", *options)
    assert words in capsys.readouterr().err


def test_a_byte_order_mark_is_no_part_of_a_name(call, tmp_path):
    (tmp_path / "bom.csv").write_bytes(
        b"\xef\xbb\xbf" + PLAIN[["y", "a"]].to_csv(index=False).encode()
    )
    assert call(tmp_path / "bom.csv")[0] == 0
