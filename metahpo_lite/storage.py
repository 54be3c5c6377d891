"""Storage: how experience lies in a folder, whole or not at all, and read with mistrust.

Everything is JSON or Parquet: nothing that is read is ever executed. What is wrong in a file is
said with the file, the column and the row, counted from 0.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike

from metahpo_lite.about import check_names, checked_about
from metahpo_lite.hyperparameters import Categorical, Float, plain
from metahpo_lite.spaces import Config, SearchSpace

SCORES = pa.schema(
    {
        "task": pa.string(),
        "config": pa.int64(),
        "score": pa.float64(),  # missing unless the status is ok
        "std": pa.float64(),  # over the folds
        "seconds": pa.float64(),
        "status": pa.string(),  # ok, failed or timeout
        "reason": pa.string(),  # why it failed
    }
)
TASKS = pa.schema(
    {
        "task": pa.string(),
        "family": pa.string(),
        "rows": pa.int64(),
        "features": pa.int64(),
        "classes": pa.int64(),
        "source": pa.string(),
        "licence": pa.string(),
    }
)

LOG = "collect.log"  # in the folder while a collection is under way

MAX_CELLS = 10**8  # of a table: a file of some kilobytes may unpack to any number

# ---- files


def write_file(path: Path, content: str | bytes | pa.Table) -> None:
    """Write a file under a temporary name and rename it: it is there whole, or not at all."""
    write_files({path: content})


def write_files(contents: Mapping[Path, str | bytes | pa.Table]) -> None:
    """Write files that belong together: none is renamed before all are on the disk.

    Raises
    ------
    OSError
        If that cannot be: then all are as they were.
    """
    parts = {path: path.with_name(path.name + ".part") for path in contents}
    for path, content in contents.items():
        try:
            with open(parts[path], "wb") as file:
                if isinstance(content, pa.Table):
                    # else who reads it would not notice another number
                    pq.write_table(content, file, compression="zstd", write_page_checksum=True)
                else:
                    file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())  # else a power cut may leave the name with nothing in it
        except OSError as error:
            for part in parts.values():
                with suppress(OSError):  # it takes room, where that may be what lacks
                    part.unlink()
            raise unwritable(path, error) from None
    for path, part in parts.items():
        os.replace(part, path)


def unwritable(path: str | os.PathLike, error: OSError) -> OSError:
    """Return the error that says which file cannot be written; of the same kind."""
    reason = error.strerror or error
    return OSError(error.errno, f"{os.fspath(path)} cannot be written: {reason}; "
                                "what was there before is kept")  # fmt: skip


def read_file(path: Path) -> Any:
    """Read a Parquet file, or another one as text.

    Raises
    ------
    FileNotFoundError, ValueError
        If it is not there, or is no Parquet file, or no text; or a Parquet file has a column
        twice, or claims to be huge.
    """
    if not os.path.isfile(path):  # a pipe would make us wait
        raise FileNotFoundError(f"folder: {path} is missing; accepted is a folder of an "
                                "experience, with space.json, configs, scores and "
                                "tasks.parquet")  # fmt: skip
    try:
        if path.suffix != ".parquet":
            return path.read_text(encoding="utf-8")
        content = pa.BufferReader(path.read_bytes())
        file = pq.ParquetFile(content, page_checksum_verification=True)
        rows, columns = file.metadata.num_rows, file.metadata.num_columns
        if rows * columns <= MAX_CELLS:
            # small: threads cost more; what pandas once wrote about the table is not asked for
            table = file.read(use_threads=False).replace_schema_metadata()
            table.validate(full=True)
            names = table.column_names
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        kind = "a Parquet file" if path.suffix == ".parquet" else "text"
        raise ValueError(f"{path}: truncated, or not {kind}: {error}; accepted is a whole "
                         "file") from None  # fmt: skip
    if rows * columns > MAX_CELLS:
        raise ValueError(f"{path}: {rows} rows of {columns} columns, accepted are {MAX_CELLS} "
                         "cells")  # fmt: skip
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{path}: column {twice!r} occurs twice, accepted is once")
    return table


def as_schema(table: pa.Table, schema: pa.Schema, where: Path | str) -> pa.Table:
    """Return the columns of the schema, or raise a ValueError if one lacks or has another type."""
    columns = []
    for field in schema:
        if field.name not in table.column_names:
            raise ValueError(f"{where}: column {field.name!r} is missing; accepted are all of "
                             f"{schema.names}")  # fmt: skip
        column = table[field.name]
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if not (pa.types.is_null(kind) or _same_kind(kind, field.type)):
            raise ValueError(f"{where}: column {field.name!r} is of type {kind}; accepted is "
                             f"{field.type}")  # fmt: skip
        if pa.types.is_floating(kind) and pa.types.is_integer(field.type):
            values = column.to_numpy()  # pandas makes floats of integers with a missing value
            whole = np.isnan(values) | (np.floor(values) == values) & (np.abs(values) < 2**63)
            refuse(where, field.name, ~whole, values, "whole")
            column = pa.chunked_array([pa.array(values, from_pandas=True)])
        try:
            columns.append(column.cast(field.type))
        except pa.ArrowException as error:
            raise ValueError(f"{where}: column {field.name!r}: {error}; accepted is "
                             f"{field.type}") from None  # fmt: skip
    return pa.table(columns, schema=schema)


def _same_kind(kind: pa.DataType, accepted: pa.DataType) -> bool:
    if pa.types.is_string(accepted):
        return pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)


def refuse(where: Path | str, column: str, bad: ArrayLike, values: Iterable, accepted: str):
    """Raise a ValueError about the first row that is bad, if there is one."""
    bad = np.asarray(bad, dtype=bool)
    if bad.any():
        row = int(bad.argmax())
        value = plain(list(values)[row])
        raise ValueError(f"{where}: column {column!r}, row {row}: got {value!r}, accepted is "
                         f"{accepted}")  # fmt: skip


def as_table(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """Make the table of the schema; the same bytes whatever the version of pandas."""
    arrays = [pa.array(frame[f.name], f.type, from_pandas=True) for f in schema]
    return pa.table(arrays, schema=schema)


def described_table(meta_features: pd.DataFrame) -> pa.Table:
    """Make the table of ``meta_features.parquet``."""
    columns = {n: pa.array(c, pa.float64(), from_pandas=True) for n, c in meta_features.items()}
    return indexed_table("task", pa.array(meta_features.index, pa.string()), columns)


def space_text(space: SearchSpace, about: Mapping[str, Any]) -> str:
    """Return the text of ``space.json``: the space, and beside it how its scores were made."""
    return json.dumps({"collection": dict(about), **json.loads(space.to_json())}, indent=2) + "\n"


def space_of(path: Path) -> tuple[SearchSpace, dict]:
    """Read ``space.json``."""
    text = read_file(path)
    try:
        return SearchSpace.from_json(text), checked_about(json.loads(text).get("collection", {}))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


# ---- configurations


def configs_table(space: SearchSpace, configs: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Make the table of ``configs.parquet``: a column per hyperparameter, missing where inactive.

    Numbers are numbers. A choice is text; where some choice is no text, all are written as JSON.
    """
    columns: dict[str, pa.Array] = {}
    for h in space:
        if isinstance(h, Categorical):  # None may be a choice, so look whether the name is there
            values = [_as_text(h, c[h.name]) if h.name in c else None for c in configs]
        else:
            values = [config.get(h.name) for config in configs]
        columns[h.name] = pa.array(values, _stored_as(h))
    return indexed_table("config", pa.array(np.arange(len(configs)), pa.int64()), columns)


def configs_of(space: SearchSpace, table: pa.Table, where: Path | str) -> list[Config]:
    """Read the configurations back from the table of ``configs.parquet``, and check each."""
    check_names(space)
    if unknown := [n for n in table.column_names if n != "config" and n not in space.names]:
        raise ValueError(f"{where}: column {unknown[0]!r} is not in the space; accepted are "
                         f"{space.names}")  # fmt: skip
    schema = pa.schema({"config": pa.int64(), **{h.name: _stored_as(h) for h in space}})
    table = as_schema(table, schema, where)
    numbers = table["config"].to_pylist()
    wrong = [number != row for row, number in enumerate(numbers)]
    refuse(where, "config", wrong, numbers, "0, 1, 2 and so on, in order")
    choices = {
        h.name: {_as_text(h, choice): choice for choice in h.choices}
        for h in space
        if isinstance(h, Categorical)
    }
    configs: list[Config] = []
    seen: dict[Any, int] = {}
    for row, cells in enumerate(table.select(space.names).to_pylist()):
        config = {name: value for name, value in cells.items() if value is not None}
        for name, values in choices.items():
            if name in config:
                config[name] = values.get(config[name], config[name])
        try:
            configs.append(space.check(config))
        except (KeyError, ValueError) as error:
            raise ValueError(f"{where}: row {row}: {error.args[0]}") from None
        first = seen.setdefault(config_key(configs[-1]), row)
        if first != row:
            raise ValueError(f"{where}: row {row}: the same configuration as in row {first}, "
                             "accepted are different ones")  # fmt: skip
    return configs


def config_key(config: Config) -> str:
    """Return what tells configurations apart, True from 1 too."""
    return json.dumps(config)


def indexed_table(name: str, index: pa.Array, columns: Mapping[str, pa.Array]) -> pa.Table:
    """Make a table that pandas reads with `index` as its index, the same by any pandas."""
    kind = {"pandas_type": "unicode", "numpy_type": "object"}
    if pa.types.is_integer(index.type):
        kind = {"pandas_type": "int64", "numpy_type": "int64"}
    about = {"name": name, "field_name": name, "metadata": None, **kind}
    pandas = {"index_columns": [name], "column_indexes": [], "columns": [about], "creator": {}}
    table = pa.table({**columns, name: index})
    return table.replace_schema_metadata({"pandas": json.dumps(pandas)})


def _stored_as(h) -> pa.DataType:
    if isinstance(h, Categorical):
        return pa.string()
    return pa.float64() if isinstance(h, Float) else pa.int64()


def _as_text(h: Categorical, value: Any) -> str:
    return value if all(isinstance(choice, str) for choice in h.choices) else json.dumps(value)


# ---- a log that one process at a time writes

_mine: set[str] = set()  # the system's lock does not keep this process from itself


@contextmanager
def locked(path: Path) -> Iterator:
    """Open a log for appending, alone; remove it at the end if nothing is in it.

    The lock ends with the process, however that ends.

    Raises
    ------
    RuntimeError
        If it is open already, here or in another process.
    OSError
        If it cannot be opened.
    """
    name = os.path.realpath(path)
    refusal = RuntimeError(f"folder: another process collects into {path.parent}; wait for its end")
    if name in _mine:
        raise refusal
    _mine.add(name)
    try:
        while True:
            try:
                # without a buffer: what a full disk refused must not come later, after other lines
                log = open(name, "a+b", buffering=0)  # noqa: SIM115 - closed below
            except OSError as error:
                raise unwritable(path, error) from None
            try:
                _lock(log)
            except OSError as error:
                log.close()
                if error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
                    raise unwritable(path, error) from None  # a disk that knows no locks
                raise refusal from None
            if _is_there(log):
                break
            log.close()  # the one before removed it in between
        try:
            yield log
        finally:
            mine = _is_there(log) and os.fstat(log.fileno()).st_size == 0
            if mine and os.name != "nt":
                os.unlink(name)  # while the lock holds: nobody else can have begun
            log.close()
            if mine and os.name == "nt":  # there an open file cannot be removed
                path.unlink(missing_ok=True)
    finally:
        _mine.discard(name)


def _lock(file) -> None:
    """Lock one byte far behind the end of the file, or raise an OSError."""
    if sys.platform == "win32":
        import msvcrt

        file.seek(2**30)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 2**30)


def _is_there(log) -> bool:
    """Tell whether an open log still stands under its name."""
    try:
        return os.path.samestat(os.fstat(log.fileno()), os.stat(log.name))
    except FileNotFoundError:
        return False


def append(log: BinaryIO, row: dict) -> None:
    """Write one line; it survives the end of this process, but not that of the power.

    Raises
    ------
    OSError
        If it cannot be written: then the log is as it was.
    """
    line = memoryview(json.dumps(row).encode() + b"\n")
    if not _is_there(log):
        raise FileNotFoundError(
            errno.ENOENT, f"{log.name} was moved or removed meanwhile; what was finished is in it: "
            "go on with the folder where it is now")  # fmt: skip
    end = os.fstat(log.fileno()).st_size
    try:
        while line:
            line = line[log.write(line) :]
    except OSError as error:
        log.truncate(end)
        raise unwritable(log.name, error) from None


def read_log(log: BinaryIO) -> list[dict]:
    """Return the rows of the log; a last line that was torn is cut off."""
    log.seek(0)
    content = log.read()
    end = content.rfind(b"\n") + 1
    if end < len(content):
        log.truncate(end)
    rows = []
    for number, line in enumerate(content[:end].splitlines(), 1):
        try:
            rows.append(dict(json.loads(line)))
        except (TypeError, ValueError, RecursionError):
            raise ValueError(f"{log.name}: line {number} is no JSON: the disk lost it; accepted: "
                             "delete this line, and it is evaluated again") from None  # fmt: skip
    return rows
