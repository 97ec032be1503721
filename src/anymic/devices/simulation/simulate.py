"""Pass a corpus through devices: one clean recording becomes aligned takes of several devices."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from anymic._internal.build_log import Ledger
from anymic._internal.files import key_of
from anymic._internal.settings import preset_file, to_mapping
from anymic.audio import Clip
from anymic.data.derived import (
    TABLE,
    Made,
    Rendered,
    Source,
    Written,
    make,
    refuse_foreign,
    refuse_nothing,
    sources,
    write_table,
)
from anymic.data.manifest import Manifest
from anymic.devices.simulation.chain import hear, noise_seed
from anymic.devices.simulation.device_set import DeviceSet
from anymic.devices.simulation.plan import Hearing, name_takes, plan
from anymic.devices.simulation.response import response_digest

CHAIN_VERSION = 1  # raise it when the same settings begin to give other samples
_FIRST_COLUMNS = ("path", "label", "device", "take", "split", "fold", "group")


@dataclass(frozen=True)
class Simulation(Written):
    """What `simulate` wrote; its versions are devices.

    Attributes
    ----------
    over_full_scale : dict of str to int
        Device and how many of its clips hit the converter's full scale.
    """

    over_full_scale: dict[str, int]


def simulate(
    manifest: Manifest,
    devices: DeviceSet | str | Path,
    out: str | Path,
    *,
    responses: str | Path | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> Simulation:
    """Pass the clips of `manifest` through devices and write the corpus that comes out.

    Written below `out`: `audio/<device>/<take>.flac`; `manifest.csv` with a row for every clip and
    device that hears it (the manifest's columns, with `device`, `take`, and the original path as
    `source`); for a manifest with a `fold` and no `split`, one `foldK.csv` a fold, with a `split`
    column: fold K is the test set, and each device hears its drawn share of the other folds;
    `devices.yaml`; and `ledger.jsonl`, which says what each file was made from. `take` is the
    file's stem (with the clip's id where two clips share a stem).

    A rerun keeps the files that the ledger knows to be made from the same settings and the same
    source, and makes the others. Files are byte-identical whatever the number of workers, which
    are threads of this process: reading, filtering, random numbers and FLAC all run outside the
    interpreter's lock. On two cores threads and processes took the same time within the spread of
    the measurement, and threads need no start-up and no `__main__` guard in a script.

    Parameters
    ----------
    manifest : Manifest
        Clean clips, of one device or none, with a `split` or a `fold` column. Several channels
        are averaged.
    devices : DeviceSet or path
        The devices, or their YAML file, or the name of a preset.
    out : path
        Folder to write; made where it is missing.
    responses : path, optional
        Folder of the impulse responses; by default that of the YAML. Not with a DeviceSet, which
        has its own.
    workers : int, optional
        Clips worked on at the same time; by default one a processor.
    progress : bool
        Whether to show a progress bar on stderr.

    Raises
    ------
    ConfigError
        If the settings cannot be, or name other splits than the manifest has.
    DeviceError
        If an impulse response is missing.
    ManifestError
        If the manifest has neither splits nor folds, fewer clips than a device should hear, or
        clips of several devices; if `out` holds another manifest; or if no clip can be used.
    """
    out = Path(out)
    yaml = None if isinstance(devices, DeviceSet) else preset_file(devices, example="microphones")
    if not isinstance(devices, DeviceSet):
        devices = DeviceSet.read(devices, responses=responses)
    devices.check_responses()
    clean = name_takes(manifest)
    plans = plan(clean, devices)
    refuse_foreign(out)
    out.mkdir(parents=True, exist_ok=True)
    if yaml is not None and yaml.resolve() != (out / "devices.yaml").resolve():
        shutil.copyfile(yaml, out / "devices.yaml")
    pairs = sorted({(one.row, one.device) for part in plans.values() for one in part})
    heard: dict[int, list[str]] = {}
    for row, device in pairs:
        heard.setdefault(row, []).append(device)
    clips = sources(clean)
    with Ledger(out) as ledger:
        found = make(
            [(clips[row], names) for row, names in heard.items()],
            ledger,
            partial(_render, devices=devices),
            folder_of=str,
            made_from=partial(_made_from, devices=devices),
            silence=False,
            workers=workers,
            progress=progress,
            doing="simulating devices",
        )
    made = dict(zip(heard, found, strict=True))
    whole = plans[None] if None in plans else [Hearing(row, device, "") for row, device in pairs]
    manifest = _write_table(clean, whole, made, out / TABLE)
    folds = {fold: out / f"fold{fold}.csv" for fold in plans if fold is not None}
    for fold, path in folds.items():
        _write_table(clean, plans[fold], made, path)
    entries = [pair for one in found for pair in one.entries.items()]
    over = Counter(device for device, entry in entries if entry.over_full_scale)
    written = sum(one.written for one in found)
    return Simulation(
        manifest=manifest,
        folds=folds,
        failures=tuple(one.failure for one in found if one.failure is not None),
        written=written,
        kept=len(entries) - written,
        over_full_scale={device: over[device] for device in devices.devices},
    )


def _render(source: Source, clip: Clip, name: str, *, devices: DeviceSet) -> Rendered:
    device = devices.devices[name]
    seed = noise_seed(devices.seed, name, source.stem)
    heard = hear(clip, device, seed=seed, responses=str(devices.responses))
    return Rendered(heard.clip, device.bits, heard.over_full_scale)


def _made_from(source: Source, name: str, origin: list[Any], *, devices: DeviceSet) -> str:
    device = devices.devices[name]
    parts = [
        CHAIN_VERSION,
        to_mapping(device),
        response_digest(device.response, str(devices.responses)) if device.response else "",
        noise_seed(devices.seed, name, source.stem),
        origin,
    ]
    return key_of(parts)


def _write_table(
    clean: Manifest, part: Sequence[Hearing], made: Mapping[int, Made[str]], csv: Path
) -> Manifest:
    """Write the rows of a part of the plan whose clips could be used."""
    good = [one for one in part if one.device in made[one.row].entries]
    refuse_nothing(good, made.values())
    table = clean.table.loc[[one.row for one in good]].reset_index(drop=True)
    # The written file is the clip: where it began in a longer recording is no longer its business.
    table = table.drop(columns=["start_s", "duration_s"], errors="ignore")
    table["path"] = [made[one.row].entries[one.device].path for one in good]
    table["device"] = [one.device for one in good]
    if any(one.split for one in good):
        table["split"] = [one.split for one in good]
    return write_table(table, csv, _FIRST_COLUMNS)
