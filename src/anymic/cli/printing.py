"""What several verbs print in the same words."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anymic.errors import Failure


def command_line() -> str:
    """Return the command that is running, as a shell would accept it again."""
    return shlex.join(["anymic", *sys.argv[1:]])


def note(*texts: str) -> None:
    """Print notes on stderr; empty ones are left out."""
    for text in filter(None, texts):
        print(f"note: {text}", file=sys.stderr)


def print_failures(failures: Iterable[Failure]) -> None:
    """List the files that could not be used, on stderr."""
    for failure in failures:
        print(f"failed: {failure.path}: {failure.reason}", file=sys.stderr)
