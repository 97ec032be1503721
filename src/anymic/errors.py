"""What can go wrong, said in one line: what was got, what was wanted, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass


class AnymicError(Exception):
    """The root of every error this library raises on purpose.

    Parameters
    ----------
    got : str
        What was found, with the file or field it was found in.
    wanted : str
        What would have been accepted.
    remedy : str
        What the user can do about it.
    """

    def __init__(self, got: str, *, wanted: str = "", remedy: str = "") -> None:
        self.got = got
        self.wanted = wanted
        self.remedy = remedy
        line = got if got.startswith("got ") else f"got {got}"
        if wanted:
            line += f", wanted {wanted}"
        if remedy:
            line += f": {remedy}"
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
        One line: got, wanted, remedy.
    """

    path: str
    reason: str
