"""The version of the package: the number of its release, and the commit that its files come from.

Everything that records or prints a version asks here. The number comes from the tags of the
repository when the package is built or installed. The commit is asked of the checkout that the
files stand in, so that an editable installation does not report an old one; outside a checkout it
is the one that the package was built from.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

_BUILT_FROM = "commit.txt"  # written when the package is built, beside this file
_PATIENCE_S = 10


@cache
def version() -> str:
    """Return the number and the commit, such as "0.1.1.dev9+g57de47c47abc" (PEP 440).

    ".changed" follows where files of the checkout differ from the commit. Without a known commit,
    it is the number alone.
    """
    found = commit()
    if not found:
        return _installed()
    short, changed, _ = found.partition(".changed")
    return f"{number()}+g{short[:12]}{changed}"


def number() -> str:
    """Return the number of the version alone, such as "0.1.0" or "0.1.1.dev9"."""
    return _installed().partition("+")[0]


@cache
def commit() -> str:
    """Return the commit as 40 digits, or fewer of a source archive; "" where it is unknown.

    ".changed" follows where files of the checkout differ from it.
    """
    here = Path(__file__).resolve()
    root = here.parents[2]
    if (root / ".git").exists() and (root / "pyproject.toml").is_file():
        return _of_checkout(root)
    try:
        built = here.with_name(_BUILT_FROM).read_text(encoding="utf-8").strip().removeprefix("g")
    except OSError:
        built = ""
    return built if _is_hash(built) else _in_number()


def _is_hash(text: str) -> bool:
    return len(text) >= 7 and set(text) <= set("0123456789abcdef")


def _in_number() -> str:
    """Return the first digits of the commit that the number states; "" where it does not.

    A package that is built from a source archive knows no more: there is no repository.
    """
    for part in _installed().partition("+")[2].split("."):
        if part.startswith("g") and _is_hash(part[1:]):
            return part[1:]
    return ""


def _installed() -> str:
    from importlib.metadata import version  # here, so that `import anymic` is quick

    return version("anymic")


def _of_checkout(root: Path) -> str:
    """Return the commit of a checkout as `commit` does; "" where git does not say."""
    import subprocess

    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(root), "describe", "--always", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(
            [*command, "--dirty=.changed"],
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE_S,
            env=clean,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
