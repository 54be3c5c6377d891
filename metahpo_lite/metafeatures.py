"""Meta-features: a table described by 30 numbers, so that tables can be compared.

Each line: the name, its definition (its source; the name of the same quantity in the package
pymfe). Counts and ratios without an upper bound are logarithms to base 10; entropies are in bits.
A mean or sd is over columns: numbers by their observed values, or for `information` over all
columns, where a missing value is one more value, and numbers are cut into int(rows ** (1/3)), at
least two, bins of about equal frequency. Missing (NaN) only where the line says so.

simple
  log_rows                      log10 of the rows (Michie et al., 1994; nr_inst)
  log_features                  log10 of the feature columns (Michie et al., 1994; nr_attr)
  log_classes                   log10 of the classes (Michie et al., 1994; nr_class)
  log_rows_per_feature          log10 of rows / features (Kuba et al., 2002; inst_to_attr)
  numeric_share                 numeric columns / columns (Engels & Theusinger, 1998; nr_num)
  missing_share                 missing cells / cells (Kalousis & Theoharis, 1999)
  largest_class                 share of the rows (Lindner & Studer, 1999; freq_class)
  smallest_class                share of the rows (Lindner & Studer, 1999; freq_class)

statistical: of the numeric columns that vary; NaN if there is none
  skewness_mean                 of the absolute m3 / s**3 (Michie et al., 1994; skewness)
  skewness_sd                   of the same, without the sign (Michie et al., 1994; skewness)
  kurtosis_mean                 of m4 / s**4 - 3 (Michie et al., 1994; kurtosis)
  kurtosis_sd                   of the same (Michie et al., 1994; kurtosis)
  correlation_mean              of |r| over the pairs of columns; NaN if only one column varies
                                (Michie et al., 1994; cor)
  correlated_share              pairs with |r| of at least .5; NaN as above
                                (Salama et al., 2013; nr_cor_attr)
  first_component               share of the variance on the first principal component of the
                                standardised columns (Michie et al., 1994)
  outlier_share                 mean share of the values that lie more than 1.5 interquartile
                                ranges beyond the quartiles (Tukey, 1977)
  sparsity_mean                 of (n / distinct - 1) / (n - 1), all columns with at least two
                                values, NaN if there is none (Salama et al., 2013; sparsity)

information
  class_entropy                 H(y) (Michie et al., 1994; class_ent)
  class_entropy_normalised      H(y) / log2(classes) (Castiello et al., 2005)
  attribute_entropy_mean        of H(x) (Michie et al., 1994; attr_ent)
  attribute_entropy_normalised  mean of H(x) / log2(distinct values), 0 for a constant
                                (Castiello et al., 2005)
  mutual_information_mean       of I(x; y) (Michie et al., 1994; mut_inf)
  mutual_information_max        of the most informative column (mut_inf)
  log_noise_to_signal           log10 of sum H(x) / sum I(x; y), which is 1 + ns_ratio; NaN if no
                                column says anything about y (Michie et al., 1994; ns_ratio)
  log_equivalent_attributes     log10 of H(y) / mean I(x; y): so many mean columns would do; NaN
                                as above (Michie et al., 1994; eq_num_attr)

landmarkers: balanced accuracy, with all classes of equal weight, over three folds of at most 1,000
rows, prepared as for the learner mlp; classes below three rows are left out, NaN if fewer than two
classes remain
  landmark_stump                a tree with one split (Pfahringer et al., 2000; best_node)
  landmark_tree                 a tree of depth 5 (Feurer et al., 2014)
  landmark_naive_bayes          Gaussian naive Bayes (Pfahringer et al., 2000; naive_bayes)
  landmark_nearest_neighbour    one neighbour (Bensusan & Giraud-Carrier, 2000; one_nn)
  landmark_linear               least squares with a ridge (Pfahringer et al., 2000; linear_discr)
"""

import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from metahpo_lite.arguments import as_list, check_seed, whole_number
from metahpo_lite.datasets import Dataset, as_table
from metahpo_lite.landmarkers import FOLDS, landmarkers
from metahpo_lite.tasks import sample_rows, threads

MAX_CORRELATED = 500  # columns, evenly spaced: wide tables have millions of pairs


def meta_features(
    table: Any, y: Any = None, groups: str | Sequence[str] | None = None, seed: int = 0,
    max_rows: int | None = None,
) -> pd.Series:  # fmt: skip
    """Describe a table by numbers; the docstring of this module defines each of them.

    The order of the rows does not matter.

    Parameters
    ----------
    table : Dataset, DataFrame, or array of shape (n_rows, n_features)
        What :func:`~metahpo_lite.datasets.as_table` takes.
    y : array of shape (n_rows,), optional
        The classes; not beside a Dataset, which has its own.
    groups : str or list of str, optional
        Some of "simple", "statistical", "information", "landmarkers"; all unless given.
    seed : int
        Fixes the rows and the folds of the landmarkers.
    max_rows : int, optional
        A larger table is described by so many of its rows, drawn class by class; the group
        "simple" by all of them.

    Returns
    -------
    Series
        float64, index the names; missing where the definition says so, never infinite.

    Raises
    ------
    TypeError
        If ``y`` is missing, or given beside a Dataset.
    ValueError
        If the table or the classes cannot be used, or there is no such group.

    Examples
    --------
    >>> from metahpo_lite import load_dataset
    >>> meta_features(load_dataset("iris"), groups="simple")["largest_class"].round(2)
    np.float64(0.33)
    """
    return _compute(table, y, groups, seed, max_rows)[0]


def meta_feature_seconds(
    table: Any, y: Any = None, groups: str | Sequence[str] | None = None, seed: int = 0
) -> pd.Series:
    """Measure what each group costs, as :func:`meta_features` computes it.

    Parameters
    ----------
    table, y, groups, seed
        As for :func:`meta_features`.

    Returns
    -------
    Series
        Seconds, index the groups.
    """
    return _compute(table, y, groups, seed)[1]


def _compute(table, y, groups, seed, max_rows=None) -> tuple[pd.Series, pd.Series]:
    groups = _check_groups(groups)
    seed = check_seed(seed)
    if max_rows is not None:
        whole_number("max_rows", max_rows, or_else=", or None")
    X, y = _prepare(table, y)
    rows = sample_rows(y, max_rows, FOLDS, np.random.default_rng(seed))
    some = (X, y) if len(rows) == len(y) else (X.iloc[rows].reset_index(drop=True), y[rows])
    values, seconds = {}, {}
    # One thread: the same sums on every machine. What is undefined is NaN, and no news.
    with threads().limit(limits=1), np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for group in groups:
            start = time.perf_counter()
            values.update(GROUPS[group](*((X, y) if group == "simple" else some), seed))
            seconds[group] = time.perf_counter() - start
    return pd.Series(values, dtype="float64"), pd.Series(seconds, dtype="float64")


def _check_groups(groups) -> list[str]:
    accepted = f"one or more of {list(GROUPS)}"
    if groups is None or isinstance(groups, str):
        chosen = list(GROUPS) if groups is None else [groups]
    else:
        chosen = as_list("groups", groups, accepted)
    if not chosen or not all(isinstance(group, str) and group in GROUPS for group in chosen):
        raise ValueError(f"groups: got {groups!r}, accepted is {accepted}")
    return [group for group in GROUPS if group in chosen]


def _prepare(table, y) -> tuple[pd.DataFrame, np.ndarray]:
    """The features, numbers scaled to below 1, and the codes of the classes; rows in one order."""
    if isinstance(table, Dataset):
        if y is not None:
            raise TypeError("y: given beside a Dataset; accepted: a Dataset, or a table and y")
        table, y = table.X, table.y
    elif y is None:
        raise TypeError(f"y: missing beside a {type(table).__name__}; accepted: one class per row")
    X = as_table(table).reset_index(drop=True)
    if np.ndim(y) != 1 or len(y) != len(X):
        raise ValueError(f"y: shape {np.shape(y)}; accepted: one class for each of {len(X)} rows")
    labels = pd.Series(np.asarray(y, dtype=object))
    if labels.isna().any():
        raise ValueError(f"y: row {labels.isna().argmax()} is missing; accepted: a class per row")
    codes, classes = pd.factorize(labels.astype(str), sort=True)
    if not 2 <= len(classes) < len(codes):
        raise ValueError(f"y: {len(classes)} classes in {len(codes)} rows; "
                         "accepted: at least two classes that repeat")  # fmt: skip
    numbers = X.select_dtypes("float64")
    # a power of two: nothing is rounded, and no power of a value overflows
    exponents = np.frexp(numbers.abs().max().fillna(0.0).to_numpy())[1]
    scaled = pd.DataFrame(np.ldexp(numbers.to_numpy(), -exponents), columns=numbers.columns)
    if len(numbers.columns) < len(X.columns):
        scaled = pd.concat([scaled, X.drop(columns=numbers.columns)], axis=1)[X.columns]
    # sums, folds and samples shall not depend on the order in which the rows came
    order = np.lexsort([*(_ranked(column) for _, column in scaled.items()), codes])
    return scaled.iloc[order].reset_index(drop=True), codes[order]


def _ranked(column: pd.Series) -> pd.Series:
    """Numbers that sort as the column does; categories by name."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.set_categories(sorted(column.cat.categories)).cat.codes
    return column


def _mean(values) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else np.nan


def _sd(values) -> float:
    """Over one column it is 0."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0 if len(values) else np.nan


# ---------------------------------------------------------------------- the groups


def _simple(X, y, seed) -> dict[str, float]:
    n_rows, n_features = X.shape
    shares = np.bincount(y) / n_rows
    return {
        "log_rows": np.log10(n_rows),
        "log_features": np.log10(n_features),
        "log_classes": np.log10(len(shares)),
        "log_rows_per_feature": np.log10(n_rows / n_features),
        "numeric_share": X.select_dtypes("float64").shape[1] / n_features,
        "missing_share": X.isna().to_numpy().mean(),
        "largest_class": shares.max(),
        "smallest_class": shares.min(),
    }


def _statistical(X, y, seed) -> dict[str, float]:
    N = X.select_dtypes("float64").to_numpy()
    N = N[:, np.nanmax(N, axis=0) > np.nanmin(N, axis=0)]  # those that vary
    counts, distinct = X.count().to_numpy(), X.nunique().to_numpy()
    several = counts > 1
    repeats = counts[several] / distinct[several]
    skewness, kurtosis = _moments(N)
    some = np.unique(np.linspace(0, N.shape[1] - 1, min(N.shape[1], MAX_CORRELATED)).astype(int))
    r, first = _correlations(N[:, some])
    return {
        "skewness_mean": _mean(np.abs(skewness)),
        "skewness_sd": _sd(np.abs(skewness)),
        "kurtosis_mean": _mean(kurtosis),
        "kurtosis_sd": _sd(kurtosis),
        "correlation_mean": _mean(r),
        "correlated_share": _mean(np.where(np.isnan(r), np.nan, r >= 0.5)),
        "first_component": first,
        "outlier_share": _mean(_outliers(N)),
        "sparsity_mean": _mean((repeats - 1) / (counts[several] - 1)),
    }


def _moments(N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Skewness and excess kurtosis of each column, with the sd that divides by n - 1."""
    mean = np.nanmean if np.isnan(N).any() else np.mean  # this is faster, and the same
    Z = N - mean(N, axis=0)
    Z = Z / np.nanmax(np.abs(Z), axis=0, initial=0)
    m2, m3, m4 = (mean(power, axis=0) for power in (Z * Z, Z * Z * Z, (Z * Z) ** 2))
    n = np.sum(~np.isnan(N), axis=0)
    variance = m2 * n / (n - 1)
    return m3 / variance**1.5, m4 / variance**2 - 3


def _correlations(N: np.ndarray) -> tuple[np.ndarray, float]:
    """|r| of each pair of columns, over the rows that have both; the first component's share."""
    if N.shape[1] == 0:
        return np.empty(0), np.nan
    Z = N - np.nanmean(N, axis=0)
    Z = Z / np.nanmax(np.abs(Z), axis=0)
    Z = Z / np.nanstd(Z, axis=0)
    observed = (~np.isnan(Z)).astype(float)
    Z = np.nan_to_num(Z)  # the mean, where a value is missing
    n, s, s2 = observed.T @ observed, Z.T @ observed, (Z**2).T @ observed  # for each pair
    variance = s2 / n - (s / n) ** 2
    variance[~(variance > 1e-12)] = np.nan  # constant where both are observed
    r = np.abs((Z.T @ Z / n - s * s.T / n**2) / np.sqrt(variance * variance.T))
    gram = Z.T @ Z if Z.shape[0] > Z.shape[1] else Z @ Z.T  # the same eigenvalues
    first = np.linalg.eigvalsh(gram)[-1] / np.trace(gram)
    return np.minimum(r[np.tril_indices_from(r, -1)], 1), first


def _outliers(N: np.ndarray) -> np.ndarray:
    """The share of the values of each column that lie far outside its quartiles."""
    if N.shape[1] == 0:
        return np.empty(0)
    quantile = np.nanquantile if np.isnan(N).any() else np.quantile  # this is faster
    low, high = quantile(N, [0.25, 0.75], axis=0)
    far = np.maximum(low - N, N - high) > 1.5 * (high - low)
    return np.sum(far, axis=0) / np.sum(~np.isnan(N), axis=0)


def _information(X, y, seed) -> dict[str, float]:
    n_classes = y.max() + 1
    class_entropy = _entropy(np.bincount(y))
    attribute, normalised, mutual = [], [], []
    complete = X.select_dtypes("float64").dropna(axis=1)  # their quantiles at once
    edges = dict(zip(complete, np.quantile(complete, _shares(len(X)), axis=0).T, strict=True))
    for name, column in X.items():
        codes = _codes(column, edges.get(name))
        joint = np.bincount(codes * n_classes + y, minlength=(codes.max() + 1) * n_classes)
        counts = joint.reshape(-1, n_classes).sum(axis=1)
        attribute.append(_entropy(counts))
        normalised.append(attribute[-1] / np.log2(max(np.sum(counts > 0), 2)))
        information = attribute[-1] + class_entropy - _entropy(joint)
        mutual.append(information if information > 1e-12 else 0.0)  # rounding is not information
    total = sum(mutual) or np.nan
    return {
        "class_entropy": class_entropy,
        "class_entropy_normalised": class_entropy / np.log2(n_classes),
        "attribute_entropy_mean": np.mean(attribute),
        "attribute_entropy_normalised": np.mean(normalised),
        "mutual_information_mean": np.mean(mutual),
        "mutual_information_max": np.max(mutual),
        "log_noise_to_signal": np.log10(sum(attribute) / total),
        "log_equivalent_attributes": np.log10(len(mutual) * class_entropy / total),
    }


def _shares(n_rows: int) -> np.ndarray:
    """The share of the values that lie up to the end of each bin."""
    n_bins = max(int(n_rows ** (1 / 3)), 2)
    return np.linspace(0, 1, n_bins + 1)[1:]


def _codes(column: pd.Series, edges: np.ndarray | None) -> np.ndarray:
    """Categories, or bins of about equal frequency, as 1, 2, ...; missing is 0."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy().astype(int) + 1
    values = column.to_numpy()
    if edges is not None:
        return np.searchsorted(np.unique(edges), values) + 1
    observed = values[~np.isnan(values)]
    if len(observed) == 0:
        return np.zeros(len(values), dtype=int)
    edges = np.unique(np.quantile(observed, _shares(len(values))))
    return np.where(np.isnan(values), 0, np.searchsorted(edges, values) + 1)


def _entropy(counts: np.ndarray) -> float:
    p = np.sort(counts[counts > 0]) / counts.sum()  # sorted: the same sum in any order
    return float(max(-(p * np.log2(p)).sum(), 0))


GROUPS = {
    "simple": _simple,
    "statistical": _statistical,
    "information": _information,
    "landmarkers": landmarkers,
}
