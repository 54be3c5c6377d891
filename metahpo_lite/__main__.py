"""The command line: ``python -m metahpo_lite collect --help`` is its manual."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import joblib
import pandas as pd

from metahpo_lite.collect import collect_experience, draw_configs
from metahpo_lite.datasets import Dataset, list_datasets
from metahpo_lite.learners import LEARNERS
from metahpo_lite.metafeatures import meta_features

MANUAL = """
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
    """Read a table of your own; what kind of file it is, its name says."""
    suffix = Path(path).suffix.lower()
    separators = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
    if suffix != ".parquet" and suffix not in separators:
        raise ValueError(f"--table: {path}; accepted: a name that ends in .csv, .tsv or .parquet")
    if not Path(path).is_file():
        raise FileNotFoundError(f"--table: there is no file {path}")
    try:
        frame = pd.read_parquet(path) if suffix == ".parquet" else _text(path, separators[suffix])
    except UnicodeDecodeError:
        raise ValueError(f"--table: {path} is not UTF-8; accepted: text saved as UTF-8") from None
    except (ValueError, OSError) as error:  # pandas' and pyarrow's own errors are ValueErrors
        kind = "Parquet" if suffix == ".parquet" else f"values between {separators[suffix]!r}"
        reason = str(error).splitlines()[0]
        raise ValueError(f"--table: {path}: {reason}; accepted: {kind}") from None
    return Dataset.from_frame(frame, target, Path(path).stem, source=Path(path).name)


def _text(path: str, separator: str) -> pd.DataFrame:
    """Read a text file; a column of dates such as 2024-03-01 becomes one of dates."""
    frame = pd.read_csv(path, sep=separator, low_memory=False)
    header = pd.read_csv(path, sep=separator, header=None, nrows=1, dtype=str).loc[0].dropna()
    if header.duplicated().any():  # pandas would call a second y y.1, and a model see the target
        twice = header[header.duplicated()].iloc[0]
        raise ValueError(f"the column {twice!r} occurs twice")
    for name in frame.columns[frame.dtypes.map(pd.api.types.is_string_dtype)]:
        dates = pd.to_datetime(frame[name], format="ISO8601", errors="coerce", utc=True)
        if dates.notna().any() and (dates.notna() == frame[name].notna()).all():
            frame[name] = dates
    return frame


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(prog="python -m metahpo_lite", allow_abbrev=False)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    one = commands.add_parser(
        "collect",
        help="evaluate configurations of a learner on tables, and keep the scores",
        description=MANUAL,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = one.add_argument
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
    """Run the command line, and return its exit code: 1 for an error, 2 for a wrong call."""
    commands = parser()
    args = commands.parse_args(argv)
    if (args.table is None) != (args.target is None):
        commands.error("--table and --target belong together")
    return exit_code("metahpo_lite", run_collect, args)


if __name__ == "__main__":
    sys.exit(main())
