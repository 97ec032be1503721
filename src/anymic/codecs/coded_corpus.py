"""Pass a corpus through codecs: every clip once through each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from anymic._internal.build_log import Ledger
from anymic._internal.files import key_of
from anymic.audio import Clip
from anymic.codecs.codec import Codec
from anymic.codecs.codec_set import CodecSet
from anymic.codecs.table import ORIGINAL
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
from anymic.errors import ManifestError

CODING_VERSION = 2  # raise it when the same settings begin to give other samples
_FIRST_COLUMNS = ("path", "label", "codec", "kbps", "measured_kbps")


@dataclass(frozen=True)
class Encoding(Written):
    """What `encode` wrote; its versions are codecs.

    Attributes
    ----------
    measured_kbps : dict of Codec to float
        Mean bitrate over the clips, containers included; not for the original.
    over_full_scale : dict of Codec to int
        How many of a codec's clips were limited to full scale when written.
    """

    measured_kbps: dict[Codec, float]
    over_full_scale: dict[Codec, int]


def encode(
    manifest: Manifest,
    codecs: CodecSet | str | Path,
    out: str | Path,
    *,
    workers: int | None = None,
    progress: bool = True,
) -> Encoding:
    """Pass every clip of `manifest` through every codec and write the result.

    Written below `out`: `audio/<codec>/<stem>.flac` (24 bits), the decoded clip with the rate,
    length and alignment of its original; `manifest.csv` with a row for every clip and codec: the
    manifest's columns, `codec`, `kbps` (nominal: the condition), `measured_kbps` (that of this
    clip's file), `source` (the original path) and `group`, so that no split divides what comes
    from one recording; for a manifest with a `fold` and no `split`, one `foldK.csv` a fold, with a
    `split` column: fold K is the test set, the others are for training; and `ledger.jsonl`, which
    says what each file was made from. Rows of the codec "wav" name the original file, of which no
    copy is made.

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
    refuse_foreign(out)
    out.mkdir(parents=True, exist_ok=True)
    coders = [codec for codec in chosen if not codec.is_original]
    with Ledger(out) as ledger:
        made = make(
            [(source, coders) for source in sources(manifest)],
            ledger,
            _render,
            folder_of=lambda codec: codec.slug,
            made_from=_made_from,
            silence=True,
            workers=workers,
            progress=progress,
            doing="encoding",
        )
    refuse_nothing([one for one in made if one.failure is None], made)
    table = _table(manifest, chosen, made)
    entries = [pair for one in made for pair in one.entries.items()]
    rates: dict[Codec, list[float]] = {}
    for codec, entry in entries:
        rates.setdefault(codec, []).append(entry.kbps or 0.0)
    over = Counter(codec for codec, entry in entries if entry.over_full_scale)
    written = sum(one.written for one in made)
    return Encoding(
        manifest=write_table(table, out / TABLE, _FIRST_COLUMNS),
        folds=_write_folds(table, out),
        failures=tuple(one.failure for one in made if one.failure is not None),
        written=written,
        kept=len(entries) - written,
        measured_kbps={codec: sum(found) / len(found) for codec, found in rates.items()},
        over_full_scale={codec: over[codec] for codec in coders},
    )


def _render(source: Source, clip: Clip, codec: Codec) -> Rendered:
    coded = codec.apply(clip)
    return Rendered(coded.clip, 24, int((abs(coded.clip.samples) > 1).sum()), coded.kbps)


def _made_from(source: Source, codec: Codec, origin: list[Any]) -> str:
    return key_of([CODING_VERSION, codec.name, codec.kbps, codec.rate_hz, origin])


def _table(manifest: Manifest, codecs: CodecSet, made: list[Made[Codec]]) -> pd.DataFrame:
    """Return a row for every usable clip and codec, clip by clip."""
    paths = manifest.paths()
    groups = [name.partition(":")[2] for name in manifest.recordings()]
    records: list[dict[Any, Any]] = manifest.table.to_dict("records")
    rows: list[dict[Any, Any]] = []
    for row, one in enumerate(made):
        if one.failure is not None:
            continue
        for codec in codecs:
            record = {**records[row], "source": records[row]["path"], "group": groups[row]}
            record |= {"codec": codec.name, "kbps": codec.kbps, "measured_kbps": ""}
            if codec.is_original:
                record["path"] = str(paths[row])
            else:
                entry = one.entries[codec]
                record |= {"path": entry.path, "measured_kbps": f"{entry.kbps:.2f}"}
                if "start_s" in record:  # the written file is the clip
                    record["start_s"] = 0.0
            rows.append(record)
    return pd.DataFrame(rows)


def _write_folds(table: pd.DataFrame, out: Path) -> dict[int, Path]:
    """Write a table a fold, that fold its test set, where there are folds and no splits."""
    if "fold" not in table.columns or "split" in table.columns:
        return {}
    folds = sorted({int(fold) for fold in table["fold"] if fold >= 0})
    if len(folds) < 2:
        return {}
    paths = {fold: out / f"fold{fold}.csv" for fold in folds}
    known = table[table["fold"] >= 0]  # a clip of no fold is in manifest.csv only
    for fold, path in paths.items():
        splits = ["test" if own == fold else "train" for own in known["fold"]]
        write_table(known.assign(split=splits), path, (*_FIRST_COLUMNS, "split"))
    return paths


def _refuse_coded(manifest: Manifest) -> None:
    if "codec" not in manifest.table.columns:
        return
    coded = manifest.table[~manifest.table["codec"].isin(["", ORIGINAL])]
    if len(coded):
        raise ManifestError(
            f"{len(coded)} clips that went through a codec ({coded['codec'].iloc[0]}) before",
            expected="originals",
            fix="take the rows whose codec is wav",
        )
