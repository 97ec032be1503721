"""What can go wrong, in one line: the problem, what was expected, and how to fix it."""

from __future__ import annotations

from dataclasses import dataclass


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
