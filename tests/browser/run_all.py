"""Run lessons in JupyterLab in a real browser: what a learner sees, which nbval does not.

    make browser                                     every lesson
    python tests/browser/run_all.py [NOTEBOOK ...]   some; --screenshots FOLDER keeps pictures
    python tests/browser/run_all.py --exercises      every exercise notebook, as a learner gets it

README line: `make browser` runs every lesson in JupyterLab in Chromium (Debian: apt install
chromium; another one: CHROMIUM=/path/to/it).

JupyterLab starts as `make lab` starts it, on a free port and on a copy of the notebooks without
their outputs. The notebook's model is asked how it went: the page shows old outputs and leaves
out cells that are not in view, and a kernel is idle before the first cell too.

The notebooks run one after the other in one JupyterLab, and each kernel is shut down before the
next. Server and kernels together may take 2 GB, as much as Binder gives: sampled ten times a
second (no limit of the system is set), and a fault of the notebook that takes more. Each slider
is then dragged with the mouse. The figures go into build/browser.json.

With --keep-kernels no kernel is shut down: the run ends with the first notebook above the limit.
"""

import argparse
import ipaddress
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from datetime import date
from importlib.metadata import version
from pathlib import Path

import psutil
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from lessons import cores, memory  # noqa: E402

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
  await Promise.race([panel.sessionContext.ready, new Promise((_, give_up) => setTimeout(
    () => give_up(new Error('no kernel in 60 s')), 60000))]);  // such as by a question
  // All cells in the page, not only those in view
  panel.content.notebookConfig = {...panel.content.notebookConfig, windowingMode: 'none'};
  return panel.context.path;
}"""
RUN = """() => {
  window.finished = null;
  window.jupyterapp.commands.execute('notebook:run-all-cells').then(
    () => { window.finished = 'yes'; }, error => { window.finished = String(error); });
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
# What a widget has drawn: its pictures, and the errors among its outputs
DRAWN = """box => ({
  pictures: [...box.querySelectorAll('.jp-OutputArea img')].map(image => image.src),
  errors: [...box.querySelectorAll('[data-mime-type="application/vnd.jupyter.error"],'
    + '[data-mime-type="application/vnd.jupyter.stderr"]')].map(n => n.textContent).join(' '),
})"""


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


def words(text):
    """Return the text without its marks, which Markdown changes."""
    return " ".join(re.findall(r"\w+", text))


def ends_with(alt, sentence):
    """Whether an alt text ends with a sentence of some length."""
    return len(sentence.strip()) > 20 and words(alt).endswith(words(sentence))


def is_widget(output):
    """Whether a page shows a widget; its picture is for where nothing runs."""
    return "application/vnd.jupyter.widget-view+json" in output.get("data", {})


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
        pictures = [kind for kind in output.get("data", {}) if kind.startswith("image/")]
        if pictures and not is_widget(output):
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

    JupyterLab 4 leaves out the alt text of an output's metadata, so that the sentence that it
    ends with has to stand in the page directly after the picture.
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
    elif len(shown) < 2 or not ends_with(alt, shown[1]["text"]):
        yield f"cell {n}: the sentence of the alt text of a picture is nowhere in the page"


def widget_faults(page, cells):
    """Drag each slider of a page with the mouse; yield which do not change what they show."""
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    plain = ["".join(output.get("data", {}).get("text/plain", "")) for output in outputs]
    expected = sum(text.startswith("interactive(") for text in plain)
    boxes = page.locator(".jp-OutputArea-output:has(> .widget-interact)").all()
    if len(boxes) != expected:
        yield f"{len(boxes)} of {expected} widgets are in the page"
    for n, box in enumerate(boxes, 1):
        if box.locator(".noUi-handle").count() != 1:
            yield f"widget {n}: not one slider in the page"
            continue
        before = box.evaluate(DRAWN)
        drag(page, box.locator(".noUi-handle"), box.locator(".noUi-base"))
        until = time.monotonic() + 20
        while (after := box.evaluate(DRAWN)) == before and time.monotonic() < until:
            page.wait_for_timeout(200)
        if after["errors"]:
            yield f"widget {n}: {after['errors']}"
        elif not after["pictures"] or after["pictures"] == before["pictures"]:
            yield f"widget {n}: no other picture when the slider is dragged"


def drag(page, handle, track):
    """Drag a slider's handle with the mouse to that end of its track that is farther away."""
    handle.scroll_into_view_if_needed()
    here, bar = handle.bounding_box(), track.bounding_box()
    x, y = here["x"] + here["width"] / 2, here["y"] + here["height"] / 2
    left, right = bar["x"], bar["x"] + bar["width"]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(max(left, right, key=lambda end: abs(end - x)), y, steps=5)
    page.mouse.up()


def open_notebook(page, address, name):
    """Open a notebook in JupyterLab, and wait until its kernel is ready; return its path."""
    page.goto(f"{address}/lab/tree/notebooks/{name}?reset", timeout=60_000)
    page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.context", timeout=60_000)
    return page.evaluate(OPEN)


def run_lesson(page, address, name, limit):
    """Run a lesson in a page; return its cells, the seconds to open it, and its faults."""
    asked, begin = [], time.monotonic()
    page.on("request", lambda request: asked.append(request.url))
    path = open_notebook(page, address, name)
    opened = time.monotonic() - begin
    if path != f"notebooks/{name}":
        return 0, opened, [f"JupyterLab opened {path}"]
    page.evaluate(RUN)
    until = time.monotonic() + limit
    while (state := page.evaluate(STATE))["finished"] is None and time.monotonic() < until:
        page.wait_for_timeout(300)
    faults = [] if state["finished"] == "yes" else [f"not finished: {state['finished'] or limit}"]
    faults += cell_faults(state["cells"], page.evaluate(SHOWN))
    faults += widget_faults(page, state["cells"])
    outside = {url for url in asked if not url.startswith((address, "data:", "blob:"))}
    faults += [f"the page asks for {url}" for url in sorted(outside)]
    return len(state["cells"]), opened, faults


def inside(path):
    """Return where a notebook stands in the folder notebooks/; one from elsewhere goes on top."""
    path, folder = path.resolve(), ROOT / "notebooks"
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else path.name


def copy_without_outputs(notebooks, folder):
    """Copy the lessons; outputs and counts go, so that only this run can fill them in."""
    copy_with_outputs(folder)
    for path in notebooks:
        book = json.loads(path.read_text(encoding="utf-8"))
        for cell in book["cells"]:
            if cell["cell_type"] == "code":
                cell["outputs"], cell["execution_count"] = [], None
        book["metadata"].pop("widgets", None)
        (folder / "notebooks" / inside(path)).write_text(json.dumps(book), encoding="utf-8")


def copy_with_outputs(folder):
    """Copy the lessons as they are stored, with what they read."""
    ignored = shutil.ignore_patterns(".ipynb_checkpoints")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks", ignore=ignored)
    shutil.copy(ROOT / "README.md", folder)
    shutil.copytree(ROOT / "data/grids", folder / "data/grids")  # read from ../data
    (folder / "benchmarks").mkdir()
    for table in (ROOT / "benchmarks").glob("*.csv"):  # read from ../benchmarks
        shutil.copy(table, folder / "benchmarks")


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


def report(name, faults, detail=""):
    """Print one line, and one for each fault."""
    print(f"{name}: {detail}{'FAULTS' if faults else 'ok'}", flush=True)
    for fault in faults:
        print(f"    {fault}", flush=True)
    return bool(faults)


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


def run_lessons(process, address, token, options, begin):
    """Run the lessons one after the other; return the figures and whether one has a fault."""
    figures = {"server_seconds": round(time.monotonic() - begin, 1), "lessons": {}}
    failed = report("server", list(server_faults(process, address, token)))
    used = Memory(process)
    time.sleep(1)
    figures["server_gigabytes"] = used.gigabytes()["total"]
    with browser(address, token) as context:
        figures["chromium"] = context.browser.version
        for path in options.notebooks:
            used.begin()
            page, started = context.new_page(), time.monotonic()
            cells, opened, faults = run_lesson(page, address, inside(path), options.limit)
            faults += listening_faults(process)
            seconds = time.monotonic() - started
            if options.screenshots:
                # no promise to wait for: JupyterLab may never keep this one
                page.evaluate(
                    "() => { window.jupyterapp.shell.currentWidget.content.scrollToItem(0); }"
                )
                page.wait_for_timeout(500)
                page.screenshot(path=options.screenshots / f"{path.stem}.png")
            if not options.keep_kernels:
                page.evaluate("() => window.jupyterapp.serviceManager.sessions.shutdownAll()")
                if not used.wait_for_kernels_to_end():
                    faults += ["its kernel is not shut down"]
            page.close()
            took = used.gigabytes()
            above = took["total"] > options.memory
            if above and not options.keep_kernels:
                faults += [f"takes {took['total']:.2f} GB, more than {options.memory:g}"]
            figures["lessons"][path.stem] = {
                "seconds_to_open": round(opened, 1), "seconds": round(seconds, 1), **took,
            }  # fmt: skip
            detail = f"{cells} cells, {seconds:.0f} s, server {took['server']:.2f} GB, "
            detail += f"kernels {took['kernels']:.2f} GB, together {took['total']:.2f} GB, "
            failed |= report(path.name, faults, detail)
            if above and options.keep_kernels:
                n = len(figures["lessons"])
                print(f"{n} kernels left running take more than {options.memory:g} GB.")
                break
    return figures, failed


def machine():
    """Return what the figures depend on."""
    return {
        "date": date.today().isoformat(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": cores(),
        "gigabytes": round(psutil.virtual_memory().total / 1e9),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "jupyterlab": version("jupyterlab"),
    }


def page_of_figures(figures, kept):
    """Return docs/measured.md."""
    rows = figures["lessons"]
    most = {key: max(row[key] for row in rows.values()) for key in ("server", "kernels", "total")}
    first, m = next(iter(rows.values())), figures["machine"]
    table = ["| lesson | seconds to open | seconds in all | GB: kernel | GB: server and kernel |"]
    table += ["|---|--:|--:|--:|--:|"]
    table += [
        f"| {name.replace('_', ' ')} | {row['seconds_to_open']:.0f} | {row['seconds']:.0f} "
        f"| {row['kernels']:.2f} | {row['total']:.2f} |"
        for name, row in rows.items()
    ]
    left = ""
    if kept:
        *_, (last, row) = kept["lessons"].items()
        left = (
            f"If you shut none down, they add up: {len(kept['lessons'])} lessons, up to "
            f"{last.replace('_', ' ')}, take {row['total']:.2f} GB.\n"
        )
    return f"""# Measured: the lessons in a browser

Every lesson by Run All, one after the other, in one JupyterLab and a headless Chromium. The kernel
of each lesson is shut down before the next one (in JupyterLab: *Kernel*, *Shut Down Kernel*).
{left}
- All {len(rows)} lessons: {figures["seconds"] / 60:.0f} minutes.
- The most memory at once: {most["total"]:.2f} GB, of {figures["limit"]:g} that are allowed. The
  server takes up to {most["server"]:.2f} GB, a kernel up to {most["kernels"]:.2f} GB.
  The browser is not counted.
- Start: JupyterLab answers after {figures["server_seconds"]:.0f} s and takes
  {figures["server_gigabytes"]:.2f} GB; the first lesson is open, with its kernel, after
  {first["seconds_to_open"]:.0f} s more.

{chr(10).join(table)}

Seconds in all: to open, to run, and to check what the page shows. Memory: sampled ten times a
second; 1 GB is 10^9 bytes.

Measured on {m["date"]}: {m["system"]}, {m["cores"]} cores, {m["gigabytes"]} GB of memory; load
{m["load"]:.1f} before the run, {m["load_after"]:.1f} in its last 15 minutes.
Python {m["python"]}, JupyterLab {m["jupyterlab"]}, Chromium {figures["chromium"]}. Written
by `tests/browser/run_all.py --write docs/measured.md`.
"""


def main():
    """Read the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--exercises", action="store_true", help="those of notebooks/exercises")
    parser.add_argument("--screenshots", type=Path, help="folder for the top of each lesson")
    parser.add_argument("--limit", type=float, default=180, help="seconds for one lesson")
    parser.add_argument("--memory", type=float, default=2.0, help="GB for server and kernels")
    parser.add_argument("--keep-kernels", action="store_true", help="until above the memory")
    parser.add_argument("--figures", type=Path, default=ROOT / "build/browser.json")
    parser.add_argument("--write", type=Path, help="write the figures of all lessons as a page")
    options = parser.parse_args()
    lessons = sorted(ROOT.glob("notebooks/[0-9][0-9]_*.ipynb"))
    if options.exercises:
        options.notebooks += sorted(ROOT.glob("notebooks/exercises/[0-9][0-9]_*.ipynb"))
        if not options.notebooks:
            raise SystemExit("no notebooks in notebooks/exercises")
    options.notebooks = options.notebooks or lessons
    if options.write and (options.keep_kernels or options.notebooks != lessons):
        raise SystemExit("--write: needs a run of all lessons, and nothing else")
    if options.screenshots:
        options.screenshots.mkdir(parents=True, exist_ok=True)
    figures, begin = {"machine": machine(), "limit": options.memory}, time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        copy_without_outputs(options.notebooks, Path(name))
        with lab(Path(name)) as running:
            found, failed = run_lessons(*running, options, begin)
    figures |= found | {"seconds": round(time.monotonic() - begin)}
    figures["machine"]["load_after"] = round(os.getloadavg()[2], 1)
    most = max(row["total"] for row in figures["lessons"].values())
    print(f"{len(figures['lessons'])} notebooks in {figures['seconds']} s, at most {most:.2f} GB")
    stored = json.loads(options.figures.read_text()) if options.figures.exists() else {}
    stored["kept" if options.keep_kernels else "shut down"] = figures
    options.figures.parent.mkdir(exist_ok=True)
    options.figures.write_text(json.dumps(stored, indent=1) + "\n")
    if options.write and not failed:
        options.write.write_text(page_of_figures(figures, stored.get("kept")), encoding="utf-8")
    return failed


if __name__ == "__main__":
    sys.exit(main())
