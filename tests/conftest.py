"""Two test processes on two cores: each with one thread, else they wait for each other.

No test, and no lesson that runs as one, reaches another machine: see network_guard.
"""

import os
import runpy
import tempfile
from collections import Counter
from pathlib import Path

import pytest

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow is silent


# Here, and by the environment in all that is started from here: workers, kernels, commands
GUARD = Path(__file__).parent / "network_guard"
TRIED = None  # the file that notes what was refused; a worker or a pytest in a test has none
if str(GUARD) not in os.environ.get("PYTHONPATH", ""):
    others = filter(None, [os.environ.get("PYTHONPATH")])
    os.environ["PYTHONPATH"] = os.pathsep.join([str(GUARD), *others])
    handle, TRIED = tempfile.mkstemp(".network")
    os.close(handle)
    os.environ["METAHPO_NETWORK_LOG"] = TRIED
runpy.run_path(str(GUARD / "sitecustomize.py"))


def pytest_sessionfinish(session):
    """Fail where something tried to reach another machine, even if it hid the refusal."""
    if TRIED:
        tried = Counter(Path(TRIED).read_text(encoding="utf-8").splitlines())
        os.unlink(TRIED)
        session.config.network_tried = {
            what: n
            for what, n in tried.items()
            if "192.0.2." not in what and ".invalid" not in what
        }  # those two are no machine: with them the tests try the guard
        if session.config.network_tried:
            session.exitstatus = 1


def pytest_terminal_summary(terminalreporter, config):
    """Print what reached for the network, and the counts that tests have noted."""
    counts = {}
    for report in terminalreporter.getreports("passed"):
        for name, number in getattr(report, "user_properties", ()):
            counts[name] = counts.get(name, 0) + number
    for what, n in getattr(config, "network_tried", {}).items():
        terminalreporter.write_line(f"network: {what} was tried, {n} times, and refused")
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


@pytest.fixture
def quiet_optuna():
    """Optuna says nothing of what goes as it should."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(level)
