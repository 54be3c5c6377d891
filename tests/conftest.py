"""Two test processes on two cores: each with one thread, else they wait for each other."""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow is silent


def pytest_terminal_summary(terminalreporter):
    """Print how many exercises and wrong answers were tried, which the tests have counted."""
    counts = {}
    for report in terminalreporter.getreports("passed"):
        for name, number in getattr(report, "user_properties", ()):
            counts[name] = counts.get(name, 0) + number
    if counts:
        terminalreporter.write_line(", ".join(f"{n} {name}" for name, n in counts.items()))
