"""Importing the package is quick, and loads no heavy package that it may not need."""

import subprocess
import sys

import pytest

import metahpo_lite

HEAVY = ("tensorflow", "keras", "torch", "matplotlib", "optuna", "IPython", "pyarrow.parquet")


def modules_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return set(done.stdout.split())


def seconds(code: str) -> float:
    """Processor seconds of an import, so that what else the machine does counts less."""
    script = f"import time; t = time.process_time()\n{code}\nprint(time.process_time() - t)"
    return float(subprocess.run([sys.executable, "-c", script], capture_output=True).stdout)


def test_import_is_quick():
    pairs = [(seconds("import metahpo_lite"), seconds("import sklearn")) for _ in range(2)]
    ours, theirs = map(min, zip(*pairs, strict=True))
    assert ours <= 1.5 * theirs


@pytest.mark.parametrize(
    "code",
    [
        "import metahpo_lite",
        "from metahpo_lite import LiveTask, RandomSearch, SearchSpace, run, load_dataset\n"
        "task = LiveTask('iris', 'svc')",
    ],
)
def test_import_loads_nothing_heavy(code):
    loaded = modules_after(code)
    assert "metahpo_lite" in loaded
    assert not loaded & set(HEAVY)


def test_a_bare_import_does_not_even_load_pandas():
    assert not modules_after("import metahpo_lite") & {"pandas", "sklearn", "scipy", "numpy"}


def test_every_public_name_is_there():
    for name in (*metahpo_lite.__all__, *metahpo_lite._NAMES):
        assert getattr(metahpo_lite, name) is not None
        assert name in dir(metahpo_lite)
    with pytest.raises(AttributeError, match="metahpo_lite has no 'friedmann'; it has"):
        metahpo_lite.friedmann  # noqa: B018 - to look for it is the test
