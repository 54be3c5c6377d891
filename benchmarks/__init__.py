"""Benchmarks: our searchers and those of other libraries on the same tasks, in one run."""

import os

# One thread in each process, before numpy is loaded: the same sums everywhere, and honest times
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
