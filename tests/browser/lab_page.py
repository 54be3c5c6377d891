"""A lesson in a page of JupyterLab: run it, and yield what a learner would not see."""

import re
import time

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
