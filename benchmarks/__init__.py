"""Benchmarks: our searchers and those of other libraries on the same tasks, in one run."""

import os

# One thread in each process, before numpy is loaded: the same sums everywhere, and honest times
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

# What trains few networks is to be quiet, and to add in one order: its sums depend on the threads
TENSORFLOW = {
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
}
