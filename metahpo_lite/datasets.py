"""Real tables by name, each in one canonical form.

``list_datasets()`` shows what there is, ``load_dataset("german")`` reads one table, and
``Dataset.from_frame(frame, "churn")`` makes one of your own.
"""

import difflib
import functools
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from metahpo_lite.catalogue import PACKAGES, catalogue, is_installed, read_table

# ---- the canonical form


def as_table(X: Any) -> pd.DataFrame:
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
        table = pd.concat([_checked_column(X.iloc[:, i]) for i in range(X.shape[1])], axis=1)
    numbers = table.select_dtypes("float64")
    infinite = np.isinf(numbers.to_numpy()).any(axis=0)
    if infinite.any():
        bad = str(numbers.columns[infinite.argmax()])
        raise ValueError(f"X: column {bad!r} holds an infinite value; accepted: finite or missing")
    return table if list(table.columns) == names else table.set_axis(names, axis=1)


def _checked_column(column: pd.Series) -> pd.Series:
    """One column, or a ValueError that names it."""
    if pd.api.types.is_complex_dtype(column.dtype):
        raise ValueError(f"X: column {column.name!r} is complex; accepted: real numbers or text")
    try:
        return _as_column(column)
    except (ArithmeticError, TypeError, ValueError) as error:  # a year 0, a number beyond floats
        raise ValueError(f"X: column {column.name!r} cannot be read ({error}); accepted: numbers, "
                         "texts, dates from 1678 to 2261") from None  # fmt: skip


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
        cls, frame: pd.DataFrame, target: str, name: str = "table", family: str | None = None,
        source: str = "", licence: str = "", note: str = "",
    ) -> "Dataset":  # fmt: skip
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
        one = isinstance(target, Hashable) and np.ndim(target) == 0
        if not one or target not in frame.columns:
            names = [str(column) for column in frame.columns]
            given = repr(target) if one else f"a {type(target).__name__}"
            shown = ", ".join(map(repr, names[:20])) + (", ..." if len(names) > 20 else "")
            hint = did_you_mean(target, names)
            raise KeyError(f"target: {given} is not a column{hint}; accepted: {shown}")
        places = frame.columns.get_indexer_for([target])  # a name may be False, or None
        X = frame.iloc[:, [i for i in range(frame.shape[1]) if i not in places]]
        if X.shape[1] == 0:
            raise ValueError(f"frame: only the target {target!r}; accepted: at least one feature")
        if len(places) > 1:
            raise ValueError(f"target: {target!r} names two columns; accepted: a unique name")
        column = frame.iloc[:, places[0]]
        present = column.notna().to_numpy()
        try:
            y = column[present].reset_index(drop=True).infer_objects()
            labels = _labels(y)
        except UnicodeEncodeError as error:  # pandas cannot hold half of a surrogate pair as text
            raise ValueError(f"target: {target!r} cannot be read ({error}); accepted: numbers or "
                             "texts") from None  # fmt: skip
        _check_target(y, labels.nunique(), target)
        X = as_table(X[present].reset_index(drop=True))
        return cls(name, X, labels, family or name, source, licence, note)

    @property
    def n_classes(self) -> int:
        """The number of distinct classes."""
        return self.y.nunique()

    def __repr__(self) -> str:
        size = f"{len(self.X)} rows x {self.X.shape[1]} features, {self.n_classes} classes"
        return f"Dataset({self.name!r}: {size})"


def _check_target(y: pd.Series, distinct: int, target) -> None:
    """Raise ValueError unless ``y``, without missing values, can be a class."""
    accepted = "accepted: at least two classes that repeat"
    if distinct < 2:
        raise ValueError(f"target: {target!r} has {distinct} distinct values; {accepted}")
    # whole numbers may be codes of many classes, if there are ten rows for each of them
    most = 20 if pd.api.types.is_float_dtype(y.dtype) else max(20, len(y) / 10)
    if pd.api.types.is_numeric_dtype(y.dtype) and distinct > most:
        raise ValueError(f"target: {target!r} has {distinct} distinct numbers: looks like "
                         "regression: the course tunes classifiers, and its experience is of "
                         "classification; bin it first (pandas.qcut), or make experience of your "
                         "own searches (MetaDataset.from_cv_results, or from_optuna); "
                         f"{accepted}")  # fmt: skip
    if distinct == len(y):
        raise ValueError(f"target: {target!r} is different in each of {len(y)} rows; {accepted}")


def _labels(y: pd.Series) -> pd.Series:
    """Classes as str; 1.0, which a missing value made of 1, is "1"."""
    whole = pd.api.types.is_float_dtype(y.dtype)
    if whole:
        numbers = y.astype("float64")  # 2**53 overflows a short float
        whole = ((numbers % 1 == 0) & (numbers.abs() < 2**53)).all()
    return (y.astype("int64") if whole else y).astype(object).map(str)


def did_you_mean(given: Any, accepted: Iterable[str]) -> str:
    """Return half a sentence with the closest names, or nothing."""
    lower = {name.lower(): name for name in accepted}
    close = difflib.get_close_matches(str(given).lower(), lower, n=3)
    return f" (did you mean {' or '.join(repr(lower[name]) for name in close)}?)" if close else ""


# ---- tables by name


def list_datasets(available: bool = True) -> pd.DataFrame:
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
    table = pd.DataFrame(catalogue().values()).set_index("name")
    table = table.astype({"rows": int, "features": int, "classes": int, "missing": float})
    here = table["source"].map({package: is_installed(package) for package in PACKAGES})
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
    if not isinstance(name, str):
        raise KeyError(f"name: {name!r} is not a dataset; accepted: the index of list_datasets()")
    kept = _load(name)
    return replace(kept, X=kept.X.copy(), y=kept.y.copy())


@functools.lru_cache(maxsize=32)
def _load(name: str) -> Dataset:
    """The table and its labels, as they are kept."""
    if name not in catalogue():
        raise KeyError(f"name: {name!r} is not a dataset{did_you_mean(name, catalogue())}; "
                       "accepted: the index of list_datasets(available=False)")  # fmt: skip
    row = catalogue()[name]
    frame, target = read_table(row)
    source = f"shipped, from {row['source']}" if row["shipped"] else row["source"]
    return Dataset.from_frame(
        frame, target, name, row["family"], source, row["licence"], row["note"]
    )
