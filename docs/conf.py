"""Settings of the book: `make book` builds a static site from the notebooks and from docs/.

The sources are read where they are: the root of the repository is Sphinx's source folder, so that
a link between them holds in JupyterLab, in the repository and in the book.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

project = "metahpo_lite"
author = "The metahpo_lite authors"
project_copyright = "2026, The metahpo_lite authors. Text: CC BY 4.0. Code: BSD-3-Clause"
language = "en"

extensions = ["myst_nb", "sphinx.ext.mathjax", "sphinxcontrib.bibtex", "book"]  # tools/book.py
root_doc = "docs/index"
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/*.md",
    "docs/book/*.md",
    "docs/teaching/*.md",
    "notebooks/[0-9]*.ipynb",
    "notebooks/exercises/[0-9]*.ipynb",
    "benchmarks/*.md",
    "data/*/README.md",
]
exclude_patterns = [".*", "build"]

# Notebooks are shown as they are stored: nothing is executed
nb_execution_mode = "off"
nb_merge_streams = True
nb_render_markdown_format = "myst"
nb_ipywidgets_js = {}
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]

myst_enable_extensions = ["amsmath", "dollarmath", "html_image"]
myst_heading_anchors = 6
myst_heading_slug_func = "book.anchor"
bibtex_bibfiles = ["bibliography.bib"]
bibtex_default_style = "plain"

# Where the lessons open in Binder, such as https://mybinder.org/v2/gh/OWNER/REPOSITORY/HEAD;
# while it is not set, no page has a link to Binder
book_binder = os.environ.get("METAHPO_BINDER", "")

html_theme = "furo"
html_title = "Learn to tune"
html_static_path = ["_static", "../build/npm/node_modules/mathjax/es5/tex-svg.js"]
html_css_files = ["book.css"]
html_js_files = [("book.js", {"defer": "defer"})]
mathjax_path = "tex-svg.js"
mathjax3_config = {"options": {"enableMenu": False}}  # it makes each formula a stop of the Tab key
templates_path = ["_templates"]
html_additional_pages = {"index": "start.html"}
html_copy_source = False
html_show_sourcelink = False
html_use_index = False
html_domain_indices = False
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
