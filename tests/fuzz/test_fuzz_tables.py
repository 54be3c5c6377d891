"""Tables of anything: read right, or refused with a clear error; their meta-features."""

import contextlib
import datetime
import decimal
import io
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from harness import REFUSED, fuzz, judged
from hypothesis import example
from hypothesis import strategies as st
from values import anything, mostly, numbers, objects, scalars, texts

from metahpo_lite import Dataset, load_dataset, meta_features
from metahpo_lite.__main__ import read_table
from metahpo_lite.datasets import as_table
from metahpo_lite.recommendation import doubtful_columns

# ---- strategies

KINDS = {
    "float": st.floats(-100, 100), "any float": st.floats(), "integer": st.integers(-3, 3),
    "any integer": st.integers(), "bool": st.booleans(), "text": st.sampled_from(["a", "b", "ü"]),
    "any text": texts, "missing": st.none(), "mixed": scalars, "object": objects,
    "date": st.datetimes(), "day": st.dates(), "zone": st.datetimes(timezones=st.timezones()),
    "span": st.timedeltas(), "decimal": st.decimals().filter(lambda d: not d.is_snan()),
    "complex": st.complex_numbers(),
    "bytes": st.binary(max_size=3), "some": st.one_of(st.none(), st.floats(-9, 9)),
    "list": st.lists(st.integers(0, 3), max_size=2), "number": numbers, "fraction": st.fractions(),
}  # fmt: skip
DTYPES = ("Int64", "boolean", "string", "category", "Float64", "float32", "int8", "bool", "object",
          "datetime64[s]", "timedelta64[s]", "Sparse[float]", "complex", "period[D]", "uint64",
          "interval", "float16", "string[pyarrow]", "int64[pyarrow]",
          "timestamp[s][pyarrow]")  # fmt: skip
USUAL = ("float", "integer", "bool", "text", "some", "date", "missing", "any text")
names = mostly(st.sampled_from(["a", "b", "y", "x 1"]), st.one_of(scalars, st.dates()))


@st.composite
def columns(draw, n):
    kind = draw(st.sampled_from([*USUAL] if draw(st.integers(0, 2)) else [*KINDS]))
    values = draw(st.lists(KINDS[kind], min_size=n, max_size=n))
    series = pd.Series(values, dtype=object)
    if draw(st.booleans()):
        with contextlib.suppress(UnicodeError):
            series = series.infer_objects()
    if draw(st.integers(0, 3)) == 0:
        with contextlib.suppress(Exception):  # pandas refused it itself
            series = series.astype(draw(st.sampled_from(DTYPES)))
    return series


@st.composite
def frames(draw):
    """A DataFrame with a target "y", mostly; its columns and index are of any kind."""
    n = draw(mostly(st.integers(8, 30), st.integers(0, 3)))
    series = [draw(columns(n)) for _ in range(draw(mostly(st.integers(1, 4), st.just(0))))]
    labels = list(draw(st.permutations(["a", "b", "x 1", 7]))[: len(series)])
    if draw(st.integers(0, 4)) == 4:
        labels = [draw(names) for _ in series]
    if draw(st.integers(0, 19)) < 19:
        usual = draw(st.integers(0, 3)) < 3
        series.append(pd.Series(["no", "yes"] * n)[:n] if usual else draw(columns(n)))
        labels.append("y")
    frame = pd.concat(series, axis=1) if series else pd.DataFrame(index=range(n))
    try:
        frame.columns = labels
        if draw(st.integers(0, 5)) == 0:
            frame.index = draw(st.lists(scalars, min_size=n, max_size=n))
    except Exception:  # pandas refused it itself
        frame.columns = [f"c{i}" for i in range(frame.shape[1])]
    return frame


def canonical(X) -> None:
    """The form that every learner takes."""
    for dtype in X.dtypes:
        assert dtype == np.float64 or isinstance(dtype, pd.CategoricalDtype)
        if dtype != np.float64:
            assert all(isinstance(level, str) for level in dtype.categories)
    assert all(isinstance(name, str) for name in X.columns)
    assert not np.isinf(X.select_dtypes("float64").to_numpy()).any()


def described(found) -> None:
    """Thirty numbers, finite, or missing where the module's docstring says so."""
    assert found.dtype == np.float64
    assert not np.isinf(found).any()
    may_be_nan = ("skewness", "kurtosis", "correlat", "first_component", "outlier", "sparsity",
                  "log_noise", "log_equivalent", "landmark")  # fmt: skip
    for name, value in found.items():
        assert np.isfinite(value) or name.startswith(may_be_nan), name
    for name in ("numeric_share", "missing_share", "largest_class", "class_entropy_normalised",
                 "outlier_share", "first_component", "correlation_mean"):  # fmt: skip
        if name in found and np.isfinite(found[name]):
            assert -1e-9 <= found[name] <= 1 + 1e-9, name


# ---- frames


@example(pd.DataFrame({False: [0, 1] * 4, "a": range(8)}), False)
@example(pd.DataFrame({None: [0, 1] * 4, "a": range(8)}), None)
@fuzz(frames(), mostly(st.just("y")))
def test_frame(frame, target):
    before = frame.copy(deep=True)

    def right(dataset):
        canonical(dataset.X)
        assert 2 <= dataset.n_classes < len(dataset.y)
        assert dataset.y.map(type).eq(str).all()
        assert len(dataset.X) == len(dataset.y) == frame[target].notna().sum()

    dataset = judged(lambda: Dataset.from_frame(frame, target), right)
    pd.testing.assert_frame_equal(frame, before)  # left as it was
    if dataset is not REFUSED:
        judged(lambda: meta_features(dataset), described)


@fuzz(frames(), share=0.5)
def test_as_table(frame):
    judged(lambda: as_table(frame), canonical)


@fuzz(frames(), share=0.5)
def test_doubtful_columns(frame):
    judged(lambda: doubtful_columns(frame), lambda found: set(found) <= set(frame.columns))


def test_a_decimal_that_is_no_number():
    """One that signals: pandas can not even print it."""
    frame = pd.DataFrame({"a": [decimal.Decimal("sNaN"), decimal.Decimal(1)] * 2, "y": [0, 1] * 2})
    assert judged(lambda: Dataset.from_frame(frame, "y")) is REFUSED
    assert judged(lambda: doubtful_columns(frame)) == {}


@pytest.mark.parametrize("other", ["x", 1, None])
def test_a_class_that_is_no_text(other):
    """Half of a surrogate pair, as some readers make of bytes: pandas before 3 can hold it."""
    y = pd.Series(["\ud800", other, "x", "x"] * 3, dtype=object)
    frame = pd.DataFrame({"a": range(12), "y": y})
    judged(lambda: Dataset.from_frame(frame, "y"), lambda dataset: dataset.n_classes > 1)


def test_classes_are_told_apart_by_their_texts():
    """True and 1 are equal, and yet two classes: here each row has another one."""
    frame = pd.DataFrame({"a": [1, 2, 3], "y": pd.Series([True, 1, "x"], dtype=object)})
    assert judged(lambda: Dataset.from_frame(frame, "y")) is REFUSED


@fuzz(anything, mostly(st.just("y")))
def test_no_frame(given, target):
    judged(lambda: Dataset.from_frame(given, target))
    judged(lambda: as_table(given), canonical)
    judged(lambda: doubtful_columns(given))


@fuzz(anything, share=0.3)
def test_dataset_names(name):
    judged(lambda: load_dataset(name), lambda dataset: dataset.name == name)


# ---- meta-features of arrays

GROUPS = ("simple", "statistical", "information", "landmarkers")


@st.composite
def matrices(draw):
    n, p = draw(st.integers(2, 20)), draw(st.integers(1, 4))
    each = draw(st.sampled_from([st.floats(-1, 1), st.floats(), st.floats(-1e308, 1e308),
                                 st.sampled_from([0.0, 1.0, np.nan]), st.sampled_from([0, 5e-324]),
                                 st.sampled_from([1e308, -1e308, 1.0])]))  # fmt: skip
    X = draw(st.lists(st.lists(each, min_size=p, max_size=p), min_size=n, max_size=n))
    y = draw(st.lists(st.sampled_from(["a", "b", 1]), min_size=n, max_size=n))
    return np.array(X, dtype=float), y


@fuzz(
    mostly(matrices(), st.tuples(anything, anything)),
    mostly(st.sampled_from([None, *GROUPS, ["simple", "information"]])),
    mostly(st.integers(0, 9)),
    mostly(st.sampled_from([None, 5, 1, 100])),
)
def test_meta_features(table, groups, seed, max_rows):
    judged(lambda: meta_features(*table, groups, seed, max_rows), described)


# ---- files


@contextlib.contextmanager
def file_with(content: bytes, name: str = "mine.csv"):
    """A file in a folder of its own, which is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        yield path


def read(path, right=None):
    frame = judged(lambda: read_table(str(path), "FILE"), right, keep=[Path(path).parent])
    if frame is REFUSED:
        return frame
    assert isinstance(frame, pd.DataFrame)
    judged(lambda: doubtful_columns(frame))
    dataset = judged(lambda: Dataset.from_frame(frame, "y"))
    if dataset is not REFUSED:
        judged(lambda: meta_features(dataset), described)
    return frame


TABLE = "a,b,y\n1,x,no\n2.5,z,yes\n,x,no\n4,,yes\n"
BYTES = (
    b"", b"\n\n", b"a,b,y\n", b"\0", TABLE.encode(), TABLE.encode() + b"\0", b"\xff\xfe" + b"a\0",
    b"\xef\xbb\xbf" + TABLE.encode(), TABLE.encode("utf-16"), b"\xef\xbb\xbf",
    TABLE.replace("x", "\xe9").encode("latin-1"), TABLE.replace(",", ";").encode(),
    TABLE.replace(",", "\t").encode(), TABLE.replace("\n", "\r\n").encode(),
    TABLE.replace("\n", "\r").encode(), b'a,y\n"1,no\n2,yes\n', b'a,y\n"1\n1",no\n"2""",yes\n',
    b"a,b,y\n1,2,0\n1,2,3,4\n", b"a,b,y\n1,2,3,4\n1,2,3,4\n", b"a,y,y\n1,0,0\n", b",y\n1,0\n2,1\n",
    b"y\n0\n1\n0\n", b"a,y\n" + b"1,0\n" * 9, b"a,y\n,\n,\n", b"a,y\ninf,0\n1,1\n1,0\n",
    b"a,y\n1e999,0\n1,1\n1,0\n", b"a,y\n" + b"9" * 400 + b",0\n1,1\n1,0\n",
    b"a,y\n=1+1,0\n@SUM(A1),1\n+2,0\n", b"0,y\n1,0\n2,1\n3,0\n", "é 名,y\n1,0\n2,1\n2,1\n".encode(),
    b"a" * 50_000 + b",y\n1,0\n2,1\n3,1\n", b"a,y\n2024-01-01,0\n2024-02-30,1\n2024-03-01,0\n",
    b"a,y\n2024-01-01,0\n9999-12-31,1\n0001-01-01,0\n",
    b"a,y\n2024-01-01T00:00+25:00,0\n1,1\n1,0\n",
    b"a,y\nNaT,0\nnan,1\nNA,0\n", b"a,y\n1_000,0\n0x10,1\n1e5,0\n", b"PAR1", b"PK\3\4",
    b"a,a.1,a,y\n1,2,3,0\n1,2,3,1\n1,2,3,1\n", b"\n".join([b",".join([b"1"] * 300)] * 3),
    b"a,y\n" + b"\n".join(b"%d,%d" % (i, i % 2) for i in range(60)), b"\x1f\x8b\x08\x00",
)  # fmt: skip


@pytest.mark.parametrize("number", range(len(BYTES)))
@pytest.mark.parametrize("name", ["mine.csv", "mine.tsv", "mine.parquet", "mine.xlsx", "mine"])
def test_odd_files(number, name):
    with file_with(BYTES[number], name) as path:
        read(path)


@st.composite
def changed_bytes(draw, content: bytes):
    content = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(content)))
        end = at + draw(st.sampled_from([0, 0, 1, 2, 10]))
        content[at:end] = draw(
            st.one_of(st.binary(max_size=4), st.sampled_from([b",", b'"', b"\n", b"\r", b"\0"]))
        )
    return bytes(content)


@fuzz(st.sampled_from([b for b in BYTES if len(b) < 200]).flatmap(changed_bytes))
def test_changed_text(content):
    with file_with(content) as path:
        read(path)


@fuzz(st.lists(st.text(st.sampled_from("a012,;\t\"\r .-:TZ\\'é"), max_size=5), max_size=30))
def test_any_text(cells):
    rows = [f"{cell},{i % 2}" for i, cell in enumerate(cells)]
    with file_with("\n".join(["a,y", *rows]).encode()) as path:
        read(path)


@fuzz(
    st.lists(
        st.tuples(
            st.floats(-1e6, 1e6), st.sampled_from(["a", 'b"', "c,d", "e\nf", "ü"]), st.booleans()
        ),
        min_size=4,
        max_size=20,
    ),
    st.sampled_from([".csv", ".tsv", ".parquet"]),
)
def test_what_was_written_is_read(rows, suffix):
    """Numbers and texts come back as they were, from each kind of file."""
    frame = pd.DataFrame(rows, columns=["a", "b", "y"])
    content = io.BytesIO()
    if suffix == ".parquet":
        frame.to_parquet(content)
    else:
        content.write(frame.to_csv(index=False, sep="," if suffix == ".csv" else "\t").encode())

    def right(found):
        assert list(found.columns) == ["a", "b", "y"]
        assert found["a"].astype(float).tolist() == pytest.approx(frame["a"].tolist(), rel=1e-14)
        assert found["b"].tolist() == frame["b"].tolist()
        assert found["y"].tolist() == frame["y"].tolist()

    with file_with(content.getvalue(), f"mine{suffix}") as path:
        assert read(path, right) is not REFUSED


# ---- Parquet

PARQUET_TYPES = {
    "nested": pa.array([[1, 2], [3], None, []]), "struct": pa.array([{"a": 1}, {"a": 2}] * 2),
    "map": pa.array([[("k", 1)], []] * 2, pa.map_(pa.string(), pa.int64())),
    "null": pa.nulls(4), "decimal": pa.array([decimal.Decimal("1.5"), None] * 2),
    "date": pa.array([datetime.date(2024, 1, 1)] * 4), "time": pa.array([datetime.time(1)] * 4),
    "bytes": pa.array([b"\xff", b""] * 2), "zone": pa.array([0, 1] * 2, pa.timestamp("ns", "UTC")),
    "far": pa.array([10**11, 0] * 2, pa.timestamp("s")),
    "duration": pa.array([1] * 4, pa.duration("s")),
    "dictionary": pa.array(["a", "b"] * 2).dictionary_encode(),
    "float16": pa.array(np.ones(4, "f2")),
    "large": pa.array(["a"] * 4, pa.large_string()),
    "uint64": pa.array([2**64 - 1] * 4, pa.uint64()),
    "inf": pa.array([np.inf, 1.0] * 2), "numbers": pa.array([1.5, None, 2, 3]),
    "codes": pa.array([1, 2, 3, 4]).dictionary_encode(), "bool": pa.array([True, None] * 2),
}  # fmt: skip


def parquet(**named) -> bytes:
    content = io.BytesIO()
    pq.write_table(pa.table({**named, "y": pa.array([0, 1, 0, 1])}), content)
    return content.getvalue()


@pytest.mark.parametrize("kind", PARQUET_TYPES)
def test_parquet_types(kind):
    with file_with(parquet(x=PARQUET_TYPES[kind]), "mine.parquet") as path:
        read(path)


PARQUET = parquet(a=PARQUET_TYPES["numbers"], b=pa.array(["x", "z", None, "x"]))


@example(135, b"\x80", False)  # a text that is no UTF-8
@example(795, b"/", False)  # a type of pyarrow's that it has not built
@fuzz(st.integers(0, len(PARQUET) - 1), st.binary(min_size=1, max_size=4), st.booleans())
def test_broken_parquet(at, new, cut):
    """Cut, or with other bytes: the values that are read are plain all the same."""
    content = PARQUET[:at] if cut else PARQUET[:at] + new + PARQUET[at + len(new) :]
    with file_with(content, "mine.parquet") as path:
        read(path)


# ---- what is no file


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("kind", ["folder", "link", "loop", "broken", "pipe", "secret", "nul"])
def test_no_plain_file(kind, suffix, tmp_path):
    path = tmp_path / f"mine{suffix}"
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        (tmp_path / "real").write_text(TABLE)
        path.symlink_to(tmp_path / "real")
    elif kind in ("loop", "broken"):
        path.symlink_to(path if kind == "loop" else tmp_path / "nowhere")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "secret":
        path.write_text(TABLE)
        path.chmod(0)
    else:
        path = f"{path}\0.csv"
    if kind == "secret" and os.geteuid() == 0:
        pytest.skip("root may read anything")
    found = judged(lambda: read_table(str(path), "FILE"), keep=[tmp_path])
    assert (found is not REFUSED) == (kind == "link" and suffix == ".csv")


@example("a\0.csv")
@example("x" * 5000 + ".csv")
@fuzz(st.one_of(texts, texts.map(lambda text: f"{text}.csv")))
def test_path(path):
    judged(lambda: read_table(path, "FILE"))
