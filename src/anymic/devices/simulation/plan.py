"""Plan the clips of a corpus that each device records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from anymic.data.derived import name_stems
from anymic.data.manifest import Manifest
from anymic.devices.simulation.device_set import DeviceSet
from anymic.errors import ManifestError


class PlannedClip(NamedTuple):
    """Clip `row` of a manifest, to be recorded by `device` as part of `split`."""

    row: int
    device: str
    split: str


def name_takes(manifest: Manifest) -> Manifest:
    """Check that a manifest can be simulated, and name its takes.

    Adds the columns `take` (the stem of the file, with the clip's id where two clips share a stem),
    `source` (the original path) and, where the clips have a device, `source_device`.

    Raises
    ------
    ManifestError
        If there is neither a `split` nor a `fold`, a clip has no fold, or there is more than one
        device.
    """
    if len(manifest.devices) > 1:
        raise ManifestError(
            f"the clips are of the devices {', '.join(manifest.devices)}",
            expected="clips of at most one device",
            fix="use only the rows of one device",
        )
    columns = manifest.table.columns
    if "split" not in columns and "fold" not in columns:
        raise ManifestError(
            f"the manifest has the columns {', '.join(columns)}",
            expected="a column split (train, test) or fold (1, 2 ...)",
            fix="add one: it decides which clips each device records",
        )
    if "split" not in columns and (manifest.table["fold"] < 0).any():
        raise ManifestError(
            f"{int((manifest.table['fold'] < 0).sum())} clips have no fold",
            expected="a fold for every clip",
            fix="fill the column fold",
        )
    named = manifest.with_columns(take=name_stems(manifest), source=list(manifest.table["path"]))
    if manifest.devices:
        named = named.with_columns(source_device=list(manifest.table["device"]))
    return named


def plan(manifest: Manifest, devices: DeviceSet) -> dict[int | None, list[PlannedClip]]:
    """Draw the clips that each device records.

    Returns
    -------
    dict
        For a manifest with a `split`, the whole plan under None. Otherwise a plan with its own draw
        for each fold, in which that fold is the split "test" and the others are "train".

    Raises
    ------
    ConfigError, ManifestError
        As `DeviceSet.require_splits` and `DeviceSet.draw`.
    """
    labels = manifest.table["label"].tolist()
    if "split" in manifest.table.columns:
        return {None: _part(labels, manifest.table["split"].tolist(), devices, salt=0)}
    folds = [int(fold) for fold in manifest.table["fold"]]
    if len(set(folds)) < 2:
        raise ManifestError(
            f"there is only fold {folds[0]}",
            expected="at least two folds",
            fix="add a column split instead",
        )
    plans: dict[int | None, list[PlannedClip]] = {}
    for fold in sorted(set(folds)):
        splits = ["test" if own == fold else "train" for own in folds]
        plans[fold] = _part(labels, splits, devices, salt=fold + 1)
    return plans


def _part(
    labels: Sequence[str], splits: Sequence[str], devices: DeviceSet, *, salt: int
) -> list[PlannedClip]:
    devices.require_splits(splits)
    planned = []
    for split in sorted(set(splits)):
        rows = [row for row, own in enumerate(splits) if own == split]
        drawn = devices.draw(split, [labels[row] for row in rows], salt=salt)
        for device, indices in drawn.items():
            planned += [PlannedClip(rows[index], device, split) for index in indices]
    return sorted(planned)
