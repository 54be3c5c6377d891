"""Tables of one's own, and the canonical form of all."""

import datetime
import decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from table_cases import canonical, isstr

from metahpo_lite.datasets import Dataset, as_table

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
        (np.array([1.0, 2.0, 1.0, None], dtype="float16"), ["1", "2", "1"]),
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
