"""Two test processes on two cores: each with one thread, else they wait for each other."""

import os

import pytest

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


# Fixtures that several files use. What they are made of is imported when one is asked for.


@pytest.fixture
def shared(tmp_path):
    """A folder of the benchmark: all tasks have the same configurations."""
    from benchmark_cases import trials, write

    return write(tmp_path / "shared", trials())


@pytest.fixture
def differing(tmp_path):
    """A folder of the benchmark: each task has its own configurations."""
    from benchmark_cases import trials, write

    return write(tmp_path / "differing", trials(shared=False))


@pytest.fixture
def ours(tmp_path):
    """A folder of the benchmark as this library writes it."""
    from benchmark_cases import our_experience

    return our_experience().save(tmp_path / "ours")


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """The folder of a collection that nothing interrupted."""
    from collect_cases import collect

    folder = tmp_path_factory.mktemp("whole") / "experience"
    collect(folder)
    return folder


@pytest.fixture
def own_workers():
    """Each test leaves at most the one idle process that waits for the next evaluation."""
    from task_cases import workers

    before = workers()
    yield
    assert len(workers() - before) <= 1


@pytest.fixture
def no_figure_left():
    import matplotlib.pyplot as plt

    yield
    plt.close("all")
