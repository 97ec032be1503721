"""Identify the devices that recorded files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anymic import audio
from anymic.data.files import find_files
from anymic.devices.identification.identifier import DeviceIdentifier, Identification
from anymic.errors import Failure, attempt


@dataclass(frozen=True)
class IdentifiedTogether:
    """The device that recorded several files.

    Attributes
    ----------
    found : Identification or None
        None if no file could be used.
    recordings : int
        The number of files that were used.
    failures : tuple of Failure
        Files that could not be used.
    """

    found: Identification | None
    recordings: int
    failures: tuple[Failure, ...]


def identify(
    identifier: DeviceIdentifier | str | Path, places: Sequence[str | Path]
) -> Iterator[tuple[str, Identification | Failure]]:
    """Yield each file with the device that recorded it, or with the reason for a failure.

    Parameters
    ----------
    identifier : DeviceIdentifier or path
        A path is the folder of a saved identifier.
    places : sequence of path
        Files, folders or patterns, as for `anymic.data.files.find_files`.

    Returns
    -------
    iterator of (str, Identification or Failure)
        The path of each file, in order, with `anymic.devices.identification.Identification`: the
        device, None where it is unknown, and its probability, 0 to 1.

    Raises
    ------
    DeviceError
        If the folder holds no identifier.

    Examples
    --------
    >>> import anymic
    >>> anymic.DeviceIdentifier().fit(anymic.Manifest.read("clips.csv")).save("identifier").name
    'identifier'
    >>> for path, found in anymic.identify("identifier", ["b/00.wav", "b/01.wav"]):
    ...     print(path, isinstance(found, anymic.Failure))
    b/00.wav False
    b/01.wav False
    """
    known = _loaded(identifier)
    for path, features in _described(known, places):
        if isinstance(features, Failure):
            yield path, features
        else:
            yield path, known.identify_features(features[None])


def identify_together(
    identifier: DeviceIdentifier | str | Path, places: Sequence[str | Path]
) -> IdentifiedTogether:
    """Name the one device that recorded all files; parameters as of `identify`."""
    known = _loaded(identifier)
    all_found = [features for _, features in _described(known, places)]
    described = [one for one in all_found if not isinstance(one, Failure)]
    found = known.identify_features(described) if described else None
    failures = tuple(one for one in all_found if isinstance(one, Failure))
    return IdentifiedTogether(found, len(described), failures)


def _loaded(identifier: DeviceIdentifier | str | Path) -> DeviceIdentifier:
    if isinstance(identifier, DeviceIdentifier):
        return identifier
    return DeviceIdentifier.load(identifier)


def _described(
    identifier: DeviceIdentifier, places: Sequence[str | Path]
) -> Iterator[tuple[str, NDArray[np.float64] | Failure]]:
    for place in find_files(places):
        if isinstance(place, Failure):
            yield place.path, place
            continue
        yield str(place), attempt(place, lambda file: identifier.describe(audio.read(file)), place)
