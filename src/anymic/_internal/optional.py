"""Optional packages: each belongs to an extra, and is imported where it is used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from anymic.errors import DependencyError


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Import the packages of an extra of anymic inside this block.

    If one of them is not installed, the DependencyError says how to install it.

    Examples
    --------
    >>> with extra("report"):
    ...     import matplotlib
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "a package").partition(".")[0]
        if package == "anymic":
            raise
        raise DependencyError(
            f"the package {package} is not installed",
            expected=f"the packages of the extra {name!r}",
            fix=f"run pip install 'anymic[{name}]'",
        ) from error
