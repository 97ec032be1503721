"""Sphinx's settings of the site: `make docs` builds it into build/site."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from pygments.lexers.special import TextLexer

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "anymic"
author = "The anymic authors"
copyright = author
version = release = installed("anymic")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "verbs",
    "pictures",
    "intervals",
    "repository_links",
    "mathml",
]
exclude_patterns = ["_extensions", "_static"]
nitpicky = False
default_role = "literal"  # `name` in a docstring is code
language = "en"
smartquotes = False  # `--out` is an option, not a dash

# Pages are Markdown that a code host shows too: formulas in dollars, links to headings by name.
myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 4
myst_dmath_double_inline = True

# The tutorials are notebooks in text form, which run at every build; an error ends it.
nb_execution_mode = "force"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_in_temp = True
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings state types, with shapes and units
autodoc_default_options = {"members": True}
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_param = False  # types are words such as `path`, which are no links
napoleon_use_rtype = False
viewcode_line_numbers = True

html_theme = "furo"
html_title = "anymic"
html_favicon = "../src/anymic/serving/page/icon.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1b5e8c", "color-brand-content": "#1b5e8c"},
    "dark_css_variables": {"color-brand-primary": "#7cb8e0", "color-brand-content": "#7cb8e0"},
}
html_math_renderer = "mathml"
copybutton_exclude = ".linenos, .gp, .go"

# What `make docs-links` asks: addresses on this machine are examples.
linkcheck_ignore = [r"http://127\.0\.0\.1.*", r"http://localhost.*"]
linkcheck_timeout = 20


def setup(app: Any) -> None:
    """Show CSV as it is: Pygments has no lexer for it."""
    app.add_lexer("csv", TextLexer)
