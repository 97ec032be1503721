"""Pass a corpus through codecs: every clip once through each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from anymic._internal.folder_lock import one_at_a_time
from anymic.audio import Clip
from anymic.codecs.codec import Codec
from anymic.codecs.codec_set import CodecSet
from anymic.codecs.table import ORIGINAL
from anymic.data.derived import Derived, DerivedCorpus, Recipe, Rendered, Source
from anymic.data.manifest import Manifest
from anymic.errors import ManifestError

CODING_VERSION = 2  # to be raised when the same settings give other samples
_FIRST_COLUMNS = ("path", "label", "codec", "kbps", "measured_kbps")


@dataclass(frozen=True, kw_only=True)
class Encoding(Derived):
    """The result of `encode`.

    Attributes
    ----------
    measured_kbps : dict of Codec to float
        Mean bitrate over the clips, containers included; not for the original.
    over_full_scale : dict of Codec to int
        How many of a codec's clips were limited to full scale when written.
    """

    measured_kbps: dict[Codec, float]
    over_full_scale: dict[Codec, int]


@one_at_a_time
def encode(
    manifest: Manifest,
    codecs: CodecSet | str | Path,
    out: str | Path,
    *,
    workers: int | None = None,
    ray: str | None = None,
    progress: bool = True,
    wait: bool = False,
) -> Encoding:
    """Pass every clip of `manifest` through every codec and write the result.

    Written below `out`:

    - `audio/<codec>/<stem>.flac` (24 bits): the decoded clip with the rate, length and alignment of
      its original;
    - `manifest.csv`: a row for every clip and codec, with the manifest's columns, `codec`, `kbps`
      (nominal), `measured_kbps` (of this clip's file), `source` (the original path) and `group`, so
      that no split divides a recording. Rows of the codec "wav" name the original file;
    - `foldK.csv` for a manifest with a `fold` and no `split`: fold K is the test set, the others
      are for training;
    - `build_log.jsonl`: the origin of each file.

    A rerun keeps the files that have the same codec and source in the build log, and makes the
    others. The workers are threads, because the encoders release the interpreter's lock.

    Parameters
    ----------
    manifest : Manifest
        Original clips. Several channels are averaged.
    codecs : CodecSet or path
        The codecs, or their YAML file, or the name of a preset.
    out : path
        Folder to write; made where it is missing.
    workers : int, optional
        Clips encoded at the same time; by default one a processor.
    ray : str, optional
        The address of a Ray cluster that does it, as for `DerivedCorpus`.
    progress : bool
        Whether to show a progress bar on stderr.
    wait : bool
        Wait until no other run writes into `out`, instead of an error.

    Raises
    ------
    ConfigError
        If another run writes into `out`, or codecs or bitrates are unknown.
    DependencyError
        If some codecs are not available here; nothing is written then.
    ManifestError
        If clips are coded already, `out` contains another manifest, or no clip is usable.
    """
    out = Path(out)
    chosen = codecs if isinstance(codecs, CodecSet) else CodecSet.read(codecs)
    chosen.require()
    if "codec" in manifest.table.columns:
        coded = manifest.table[~manifest.table["codec"].isin(["", ORIGINAL])]
        if len(coded):
            raise ManifestError(
                f"there are coded clips already: {len(coded)} ({coded['codec'].iloc[0]})",
                expected="original clips",
                fix="use only the rows whose codec is wav",
            )
    coders = [codec for codec in chosen if not codec.is_original]
    corpus = DerivedCorpus(
        manifest, out, _Coding(allow_silence=True), workers=workers, ray=ray, progress=progress
    )
    corpus.build(dict.fromkeys(range(len(manifest)), coders), doing="encoding")
    rows = _rows(manifest, chosen, corpus)
    clips = range(len(manifest))
    rates = {
        codec: [
            corpus.files[row, codec].kbps or 0.0 for row in clips if (row, codec) in corpus.files
        ]
        for codec in coders
    }
    return Encoding(
        manifest=corpus.write(rows, first=_FIRST_COLUMNS),
        folds=_write_folds(rows, corpus, manifest),
        failures=corpus.failures,
        written=corpus.written,
        kept=corpus.kept,
        measured_kbps={codec: sum(found) / len(found) for codec, found in rates.items() if found},
        over_full_scale=corpus.over_full_scale(coders),
    )


class _Coding(Recipe[Codec]):
    """The recipe: encode and decode a clip."""

    def file_name(self, source: Source, variant: Codec) -> str:
        return f"{variant.slug}/{source.stem}"

    def made_from(self, source: Source, variant: Codec, origin: list[Any]) -> list[Any]:
        return [CODING_VERSION, variant.row_name, variant.kbps, variant.rate_hz, origin]

    def render(self, source: Source, clip: Clip, variant: Codec) -> Rendered:
        coded = variant.apply(clip)
        return Rendered(coded.clip, 24, int((abs(coded.clip.samples) > 1).sum()), coded.kbps)


def _rows(
    manifest: Manifest, codecs: CodecSet, corpus: DerivedCorpus[Codec]
) -> list[dict[Any, Any]]:
    """Return a row for every usable clip and codec, clip by clip."""
    paths = manifest.paths()
    groups = [name.partition(":")[2] for name in manifest.recordings()]
    rows: list[dict[Any, Any]] = []
    usable = [row for row in range(len(manifest)) if row not in corpus.failed]
    for row, codec in product(usable, codecs):
        columns: dict[str, Any] = {"group": groups[row], "kbps": codec.kbps}
        columns["codec"] = codec.row_name
        file = corpus.files.get((row, codec))  # none of the original
        path = str(paths[row]) if file is None else file.path
        columns["measured_kbps"] = "" if file is None else f"{file.kbps:.2f}"
        if file is not None and "start_s" in manifest.table.columns:
            columns["start_s"] = 0.0  # the written file is the clip
        rows.append(corpus.row(row, path, **columns))
    return rows


def _write_folds(
    rows: Sequence[dict[Any, Any]], corpus: DerivedCorpus[Codec], manifest: Manifest
) -> dict[int, Path]:
    """Write a table a fold, that fold its test set, where there are folds and no splits."""
    if "fold" not in manifest.table.columns or "split" in manifest.table.columns:
        return {}
    known = [row for row in rows if row["fold"] >= 0]  # a clip of no fold is in manifest.csv only
    folds = sorted({int(row["fold"]) for row in known})
    if len(folds) < 2:
        return {}
    for fold in folds:
        split = [{**row, "split": "test" if row["fold"] == fold else "train"} for row in known]
        corpus.write(split, f"fold{fold}.csv", first=(*_FIRST_COLUMNS, "split"))
    return {fold: corpus.folder / f"fold{fold}.csv" for fold in folds}
