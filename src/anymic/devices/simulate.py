"""Pass a corpus through devices: one clean recording becomes aligned takes of several devices."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from anymic import audio
from anymic.config import preset_file, to_mapping
from anymic.devices.chain import hear, noise_seed
from anymic.devices.device_set import DeviceSet
from anymic.devices.plan import Hearing, name_takes, plan
from anymic.devices.response import response_digest
from anymic.errors import AnymicError, Failure, ManifestError
from anymic.ledger import NAME, Entry, Ledger
from anymic.manifest import Manifest

CHAIN_VERSION = 1  # raise it when the same settings begin to give other samples
_FIRST_COLUMNS = ("path", "label", "device", "take", "split", "fold", "group")


@dataclass(frozen=True)
class Simulation:
    """What `simulate` wrote.

    Attributes
    ----------
    manifest : Manifest
        Every clip and device, as in `manifest.csv`.
    folds : dict of int to Path
        Fold and its table, where the corpus has folds.
    failures : tuple of Failure
        Clips that could not be used; they are in none of the tables.
    over_full_scale : dict of str to int
        Device and how many of its clips hit the converter's full scale.
    written, kept : int
        Files made now, and files of an earlier run that were still right.
    """

    manifest: Manifest
    folds: dict[int, Path]
    failures: tuple[Failure, ...]
    over_full_scale: dict[str, int]
    written: int
    kept: int


@dataclass(frozen=True)
class _Job:
    """One clip and the devices that hear it."""

    source: Path
    take: str
    start_s: float
    duration_s: float | None
    devices: tuple[str, ...]


@dataclass
class _Result:
    """What became of one clip: a file a device, and the reason where some are missing."""

    entries: dict[str, Entry] = field(default_factory=dict)
    written: int = 0
    failure: Failure | None = None


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
    _refuse_foreign(out)
    out.mkdir(parents=True, exist_ok=True)
    if yaml is not None and yaml.resolve() != (out / "devices.yaml").resolve():
        shutil.copyfile(yaml, out / "devices.yaml")
    pairs = sorted({(one.row, one.device) for part in plans.values() for one in part})
    with Ledger(out) as ledger:
        jobs = _jobs(clean, pairs)
        results = _run(jobs, devices, ledger, workers or _processors(), progress)
    whole = plans[None] if None in plans else [Hearing(row, device, "") for row, device in pairs]
    written = _write_table(clean, whole, results, out / "manifest.csv")
    folds = {fold: out / f"fold{fold}.csv" for fold in plans if fold is not None}
    for fold, path in folds.items():
        _write_table(clean, plans[fold], results, path)
    over = Counter(
        device
        for result in results.values()
        for device, entry in result.entries.items()
        if entry.over_full_scale
    )
    made = sum(result.written for result in results.values())
    return Simulation(
        manifest=written,
        folds=folds,
        failures=tuple(one.failure for one in results.values() if one.failure is not None),
        over_full_scale={device: over[device] for device in devices.devices},
        written=made,
        kept=sum(len(result.entries) for result in results.values()) - made,
    )


def _jobs(clean: Manifest, pairs: Sequence[tuple[int, str]]) -> dict[int, _Job]:
    """Gather the devices of each clip, so that its file is read once."""
    heard: dict[int, list[str]] = {}
    for row, device in pairs:
        heard.setdefault(row, []).append(device)
    paths, table = clean.paths(), clean.table
    starts = table["start_s"].tolist() if "start_s" in table.columns else [0.0] * len(table)
    lengths = table["duration_s"].tolist() if "duration_s" in table.columns else [None] * len(table)
    return {
        row: _Job(
            source=paths[row],
            take=table["take"].iloc[row],
            start_s=starts[row],
            duration_s=None if pd.isna(lengths[row]) else lengths[row],
            devices=tuple(names),
        )
        for row, names in heard.items()
    }


def _run(
    jobs: Mapping[int, _Job], devices: DeviceSet, ledger: Ledger, workers: int, progress: bool
) -> dict[int, _Result]:
    """Make every clip's files; results by row, in the manifest's order."""
    from rich.console import Console
    from rich.progress import track

    results: dict[int, _Result] = {}
    with ThreadPoolExecutor(workers) as pool:
        running = {pool.submit(_hear_all, job, devices, ledger): row for row, job in jobs.items()}
        finished = track(
            as_completed(running),
            description="simulating devices",
            total=len(running),
            console=Console(stderr=True),
            disable=not progress,
        )
        try:
            for future in finished:
                results[running[future]] = future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return dict(sorted(results.items()))


def _hear_all(job: _Job, devices: DeviceSet, ledger: Ledger) -> _Result:
    """Pass one clip through every device that hears it; a bad clip is a Failure."""
    result = _Result()
    try:
        origin = _origin(job)
        missing = {}
        for name in job.devices:
            path = f"audio/{name}/{job.take}.flac"
            made_from = _made_from(job, origin, name, devices)
            known = ledger.find(path, made_from)
            if known is None:
                missing[name] = (path, made_from)
            else:
                result.entries[name] = known
        if not missing:
            return result
        clip = audio.read(job.source, start_s=job.start_s, duration_s=job.duration_s)
        for name, (path, made_from) in missing.items():
            device = devices.devices[name]
            seed = noise_seed(devices.seed, name, job.take)
            heard = hear(clip, device, seed=seed, responses=str(devices.responses))
            file = ledger.folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            audio.write(file, heard.clip, subtype=f"PCM_{device.bits}")
            result.entries[name] = Entry(
                path, made_from, file.stat().st_size, heard.over_full_scale
            )
            ledger.add(result.entries[name])
            result.written += 1
    except AnymicError as error:
        result.failure = Failure(str(job.source), str(error))
    return result


def _origin(job: _Job) -> list[object]:
    """Return what tells that a source file has changed: its size and time of change."""
    try:
        state = os.stat(job.source)
    except OSError:
        return []  # reading it will say what is wrong
    return [state.st_size, state.st_mtime_ns, job.start_s, job.duration_s]


def _made_from(job: _Job, origin: list[object], name: str, devices: DeviceSet) -> str:
    """Hash everything that decides the samples of one file."""
    device = devices.devices[name]
    parts = [
        CHAIN_VERSION,
        to_mapping(device),
        response_digest(device.response, str(devices.responses)) if device.response else "",
        noise_seed(devices.seed, name, job.take),
        origin,
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _write_table(
    clean: Manifest, part: Sequence[Hearing], results: Mapping[int, _Result], csv: Path
) -> Manifest:
    """Write the rows of a part of the plan whose clips could be used."""
    good = [one for one in part if one.device in results[one.row].entries]
    if not good:
        reason = next(result.failure.reason for result in results.values() if result.failure)
        raise ManifestError(
            f"no clip that could be used (the first: {reason})", remedy="check the manifest's paths"
        )
    table = clean.table.loc[[one.row for one in good]].reset_index(drop=True)
    # The written file is the clip: where it began in a longer recording is no longer its business.
    table = table.drop(columns=["start_s", "duration_s"], errors="ignore")
    table["path"] = [results[one.row].entries[one.device].path for one in good]
    table["device"] = [one.device for one in good]
    if any(one.split for one in good):
        table["split"] = [one.split for one in good]
    first = [column for column in _FIRST_COLUMNS if column in table.columns]
    table = table[first + [column for column in table.columns if column not in first]]
    written = Manifest.from_table(table, csv.parent, name=csv.stem)
    written.write(csv)
    return written


def _refuse_foreign(out: Path) -> None:
    if (out / "manifest.csv").exists() and not (out / NAME).exists():
        raise ManifestError(
            f"a folder {out} with a manifest.csv that no simulation wrote",
            wanted="a new folder, or one that an earlier simulation wrote",
            remedy="name another folder",
        )


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
