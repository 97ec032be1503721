"""Text for a page, of HTML or of Markdown: names and labels may contain any text."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any

from anymic._internal.optional import extra
from anymic.errors import visible

if TYPE_CHECKING:
    from jinja2 import Environment


def environment(*, html: bool) -> Environment:
    """Return templates in which every value is escaped for its page, unless it is marked as safe.

    A page is HTML, or Markdown with the filters `command`, for a command in a block of code, and
    `formatted`, for a text that is Markdown itself.
    """
    with extra("report"):
        from jinja2 import Environment, StrictUndefined
        from markupsafe import Markup

    escaped = in_html if html else in_markdown

    def finish(value: Any) -> Any:
        return value if isinstance(value, Markup) else escaped(str(value))

    made = Environment(
        autoescape=html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=not html,
        finalize=finish,
    )
    made.filters["command"] = lambda text: Markup(_without_tags(text).replace("\n", " "))
    made.filters["formatted"] = lambda text: Markup(_without_tags(text))
    return made


def in_html(text: str) -> str:
    """Return a text for HTML, before jinja escapes its markup."""
    return visible(text, kept="\n\t")


def in_markdown(text: str) -> str:
    """Return a text for a line of Markdown: no tags, links, code, emphasis or ends of cells."""
    line = re.sub(r"\s*[\r\n]\s*", " ", text)
    return re.sub(r"([`*|]|\](?=[(\[:]))", r"\\\1", _without_tags(line))


def _without_tags(text: str) -> str:
    return escape(visible(text, kept="\n\t"), quote=False)
