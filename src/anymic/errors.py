"""What can go wrong, in one line: the problem, what was expected, and how to fix it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version


class AnymicError(Exception):
    """The root of every error this library raises on purpose.

    Parameters
    ----------
    problem : str
        What was found, with the file or field it was found in.
    expected : str
        What would have been accepted.
    fix : str
        What the user can do about it.
    """

    def __init__(self, problem: str, *, expected: str = "", fix: str = "") -> None:
        self.problem = problem
        self.expected = expected
        self.fix = fix
        line = problem if problem.startswith("got ") else f"got {problem}"
        if expected:
            line += f", wanted {expected}"
        if fix:
            line += f": {fix}"
        super().__init__(" ".join(line.split()))


class AudioError(AnymicError):
    """A file or clip that cannot be used as audio."""


class ManifestError(AnymicError):
    """A table of clips that cannot be used; every problem found is listed in the one line."""


class ConfigError(AnymicError):
    """A setting that does not exist or has a value that cannot be."""


class DeviceError(AnymicError):
    """A device, a device profile or an aligned take that is missing or does not fit."""


class BundleError(AnymicError):
    """A bundle that is missing a file, was altered, or comes from elsewhere."""


class DependencyError(AnymicError):
    """An optional package or program that is not installed."""


def version_fix(found: object, readable: int, *, written_by: object = None, otherwise: str) -> str:
    """Return the fix for a file of a format version that this anymic does not read.

    Parameters
    ----------
    found : object
        The version that the file states.
    readable : int
        The version that this anymic reads.
    written_by : object
        The version of anymic that wrote the file, where the file states it.
    otherwise : str
        What the user can do instead, such as "train it again".
    """
    this = version("anymic")
    if isinstance(written_by, str):
        return f"install anymic {written_by}, which wrote it (this is {this}), or {otherwise}"
    if not isinstance(found, int):
        return f"install the anymic that wrote it (this is {this}), or {otherwise}"
    age = "a newer anymic" if found > readable else "an older anymic"
    return f"install {age} than this one ({this}), or {otherwise}"


@dataclass(frozen=True)
class Failure:
    """What stands in the place of a result for a clip that could not be used.

    Attributes
    ----------
    path : str
        The clip.
    reason : str
        One line: the problem, what was expected, the fix.
    """

    path: str
    reason: str
