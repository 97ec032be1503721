"""Pass a corpus through codecs: every clip once through each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from anymic._internal.files import file_digest, key_of
from anymic._internal.folder_lock import one_at_a_time
from anymic._internal.threads import in_order
from anymic.audio import Clip
from anymic.codecs.codec import Codec
from anymic.codecs.codec_set import CodecSet
from anymic.codecs.table import ORIGINAL
from anymic.data.derived import Derived, DerivedCorpus, Recipe, Rendered, Source
from anymic.data.manifest import Manifest
from anymic.errors import Failure, ManifestError

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


@dataclass(frozen=True, kw_only=True)
class Versions:
    """Coded versions of clips, which `encode_versions` wrote.

    Attributes
    ----------
    manifests : tuple of Manifest
        One for each version, with the rows of the clips; a row without this version names the
        original.
    failures : tuple of Failure
        Clips that could not be encoded.
    written, kept : int
        Files made now, and files of an earlier run that are still valid.
    """

    manifests: tuple[Manifest, ...]
    failures: tuple[Failure, ...]
    written: int
    kept: int


@one_at_a_time
def encode_versions(
    manifest: Manifest,
    drawn: Sequence[Sequence[Codec]],
    out: str | Path,
    *,
    workers: int | None = None,
    progress: bool = True,
    wait: bool = False,
) -> Versions:
    """Pass each clip through codecs of its own, and write what is not there yet.

    Files are `audio/<codec>/<key>.flac` below `out`, where the key is a hash of the content of the
    original file and the part of it that is the clip. So corpora, splits and trainings may share
    the folder, and a file that is moved or copied is not encoded again.

    Parameters
    ----------
    manifest : Manifest
        Original clips. Several channels are averaged.
    drawn : sequence of sequences of Codec
        The codecs of each row; a row may have none.
    out : path
        Folder to write; made where it is missing.
    workers, progress, wait
        As for `encode`.

    Raises
    ------
    ConfigError
        If another run writes into `out`, and `wait` is false.
    """
    rows = [row for row, own in enumerate(drawn) if own]
    paths = manifest.paths()
    digests = dict(zip(rows, in_order(file_digest, (paths[row] for row in rows)), strict=True))
    corpus = DerivedCorpus(
        manifest,
        Path(out).absolute(),  # the paths of a manifest are relative to its own folder
        _ByContent(digests, allow_silence=True),
        workers=workers,
        progress=progress,
    )
    corpus.build({row: tuple(dict.fromkeys(drawn[row])) for row in rows}, doing="encoding")
    starts = manifest.parts()["start_s"].tolist()
    manifests = []
    for number in range(max((len(own) for own in drawn), default=0)):
        coded = {
            row: corpus.folder / corpus.files[row, drawn[row][number]].path
            for row in rows
            if row not in corpus.failed and number < len(drawn[row])
        }
        columns: dict[str, Any] = {
            "path": [str(coded.get(row, path)) for row, path in enumerate(paths)]
        }
        if "start_s" in manifest.table.columns:  # a written file is the clip
            columns["start_s"] = [0.0 if row in coded else at for row, at in enumerate(starts)]
        manifests.append(manifest.with_columns(**columns))
    return Versions(
        manifests=tuple(manifests),
        failures=corpus.failures,
        written=corpus.written,
        kept=corpus.kept,
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


@dataclass(frozen=True)
class _ByContent(_Coding):
    """The recipe with files that are named by the content of their originals."""

    digests: Mapping[int, str]  # by the row

    def file_name(self, source: Source, variant: Codec) -> str:
        return f"{variant.slug}/{key_of(self._content(source))}"

    def made_from(self, source: Source, variant: Codec, origin: list[Any]) -> list[Any]:
        return super().made_from(source, variant, self._content(source))

    def _content(self, source: Source) -> list[Any]:
        return [self.digests[source.row], source.start_s, source.duration_s]


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
