"""Meta-features: what pymfe gets, finite on whatever a table is, the same in any order of rows."""

import re
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from metahpo_lite import Dataset, load_dataset, meta_features, metafeatures
from metahpo_lite.metafeatures import GROUPS, meta_feature_seconds

QUICK = ["simple", "statistical", "information"]
NUMERIC = [  # undefined without a numeric column that varies
    "skewness_mean",
    "skewness_sd",
    "kurtosis_mean",
    "kurtosis_sd",
    "first_component",
    "outlier_share",
]
PAIRS = ["correlation_mean", "correlated_share"]  # undefined without two of them
INFORMED = ["log_noise_to_signal", "log_equivalent_attributes"]
LANDMARKS = list(meta_features([[0], [1], [2]], [0, 0, 1], "landmarkers").index)
NAMES = list(meta_features(load_dataset("iris")).index)


# ------------------------------------------------------------------ agreement with pymfe


@pytest.fixture(scope="module")
def pymfe_values():
    """``pymfe_values(dataset)`` returns pymfe's values, not yet summarised over columns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pymfe.info_theory import MFEInfoTheory
        from pymfe.mfe import MFE

    def values(dataset, rescale=None):
        categories = [i for i, dtype in enumerate(dataset.X.dtypes) if dtype != "float64"]
        X = dataset.X.to_numpy(dtype=object if categories else float)
        names = (
            "nr_inst nr_attr nr_class inst_to_attr nr_num freq_class skewness kurtosis cor "
            "nr_cor_attr eigenvalues sparsity class_ent attr_ent mut_inf ns_ratio eq_num_attr"
        )
        extractor = MFE(groups="all", features=names.split(), summary=None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            extractor.fit(
                X,
                dataset.y.to_numpy(),
                cat_cols=categories or None,
                transform_cat=None,
                rescale=rescale,
                suppress_warnings=True,
            )
            found = extractor.extract(suppress_warnings=True)
        return dict(zip(*found, strict=True))

    joint_entropy = MFEInfoTheory._calc_joint_ent.__func__
    kept = joint_entropy.__defaults__
    # pymfe adds 1e-8 to every probability of a joint entropy, an error of about 1e-6
    joint_entropy.__defaults__ = (1e-300,)
    yield values
    joint_entropy.__defaults__ = kept


def sd(values):
    return np.std(values, ddof=1)


@pytest.mark.parametrize(
    "name", ["iris", "wine", "breast-cancer", "german", "contraceptive", "vowel", "penguins"]
)
def test_agrees_with_pymfe(name, pymfe_values):
    dataset = load_dataset(name)
    complete = dataset.X.notna().all(axis=1)  # pymfe takes no missing values
    dataset = Dataset(name, dataset.X[complete], dataset.y[complete], name)
    theirs = pymfe_values(dataset)
    expected = {
        "log_rows": np.log10(theirs["nr_inst"]),
        "log_features": np.log10(theirs["nr_attr"]),
        "log_classes": np.log10(theirs["nr_class"]),
        "log_rows_per_feature": np.log10(theirs["inst_to_attr"]),
        "numeric_share": theirs["nr_num"] / theirs["nr_attr"],
        "largest_class": np.max(theirs["freq_class"]),
        "smallest_class": np.min(theirs["freq_class"]),
        "skewness_mean": np.mean(np.abs(theirs["skewness"])),
        "skewness_sd": sd(np.abs(theirs["skewness"])),
        "kurtosis_mean": np.mean(theirs["kurtosis"]),
        "kurtosis_sd": sd(theirs["kurtosis"]),
        "correlation_mean": np.mean(theirs["cor"]),
        "correlated_share": theirs["nr_cor_attr"],
        "sparsity_mean": np.mean(theirs["sparsity"]),
        "class_entropy": theirs["class_ent"],
        "class_entropy_normalised": theirs["class_ent"] / np.log2(theirs["nr_class"]),
        "attribute_entropy_mean": np.mean(theirs["attr_ent"]),
        "mutual_information_mean": np.mean(theirs["mut_inf"]),
        "mutual_information_max": np.max(theirs["mut_inf"]),
        "log_noise_to_signal": np.log10(1 + theirs["ns_ratio"]),
        "log_equivalent_attributes": np.log10(theirs["eq_num_attr"]),
    }
    if (dataset.X.dtypes == "float64").all():
        variances = pymfe_values(dataset, rescale="standard")["eigenvalues"]
        expected["first_component"] = np.max(variances) / np.sum(variances)
    ours = meta_features(dataset, groups=QUICK)
    pd.testing.assert_series_equal(ours[list(expected)], pd.Series(expected), rtol=0, atol=1e-9)


# ------------------------------------------------------------------ by hand


def test_values_by_hand():
    X = pd.DataFrame({"x": [1, 2, 3, np.nan], "text": ["a", "a", "b", "b"], "nothing": np.nan})
    found = meta_features(X, ["no", "no", "yes", "yes"], groups=QUICK)
    assert found["log_rows"] == np.log10(4)
    assert found["log_rows_per_feature"] == pytest.approx(np.log10(4 / 3))
    assert found["numeric_share"] == 2 / 3
    assert found["missing_share"] == 5 / 12
    assert found["largest_class"] == found["smallest_class"] == 0.5
    assert found["class_entropy"] == found["class_entropy_normalised"] == 1
    assert found["sparsity_mean"] == pytest.approx((0 + (4 / 2 - 1) / 3) / 2)
    assert found["kurtosis_mean"] == pytest.approx(1.5 * (2 / 3) ** 2 - 3)
    assert (found["skewness_sd"], found["outlier_share"]) == (0, 0)
    assert np.isnan(found["correlation_mean"])
    # x: {1, 2}, {3}, {missing}; text: the class itself; nothing: one value
    assert found["attribute_entropy_mean"] == pytest.approx((1.5 + 1 + 0) / 3)
    assert found["attribute_entropy_normalised"] == pytest.approx((1.5 / np.log2(3) + 1 + 0) / 3)
    assert found["mutual_information_mean"] == pytest.approx((1 + 1 + 0) / 3)
    assert found["mutual_information_max"] == pytest.approx(1)
    assert found["log_noise_to_signal"] == pytest.approx(np.log10(2.5 / 2))
    assert found["log_equivalent_attributes"] == pytest.approx(np.log10(3 / 2))


def test_numbers_count_where_observed():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(300, 5)) ** 3 @ rng.normal(size=(5, 5)))
    X = X.mask(rng.random(X.shape) < 0.3)
    found = meta_features(X, rng.integers(0, 2, 300), groups="statistical")
    r = X.corr().abs().to_numpy()[np.tril_indices(5, -1)]
    assert found["correlation_mean"] == pytest.approx(r.mean())
    assert found["correlated_share"] == np.mean(r >= 0.5)
    n = X.count()
    skewness = np.abs(stats.skew(X, nan_policy="omit")) * ((n - 1) / n) ** 1.5
    assert found["skewness_mean"] == pytest.approx(skewness.mean())
    quartiles = X.quantile([0.25, 0.75])
    reach = 1.5 * (quartiles.loc[0.75] - quartiles.loc[0.25])
    far = X.lt(quartiles.loc[0.25] - reach) | X.gt(quartiles.loc[0.75] + reach)
    assert found["outlier_share"] == pytest.approx((far.sum() / n).mean())


def test_scale_and_shift_of_a_number_do_not_matter():
    wine = load_dataset("wine")
    plain, changed = meta_features(wine), meta_features(wine.X * 1e150 - 1e150, wine.y)
    pd.testing.assert_series_equal(plain, changed, rtol=0, atol=1e-6)


def landmarks(X, y, seed=0):
    return meta_features(X, y, "landmarkers", seed).rename(lambda name: name[9:])


def test_landmarks_tell_what_a_learner_must_be_able_to_do():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(600, 2))
    found = landmarks(X, X[:, 0] > 0.5)
    assert found.drop("linear").min() > 0.95  # one quarter of the rows: nobody minds
    assert found["linear"] > 0.85
    found = landmarks(X, X.prod(axis=1) > 0)
    assert found[["stump", "linear"]].max() < 0.65
    assert found["nearest_neighbour"] > 0.9
    assert landmarks(X, rng.random(600) < 0.1).between(0.4, 0.6).all()


def test_landmarks_of_rare_classes():
    X = np.arange(40.0)[:, None]
    y = [*"a" * 20, *"b" * 18, "c", "c"]
    assert landmarks(X, y).min() > 0.9  # c is left out
    assert landmarks(X[:4], [*"aabb"]).isna().all()
    rare = landmarks(np.arange(5000.0)[:, None], [*"a" * 4990, *"b" * 10])  # ten rows are kept
    assert rare["tree"] > 0.8


# ------------------------------------------------------------------ what must hold on any table


def generated_table(seed):
    """A table of up to eight kinds of odd columns, with odd classes."""
    rng = np.random.default_rng(seed)
    n_rows = int(rng.choice([3, 4, 7, 20, 60, 200]))
    n_columns = int(rng.choice([1, 1, 2, 5, 30]))
    texts = np.array(["x", "", "a b", "é", "None"], dtype=object)
    kinds = [
        lambda: np.full(n_rows, 0.1),
        lambda: np.full(n_rows, np.nan),
        lambda: ["only"] * n_rows,
        lambda: rng.choice(texts, n_rows),
        lambda: [f"row {i}" for i in range(n_rows)],
        lambda: pd.Categorical([None] * n_rows, categories=["never"]),
        lambda: rng.normal(size=n_rows) * 10.0 ** rng.integers(-300, 300),
        lambda: rng.integers(0, 2, n_rows).astype(bool),
        lambda: 1 + 1e-16 * rng.integers(0, 3, n_rows),
        lambda: rng.poisson(0.1, n_rows),
        lambda: np.where(np.arange(n_rows) == 0, 1e308, -1e308),
        lambda: np.where(rng.random(n_rows) < 0.6, np.nan, rng.normal(size=n_rows)),
    ]
    few = rng.choice(len(kinds), size=3)  # so that tables of one kind alone turn up
    X = pd.DataFrame({f"c{i}": kinds[rng.choice(few)]() for i in range(n_columns)})
    y = rng.integers(0, min(rng.choice([2, 3, 10]), n_rows - 1), n_rows)
    y[:3] = [0, 0, 1]
    if rng.random() < 0.3:  # every row several times
        X, y = X.iloc[np.repeat(np.arange(n_rows), 3)], np.repeat(y, 3)
    return X, y


def may_be_missing(X, y):
    """The names that the docstring calls undefined here."""
    varying = (X.select_dtypes(["number", "bool"]).nunique() >= 2).sum()
    names = set()
    if varying == 0:
        names.update(NUMERIC)
    if varying < 2:
        names.update(PAIRS)
    if (X.count() < 2).all():
        names.add("sparsity_mean")
    if (np.bincount(y) >= 3).sum() < 2:
        names.update(LANDMARKS)
    return names


@pytest.mark.parametrize("seed", range(60))
def test_finite_or_documented_as_missing(seed):
    X, y = generated_table(seed)
    before = X.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = meta_features(X, y)
    pd.testing.assert_frame_equal(X, before)
    assert list(found.index) == NAMES
    assert found.dtype == "float64"
    assert not np.isinf(found).any()
    missing = set(found.index[found.isna()])
    undefined = may_be_missing(X, y)
    if found["mutual_information_max"] == 0:
        undefined.update(INFORMED)
    # two columns that are never observed together have no correlation either
    assert undefined <= missing <= undefined | set(PAIRS)
    shares = [name for name in NAMES if name.endswith(("_share", "_class", "normalised"))]
    assert found[[*shares, *LANDMARKS]].dropna().between(0, 1 + 1e-12).all()
    assert (found["log_noise_to_signal"] >= 0) or np.isnan(found["log_noise_to_signal"])
    assert found["mutual_information_max"] <= found["class_entropy"] + 1e-9


@pytest.mark.parametrize("name", ["penguins", "german", "phishing", "page-blocks"])
def test_order_of_rows_does_not_matter(name):
    dataset = load_dataset(name)
    expected = meta_features(dataset)
    order = np.random.default_rng(1).permutation(len(dataset.y))
    X = dataset.X.iloc[order]
    for text in X.select_dtypes("category"):  # nor does the order of the categories
        X = X.assign(**{text: X[text].cat.set_categories(X[text].cat.categories[::-1])})
    found = meta_features(X, dataset.y.iloc[order])
    pd.testing.assert_series_equal(found, expected, check_exact=True)


def test_seed_matters_for_landmarkers_alone():
    german = load_dataset("german")
    first, again, other = (meta_features(german, seed=seed) for seed in (0, 0, 1))
    pd.testing.assert_series_equal(first, again, check_exact=True)
    changed = first.index[first != other]
    assert set(changed) <= set(LANDMARKS)
    assert len(changed) > 0
    assert (first - other).abs().max() < 0.1


def test_groups():
    iris = load_dataset("iris")
    whole = meta_features(iris)
    parts = pd.concat([meta_features(iris, groups=group) for group in GROUPS])
    pd.testing.assert_series_equal(whole, parts, check_exact=True)
    some = meta_features(iris.X.to_numpy(), iris.y.tolist(), groups=["information", "simple"])
    assert list(some.index) == [name for name in NAMES if name in some.index]
    assert 20 <= len(whole) <= 30


def test_docstring_defines_every_name():
    doc = re.sub(r"\n {4,}", " ", metafeatures.__doc__)  # a definition may go on
    lines = re.findall(r"^  (\w+) +(.*)$", doc, re.M)
    assert [name for name, _ in lines] == NAMES
    assert re.findall(r"^(\w+)$|^(\w+):", doc, re.M) == [
        ("simple", ""), ("", "statistical"), ("information", ""), ("", "landmarkers")
    ]  # fmt: skip
    unsourced = [name for name, text in lines if not re.search(r"\(.*(19|20)\d\d.*\)", text)]
    assert unsourced == ["mutual_information_max"]  # pymfe's name says enough


# ------------------------------------------------------------------ cost


def cheapest(call, times=3):
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def test_cost():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(2000, 50)), rng.integers(0, 3, 2000)
    assert cheapest(lambda: meta_features(X, y, groups=QUICK)) < 1
    assert cheapest(lambda: meta_features(X, y)) < 2
    wide = rng.normal(size=(100, 2000))
    assert cheapest(lambda: meta_features(wide, y[:100], groups=QUICK), times=2) < 4
    seconds = meta_feature_seconds(X, y)
    assert list(seconds.index) == list(GROUPS)
    assert (seconds > 0).all()
    assert seconds["simple"] < seconds["landmarkers"]
    print(seconds.round(4).to_string())


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"y": None}, TypeError, "y: missing beside a ndarray; accepted: one class per row"),
        ({"table": load_dataset("iris")}, TypeError, "y: given beside a Dataset; accepted"),
        ({"y": [0, 1]}, ValueError, r"y: shape \(2,\); accepted: one class for each of 4 rows"),
        ({"y": np.zeros((4, 1))}, ValueError, r"y: shape \(4, 1\); accepted: one class"),
        ({"y": [0, None, 1, 1]}, ValueError, "y: row 1 is missing; accepted: a class per row"),
        ({"y": [0, 0, 0, 0]}, ValueError, "y: 1 classes in 4 rows; accepted: at least two"),
        ({"y": [0, 1, 2, 3]}, ValueError, "y: 4 classes in 4 rows; accepted: .* that repeat"),
        ({"groups": "easy"}, ValueError, "groups: got 'easy', accepted is one or more of .'simple"),
        ({"groups": []}, ValueError, r"groups: got \[\], accepted is one or more"),
        ({"seed": -1}, ValueError, "seed: got -1, accepted is a whole number from 0"),
        ({"seed": 0.5}, ValueError, "seed: got 0.5, accepted is a whole number"),
        ({"seed": True}, ValueError, "seed: got True, accepted is a whole number"),
        ({"table": np.ones(4)}, ValueError, "X: 1 dimensions; accepted: a table"),
        ({"table": [[0], [np.inf], [0], [0]]}, ValueError, "X: column '0' holds an infinite"),
    ],
)
def test_bad_input(arguments, error, message):
    given = {"table": np.arange(8.0).reshape(4, 2), "y": [0, 0, 1, 1], **arguments}
    with pytest.raises(error, match=message):
        meta_features(**given)
