"""Intervals stay on one line: a cell is not broken between the ends of [71.5, 87.3]."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes

INTERVAL = re.compile(r"(?<=\[)([-+]?[\d.]+,) (?=[-+]?[\d.]+\])")


def _keep_together(app: Any, doctree: nodes.document) -> None:
    """Make the blank between the ends of an interval one that does not break; code stays."""
    for text in list(doctree.findall(nodes.Text)):
        kept = INTERVAL.sub("\\1\N{NO-BREAK SPACE}", text)
        if kept != text and not isinstance(text.parent, nodes.literal | nodes.literal_block):
            text.parent.replace(text, nodes.Text(kept))


def setup(app: Any) -> dict[str, bool]:
    """Look at every page when it is read."""
    app.connect("doctree-read", _keep_together)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
