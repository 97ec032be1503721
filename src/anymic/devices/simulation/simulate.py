"""Pass a corpus through devices: one clean recording becomes aligned takes of several devices."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anymic._internal.settings import preset_file, to_mapping
from anymic.audio import Clip
from anymic.data.derived import TABLE, Derived, DerivedCorpus, Rendered, Source
from anymic.data.manifest import Manifest
from anymic.devices.simulation.chain import noise_seed, record
from anymic.devices.simulation.device_set import DeviceSet
from anymic.devices.simulation.plan import PlannedClip, name_takes, plan
from anymic.devices.simulation.response import response_digest

CHAIN_VERSION = 1  # raise it when the same settings begin to give other samples
_FIRST_COLUMNS = ("path", "label", "device", "take", "split", "fold", "group")


@dataclass(frozen=True)
class Simulation(Derived):
    """What `simulate` wrote; its variants are devices.

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
    device that records it (the manifest's columns, with `device`, `take`, and the original path as
    `source`); for a manifest with a `fold` and no `split`, one `foldK.csv` a fold, with a `split`
    column: fold K is the test set, and each device records its drawn share of the other folds;
    `devices.yaml`; and `build_log.jsonl`, which says what each file was made from. `take` is the
    file's stem (with the clip's id where two clips share a stem).

    A rerun keeps the files that the build log knows to be made from the same settings and the same
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
    corpus = DerivedCorpus(clean, out, recipe, workers=workers, progress=progress)
    if yaml is not None and yaml.resolve() != (out / "devices.yaml").resolve():
        shutil.copyfile(yaml, out / "devices.yaml")
    pairs = sorted({(one.row, one.device) for part in plans.values() for one in part})
    recorded_by: dict[int, list[str]] = {}
    for row, device in pairs:
        recorded_by.setdefault(row, []).append(device)
    corpus.build(recorded_by, doing="simulating devices")
    whole = plans[None] if None in plans else [PlannedClip(*pair, split="") for pair in pairs]
    folds = {fold: out / f"fold{fold}.csv" for fold in plans if fold is not None}
    manifest = _write(corpus, whole, TABLE)
    for fold, path in folds.items():
        _write(corpus, plans[fold], path.name)
    over = corpus.count_over_full_scale()
    return Simulation(
        manifest=manifest,
        folds=folds,
        failures=corpus.failures,
        written=corpus.written,
        kept=corpus.kept,
        over_full_scale={device: over[device] for device in devices.devices},
    )


@dataclass(frozen=True)
class _Simulating:
    """The recipe: pass a clip through a device."""

    devices: DeviceSet
    rate_hz: int | None = None
    allow_silence: bool = False

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
        file = corpus.made[one.row].files.get(one.device)
        if file is not None:
            split = {"split": one.split} if one.split else {}
            rows.append(corpus.row(one.row, file.path, device=one.device, **split))
    for row in rows:  # the written file is the clip, wherever it began in a longer recording
        row.pop("start_s", None)
        row.pop("duration_s", None)
    return corpus.write(rows, name, first=_FIRST_COLUMNS)
