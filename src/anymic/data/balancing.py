"""Labels balanced by pitch shift, of clips trimmed and normalized: prepared once, on disk."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from anymic import audio
from anymic._internal.optional import extra
from anymic.audio import Clip
from anymic.data.derived import Derived, DerivedCorpus, Rendered, Source
from anymic.data.manifest import Manifest
from anymic.data.shifts import SEMITONES, draw_shifts
from anymic.errors import AudioError, ConfigError

VERSION = 1  # raise it when the same settings begin to give other samples
_FIRST_COLUMNS = ("path", "label", "split", "group", "semitones", "source")


@dataclass(frozen=True)
class Balanced(Derived):
    """What `balance` wrote; its variants are shifts in semitones.

    Attributes
    ----------
    added : dict of str to int
        Label and how many shifted clips it got.
    """

    added: dict[str, int]


@dataclass(frozen=True)
class _Shifting:
    """The recipe: trim, resample, shift by so many semitones, normalize."""

    top_db: float
    rate_hz: int | None
    allow_silence: bool = False

    def file_name(self, source: Source, variant: int) -> str:
        return f"{source.stem}{variant:+d}" if variant else source.stem

    def made_from(self, source: Source, variant: int, origin: list[Any]) -> list[Any]:
        stretch = [source.start_s, source.duration_s]
        return [VERSION, variant, self.top_db, self.rate_hz, *stretch, origin[:2]]

    def render(self, source: Source, clip: Clip, variant: int) -> Rendered:
        return Rendered(prepare(clip, semitones=variant, top_db=self.top_db), bits=24)


def balance(
    manifest: Manifest,
    out: str | Path,
    *,
    seed: int = 0,
    semitones: int = SEMITONES,
    top_db: float = 60.0,
    rate_hz: int | None = None,
    clips: int | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> Balanced:
    """Prepare a corpus as Xu 2018 does: trim, normalize, and balance its labels by pitch shift.

    Every clip is trimmed of silence at both ends and scaled to a peak of 1. Then each label of the
    training clips (all, where there is no column `split`) gets shifted clips until it has as many
    as the largest: drawn from its own clips, each as often as any other, by random whole numbers of
    semitones, never 0 and never the same clip by the same shift twice: a label whose clips have no
    shift left stays smaller. Test clips are never shifted.

    Written below `out`: `audio/*.flac` (24 bits), `manifest.csv` with the columns `semitones` (0:
    not shifted), `source` and `group` (so that no split divides what comes from one recording),
    and `build_log.jsonl`: a rerun keeps what was made from the same source and settings.

    Parameters
    ----------
    manifest : Manifest
    out : path
        Folder to write; made where it is missing.
    seed : int
        Of the draws.
    semitones : int
        Shifts lie between minus this and this, both excluded; 12 in Xu 2018.
    top_db : float
        What is so far below a clip's loudest frame counts as silence.
    rate_hz : int, optional
        What every clip is resampled to; by default each keeps its rate.
    clips : int, optional
        How many training clips each label gets at least; by default as many as the largest has.
    workers : int, optional
        Processes; by default one a processor. Shifting runs inside the interpreter's lock, so
        threads would not help.
    progress : bool
        Whether to show a progress bar on stderr.

    Raises
    ------
    ConfigError
        If `semitones` leaves no shift.
    ManifestError
        If `out` holds another manifest, there is no training clip, or no clip can be used.
    """
    out = Path(out)
    if semitones < 2:
        raise ConfigError(f"the largest shift is {semitones} semitones", expected="2 or more")
    draw = partial(draw_shifts, manifest, seed=seed, semitones=semitones, clips=clips)
    shifts = draw()
    corpus = DerivedCorpus(
        manifest,
        out,
        _Shifting(top_db, rate_hz),
        processes=True,
        workers=workers,
        progress=progress,
    )
    every = range(len(manifest))
    corpus.build(dict.fromkeys(every, (0,)), doing="preparing")
    lost = {row for row in every if corpus.made[row].failure}
    if 0 < len(lost) < len(manifest):  # what cannot be used makes no label larger
        shifts = draw(without=lost)
    wanted: dict[int, list[int]] = {}
    for row, shift in shifts:
        if row not in lost:
            wanted.setdefault(row, []).append(shift)
    corpus.build(wanted, doing="shifting")
    labels, recordings = manifest.table["label"].tolist(), manifest.recordings()
    added: Counter[str] = Counter()
    rows = []
    # A label so small that its clips have no shift left stays smaller: no clip comes twice.
    for row, shift in dict.fromkeys([*((row, 0) for row in every), *shifts]):
        made = corpus.made[row]
        if made.failure is None:
            path = made.files[shift].path
            rows.append(corpus.row(row, path, semitones=shift, group=recordings[row]))
            added.update([labels[row]] if shift else [])
    for each in rows:  # the written file is the clip, and a shifted one is no take of the others
        for column in ("start_s", "duration_s", "take"):
            each.pop(column, None)
    return Balanced(
        manifest=corpus.write(rows, first=_FIRST_COLUMNS),
        folds={},
        failures=tuple({failure.path: failure for failure in corpus.failures}.values()),
        written=corpus.written,
        kept=corpus.kept,
        added=dict(added),
    )


def prepare(clip: Clip, *, semitones: int = 0, top_db: float = 60.0) -> Clip:
    """Return the clip trimmed at both ends, shifted in pitch, and scaled to a peak of 1.

    Parameters
    ----------
    clip : Clip
    semitones : int
        By `librosa.effects.pitch_shift`; the length stays.
    top_db : float
        As for `anymic.audio.trim_silence`.

    Raises
    ------
    AudioError
        If it is silent from beginning to end.
    """
    with extra("train"):
        import librosa

    trimmed = audio.trim_silence(clip, top_db=top_db)
    samples = trimmed.samples
    if semitones:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="n_fft=")  # a clip shorter than a window
            samples = librosa.effects.pitch_shift(
                samples, sr=clip.rate_hz, n_steps=float(semitones)
            )
    peak = float(np.abs(samples).max())
    if not peak > 0:
        raise AudioError(
            f"{clip.path or 'a clip'} lasts {trimmed.duration_s:.3f} s, and nothing is left "
            f"after a shift by {semitones} semitones",
            expected="a longer clip",
            fix="leave it out",
        )
    return replace(trimmed, samples=(samples / peak).astype(np.float32))
