"""How often Python searches for objects that only refer to each other, in a program of ours."""

from __future__ import annotations

import gc

FULL = 100  # searches of young objects for one of all objects; Python's own default is 10


def spare_modules() -> None:
    """Search all objects less often: nearly all of them belong to modules, which stay.

    Young objects, of which most garbage is made, are searched as often as before. While a program
    imports torch and others, it would search all of them several times: an eighth of the time in
    which `anymic predict` classifies one file. A library leaves this to the program that imports
    it.
    """
    gc.set_threshold(*gc.get_threshold()[:2], FULL)
