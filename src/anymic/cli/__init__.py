"""The command line. This module is quick to import: a signal may come while the rest is read."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    0: done. 1: done, but some files failed (they are listed). 2: not done, because of how it was
    called or what it was given; one line on stderr says why. 130: interrupted. 143: terminated.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name; by default those of the process, which then ends with one line
        when it is interrupted or terminated.
    """
    if arguments is not None:
        from anymic.cli.program import run

        return run(arguments)
    from anymic._internal.garbage import spare_modules
    from anymic.cli import signals

    spare_modules()
    signals.end_in_one_line()
    from anymic.cli.program import run

    try:
        with signals.raised():
            return run(None)
    finally:
        gc.freeze()  # else Python searches all modules for cycles when it ends: a third of a second


def __getattr__(name: str) -> Any:
    if name == "app":
        from anymic.cli.program import app

        return app
    raise AttributeError(f"module 'anymic.cli' has no attribute {name!r}")
