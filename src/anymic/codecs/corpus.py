"""Pass a corpus through codecs: every clip once through each."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from anymic import audio
from anymic.codecs.bank import ORIGINAL
from anymic.codecs.codec import Codec
from anymic.codecs.codec_set import CodecSet
from anymic.errors import AnymicError, Failure, ManifestError
from anymic.ledger import NAME, Entry, Ledger
from anymic.manifest import Manifest
from anymic.parallel import in_order

CODING_VERSION = 1  # raise it when the same settings begin to give other samples
_FIRST_COLUMNS = ("path", "label", "codec", "kbps", "measured_kbps")


@dataclass(frozen=True)
class Encoding:
    """What `encode` wrote.

    Attributes
    ----------
    manifest : Manifest
        Every clip and codec, as in `manifest.csv`.
    failures : tuple of Failure
        Clips that could not be used; they are not in the table.
    measured_kbps : dict of Codec to float
        Mean bitrate over the clips, containers included; not for the original.
    over_full_scale : dict of Codec to int
        How many of a codec's clips were limited to full scale when written.
    written, kept : int
        Files made now, and files of an earlier run that were still right.
    """

    manifest: Manifest
    failures: tuple[Failure, ...]
    measured_kbps: dict[Codec, float]
    over_full_scale: dict[Codec, int]
    written: int
    kept: int


@dataclass(frozen=True)
class _Job:
    """One clip of the corpus."""

    source: Path
    stem: str
    start_s: float
    duration_s: float | None


@dataclass
class _Result:
    """What became of one clip: a file a codec, or the reason why there is none."""

    entries: dict[Codec, Entry] = field(default_factory=dict)
    written: int = 0
    failure: Failure | None = None


def encode(
    manifest: Manifest,
    codecs: CodecSet | str | Path,
    out: str | Path,
    *,
    workers: int | None = None,
    progress: bool = True,
) -> Encoding:
    """Pass every clip of `manifest` through every codec and write what is heard.

    Written below `out`: `audio/<codec>/<stem>.flac` (24 bits), the decoded clip with the rate,
    length and alignment of its original; `manifest.csv` with a row for every clip and codec: the
    manifest's columns, `codec`, `kbps` (nominal: the condition), `measured_kbps` (that of this
    clip's file), `source` (the original path) and `group`, so that no split divides what comes
    from one recording; and `ledger.jsonl`, which says what each file was made from. Rows of the
    codec "wav" name the original file, of which no copy is made.

    A rerun keeps the files that the ledger knows to be made from the same codec and the same
    source, and makes the others. The workers are threads: the coders run outside the
    interpreter's lock.

    Parameters
    ----------
    manifest : Manifest
        Clips that went through no codec. Several channels are averaged.
    codecs : CodecSet or path
        The codecs, or their YAML file, or the name of a preset.
    out : path
        Folder to write; made where it is missing.
    workers : int, optional
        Clips worked on at the same time; by default one a processor.
    progress : bool
        Whether to show a progress bar on stderr.

    Raises
    ------
    ConfigError
        If the codecs cannot be.
    DependencyError
        If some of them are not available here; nothing is written then.
    ManifestError
        If clips are coded already, `out` holds another manifest, or no clip can be used.
    """
    out = Path(out)
    chosen = codecs if isinstance(codecs, CodecSet) else CodecSet.read(codecs)
    chosen.require()
    _refuse_coded(manifest)
    _refuse_foreign(out)
    out.mkdir(parents=True, exist_ok=True)
    jobs = _jobs(manifest)
    with Ledger(out) as ledger:
        results = _run(jobs, chosen, ledger, workers or _processors(), progress)
    written = _write_table(manifest, chosen, results, out / "manifest.csv")
    made = sum(result.written for result in results)
    entries = [pair for result in results for pair in result.entries.items()]
    rates: dict[Codec, list[float]] = {}
    for codec, entry in entries:
        rates.setdefault(codec, []).append(entry.kbps or 0.0)
    over = Counter(codec for codec, entry in entries if entry.over_full_scale)
    return Encoding(
        manifest=written,
        failures=tuple(one.failure for one in results if one.failure is not None),
        measured_kbps={codec: sum(found) / len(found) for codec, found in rates.items()},
        over_full_scale={codec: over[codec] for codec in chosen if codec.name != ORIGINAL},
        written=made,
        kept=len(entries) - made,
    )


def _jobs(manifest: Manifest) -> list[_Job]:
    """Name the clips: by the file's stem, with the clip's id where two share one."""
    paths, table = manifest.paths(), manifest.table
    often = Counter(path.stem for path in paths)
    starts = table["start_s"].tolist() if "start_s" in table.columns else [0.0] * len(table)
    lengths = table["duration_s"].tolist() if "duration_s" in table.columns else [None] * len(table)
    return [
        _Job(
            source=path,
            stem=path.stem if often[path.stem] == 1 else f"{path.stem}-{clip_id}",
            start_s=start_s,
            duration_s=None if pd.isna(duration_s) else duration_s,
        )
        for path, clip_id, start_s, duration_s in zip(
            paths, manifest.clip_ids(), starts, lengths, strict=True
        )
    ]


def _run(
    jobs: list[_Job], codecs: CodecSet, ledger: Ledger, workers: int, progress: bool
) -> list[_Result]:
    """Make every clip's files; results in the manifest's order."""
    from rich.console import Console
    from rich.progress import track

    finished = in_order(lambda job: _encode_all(job, codecs, ledger), jobs, workers=workers)
    return list(
        track(
            finished,
            description="encoding",
            total=len(jobs),
            console=Console(stderr=True),
            disable=not progress,
        )
    )


def _encode_all(job: _Job, codecs: CodecSet, ledger: Ledger) -> _Result:
    """Pass one clip through every codec; a bad clip is a Failure."""
    result = _Result()
    try:
        origin = _origin(job)
        missing = {}
        for codec in codecs:
            if codec.name == ORIGINAL:
                continue
            path = f"audio/{codec.slug}/{job.stem}.flac"
            made_from = _made_from(codec, origin)
            known = ledger.find(path, made_from)
            if known is None:
                missing[codec] = (path, made_from)
            else:
                result.entries[codec] = known
        if not missing and result.entries:
            return result
        clip = audio.read(
            job.source, start_s=job.start_s, duration_s=job.duration_s, allow_silence=True
        )
        for codec, (path, made_from) in missing.items():
            coded = codec.apply(clip)
            file = ledger.folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            audio.write(file, coded.clip, subtype="PCM_24", clip=True)
            over = int((abs(coded.clip.samples) > 1).sum())
            entry = Entry(path, made_from, file.stat().st_size, over, coded.kbps)
            result.entries[codec] = entry
            ledger.add(entry)
            result.written += 1
    except AnymicError as error:
        result.failure = Failure(str(job.source), str(error))
    return result


def _origin(job: _Job) -> list[Any]:
    """Return what tells that a source file has changed: its size and time of change."""
    try:
        state = os.stat(job.source)
    except OSError:
        return []  # reading it will say what is wrong
    return [state.st_size, state.st_mtime_ns, job.start_s, job.duration_s]


def _made_from(codec: Codec, origin: list[Any]) -> str:
    """Hash everything that decides the samples of one file."""
    parts = [CODING_VERSION, codec.name, codec.kbps, codec.rate_hz, origin]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _write_table(
    manifest: Manifest, codecs: CodecSet, results: list[_Result], csv: Path
) -> Manifest:
    """Write a row for every usable clip and codec, clip by clip."""
    usable = [row for row, result in enumerate(results) if result.failure is None]
    if not usable:
        reason = next(result.failure.reason for result in results if result.failure)
        raise ManifestError(
            f"no clip that could be used (the first: {reason})", remedy="check the manifest's paths"
        )
    paths, groups = manifest.paths(), _groups(manifest)
    records: list[dict[Any, Any]] = manifest.table.to_dict("records")
    rows: list[dict[Any, Any]] = []
    for row in usable:
        for codec in codecs:
            record = {**records[row], "source": records[row]["path"], "group": groups[row]}
            record |= {"codec": codec.name, "kbps": codec.kbps, "measured_kbps": ""}
            if codec.name == ORIGINAL:
                record["path"] = str(paths[row])
            else:
                entry = results[row].entries[codec]
                record |= {"path": entry.path, "measured_kbps": f"{entry.kbps:.2f}"}
                if "start_s" in record:  # the written file is the clip
                    record["start_s"] = 0.0
            rows.append(record)
    table = pd.DataFrame(rows)
    first = list(_FIRST_COLUMNS)
    table = table[first + [column for column in table.columns if column not in first]]
    written = Manifest.from_table(table, csv.parent, name=csv.stem)
    written.write(csv)
    return written


def _groups(manifest: Manifest) -> list[str]:
    """Name the recording behind each clip: its group, else its take, else its file."""
    groups = list(manifest.table["path"])
    for column in ("take", "group"):
        if column in manifest.table.columns:
            cells = manifest.table[column]
            groups = [cell or group for cell, group in zip(cells, groups, strict=True)]
    return groups


def _refuse_coded(manifest: Manifest) -> None:
    if "codec" not in manifest.table.columns:
        return
    coded = manifest.table[~manifest.table["codec"].isin(["", ORIGINAL])]
    if len(coded):
        raise ManifestError(
            f"{len(coded)} clips that went through a codec ({coded['codec'].iloc[0]}) before",
            wanted="originals",
            remedy="take the rows whose codec is wav",
        )


def _refuse_foreign(out: Path) -> None:
    if (out / "manifest.csv").exists() and not (out / NAME).exists():
        raise ManifestError(
            f"a folder {out} with a manifest.csv that was not written here before",
            wanted="a new folder, or one that an earlier run wrote",
            remedy="name another folder",
        )


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
