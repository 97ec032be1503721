"""Pass a corpus through devices, so that each clip becomes aligned takes of several devices."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from anymic._internal.folder_lock import one_at_a_time
from anymic._internal.settings import preset_file, to_mapping
from anymic.audio import Clip
from anymic.data.derived import (
    PART,
    TABLE,
    Derived,
    DerivedCorpus,
    Recipe,
    Rendered,
    Source,
    name_stems,
)
from anymic.data.manifest import Manifest
from anymic.devices.simulation.chain import noise_seed, record
from anymic.devices.simulation.device_set import DeviceSet
from anymic.devices.simulation.response import response_digest
from anymic.errors import ManifestError, counted

CHAIN_VERSION = 1  # raise it when the same settings begin to give other samples
_FIRST_COLUMNS = ("path", "label", "device", "take", "split", "fold", "group")


@dataclass(frozen=True, kw_only=True)
class Simulation(Derived):
    """The corpus that `simulate` wrote; its variants are devices.

    `over_full_scale` is the number of clips of each device over the full scale of its converter.
    """

    over_full_scale: dict[str, int]


@one_at_a_time
def simulate(
    manifest: Manifest,
    devices: DeviceSet | str | Path,
    out: str | Path,
    *,
    responses: str | Path | None = None,
    workers: int | None = None,
    ray: str | None = None,
    progress: bool = True,
) -> Simulation:
    """Pass the clips of `manifest` through devices and write the recordings as a corpus.

    The folder `out` then holds:

    - `audio/<device>/<take>.flac`
    - `manifest.csv`, with a row for every clip and device that records it: the columns of
      `manifest`, and those of `name_takes`
    - `foldK.csv` for each fold of a manifest without `split`, with a `split` column: fold K is the
      test set, and each device records its drawn share of the other folds
    - `devices.yaml`
    - `build_log.jsonl`, the settings and the source of each file

    A second run makes only files whose settings or source have changed. Files are byte-identical
    for any number of workers. These are threads: reading, filtering, random numbers and FLAC all
    run without the interpreter's lock.

    Parameters
    ----------
    manifest : Manifest
        Clean clips, of one device or none, with a `split` or a `fold` column. Several channels
        are averaged.
    devices : DeviceSet or path
        The devices, or their YAML file, or the name of a preset.
    out : path
        Folder to write.
    responses : path, optional
        Folder of the impulse responses; by default that of the YAML file. Not used with a
        DeviceSet, which states its own.
    workers : int, optional
        The number of threads; by default one for each processor.
    ray : str, optional
        The address of a Ray cluster that does it, as for `DerivedCorpus`.
    progress : bool
        Whether to show a progress bar on stderr.

    Raises
    ------
    ConfigError
        If the settings are not valid, or name other splits than the manifest has.
    DeviceError
        If an impulse response is missing.
    ManifestError
        If the manifest has neither splits nor folds, fewer clips than a device should record, or
        clips of several devices; if `out` holds another manifest; or if no clip can be used.
    """
    out = Path(out)
    yaml = None if isinstance(devices, DeviceSet) else preset_file(devices, example="microphones")
    if not isinstance(devices, DeviceSet):
        devices = DeviceSet.read(devices, responses=responses)
    devices.check_responses()
    clean = name_takes(manifest)
    plans = plan(clean, devices)
    recipe = _Simulating(devices)
    corpus = DerivedCorpus(clean, out, recipe, workers=workers, ray=ray, progress=progress)
    if yaml is not None and yaml.resolve() != (out / "devices.yaml").resolve():
        shutil.copyfile(yaml, out / "devices.yaml")
    pairs = sorted({(one.row, one.device) for part in plans.values() for one in part})
    recorded_by: dict[int, list[str]] = {}
    for row, device in pairs:
        recorded_by.setdefault(row, []).append(device)
    corpus.build(recorded_by, doing="simulating devices")
    folds = {fold: out / f"fold{fold}.csv" for fold in plans if fold is not None}
    whole = [PlannedClip(*pair, split="") for pair in pairs] if folds else plans[None]
    manifest = _write(corpus, whole, TABLE)
    for fold, path in folds.items():
        _write(corpus, plans[fold], path.name)
    return Simulation(
        manifest=manifest,
        folds=folds,
        failures=corpus.failures,
        written=corpus.written,
        kept=corpus.kept,
        over_full_scale=corpus.over_full_scale(devices.devices),
    )


@dataclass(frozen=True)
class _Simulating(Recipe[str]):
    """The recipe: pass a clip through a device."""

    devices: DeviceSet

    def file_name(self, source: Source, variant: str) -> str:
        return f"{variant}/{source.stem}"

    def made_from(self, source: Source, variant: str, origin: list[Any]) -> list[Any]:
        device, responses = self.devices.devices[variant], str(self.devices.responses)
        return [
            CHAIN_VERSION,
            to_mapping(device),
            response_digest(device.response, responses) if device.response else "",
            noise_seed(self.devices.seed, variant, source.stem),
            origin,
        ]

    def render(self, source: Source, clip: Clip, variant: str) -> Rendered:
        device = self.devices.devices[variant]
        seed = noise_seed(self.devices.seed, variant, source.stem)
        found = record(clip, device, seed=seed, responses=str(self.devices.responses))
        return Rendered(found.clip, device.bits, found.over_full_scale)


def _write(corpus: DerivedCorpus[str], part: Sequence[PlannedClip], name: str) -> Manifest:
    """Write the rows of a part of the plan whose clips could be used."""
    rows = []
    for one in part:
        file = corpus.files.get((one.row, one.device))
        if file is not None:
            split = {"split": one.split} if one.split else {}
            rows.append(corpus.row(one.row, file.path, without=PART, device=one.device, **split))
    return corpus.write(rows, name, first=_FIRST_COLUMNS)


class PlannedClip(NamedTuple):
    """Clip `row` of a manifest, to be recorded by `device` as part of `split`."""

    row: int
    device: str
    split: str


def name_takes(manifest: Manifest) -> Manifest:
    """Check that a manifest can be simulated, and name its takes.

    Adds the columns `take` (the stem of the file, with the clip's id where two clips share a stem),
    `source` (the original path) and, where the clips have a device, `source_device`.

    Raises a ManifestError if there is neither a `split` nor a `fold`, a clip has no fold, or there
    is more than one device.
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
            f"{counted(int((manifest.table['fold'] < 0).sum()), 'clip')} without a fold",
            expected="a fold for every clip",
            fix="fill the column fold",
        )
    named = manifest.with_columns(take=name_stems(manifest), source=list(manifest.table["path"]))
    if manifest.devices:
        named = named.with_columns(source_device=list(manifest.table["device"]))
    return named


def plan(manifest: Manifest, devices: DeviceSet) -> dict[int | None, list[PlannedClip]]:
    """Draw the clips that each device records; raises as `DeviceSet.draw`.

    Returns
    -------
    dict
        For a manifest with a `split`, the whole plan under None. Otherwise a plan with its own draw
        for each fold, in which that fold is the split "test" and the others are "train".
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
