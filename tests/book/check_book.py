"""Check the built book: its pages as files, then in a browser.

    make book                                   builds the book, then checks it
    python tests/book/check_book.py [FOLDER]    a book that is built; --files leaves the browser
                                                out, --only NAME opens some pages

Needs Debian's chromium (another one: CHROMIUM=/path/to/it) and what `make book` installs.
"""

import argparse
import functools
import http.server
import itertools
import os
import re
import sys
import threading
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "build/npm/node_modules/axe-core/axe.min.js"
WIDTHS = {"desk": 1280, "phone": 390}
LEAST = 200  # characters of a page that has content
# Waits until the formulas are set, and opens what is folded; returns the numbers of formulas that
# the page has and that are set, and what MathJax could not read
FORMULAS = """async () => {
  document.querySelectorAll('details').forEach(part => { part.open = true; });
  if (window.MathJax) await MathJax.startup.promise;
  const shown = [...document.querySelectorAll('.math mjx-container')].filter(
    part => part.getBoundingClientRect().width > 1);
  return [document.querySelectorAll('.math').length, shown.length,
    [...document.querySelectorAll('[data-mjx-error]')].map(part => part.dataset.mjxError)];
}"""
OVERFLOW = """() => Math.max(...[...document.querySelectorAll('html, .content')].map(
  part => part.scrollWidth - part.clientWidth))"""
RUN_AXE = """async only => {
  const options = {resultTypes: ['violations'], ...(only && {runOnly: only})};
  return (await axe.run(document, options)).violations.map(one => ({
    id: one.id, impact: one.impact, help: one.help, nodes: one.nodes.length,
    first: one.nodes[0].target.join(' '), html: one.nodes[0].html.slice(0, 160)}));
}"""
# What has the focus: its place in the page, and whether a reader sees that it has it
FOCUS = """() => {
  const style = getComputedStyle(document.activeElement);
  return [document.activeElement.outerHTML.slice(0, 80),
    style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0];
}"""


@functools.cache
def read(path):
    """Return the parsed page."""
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


@functools.cache
def anchors(path):
    """Return the places of a page that a link can lead to."""
    return {tag["id"] for tag in read(path).find_all(id=True)}


def text_faults(page):
    """Yield what is wrong with the language, the length and the headings of a page."""
    if not page.html.get("lang"):
        yield "no language"
    article = page.find("article")
    if article is None:
        yield "no article"
        return
    if len(words := article.get_text(" ", strip=True)) < LEAST:
        yield f"only {len(words)} characters"
    levels = [int(tag.name[1]) for tag in article.find_all(re.compile(r"h[1-6]$"))]
    if levels.count(1) != 1 or levels[0] != 1:
        yield f"headings of levels {levels}: one of level 1, and that first"
    for before, after in itertools.pairwise(levels):
        if after > before + 1:
            yield f"a heading of level {after} follows one of level {before}"


def element_faults(page):
    """Yield pictures without a description, tables without header cells, and what is twice."""
    for picture in page.find_all("img"):
        if not picture.get("alt", "").strip():
            yield f"a picture without alt text: {picture.get('src', '')[:60]}"
    for table in page.find_all("table"):
        if not table.find("th"):
            yield f"a table without header cells: {table.get_text(' ', strip=True)[:60]}"
    for name, count in Counter(tag["id"] for tag in page.find_all(id=True)).items():
        if count > 1:
            yield f"{count} elements with the id {name}"


def link_faults(path, folder, seen):
    """Yield what is wrong with the links of a page; count what it links to in `seen`."""
    for tag in read(path).find_all(True):
        address = tag.get("href") or tag.get("src")
        if tag.name == "use" or not address or address.startswith(("data:", "mailto:")):
            continue
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            seen["outside"] += 1
            if tag.name != "a":
                yield f"<{tag.name}> asks for {address}"
            continue
        seen["inside"] += 1
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if not target.is_relative_to(folder) or not target.is_file():
            yield f"{address} leads to no file of the book"
        elif parts.fragment and target.suffix == ".html":
            seen["anchors"] += 1
            if unquote(parts.fragment) not in anchors(target) | {""}:
                yield f"{address} leads to no place on that page"


def pages_of(folder):
    """Return the pages to read: those that only lead on, or only search, apart."""
    pages = sorted(folder.rglob("*.html"))
    return [path for path in pages if path not in (folder / "index.html", folder / "search.html")]


def check_files(folder, report):
    """Check the pages as files."""
    seen = Counter()
    pages = pages_of(folder)
    for path in pages:
        page = read(path)
        faults = [*text_faults(page), *element_faults(page), *link_faults(path, folder, seen)]
        report(path.relative_to(folder), faults)
        seen["pictures"] += len(page.find_all("img"))
        seen["tables"] += len(page.find_all("table"))
    for name in ("index.html", "search.html"):
        report(name, link_faults(folder / name, folder, seen))
    print(
        f"{len(pages)} pages with content, {seen['pictures']} pictures, {seen['tables']} tables; "
        f"links: {seen['inside']} inside ({seen['anchors']} to a place on a page), "
        f"{seen['outside']} to other hosts"
    )


def serve(folder):
    """Serve a folder on a free port of this machine; return the server."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            """Say nothing."""

    handler = functools.partial(Quiet, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def axe_faults(page, seen, only=None):
    """Yield the serious and critical violations that axe finds; count all by their impact."""
    for found in page.evaluate(RUN_AXE, only):
        seen[f"{found['impact']} violations"] += 1
        line = f"axe, {found['impact']}: {found['id']} ({found['help']}), {found['nodes']} times"
        if found["impact"] in ("serious", "critical"):
            yield f"{line}, first {found['first']}: {found['html']}"


def page_faults(page, address, seen):
    """Yield what is wrong with one page in the browser: wide, narrow and dark."""
    asked, failed = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("response", lambda answer: failed.append(answer.url) if answer.status > 399 else 0)
    page.on("pageerror", lambda error: failed.append(f"script: {error}"))
    page.goto(address, wait_until="load")
    there, shown, unread = page.evaluate(FORMULAS)
    seen["formulas"] += shown
    if there != shown or unread:
        yield f"{shown} of {there} formulas are set; not understood: {unread}"
    page.add_script_tag(path=AXE)
    for kind, width in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": 844})
        page.wait_for_timeout(100)  # for what the page does then
        if page.evaluate(OVERFLOW) > 0:
            yield f"{kind}: wider than the window"
        yield from (f"{kind}: {fault}" for fault in axe_faults(page, seen))
    page.emulate_media(color_scheme="dark")
    yield from (f"dark: {fault}" for fault in axe_faults(page, seen, ["color-contrast"]))
    home = address.split("/", 3)[2]
    seen["requests"] += len(asked)
    yield from (f"asks for {url}" for url in asked if urlsplit(url).netloc not in (home, ""))
    yield from (f"failed: {what}" for what in failed)


def search_faults(page, address):
    """Yield whether the search finds nothing, or what is not there."""
    for word, least in (("surrogate", 5), ("Gaussian", 3), ("zyzzyva", 0)):
        page.goto(f"{address}/search.html?q={word}")
        page.wait_for_function("() => /found|not match/.test(document.body.innerText)")
        found = page.locator("#search-results li").count()
        print(f"search for {word}: {found} pages")
        if found < least or (not least and found):
            yield f"the search for {word} finds {found} pages"


def keyboard_faults(page, address):
    """Yield what the focus reaches by the Tab key without being seen."""
    page.goto(address)
    for _ in range(40):
        page.keyboard.press("Tab")
        what, visible = page.evaluate(FOCUS)
        if not visible:
            yield f"no focus to be seen on {what}"


def check_browser(folder, report, only=""):
    """Check the pages as a reader sees them, and what a reader does with them."""
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    for needed in (Path(chromium), AXE):
        if not needed.exists():
            raise SystemExit(f"No {needed}: see the first lines of {__file__}")
    flags = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage"]
    flags += ["--no-sandbox"] if os.geteuid() == 0 else []
    server, seen = serve(folder), Counter()
    home = f"http://127.0.0.1:{server.server_port}"
    pages = [*pages_of(folder), folder / "search.html"]
    pages = [path for path in pages if only in path.as_posix()]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        for path in pages:
            name, page = path.relative_to(folder).as_posix(), browser.new_page()
            report(name, page_faults(page, f"{home}/{name}", seen))
            page.close()
        page = browser.new_page()
        report("search", search_faults(page, home))
        report("search in a folder", search_faults(page, folder.as_uri()))
        report("keyboard", keyboard_faults(page, f"{home}/docs/index.html"))
        browser.close()
    server.shutdown()
    print(f"{len(pages)} pages in the browser, wide, narrow and dark: {dict(seen)}")


def main(arguments=None):
    """Read the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "build/book")
    parser.add_argument("--files", action="store_true", help="leave the browser out")
    parser.add_argument("--only", default="", help="part of the names of the pages to open")
    options = parser.parse_args(arguments)
    folder = options.folder.resolve()
    if not (folder / "index.html").is_file():
        raise SystemExit(f"{folder} holds no book: build it with `make book`")
    failed = Counter()

    def report(name, faults):
        for fault in faults:
            failed["faults"] += 1
            print(f"{name}: {fault}", flush=True)

    check_files(folder, report)
    if not options.files:
        check_browser(folder, report, options.only)
    print(f"{failed['faults']} faults")
    return bool(failed["faults"])


if __name__ == "__main__":
    sys.exit(main())
