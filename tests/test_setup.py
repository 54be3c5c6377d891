"""The set-up holds together: environment, documents, and the order of the library's files."""

import ast
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from project_files import MAKEFILE, PACKAGE, PROJECT, PYPROJECT_TEXT, PYTHONS, README, ROOT

# The list of dependencies


def test_every_dependency_has_a_reason():
    reason, bare = False, []
    for line in PYPROJECT_TEXT[: PYPROJECT_TEXT.index("[tool.")].splitlines():
        if re.match(r'  "[\w.-]+\s*[<>=!~;\[]', line):
            rest = re.sub(r'"[^"]*"', "", line)
            if not (reason or re.search(r"#\s*\w", rest)):
                bare.append(line.strip())
        reason = bool(re.match(r"  #\s*\w", line))
    assert bare == []


def test_core_is_free_of_jupyter_and_tensorflow():
    core = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}
    heavy = r"jupyter|ipy|notebook|nb|keras|tensorflow|torch|jax|optuna|matplotlib"
    assert [name for name in core if re.match(heavy, name)] == []


def test_installed_metadata_agrees_with_pyproject():
    """An environment made before the last change of the list would hide a missing package."""
    installed = [Requirement(text) for text in metadata.requires("metahpo_lite")]
    core = {str(r) for r in installed if "extra ==" not in str(r)}
    assert core == {str(Requirement(text)) for text in PROJECT["dependencies"]}


def test_makefile_and_pyproject_accept_the_same_pythons():
    low, high = re.search(r"not \((3, \d+)\) <= .* <= \((3, \d+)\)", MAKEFILE).groups()
    assert (PYTHONS[0], PYTHONS[-1]) == (low.replace(", ", "."), high.replace(", ", "."))
    supported = SpecifierSet(PROJECT["requires-python"])
    assert [v for v in ("3.9", *PYTHONS, "3.14") if v in supported] == list(PYTHONS)


def test_environment_yml_installs_this_package_and_nothing_else():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert environment["channels"] == ["conda-forge"]
    python, pip, packages = environment["dependencies"]
    assert python.removeprefix("python=") in SpecifierSet(PROJECT["requires-python"])
    assert (pip, packages) == ("pip", {"pip": ["-e .[course]"]})
    assert "course" in PROJECT["optional-dependencies"]


def test_binder_reads_the_folder():
    if not shutil.which("jupyter-repo2docker", path=str(Path(sys.executable).parent)):
        assert sys.platform != "linux", "jupyter-repo2docker belongs to the extra `test`"
        pytest.skip("repo2docker is only installed on Linux")
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--debug", "."]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    dockerfile = done.stdout + done.stderr
    assert "conda environment for python=3.12" in dockerfile
    # the package must be there before it can be installed
    assert dockerfile.index(" src/ ${REPO_DIR}/") < dockerfile.index('--file "environment.yml"')
    # and installed before it is used
    assert dockerfile.index('--file "environment.yml"') < dockerfile.index("RUN ./postBuild")
    assert 'R2D_ENTRYPOINT="${REPO_DIR}/start"' in dockerfile


@pytest.mark.skipif(os.name == "nt", reason="Binder runs Linux")
def test_binder_sets_what_make_sets():
    off = r"jupyter labextension disable --level=sys_prefix \S+:announcements"
    build = (ROOT / "postBuild").read_text(encoding="utf-8")
    assert re.findall(off, build) == re.findall(off, MAKEFILE) != []
    assert subprocess.run(["bash", "-n", ROOT / "postBuild"], check=False).returncode == 0
    settings = dict(re.findall(r"^export (TF_\w+) := (\w+)$", MAKEFILE, re.M))
    done = subprocess.run([ROOT / "start", "env"], capture_output=True, text=True, check=True)
    assert settings
    assert settings.items() <= dict(re.findall(r"^(\w+)=(.*)$", done.stdout, re.M)).items()


def test_binder_leads_to_the_first_lesson():
    first = min(path.name for path in ROOT.glob("notebooks/[0-9]*.ipynb"))
    address = r"https://mybinder\.org/v2/gh/\w+/\w+/HEAD\?urlpath=lab/tree/notebooks/"
    assert re.search(address + re.escape(first) + r"\b", README)


# The library


def test_import_is_light():
    heavy = {"tensorflow", "keras", "matplotlib", "optuna", "jupyter", "IPython", "ipykernel"}
    code = f"import sys, metahpo_lite; print(*sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def named_in_order():
    """Return the modules in the order in which __init__.py first names them."""
    source = (PACKAGE / "__init__.py").read_text(encoding="utf-8")
    body = ast.parse(source).body
    begin = body[1].lineno - 1 if len(body) > 1 and ast.get_docstring(ast.parse(source)) else 0
    code = "\n".join(source.splitlines()[begin:])
    files = {path.stem for path in PACKAGE.glob("*.py")}
    names = re.findall(r"(?:\bmetahpo_lite\.|\bfrom \.|[\"']\.?)(\w+)\b", code)
    return [name for name in dict.fromkeys(names) if name in files]


def imported_modules(tree):
    """Yield which files of the package a file imports, lazily or not; "" is the package itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            dotted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            inside = ["metahpo_lite"] if node.level else []
            base = ".".join(inside + ([node.module] if node.module else []))
            dotted = [base]
            if base == "metahpo_lite":
                dotted = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in dotted:
            top, _, rest = name.partition(".")
            if top == "metahpo_lite":
                module = rest.partition(".")[0]
                yield module if (PACKAGE / f"{module}.py").exists() else ""


def test_init_names_every_file():
    files = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert files - set(named_in_order()) == set()


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("[!_]*.py")), ids=lambda path: path.stem)
def test_file_imports_only_from_files_above_it(path):
    order = named_in_order()
    assert path.stem in order, "not named in __init__.py"
    above = set(order[: order.index(path.stem)])
    assert set(imported_modules(ast.parse(path.read_text(encoding="utf-8")))) <= above


def test_no_file_is_longer_than_400_lines():
    made = {".venv", ".git", "build", "dist", "node_modules"}
    found = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in ROOT.rglob("*.py")
        if not made & set(path.relative_to(ROOT).parts)
    }
    assert len(found) > 100
    assert {name: lines for name, lines in found.items() if lines > 400} == {}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def test_wheel_holds_library_data_and_licences(wheel, tmp_path):
    held = zipfile.ZipFile(wheel).namelist()
    for path in PACKAGE.glob("*.py"):
        assert f"metahpo_lite/{path.name}" in held
    assert "metahpo_lite/data/datasets.csv" in held
    tops = {name.split("/")[0] for name in held}
    assert len(tops) == 2, tops  # the package and its metadata
    assert {"LICENSE", "LICENSE-TEXT"} <= {name.split("/")[-1] for name in held}
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = (
        "import metahpo_lite as m\n"
        "print(m.__file__, m.MetaDataset.load('svc').scores.shape, len(m.load_dataset('german').y))"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    file, shape = done.stdout.split(" ", 1)
    assert file == str(tmp_path / "site" / "metahpo_lite" / "__init__.py")
    assert shape.endswith(", 201) 1000\n")


def core_distributions():
    """What the core requires, and what that requires, as it is installed here."""
    found, names = {}, ["metahpo_lite"]
    while names:
        name = canonicalize_name(names.pop())
        if name in found:
            continue
        found[name] = metadata.distribution(name)
        needed = [Requirement(text) for text in found[name].requires or ()]
        names += [r.name for r in needed if not r.marker or r.marker.evaluate({"extra": ""})]
    del found["metahpo-lite"]
    return found


@pytest.mark.skipif(os.name == "nt", reason="makes links")
def test_wheel_alone_recommends_and_searches(wheel, tmp_path):
    """In an empty environment, with what the core requires and nothing else."""
    assert wheel.stat().st_size <= 15e6
    env = {n: v for n, v in os.environ.items() if n != "PYTHONPATH"}

    def call(*command):
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    call(sys.executable, "-m", "venv", "--without-pip", "empty")
    python = str(tmp_path / "empty" / "bin" / "python")
    site = Path(
        call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    )
    for distribution in core_distributions().values():
        for top in {Path(file).parts[0] for file in distribution.files} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(distribution.locate_file(top))
    call(sys.executable, "-m", "uv", "pip", "install", "--offline", "--no-deps", "--python", python,
         str(wheel))  # fmt: skip
    code = """
import importlib.util, sys
for name in ("tensorflow", "keras", "optuna", "matplotlib", "jupyterlab", "IPython", "nbformat"):
    assert importlib.util.find_spec(name) is None, name
from sklearn.datasets import load_wine
from metahpo_lite import MetaSearchCV
X, y = load_wine(return_X_y=True, as_frame=True)
X.assign(y=y).to_csv("wine.csv", index=False)
search = MetaSearchCV("svc", n_trials=4, random_state=0).fit(X, y)
print(search.experience_, search.best_score_ > 0.9, sys.modules["metahpo_lite"].__file__)
"""
    found = call(python, "-c", code)
    assert found.startswith("MetaDataset('svc': ")
    assert f" True {site}" in found
    command = "-m metahpo_lite recommend wine.csv --target y --learner svc"
    assert "  1. rank " in call(python, *command.split())


# The documents


def test_citation():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["version"]
    assert " AND ".join(citation["license"]) == PROJECT["license"]
    assert {"cff-version", "message", "title", "authors"} <= set(citation)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_document_names_what_exists(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"^```.*?^```|`[^`\n]+`", text, re.M | re.S))
    targets = set(re.findall(r"^([.a-z]+):", MAKEFILE, re.M))
    assert set(re.findall(r"\bmake (\.?[a-z]+)", code)) <= targets
    links = re.findall(r"\]\(([^)#:\s]+)[^):]*\)|(?:src|href)=\"([^\"#:]+)\"", text)
    missing = [link for pair in links for link in pair if link and not (ROOT / link).exists()]
    assert missing == []


SNIPPETS = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)


def test_readme_has_snippets():
    assert SNIPPETS


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_readme_snippet_runs(snippet, tmp_path):
    command = [sys.executable, "-c", snippet]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_readme_recommends(tmp_path):
    table = re.search(r"^```csv\n(.*?)^```", README, re.M | re.S)[1]
    (tmp_path / "my.csv").write_text(table, encoding="utf-8")
    calls = re.findall(r"^\.venv/bin/python (-m metahpo_lite recommend .*)$", README, re.M)
    assert len(calls) == 2
    for call in calls:
        command = [sys.executable, *call.split()]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert "  1. rank " in done.stdout
    assert "the default: " in done.stdout
    assert '"config"' in (tmp_path / "best.json").read_text()


def test_no_file_names_a_package_host():
    dot, up = r"\.", r"\.\./"  # split, so that this file does not match itself
    hosts = [
        dot.join(("files", "pythonhosted")),
        dot.join(("pypi", "org")),
        dot.join(("registry", "npmjs")),
        dot.join(("anaconda", "org")),
        dot.join(("deb", "debian")),
        dot.join(("proxy", "golang")),
        r"(?<!emit-)index" + "-url",
        up + "shared",
        "/" + "work/(?:main|shared)",
    ]
    pattern = re.compile("|".join(hosts).encode())
    # a clone may belong to another user than the one who tests it
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    files = [ROOT / name.decode() for name in listed.split(b"\0") if name]
    assert files
    found = [
        f"{path.relative_to(ROOT)}: {match[0].decode()}"
        for path in files
        if path.is_file() and (match := pattern.search(path.read_bytes()))
    ]
    assert found == []
