"""Where this user's caches are."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "ANYMIC_CACHE"


def user_cache() -> Path:
    """Return `anymic` in the user's cache folder, which is XDG_CACHE_HOME or `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "anymic"


def cache_folder() -> Path:
    """Return the folder of what can be computed again: ANYMIC_CACHE, else `user_cache()`."""
    chosen = os.environ.get(VARIABLE)
    return Path(chosen).expanduser() if chosen else user_cache()
