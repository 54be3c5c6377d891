"""What the book needs beside settings: an extension of Sphinx, which docs/conf.py names."""

import json
import re

WIDGET = "application/vnd.jupyter.widget-view+json"
CHINESE = re.compile(r"[\u4e00-\u9fff]+(?![^<>]*>)")  # outside of tags


def anchor(title):
    """Return the anchor of a heading, as JupyterLab writes it."""
    return title.replace(" ", "-")


def without_widgets(notebook):
    """Put what a widget showed when the notebook was stored in the place of the widget."""
    states = notebook["metadata"].pop("widgets", {}).values()
    models = [model for state in states for model in state["state"].values()]
    stored = [output for model in models for output in model["state"].get("outputs") or []]
    note = {"text/markdown": "*A widget, where the lesson runs. What it shows at first:*"}
    for cell in notebook["cells"]:
        if any(WIDGET in output.get("data", {}) for output in cell.get("outputs", [])):
            first = {"output_type": "display_data", "data": note, "metadata": {}}
            cell["outputs"] = [first, *stored]


def with_files(text, app, docname):
    """Mark the links to notebooks and texts that are no pages: they lead to files to download."""
    folder = app.env.doc2path(docname).parent

    def mark(link):
        target = (folder / link[1]).resolve()
        page = app.env.path2doc(target) in app.env.found_docs
        return link[0] if page or not target.is_file() else f"](path:{link[1]})"

    return re.sub(r"\]\(([^()\s#:]+\.(?:ipynb|md))\)", mark, text)


def read_source(app, docname, source):
    """Take out what only JupyterLab or the repository needs."""
    if app.env.doc2path(docname).suffix == ".ipynb":
        notebook = json.loads(source[0])
        without_widgets(notebook)
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                cell["source"] = with_files("".join(cell["source"]), app, docname)
        source[0] = json.dumps(notebook)
    else:
        text = re.sub(r'<a id="[^"]*"></a>', "", source[0])  # its headings have these anchors
        source[0] = with_files(text, app, docname)


def finish_page(app, pagename, templatename, context, doctree):
    """Tell the template which notebook a page shows; mend roles, and name the other language."""
    if doctree is not None and app.env.doc2path(pagename).suffix == ".ipynb":
        context["notebook"] = f"{pagename}.ipynb"
        if binder := app.config.book_binder:
            context["binder"] = f"{binder.rstrip('/')}?urlpath=lab/tree/{pagename}.ipynb"
    for name in ("body", "furo_navigation_tree"):
        html = context.get(name, "").replace(' role="heading"', "")  # of no level
        html = html.replace(' role="doc-biblioentry"', ' role="listitem"')  # of a list
        context[name] = CHINESE.sub(r'<span lang="zh">\g<0></span>', html)


def setup(app):
    """Connect the functions above to Sphinx."""
    from myst_nb.core.render import NbElementRenderer
    from pygments.lexers.special import TextLexer

    render_image = NbElementRenderer.render_image

    def render_image_with_alt(renderer, data):
        """Take the description of a picture from its output, where the lessons store it."""
        (image,) = render_image(renderer, data)
        image["alt"] = data.output_metadata.get(data.mime_type, {}).get("alt", "")
        return [image]

    NbElementRenderer.render_image = render_image_with_alt
    app.add_config_value("book_binder", "", "html")
    app.add_lexer("csv", TextLexer)
    app.connect("source-read", read_source)
    app.connect("html-page-context", finish_page, priority=900)  # after the theme
    return {"parallel_read_safe": True, "parallel_write_safe": True}
