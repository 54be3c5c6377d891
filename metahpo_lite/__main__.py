"""The command line: ``python -m metahpo_lite --help`` is its manual."""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from sklearn.model_selection import cross_val_score

from metahpo_lite.collect import collect_experience, draw_configs
from metahpo_lite.datasets import Dataset, list_datasets
from metahpo_lite.learner_classifier import LearnerClassifier
from metahpo_lite.learners import LEARNERS, get_learner
from metahpo_lite.metadata import MetaDataset
from metahpo_lite.metafeatures import meta_features
from metahpo_lite.recommendation import doubtful_columns, recommend
from metahpo_lite.search_cv import MAX_DESCRIBED, MetaSearchCV
from metahpo_lite.storage import write_file
from metahpo_lite.tasks import sample_rows

MAX_SEARCHED = 5000  # rows of a larger table on which a search evaluates

MANUAL = """
Hyperparameters for a table of your own, from experience with other tables.

  # which configurations to try first: a second or two, nothing is fitted to your table
  python -m metahpo_lite recommend my.csv --target y --learner svc

  # try 20, learning from each: prints the best, and its score against the default's
  python -m metahpo_lite recommend my.csv --target y --learner svc --trials 20 --out best.json

  # evaluate configurations on your tables, and keep the scores as experience of your own
  python -m metahpo_lite collect --learner svc --table my.csv --target y --out mine

"COMMAND --help" says what else a command can do.
"""

RECOMMEND = """
Print the configurations that do best on the known tables most similar to yours, best first, with
the rank that each is predicted to have, and those tables:

  python -m metahpo_lite recommend my.csv --target y --learner svc

Numbers, categories, dates (2024-03-01) and missing values are taken as they come. Columns that look
like identifiers, row numbers or free text are left out, and named. Of more than 10,000 rows so many
describe the table.

With --trials N these are the start of a search that learns from each of its N trials, by five-fold
cross-validation (balanced accuracy; of more than 5,000 rows on so many). The score of the best
trial flatters itself a little: of N scores it is the luckiest too. What --out writes builds the
pipeline:

  import json
  from metahpo_lite.learners import get_learner
  best = json.load(open("best.json"))
  model = get_learner(best["learner"]).build(best["config"])  # to be fitted
"""

COLLECT = """
Evaluate a learner's default and N other configurations (a Sobol sequence, the same for all) on
tables, each by three-fold cross-validation, and write the scores and the meta-features of the
tables into a folder:

  # a table of your own: CSV, TSV or Parquet, any types, missing values allowed
  python -m metahpo_lite collect --learner svc --table my.csv --target y --configs 30 --out mine

  # tables by name (list_datasets() in Python shows them), or one name a line in a file
  python -m metahpo_lite collect --learner svc --datasets iris wine --out mine --jobs 2
  python -m metahpo_lite collect --learner svc --datasets @data/tasks.txt --out mine --jobs 2

It may be interrupted at any moment, in any way: the same command goes on where it stopped. More
tables go into the same folder. A table with more than 2,000 rows is represented by so many of
them. The result is read in Python:

  from metahpo_lite import MetaDataset
  MetaDataset.load("mine").scores
"""


def read_names(given: list[str]) -> list[str]:
    """Return the names given, with ``@FILE`` replaced by the lines of the file."""
    names = []
    for name in given:
        if name.startswith("@"):
            lines = Path(name[1:]).read_text(encoding="utf-8").splitlines()
            lines = [line.partition("#")[0].strip() for line in lines]
            names += [line for line in lines if line]
        else:
            names.append(name)
    return names


def read_own(path: str, target: str) -> Dataset:
    """Read a table of your own as a dataset."""
    frame = read_table(path, "--table")
    return Dataset.from_frame(frame, target, Path(path).stem, source=Path(path).name)


def read_table(path: str, argument: str) -> pd.DataFrame:
    """Read a table of your own; what kind of file it is, its name says."""
    suffix = Path(path).suffix.lower()
    separators = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
    if suffix != ".parquet" and suffix not in separators:
        raise ValueError(
            f"{argument}: {path}; accepted: a name that ends in .csv, .tsv or .parquet"
        )
    if not os.path.isfile(path):  # which also knows paths that can be none
        raise FileNotFoundError(f"{argument}: there is no file {path}")
    try:
        frame = _parquet(path) if suffix == ".parquet" else _text(path, separators[suffix])
    except UnicodeDecodeError:
        raise ValueError(
            f"{argument}: {path} is not UTF-8; accepted: text saved as UTF-8"
        ) from None
    except Exception as error:  # a broken file meets any kind of pandas' or pyarrow's own
        kind = "Parquet" if suffix == ".parquet" else f"values between {separators[suffix]!r}"
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"{argument}: {path}: {reason}; accepted: {kind}") from None
    return frame


def _parquet(path: str) -> pd.DataFrame:
    """Read a Parquet file; a broken text would be noticed much later."""
    pq.read_table(path).validate(full=True)
    return pd.read_parquet(path)


def _text(path: str, separator: str) -> pd.DataFrame:
    """Read a text file; a column of dates such as 2024-03-01 becomes one of dates."""
    frame = pd.read_csv(path, sep=separator, low_memory=False)
    header = pd.read_csv(path, sep=separator, header=None, nrows=1, dtype=str).loc[0].dropna()
    others = [s for s in (",", ";", "\t", "|") if s != separator and s in str(frame.columns[0])]
    if frame.shape[1] == 1 and others:
        raise ValueError(f"all is in one column, {frame.columns[0]!r}: the values seem to be "
                         f"between {others[0]!r}; save them again")  # fmt: skip
    if header.duplicated().any():  # pandas would call a second y y.1, and a model see the target
        twice = header[header.duplicated()].iloc[0]
        raise ValueError(f"the column {twice!r} occurs twice")
    for name in frame.columns[[pd.api.types.infer_dtype(c) == "string" for _, c in frame.items()]]:
        dates = pd.to_datetime(frame[name], format="ISO8601", errors="coerce", utc=True)
        if dates.notna().any() and (dates.notna() == frame[name].notna()).all():
            frame[name] = dates
    return frame


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    text = argparse.RawDescriptionHelpFormatter
    form: dict[str, Any] = {"formatter_class": text, "allow_abbrev": False}
    top = argparse.ArgumentParser(prog="python -m metahpo_lite", description=MANUAL, **form)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add = commands.add_parser(
        "recommend", help="which configurations to try on a table", description=RECOMMEND, **form
    ).add_argument
    add("table", metavar="FILE", help="your table: .csv, .tsv or .parquet")
    add("--target", required=True, metavar="COLUMN", help="the column that is to be predicted")
    add("--learner", required=True, choices=list(LEARNERS), help="what is tuned")
    add("--experience", metavar="DIR", help="a folder of your own experience (what is shipped)")
    add("--n", type=_whole, default=5, metavar="N", help="configurations to print (%(default)s)")
    add("--trials", type=_whole, metavar="N", help="also search, with so many trials")
    add("--jobs", type=_whole, default=1, metavar="N", help="fits at once (%(default)s)")
    add("--format", choices=["text", "json"], default="text", help="(%(default)s)")
    add("--out", metavar="FILE", help="write the best configuration, as JSON")
    add = commands.add_parser(
        "collect",
        help="evaluate configurations of a learner on tables, and keep the scores",
        description=COLLECT,
        **form,
    ).add_argument
    add("--learner", required=True, choices=list(LEARNERS), help="what is tuned")
    add("--out", required=True, metavar="DIR", help="the folder: a new one, or one to go on with")
    add("--configs", type=_whole, default=200, metavar="N", help="beside the default (%(default)s)")
    add("--datasets", nargs="+", metavar="NAME", help="tables by name; @FILE: names in a file")
    add("--table", metavar="FILE", help="a table of your own: .csv, .tsv or .parquet")
    add("--target", metavar="COLUMN", help="the column of --table that is to be predicted")
    add("--jobs", type=_whole, default=1, metavar="N", help="evaluations at once (%(default)s)")
    add("--time-limit", type=_seconds, default=20.0, metavar="S",
        help="seconds after which one is stopped (%(default)g)")  # fmt: skip
    return top


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}; accepted: a whole number of at least 1")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}; accepted: a number above 0")
    return seconds


def run_collect(args: argparse.Namespace) -> None:
    """Do what the command line says."""
    datasets: list = read_names(args.datasets) if args.datasets else []
    if args.table:
        datasets.append(read_own(args.table, args.target))
    elif not args.datasets:
        datasets = list(list_datasets().index)
    with joblib.parallel_config(n_jobs=args.jobs):
        experience = collect_experience(
            args.learner,
            datasets,
            draw_configs(args.learner, args.configs),
            args.out,
            time_limit=args.time_limit,
            describe=meta_features,
        )
    counts = experience.trials["status"].value_counts()
    print(f"{args.out}: {experience}; " + ", ".join(f"{n} {kind}" for kind, n in counts.items()))


def run_recommend(args: argparse.Namespace) -> None:
    """Recommend configurations for a table, and search if so many trials are asked for."""
    learner = get_learner(args.learner)
    experience = MetaDataset.load(args.experience or args.learner)
    if experience.space != learner.space:
        raise ValueError(f"--experience: {args.experience} is of {experience.space.names}; "
                         f"accepted is that of {args.learner}: {learner.space.names}")  # fmt: skip
    if args.out and not (folder := Path(args.out).absolute().parent).is_dir():
        raise FileNotFoundError(f"--out: there is no folder {folder}")  # now, not after a search
    if args.out and os.path.isdir(args.out):
        raise IsADirectoryError(f"--out: {args.out} is a folder; accepted: the name of a file")
    frame, notes = read_table(args.table, "FILE"), []
    features = frame.drop(columns=[args.target], errors="ignore")
    for name, kind in doubtful_columns(features).items():
        notes.append(f"column {name!r} looks like {kind}: left out. If it should count, make "
                     "categories or numbers of it")  # fmt: skip
        frame = frame.drop(columns=name)
    if notes and list(frame.columns) == [args.target]:
        raise ValueError(f"{args.table}: no feature is left: {'; '.join(notes)}")
    dataset = Dataset.from_frame(frame, args.target, Path(args.table).stem)
    if len(dataset.X) > MAX_DESCRIBED:
        notes.append(f"{len(dataset.X):,} rows: described by {MAX_DESCRIBED:,} of them")
    described = meta_features(dataset, max_rows=MAX_DESCRIBED)
    found = recommend(described, experience, args.n)
    answer = {
        "table": args.table, "target": args.target, "rows": len(dataset.X),
        "features": dataset.X.shape[1], "classes": dataset.n_classes, "learner": args.learner,
        "notes": notes,
        "configurations": len(experience.configs),
        "recommended": [{"rank": round(float(rank), 1), "config": config}
                        for config, rank in zip(found.configs, found.ranks, strict=True)],
        "similar": [{"task": task, "distance": round(float(far), 3)}
                    for task, far in found.distances.head(3).items()],
    }  # fmt: skip
    best = found.configs[0]
    if args.trials:
        X, y = dataset.X, dataset.y
        if len(X) > MAX_SEARCHED:
            notes.append(f"{len(X):,} rows: the search evaluates on {MAX_SEARCHED:,} of them")
            rows = sample_rows(y.to_numpy(), MAX_SEARCHED, 5, np.random.default_rng(0))
            X, y = X.iloc[rows], y.iloc[rows]
        search = MetaSearchCV(
            learner,
            experience,
            n_trials=args.trials,
            scoring="balanced_accuracy",
            n_jobs=args.jobs,
            refit=False,
            verbose=1,
            random_state=0,
        )
        default = LearnerClassifier(learner)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            search.fit(X, y)
            scores = cross_val_score(default, X, y, scoring="balanced_accuracy", n_jobs=args.jobs)
        best, row = search.best_params_, search.best_index_
        answer["search"] = {
            "trials": len(search.configs_), "metric": "balanced_accuracy", "config": best,
            "score": float(search.best_score_),
            "std": float(search.cv_results_["std_test_score"][row]),
            "default_score": float(scores.mean()), "default_std": float(scores.std()),
            "trust": search.trust_,
        }  # fmt: skip
    if args.out:
        kept = {"learner": args.learner, "config": best, "table": args.table, "target": args.target}
        write_file(Path(args.out), json.dumps(kept | answer.get("search", {}), indent=2) + "\n")
    print(json.dumps(answer, indent=2) if args.format == "json" else _as_text(answer))


def _as_text(answer: dict[str, Any]) -> str:
    """Return what `run_recommend` found, for people."""

    def shown(config: dict) -> str:
        return ", ".join(f"{n}={v:.4g}" if isinstance(v, float) else f"{n}={v}"
                         for n, v in config.items())  # fmt: skip

    lines = [
        f"{answer['table']}: {answer['rows']:,} rows, {answer['features']} features, "
        f"{answer['classes']} classes of {answer['target']!r}",
        *(f"note: {note}" for note in answer["notes"]),
        "",
        f"{answer['learner']}: what to try, with the predicted rank of "
        f"{answer['configurations']} configurations",
        *(f"{i:3}. rank {row['rank']:5.1f}   {shown(row['config'])}"
          for i, row in enumerate(answer["recommended"], 1)),
        "",
        "Most similar known tables (distance): "
        + ", ".join(f"{row['task']} ({row['distance']:.2f})" for row in answer["similar"]),
    ]  # fmt: skip
    if found := answer.get("search"):
        lines += [
            "",
            f"Best of {found['trials']} trials: {found['score']:.4f} (the default: "
            f"{found['default_score']:.4f}), {found['metric']} of five folds",
            f"     {shown(found['config'])}",
        ]
    return "\n".join(lines)


def exit_code(program: str, command: Callable, args: argparse.Namespace) -> int:
    """Run a command, and return its exit code; an error is said in one line."""
    try:
        command(args)
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from here", file=sys.stderr)
        return 130
    except Exception as error:
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        text = " ".join(str(text).split()) or type(error).__name__
        print(f"{program}: {text}", file=sys.stderr)
        return 1
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : list of str, optional
        The words after ``python -m metahpo_lite``; those of this process if not given.

    Returns
    -------
    int
        The exit code: 0, or 1 after an error, which is said in one line; a wrong call exits with 2.
    """
    commands = parser()
    args = commands.parse_args(argv)
    if (args.table is None) != (args.target is None):
        commands.error("--table and --target belong together")
    run = run_recommend if args.command == "recommend" else run_collect
    return exit_code("metahpo_lite", run, args)


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # the name of a file may be no text
    sys.exit(main())
