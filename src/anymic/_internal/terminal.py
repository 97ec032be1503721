"""Text for a terminal: in lines, and in the cells of tables of rich."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from anymic.errors import visible

if TYPE_CHECKING:
    from rich.text import Text

UNDECODABLE = "".join(map(chr, range(0xDC80, 0xDD00)))  # as Python reads such bytes


def print_line(text: str, *, file: TextIO | None = None) -> None:
    """Print a text at once, without control characters for the terminal.

    How a byte of a file name that is not UTF-8 is written is left to the stream.
    """
    print(visible(text, kept="\n\t" + UNDECODABLE), file=file or sys.stdout, flush=True)


def cell(text: str) -> Text:
    """Return a text for a table of rich: it is shown as it is, markup and emoji codes too."""
    from rich.text import Text

    return Text(visible(text, kept="\n"))
