"""Recordings of the same sounds by several devices: a table, a folder a device, or two folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from anymic import audio
from anymic._internal.frames import frame
from anymic.data.files import search, warn_of_skipped
from anymic.data.manifest import Manifest
from anymic.data.reading import NOT_STATED, without_labels
from anymic.data.tables import some
from anymic.errors import DeviceError, Failure, attempt, counted

Table: TypeAlias = Manifest | pd.DataFrame | str | Path
_MOST_NAMED = 3


@dataclass(frozen=True)
class Takes:
    """Clips with a device and a take each.

    Attributes
    ----------
    manifest : Manifest
    unmatched : tuple of str
        Recordings without a counterpart, by name; they are in no take of two devices.
    """

    manifest: Manifest
    unmatched: tuple[str, ...] = ()

    @property
    def devices(self) -> tuple[str, ...]:
        """Their names, sorted."""
        return tuple(self.manifest.devices)

    def notes(self, rate_hz: int) -> tuple[str, ...]:
        """Return notes on what is left out, and what is resampled to this rate."""
        notes = []
        if self.unmatched:
            named = some(self.unmatched, most=_MOST_NAMED)
            notes.append(f"left out, because they have no counterpart: {named}")
        return (*notes, *resampled(self.manifest.paths(), rate_hz))


def read_takes(
    takes: Table, *, reference_takes: str | Path | None = None, device: str = "", reference: str
) -> Takes:
    """Return the recordings of the same sounds that a table or folders hold.

    Parameters
    ----------
    takes : Manifest, DataFrame or path
        A table with path, device and take, or a folder of one folder a device. With
        `reference_takes`, the folder of the recordings of the new `device`.
    reference_takes : path, optional
        The folder of the same sounds as recorded by the device `reference`.
    device, reference : str
        Their names, for two folders.

    Raises
    ------
    DeviceError
        If a folder has no recording, or there is no file of the same name in another one.
    ManifestError
        If the table cannot be used.
    """
    for place in (takes, reference_takes):
        if isinstance(place, str | Path) and not Path(place).exists():
            raise DeviceError(
                f"no file or folder {place}", expected="takes of two devices", fix="check the path"
            )
    if reference_takes is not None:
        if not isinstance(takes, str | Path) or not Path(takes).is_dir() or not device:
            raise DeviceError(
                "the reference has its own folder, and the new device has none or no name",
                expected="the folder of the new device, and its name",
                fix="pass both, or a table with the columns path, device and take",
            )
        return _matched({reference: Path(reference_takes), device: Path(takes)})
    if isinstance(takes, str | Path) and Path(takes).is_dir():
        folder = Path(takes)
        inside = [one for one in sorted(folder.iterdir()) if one.is_dir()]
        found = {one.name: one for one in inside if not one.name.startswith(".")}
        if len(found) < 2:
            raise DeviceError(
                f"the folder {folder} has {counted(len(found), 'folder')} of devices",
                expected="a folder for each of two devices or more",
                fix="pass the reference's recordings of the same sounds in another folder",
            )
        return _matched(found)
    manifest = without_labels(takes)
    manifest.require("device", "take", purpose="takes")
    counts = Counter(manifest.table["take"])
    names = zip(manifest.table["path"], manifest.table["take"], strict=True)
    alone = [str(path) for path, take in names if not take or counts[take] == 1]
    return Takes(manifest, tuple(alone))


def _matched(folders: Mapping[str, Path]) -> Takes:
    """Match the files of folders by their names without endings."""
    files = {device: _named(folder) for device, folder in folders.items()}
    counts = Counter(name for each in files.values() for name in each)
    rows = [
        (str(path.resolve()), NOT_STATED, device, name)
        for device, each in files.items()
        for name, path in each.items()
        if counts[name] > 1
    ]
    if not rows:
        first, second, *_ = folders.values()
        raise DeviceError(
            f"no recording in {first} has the name of one in {second}",
            expected="equal names for recordings of the same sound, such as 01.wav",
            fix="rename them, or pass a table with the columns path, device and take",
        )
    alone = [
        f"{device}/{path.name}"
        for device, each in files.items()
        for name, path in each.items()
        if counts[name] == 1
    ]
    table = frame(rows, columns=["path", "label", "device", "take"])
    return Takes(Manifest.from_table(table), tuple(alone))


def _named(folder: Path) -> dict[str, Path]:
    """Return the recordings below a folder by their names without endings."""
    found, skipped = search(folder) if folder.is_dir() else ([], Counter[str]())
    warn_of_skipped(skipped)
    if not found:
        raise DeviceError(
            f"the folder {folder} has no recording", expected="audio files", fix="check the path"
        )
    named: dict[str, Path] = {}
    for path in found:
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in named:
            raise DeviceError(
                f"the folder {folder} has two recordings of the name {name}",
                expected="one recording of a sound",
                fix=f"remove {path.name} or {named[name].name}",
            )
        named[name] = path
    return named


def resampled(paths: Iterable[Path], rate_hz: int) -> tuple[str, ...]:
    """Return a note for each other rate of files, which are resampled to this rate."""
    found = [attempt(path, audio.probe, path) for path in paths]
    rates = Counter(info.rate_hz for info in found if not isinstance(info, Failure))
    return tuple(
        f"{count} recordings are resampled from {hz} to {rate_hz} Hz"
        for hz, count in sorted(rates.items())
        if hz != rate_hz
    )
