"""Experience: the scores of the same configurations on many tasks, as files and as a matrix.

A folder holds it, one per learner: ``space.json``, ``configs.parquet``, ``scores.parquet``,
``tasks.parquet``, ``meta_features.parquet`` and a data card, ``README.md``. Nothing in it is code.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from metahpo_lite.hyperparameters import Categorical, Float
from metahpo_lite.spaces import Config, SearchSpace

STATUS = ("ok", "failed", "timeout")
SCORES = pa.schema(
    {
        "task": pa.string(),
        "config": pa.int64(),
        "score": pa.float64(),  # missing unless the status is ok
        "std": pa.float64(),  # over the folds
        "seconds": pa.float64(),
        "status": pa.string(),
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

# ---------------------------------------------------------------------- files


def write_file(path: Path, content: str | bytes | pa.Table) -> None:
    """Write a file under a temporary name and rename it: it is there whole, or not at all."""
    part = path.with_name(path.name + ".part")
    with open(part, "wb") as file:
        if isinstance(content, pa.Table):
            pq.write_table(content, file, compression="zstd")
        else:
            file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def as_text(h: Categorical, value: Any) -> str:
    """Write a choice as text: as it is where all choices are texts, else as JSON."""
    return value if all(isinstance(c, str) for c in h.choices) else json.dumps(value)


def configs_table(space: SearchSpace, configs: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Make the table of ``configs.parquet``: a column per hyperparameter, missing where inactive.

    Numbers are numbers. A choice is text; where some choice is no text, all are written as JSON.
    """
    columns: dict[str, pa.Array] = {}
    for h in space:
        values = [config.get(h.name) for config in configs]
        if isinstance(h, Categorical):
            active = [h.name in config for config in configs]  # None may be a choice
            values = [as_text(h, v) if a else None for v, a in zip(values, active, strict=True)]
            columns[h.name] = pa.array(values, pa.string())
        else:
            columns[h.name] = pa.array(values, pa.float64() if isinstance(h, Float) else pa.int64())
    return indexed_table("config", pa.array(np.arange(len(configs)), pa.int64()), columns)


def indexed_table(name: str, index: pa.Array, columns: Mapping[str, pa.Array]) -> pa.Table:
    """Make a table that pandas reads with `index` as its index, the same by any pandas."""
    kind = {"pandas_type": "unicode", "numpy_type": "object"}
    if pa.types.is_integer(index.type):
        kind = {"pandas_type": "int64", "numpy_type": "int64"}
    about = {"name": name, "field_name": name, "metadata": None, **kind}
    pandas = {"index_columns": [name], "column_indexes": [], "columns": [about], "creator": {}}
    table = pa.table({**columns, name: index})
    return table.replace_schema_metadata({"pandas": json.dumps(pandas)})


def configs_of(space: SearchSpace, table: pa.Table) -> list[Config]:
    """Read the configurations back from the table of ``configs.parquet``, and check each."""
    choices = {
        h.name: {as_text(h, choice): choice for choice in h.choices}
        for h in space
        if isinstance(h, Categorical)
    }
    configs = []
    for row in table.select(space.names).to_pylist():
        config = {name: value for name, value in row.items() if value is not None}
        for name, values in choices.items():
            if name in config:
                config[name] = values.get(config[name], config[name])
        configs.append(space.check(config))
    return configs
