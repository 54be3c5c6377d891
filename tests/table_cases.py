"""What the tests of tables look at."""

import numpy as np
import pandas as pd


def canonical(table: pd.DataFrame) -> bool:
    """Whether each column is float64 or a category of str, under a unique str."""
    return all(isinstance(name, str) for name in table.columns) and all(
        dtype == np.float64
        or (isinstance(dtype, pd.CategoricalDtype) and all(map(isstr, dtype.categories)))
        for dtype in table.dtypes
    )


def isstr(value) -> bool:
    return isinstance(value, str)
