"""Nothing is executed from data, and nothing is installed that is not locked."""

import ast
import pickle
import re

import joblib
import numpy as np
import pytest
import skops.io
from collect_cases import DEFAULT, TABLES, collect
from project_files import CODE_FILES, MAKEFILE, ROOT, dotted

from metahpo_lite import MetaDataset
from metahpo_lite.__main__ import main
from metahpo_lite.model_files import load_model
from metahpo_lite.storage import LOG

# ------------------------------------------------------------------ what runs code

MODULES = {"pickle", "cPickle", "cloudpickle", "dill", "shelve", "marshal", "jsonpickle", "code"}
CALLS = re.compile(
    r"(eval|exec|compile|__import__|runpy\.\w+|os\.(system|popen)|subprocess\.get(status)?output"
    r"|joblib\.load|(\w+\.)*read_pickle|yaml\.(load|load_all|full_load|unsafe_load)"
    r"|torch\.load|(\w+\.)*load_model|skops\.io\.load)"
)
ALLOWED = {  # file, what it does: why that is no code from data
    ("tools/notebook_rules.py", "compile"): "the syntax of a cell: nothing runs",
    ("tools/notebook_code_rules.py", "compile"): "the syntax of a cell: nothing runs",
}


def dangers(source):
    """Yield (line, what) of all that could run code that comes from data."""
    tree, names = ast.parse(source), {}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            module = getattr(node, "module", None)
            for one in node.names:
                full = f"{module}.{one.name}" if module else one.name
                if one.asname or module:
                    names[one.asname or one.name] = full
                if full.split(".")[0] in MODULES or CALLS.fullmatch(full):
                    yield node.lineno, f"import {full}"
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        first, _, rest = dotted(node.func).partition(".")
        name = names.get(first, first) + ("." + rest if rest else "")
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if CALLS.fullmatch(name) and not name.startswith("metahpo_lite."):
            yield node.lineno, name
        if given.get("allow_pickle", "False") != "False":
            yield node.lineno, f"{name}(allow_pickle)"
        if given.get("shell", "False") != "False":
            yield node.lineno, f"{name}(shell)"
        if given.get("safe_mode", "True") != "True":
            yield node.lineno, f"{name}(safe_mode)"
        if "trusted" in given and not given["trusted"].isupper():
            yield node.lineno, f"{name}(trusted)"  # only a list that stands in the file


def test_nothing_is_executed_from_data():
    found = {
        (path.relative_to(ROOT).as_posix(), what): line
        for path in CODE_FILES
        for line, what in dangers(path.read_text(encoding="utf-8"))
    }
    assert len(CODE_FILES) > 60
    assert {f"{file}:{line}: {what}" for (file, what), line in found.items()
            if (file, what) not in ALLOWED} == set()  # fmt: skip


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("import pickle", "import pickle"),
        ("from cloudpickle import loads as l", "import cloudpickle.loads"),
        ("import shelve as s", "import shelve"),
        ("import joblib as j\nj.load('x')", "joblib.load"),
        ("from joblib import load as l\nl('x')", "joblib.load"),
        ("import numpy as np\nnp.load('x', allow_pickle=True)", "numpy.load(allow_pickle)"),
        ("import numpy as np\nnp.load('x', allow_pickle=maybe)", "numpy.load(allow_pickle)"),
        ("import pandas as pd\npd.read_pickle('x')", "pandas.read_pickle"),
        ("import yaml\nyaml.load(text, Loader=L)", "yaml.load"),
        ("import torch\ntorch.load('x')", "torch.load"),
        ("import keras\nkeras.models.load_model('x')", "keras.models.load_model"),
        ("from os import system\nsystem('x')", "os.system"),
        ("import subprocess as s\ns.run('x', shell=True)", "subprocess.run(shell)"),
        ("eval(text)", "eval"),
        ("exec(text)", "exec"),
        ("compile(text, 'x', 'exec')", "compile"),
        ("import skops.io\nskops.io.loads(x, trusted=found)", "skops.io.loads(trusted)"),
    ],
)
def test_what_runs_code_is_noticed(code, what):
    assert what in [found for _, found in dangers(code)]


def test_what_runs_none_is_let_through():
    fine = "import re, yaml, numpy as np\nre.compile('x'); net.compile(1); yaml.safe_load(text)\n"
    fine += "np.load('x', allow_pickle=False); subprocess.run(['x'], shell=False)\n"
    fine += "skops.io.loads(x, trusted=TRUSTED)"
    assert list(dangers(fine)) == []


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


HOSTILE = {
    "pickle": lambda trap, path: path.write_bytes(pickle.dumps(trap)),
    "joblib": lambda trap, path: joblib.dump(trap, path),
    "numpy": lambda trap, path: np.save(path.open("wb"), np.array([trap]), allow_pickle=True),
    "skops": lambda trap, path: skops.io.dump({"kind": "ConfigPredictor", "state": trap}, path),
}


@pytest.fixture(params=HOSTILE)
def hostile(request, tmp_path):
    """A function that writes a hostile file; nothing of it runs."""
    sprung = tmp_path / "sprung"

    def write(path):
        HOSTILE[request.param](Trap(sprung), path)
        assert not sprung.exists()
        return path

    yield write
    assert not sprung.exists()


def test_the_trap_springs(tmp_path):
    pickle.loads(pickle.dumps(Trap(tmp_path / "sprung"))).close()
    assert (tmp_path / "sprung").exists()


def test_no_hostile_model_is_read(hostile, tmp_path):
    with pytest.raises(ValueError, match="not a meta-model"):
        load_model(hostile(tmp_path / "model.skops"))


@pytest.mark.parametrize(
    "name", ["space.json", "configs.parquet", "scores.parquet", "tasks.parquet",
             "meta_features.parquet", LOG]
)  # fmt: skip
def test_no_hostile_folder_is_read(hostile, name, tmp_path):
    folder = tmp_path / "e"
    collect(folder, TABLES[:1], [DEFAULT])
    content = hostile(folder / name).read_bytes()
    (folder / name).write_bytes(content + b"\n")  # what has no end of line, a log drops as torn
    with pytest.raises(ValueError, match=re.escape(name)):
        collect(folder, TABLES[:2], [DEFAULT])
    if name != LOG:  # nobody but a collection reads that
        with pytest.raises(ValueError, match=re.escape(name)):
            MetaDataset.load(folder)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_no_hostile_table_is_read(hostile, suffix, tmp_path, capsys):
    table = hostile(tmp_path / f"my.{suffix}")
    assert main(["recommend", str(table), "--target", "y", "--learner", "svc"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_no_hostile_progress_is_read(hostile, tmp_path, monkeypatch):
    from course import progress

    monkeypatch.setenv("METAHPO_PROGRESS", str(hostile(tmp_path / "progress.json")))
    with pytest.raises(ValueError, match="not what `check` wrote"):
        progress()


# ------------------------------------------------------------------ what is installed


def test_all_that_make_lab_installs_is_locked_with_hashes():
    lines = (
        (ROOT / "requirements.txt").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    )
    pins = [line for line in lines if line and not line.lstrip().startswith("#")]
    assert len(pins) > 100
    assert [
        pin for pin in pins if not re.match(r"[\w.-]+(\[[\w,-]+\])?==\S+ .*--hash=sha256:", pin)
    ] == []
    recipe = MAKEFILE[MAKEFILE.index("\n.venv/done: requirements.txt\n\t@echo") :]
    installs = re.findall(r"^.*(?:-m pip install|\$\(INSTALL\)).*$", recipe, re.M)
    packages = [line for line in installs if "--editable ." not in line]
    assert len(packages) == 2  # uv, then all
    assert all("--require-hashes --no-deps" in line for line in packages)
    here = [line for line in installs if line not in packages]
    assert all("--no-deps --no-build-isolation" in line for line in here)  # nothing comes with it
