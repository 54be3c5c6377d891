"""JupyterLab and Chromium: started, watched for who may reach them, and for memory."""

import ipaddress
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from lessons import memory  # noqa: E402

CHROMIUM_FLAGS = [
    "--headless=new",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def start_lab(folder):
    """Start JupyterLab as `make lab` does; return process, address and token."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [ROOT / ".venv/bin/jupyter", "lab", "--ip=127.0.0.1", "--no-browser"]
    command += [f"--port={port}", "--ServerApp.port_retries=0"]
    command += ["--LabApp.expose_app_in_browser=True"]
    command += ["--allow-root"] if os.geteuid() == 0 else []
    own = {
        name: str(folder / name) for name in ("JUPYTER_RUNTIME_DIR", "JUPYTERLAB_WORKSPACES_DIR")
    }
    own["TF_CPP_MIN_LOG_LEVEL"] = "2"  # as in the Makefile
    own["METAHPO_PROGRESS"] = str(folder / "progress.json")  # not the one of who tests
    with open(folder / "lab.log", "w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=os.environ | own, stdout=log, stderr=subprocess.STDOUT
        )
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        # The token is the one that it made itself and wrote for its own user
        for file in (folder / "JUPYTER_RUNTIME_DIR").glob("jpserver-*.json"):
            token = json.loads(file.read_text())["token"]
            try:
                status(f"http://127.0.0.1:{port}/api/status?token={token}")
            except OSError:
                continue
            return process, f"http://127.0.0.1:{port}", token
        time.sleep(0.2)
    process.kill()
    raise SystemExit("JupyterLab did not start:\n" + (folder / "lab.log").read_text()[-3000:])


def status(address):
    """Return the HTTP status of an address."""
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def server_faults(process, address, token):
    """Yield what is wrong with who may reach the server."""
    for page in ("/api/contents", "/api/kernels"):
        if (without := status(f"{address}{page}")) != 403:
            yield f"{page} answers {without} to a request without a token"
    if not token or status(f"{address}/api/contents?token={token}") != 200:
        yield "no token, or one that is not accepted"
    yield from listening_faults(process)


def listening_faults(process):
    """Yield the addresses outside this machine that the server or a kernel listens on."""
    parent = psutil.Process(process.pid)
    for one in [parent, *parent.children(recursive=True)]:
        connections = []
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            connections = one.net_connections(kind="inet")
        for connection in connections:
            if connection.status == psutil.CONN_LISTEN:
                ip = connection.laddr.ip
                if not ipaddress.ip_address(ip).is_loopback:
                    yield f"listens on {ip}:{connection.laddr.port}"


class Memory(threading.Thread):
    """What the server and its kernels take, in bytes: the most since `begin`, by sampling.

    A kernel counts with the processes that it starts, as in `tools/lessons.py measure`. The
    browser does not count: on Binder it is on the learner's machine.
    """

    def __init__(self, process):
        super().__init__(daemon=True)
        self.server = psutil.Process(process.pid)
        self.begin()
        self.start()

    def begin(self):
        self.most = {"server": 0, "kernels": 0, "total": 0}

    def run(self):
        with suppress(psutil.NoSuchProcess):  # until the server ends
            while True:
                self.sample()
                time.sleep(0.1)

    def sample(self):
        server, kernels = self.server.memory_info().rss, 0
        for child in self.server.children():
            with suppress(psutil.NoSuchProcess):
                kernels += memory(child)
        now = {"server": server, "kernels": kernels, "total": server + kernels}
        self.most = {name: max(now[name], most) for name, most in self.most.items()}

    def gigabytes(self):
        """Return the most of each, in GB."""
        return {name: round(most / 1e9, 3) for name, most in self.most.items()}

    def wait_for_kernels_to_end(self):
        """Return whether no kernel is left."""
        until = time.monotonic() + 15
        while (left := self.server.children()) and time.monotonic() < until:
            time.sleep(0.1)
        return not left


@contextmanager
def browser(address, token):
    """Start Chromium, with the cookie of who opened the address that JupyterLab printed."""
    flags = CHROMIUM_FLAGS + (["--no-sandbox"] if os.geteuid() == 0 else [])
    chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    if not Path(chromium).exists():
        raise SystemExit(f"No {chromium}: apt install chromium, or set CHROMIUM.")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=flags)
        context = running.new_context(viewport={"width": 1280, "height": 900})
        context.request.get(f"{address}/lab?token={token}")
        yield context
        running.close()


@contextmanager
def lab(folder):
    """Start JupyterLab in a folder, and end it; give process, address and token."""
    process, address, token = start_lab(folder)
    try:
        yield process, address, token
    finally:
        process.terminate()
        process.wait(30)
