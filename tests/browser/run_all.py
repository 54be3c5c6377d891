"""Run lessons in JupyterLab in a real browser: what a learner sees, which nbval does not.

    make browser                                     every lesson
    python tests/browser/run_all.py [NOTEBOOK ...]   some; --screenshots FOLDER keeps pictures

README line: `make browser` runs every lesson in JupyterLab in Chromium (Debian: apt install
chromium; another one: CHROMIUM=/path/to/it).

JupyterLab starts as `make lab` starts it, on a free port and on a copy of the notebooks without
their outputs. The notebook's model is asked how it went: the page shows old outputs and leaves
out cells that are not in view, and a kernel is idle before the first cell too.
"""

import argparse
import ipaddress
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM_FLAGS = [
    "--headless=new",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
OPEN = """async () => {
  await window.jupyterapp.restored;
  const panel = window.jupyterapp.shell.currentWidget;
  await panel.context.ready;
  await panel.sessionContext.ready;
  // All cells in the page, not only those in view
  panel.content.notebookConfig = {...panel.content.notebookConfig, windowingMode: 'none'};
  window.finished = null;
  window.jupyterapp.commands.execute('notebook:run-all-cells').then(
    () => { window.finished = 'yes'; }, error => { window.finished = String(error); });
  return panel.context.path;
}"""
STATE = """() => {
  const panel = window.jupyterapp.shell.currentWidget;
  return {finished: window.finished, cells: panel.content.model.toJSON().cells};
}"""
# For each cell, its outputs as the page shows them: the pictures, the text, and what lies within,
# each area of outputs that a widget draws
SHOWN = """async () => {
  const areas = widget => [...widget.children()].flatMap(child => (
    child.node.classList.contains('jp-OutputArea') ? [child] : areas(child)));
  const images = (node, inner) => [...node.querySelectorAll('img')].filter(
    image => !inner.some(area => area.node.contains(image))).map(image => (
      {alt: image.getAttribute('alt') || '', broken: image.complete && !image.naturalWidth}));
  const show = area => area.widgets.map((widget, place) => {
    const inner = areas(widget);
    return {
      images: images(widget.node, inner), text: widget.node.textContent,
      output: area.model.get(place)?.toJSON(), inner: inner.map(show)};
  });
  const cells = [];
  for (const widget of window.jupyterapp.shell.currentWidget.content.widgets) {
    await widget.ready;
    cells.push(widget.outputArea ? show(widget.outputArea) : [
      {images: images(widget.node, []), text: widget.node.textContent, inner: []}]);
  }
  return cells;
}"""


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
        for connection in one.net_connections(kind="inet"):
            if connection.status == psutil.CONN_LISTEN:
                ip = connection.laddr.ip
                if not ipaddress.ip_address(ip).is_loopback:
                    yield f"listens on {ip}:{connection.laddr.port}"


def words(text):
    """Return the text without its marks, which Markdown changes."""
    return " ".join(re.findall(r"\w+", text))


def cell_faults(cells, shown):
    """Yield what went wrong in the cells of the model, and in the pictures of the page."""
    for n, (cell, parts) in enumerate(zip(cells, shown, strict=True), 1):
        if cell["cell_type"] != "code":
            yield from page_faults(n, parts)
            continue
        if cell["execution_count"] is None and "".join(cell["source"]).strip():
            yield f"cell {n}: did not run"
        announced = "raises-exception" in cell["metadata"].get("tags", [])
        yield from output_faults(n, cell["outputs"], parts, announced)


def output_faults(n, outputs, parts, announced=False):
    """Yield what went wrong in outputs, and in those that a widget among them has drawn."""
    for place, output in enumerate(outputs):
        if output["output_type"] == "error" and not announced:
            yield f"cell {n}: {output['ename']}: {output['evalue']}"
        if any(kind.startswith("image/") for kind in output.get("data", {})):
            yield from picture_faults(n, output, parts[place : place + 2])
        else:
            yield from page_faults(n, parts[place : place + 1])
    for area in (area for part in parts for area in part["inner"]):
        yield from output_faults(n, [part["output"] for part in area], area)


def page_faults(n, parts):
    """Yield what is wrong with pictures that the page has from a text."""
    for picture in (picture for part in parts for picture in part["images"]):
        if picture["broken"]:
            yield f"cell {n}: a picture is not shown"
        if picture["alt"] in ("", "Image"):  # JupyterLab's own
            yield f"cell {n}: a picture without alt text"


def picture_faults(n, output, shown):
    """Yield whether a picture is in the page without its alt text.

    JupyterLab 4 leaves out the alt text of an output's metadata, so that the same sentence has
    to stand in the page directly after the picture.
    """
    alt = "".join(
        data.get("alt", "") for data in output["metadata"].values() if isinstance(data, dict)
    )
    if not alt:
        yield f"cell {n}: a picture without alt text in its metadata"
    elif not shown or not shown[0]["images"]:
        yield f"cell {n}: a picture is not in the page"
    elif any(picture["broken"] for picture in shown[0]["images"]):
        yield f"cell {n}: a picture is not shown"
    elif all(picture["alt"] == alt for picture in shown[0]["images"]):
        return
    elif len(shown) < 2 or words(alt) not in words(shown[1]["text"]):
        yield f"cell {n}: the alt text of a picture is nowhere in the page"


def run_lesson(page, address, name, limit):
    """Run a lesson in a page; return its number of cells and its faults."""
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/lab/tree/notebooks/{name}?reset", timeout=60_000)
    page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.context", timeout=60_000)
    path = page.evaluate(OPEN)
    if Path(path).name != name:
        return 0, [f"JupyterLab opened {path}"]
    until = time.monotonic() + limit
    while (state := page.evaluate(STATE))["finished"] is None and time.monotonic() < until:
        page.wait_for_timeout(300)
    faults = [] if state["finished"] == "yes" else [f"not finished: {state['finished'] or limit}"]
    faults += cell_faults(state["cells"], page.evaluate(SHOWN))
    outside = {url for url in asked if not url.startswith((address, "data:", "blob:"))}
    faults += [f"the page asks for {url}" for url in sorted(outside)]
    return len(state["cells"]), faults


def copy_without_outputs(notebooks, folder):
    """Copy the lessons; outputs and counts go, so that only this run can fill them in."""
    ignored = shutil.ignore_patterns(".ipynb_checkpoints")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks", ignore=ignored)
    shutil.copy(ROOT / "README.md", folder)
    shutil.copytree(ROOT / "data/grids", folder / "data/grids")  # read from ../data
    (folder / "benchmarks").mkdir()
    for table in (ROOT / "benchmarks").glob("*.csv"):  # read from ../benchmarks
        shutil.copy(table, folder / "benchmarks")
    for path in notebooks:
        book = json.loads(path.read_text(encoding="utf-8"))
        for cell in book["cells"]:
            if cell["cell_type"] == "code":
                cell["outputs"], cell["execution_count"] = [], None
        (folder / "notebooks" / path.name).write_text(json.dumps(book), encoding="utf-8")


def report(name, faults, detail=""):
    """Print one line, and one for each fault."""
    print(f"{name}: {detail}{'FAULTS' if faults else 'ok'}", flush=True)
    for fault in faults:
        print(f"    {fault}", flush=True)
    return bool(faults)


def run_lessons(process, address, token, options):
    """Run the lessons one after the other; return whether one has a fault."""
    failed = report("server", list(server_faults(process, address, token)))
    flags = CHROMIUM_FLAGS + (["--no-sandbox"] if os.geteuid() == 0 else [])
    chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    if not Path(chromium).exists():
        raise SystemExit(f"No {chromium}: apt install chromium, or set CHROMIUM.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.request.get(f"{address}/lab?token={token}")  # sets the cookie of the learner
        for path in options.notebooks:
            page, begin = context.new_page(), time.monotonic()
            cells, faults = run_lesson(page, address, path.name, options.limit)
            faults += listening_faults(process)
            seconds = time.monotonic() - begin
            failed |= report(path.name, faults, f"{cells} cells, {seconds:.0f} s, ")
            if options.screenshots:
                # no promise to wait for: JupyterLab may never keep this one
                page.evaluate(
                    "() => { window.jupyterapp.shell.currentWidget.content.scrollToItem(0); }"
                )
                page.wait_for_timeout(500)
                page.screenshot(path=options.screenshots / f"{path.stem}.png")
            page.evaluate("() => window.jupyterapp.serviceManager.sessions.shutdownAll()")
            page.close()
        browser.close()
    return failed


def main():
    """Read the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--screenshots", type=Path, help="folder for the top of each lesson")
    parser.add_argument("--limit", type=float, default=180, help="seconds for one lesson")
    options = parser.parse_args()
    options.notebooks = options.notebooks or sorted(ROOT.glob("notebooks/[0-9][0-9]_*.ipynb"))
    if options.screenshots:
        options.screenshots.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        copy_without_outputs(options.notebooks, Path(name))
        process, address, token = start_lab(Path(name))
        try:
            return run_lessons(process, address, token, options)
        finally:
            process.terminate()
            process.wait(30)


if __name__ == "__main__":
    sys.exit(main())
