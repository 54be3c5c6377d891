"""Nothing reaches another machine, and nobody on another machine reaches Jupyter."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import joblib
import nbformat
import psutil
import pytest
from project_files import CODE_FILES, CODE_FOLDERS, MAKEFILE, ROOT, dotted

# ------------------------------------------------------------------ no network

TRY = """
import socket, urllib.request
for ask in (
    lambda: socket.create_connection(("192.0.2.1", 80), timeout=1),
    lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53)),
    lambda: socket.getaddrinfo("host.invalid", 80),
    lambda: socket.gethostbyname("host.invalid"),
    lambda: urllib.request.urlopen("http://192.0.2.1/", timeout=1),
):
    try:
        ask()
    except OSError as error:  # urllib wraps it
        assert "nothing here needs the network" in str(error), error
    else:
        raise AssertionError("it was not refused")
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname()).close()
server.close()
print("refused")
"""


def test_the_network_is_refused_here():
    exec(TRY, {})


def test_the_network_is_refused_in_a_child(tmp_path):
    call = [sys.executable, "-c", TRY]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("refused\n", "")


def test_the_network_is_refused_in_a_worker():
    exec_it = joblib.delayed(exec)
    joblib.Parallel(2)(exec_it(TRY, {}) for _ in range(2))


def test_the_network_is_refused_in_a_lesson(tmp_path):
    """As `make test` runs the lessons: by nbval, in a kernel of its own."""
    cells = [nbformat.v4.new_code_cell(TRY), nbformat.v4.new_code_cell("assert 'TRY' in dir()")]
    for name, some in (("right", cells[:1]), ("wrong", cells)):
        book = nbformat.v4.new_notebook(cells=some)
        nbformat.write(book, tmp_path / f"{name}.ipynb")
    call = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    call += ["--nbval-lax", "--nbval-current-env", "-c", os.devnull, "--rootdir", str(tmp_path)]
    done = subprocess.run([*call, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True)
    assert "1 failed, 2 passed" in done.stdout, done.stdout  # it is the cells that are run


NETWORK = re.compile(
    r"(urllib\.request|urllib3|requests|httpx|aiohttp|http\.client|wget|pycurl|socket|ssl|ftplib"
    r"|smtplib|telnetlib|xmlrpc|pooch|gdown|kagglehub|huggingface_hub|openml|ucimlrepo|boto3"
    r"|tensorflow_datasets|webbrowser)(\.|$)"
)
FETCH = re.compile(r"(.*\.)?(fetch_\w+|get_file|urlopen|urlretrieve|get_rdataset|from_pretrained)")


def fetched(source):
    """Yield (line, what) of imports and calls that reach other machines, and of URLs passed on."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for one in node.names:
                module = getattr(node, "module", None)
                full = f"{module}.{one.name}" if module else one.name
                if NETWORK.match(full) or FETCH.fullmatch(full):
                    yield node.lineno, f"import {full}"
        if isinstance(node, ast.Call):
            if FETCH.fullmatch(dotted(node.func)):
                yield node.lineno, dotted(node.func)
            for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
                value = getattr(argument, "value", None)
                if isinstance(value, str) and re.match(r"(https?|s?ftp|s3|gs)://", value):
                    yield node.lineno, f"{dotted(node.func)}({value})"


def code_of(path):
    """Return the Python in a file; of a notebook that of its cells, but for magics."""
    if path.suffix == ".py":
        return path.read_text(encoding="utf-8")
    cells = nbformat.read(path, as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    return re.sub(r"^[%!]", "#", text, flags=re.M)


def test_no_file_fetches():
    files = [*CODE_FILES, *sorted((ROOT / "notebooks").rglob("*.ipynb"))]
    assert len(files) > 100
    found = [f"{path.relative_to(ROOT).as_posix()}:{line}: {what}"
             for path in files for line, what in fetched(code_of(path))]  # fmt: skip
    assert found == []


@pytest.mark.parametrize(
    "code",
    ["import requests", "from urllib.request import urlopen", "from urllib import request",
     "from sklearn.datasets import fetch_openml", "import pandas\npandas.read_csv('https://x.y/z')",
     "keras.utils.get_file(origin=name)", "import socket as s"],
)  # fmt: skip
def test_what_fetches_is_noticed(code):
    assert list(fetched(code))


# ------------------------------------------------------------------ Jupyter

JUPYTER_OFF = re.compile(
    r"(\btoken|password|PasswordIdentityProvider\.\w+)\s*=\s*(''|\"\"|None)|disable_check_xsrf\s*=\s*True"
    r"|allow_(remote_access|origin\w*|unauthenticated_access)\s*=\s*(True|['\"]?\*)|ip\s*=\s*['\"]?(0\.0\.0\.0|\*)"
)


@contextmanager
def lab(folder):
    """Start JupyterLab by the command of `make lab`; yield the process, its address and token."""
    shown = subprocess.run(
        ["make", "--dry-run", "lab"], cwd=ROOT, capture_output=True, text=True,
        env={n: v for n, v in os.environ.items() if n not in ("DISPLAY", "WAYLAND_DISPLAY")},
    ).stdout  # fmt: skip
    command = re.findall(r"^\S*python -m jupyter lab (?:.*\\\n)*.*", shown, re.M)[-1].strip()
    own = ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTERLAB_WORKSPACES_DIR")
    env = os.environ | {name: str(folder / name) for name in own}  # not those of who tests
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(
            f"exec {command} --no-browser --ServerApp.port=0", shell=True, cwd=ROOT, env=env,
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        until, files = time.monotonic() + 120, []
        while not files:
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < until, (folder / "log").read_text()
            time.sleep(0.2)
            files = list((folder / "JUPYTER_RUNTIME_DIR").glob("jpserver-*.json"))
        time.sleep(0.5)  # until the file is whole
        about = json.loads(files[0].read_text(encoding="utf-8"))
        yield process, about
    finally:
        process.terminate()
        process.wait(30)


def status(address, **headers):
    """Return the HTTP status of an address, without following it elsewhere."""
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
@pytest.mark.skipif(not (ROOT / ".venv/bin/python").exists(), reason="needs make's environment")
def test_the_lab_is_for_this_machine_and_who_has_the_token(tmp_path):
    with lab(tmp_path) as (process, about):
        listening = [c.laddr for c in psutil.Process(process.pid).net_connections("inet")
                     if c.status == psutil.CONN_LISTEN]  # fmt: skip
        assert listening
        assert {address.ip for address in listening} == {"127.0.0.1"}
        page = f"http://127.0.0.1:{listening[0].port}/api/contents"
        assert len(about["token"]) >= 32
        assert status(page) == 403
        assert status(page, Authorization="token " + "0" * 48) == 403
        assert status(page, Authorization=f"token {about['token']}") == 200
        far = {"Authorization": f"token {about['token']}", "Host": "elsewhere.invalid"}
        assert status(page, **far) == 403  # a name that another machine gave to this one


@pytest.mark.parametrize(
    "line",
    ["--ServerApp.token=''", 'c.IdentityProvider.token = ""', "c.ServerApp.password = None",
     "c.ServerApp.disable_check_xsrf = True", "--ServerApp.allow_remote_access=True",
     "--ServerApp.allow_origin='*'", "--ip=0.0.0.0", "c.ServerApp.ip = '*'"],
)  # fmt: skip
def test_what_opens_jupyter_is_noticed(line):
    assert JUPYTER_OFF.search(line)


def test_nothing_opens_jupyter():
    files = [ROOT / name for name in ("Makefile", "start", "postBuild", "pyproject.toml")]
    for folder in (*CODE_FOLDERS, "notebooks", ".ci", ".github", "docs", "tests/browser"):
        files += [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    kinds = ("", ".py", ".toml", ".yml", ".yaml", ".json", ".ipynb", ".md")
    texts = {path: path.read_bytes().decode("utf-8", "ignore") for path in files
             if path.suffix in kinds}  # fmt: skip
    found = [f"{path.relative_to(ROOT)}: {match[0]}"
             for path, text in texts.items() if (match := JUPYTER_OFF.search(text))]  # fmt: skip
    assert found == []
    assert "jupyter lab --ip=127.0.0.1" in MAKEFILE
