"""Labels balanced by pitch shift, of clips that are trimmed and normalized."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from anymic import audio
from anymic._internal.folder_lock import one_at_a_time
from anymic._internal.optional import extra
from anymic.audio import Clip
from anymic.data.derived import PART, Derived, DerivedCorpus, Recipe, Rendered, Source
from anymic.data.manifest import Manifest
from anymic.errors import AudioError, ConfigError, ManifestError

SEMITONES = 12  # shifts are whole numbers of semitones between -12 and 12, both excluded
VERSION = 1  # raise it when the same settings begin to give other samples
_FIRST_COLUMNS = ("path", "label", "split", "group", "semitones", "source")


@dataclass(frozen=True, kw_only=True)
class Balanced(Derived):
    """A corpus that `balance` wrote; the variants are shifts in semitones."""

    added: dict[str, int]  # the number of shifted clips of each label


@dataclass(frozen=True)
class _Shifting(Recipe[int]):
    """The recipe: resample, trim, shift by a number of semitones, normalize."""

    top_db: float

    def file_name(self, source: Source, variant: int) -> str:
        return f"{source.stem}{variant:+d}" if variant else source.stem

    def made_from(self, source: Source, variant: int, origin: list[Any]) -> list[Any]:
        part = [source.start_s, source.duration_s]
        return [VERSION, variant, self.top_db, self.rate_hz, *part, origin[:2]]

    def render(self, source: Source, clip: Clip, variant: int) -> Rendered:
        return Rendered(prepare(clip, semitones=variant, top_db=self.top_db), bits=24)


@one_at_a_time
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

    Silence at both ends of every clip is removed, and its peak is scaled to 1. Then each label of
    the training clips (all, where there is no column `split`) gets shifted clips until it has as
    many as the largest. They are drawn from its own clips, each equally often, by random whole
    numbers of semitones. No clip is shifted by 0, or twice by the same number: a label whose
    clips have no shift left stays smaller. Test clips are never shifted.

    Written below `out`: `audio/*.flac` (24 bits), `manifest.csv` with the columns `semitones` (0:
    not shifted), `source` and `group` (the recording, so that no split divides it), and
    `build_log.jsonl`: a rerun keeps the files that were made from the same source and settings.

    Parameters
    ----------
    manifest : Manifest
    out : path
        Folder to write; created if it is missing.
    seed : int
        The seed of the draws.
    semitones : int
        Shifts lie between minus this and this, both excluded; 12 in Xu 2018.
    top_db : float
        Frames this far below a clip's loudest frame count as silence.
    rate_hz : int, optional
        The rate of every written clip; by default each keeps its rate.
    clips : int, optional
        The least number of training clips of each label; by default that of the largest label.
    workers : int, optional
        Processes; by default one a processor.
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
    recipe = _Shifting(top_db, rate_hz=rate_hz)
    # Processes, because shifting holds the interpreter's lock.
    corpus = DerivedCorpus(
        manifest, out, recipe, processes=True, workers=workers, progress=progress
    )
    every = range(len(manifest))
    corpus.build(dict.fromkeys(every, (0,)), doing="preparing")
    lost = set(corpus.failed)
    if 0 < len(lost) < len(manifest):  # these clips count for no label
        shifts = draw(without=lost)
    wanted: dict[int, list[int]] = {}
    for row, shift in shifts:
        if row not in lost:
            wanted.setdefault(row, []).append(shift)
    corpus.build(wanted, doing="shifting")
    recordings = manifest.recordings()
    rows = []
    for row, shift in dict.fromkeys([*((row, 0) for row in every), *shifts]):
        if row not in corpus.failed:
            path = corpus.files[row, shift].path
            # Shifted clips are not aligned takes.
            columns = {"semitones": shift, "group": recordings[row]}
            rows.append(corpus.row(row, path, without=(*PART, "take"), **columns))
    return Balanced(
        manifest=corpus.write(rows, first=_FIRST_COLUMNS),
        failures=tuple({failure.path: failure for failure in corpus.failures}.values()),
        written=corpus.written,
        kept=corpus.kept,
        added=dict(Counter(row["label"] for row in rows if row["semitones"])),
    )


def prepare(clip: Clip, *, semitones: int = 0, top_db: float = 60.0) -> Clip:
    """Return the clip trimmed at both ends, shifted in pitch, and scaled to a peak of 1.

    See `librosa.effects.pitch_shift`, and `anymic.audio.trim_silence` for `top_db`. A silent clip
    is an AudioError.
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


def draw_shifts(
    manifest: Manifest,
    *,
    seed: int,
    semitones: int = SEMITONES,
    clips: int | None = None,
    without: Collection[int] = (),
) -> list[tuple[int, int]]:
    """Return (row, semitones) of the shifted clips that balance the labels of training clips.

    Parameters are those of `balance`; rows of `without` are not used. Without a training clip this
    is a ManifestError.
    """
    table = manifest.table.drop(index=list(without))
    if "split" in table.columns:
        table = table[table["split"] == "train"]
    rows = {str(label): own.tolist() for label, own in table.groupby("label").groups.items()}
    if not rows:
        raise ManifestError(
            "no clip" + (" that can be used" if without else "") + " has the split 'train'",
            expected="clips to balance",
            fix="correct the column split, or repair the files",
        )
    most = max(map(len, rows.values())) if clips is None else clips
    generator = np.random.default_rng(seed)
    possible = [shift for shift in range(1 - semitones, semitones) if shift]
    drawn: list[tuple[int, int]] = []
    for label in sorted(rows):
        own = rows[label]
        # In each round every clip is used once, with the next shift of its own random order.
        orders = {row: generator.permutation(possible) for row in own}
        wanted = max(0, most - len(own))
        for turn in range(-(-wanted // len(own))):
            for row in generator.permutation(own)[: wanted - turn * len(own)].tolist():
                drawn.append((row, int(orders[row][turn % len(possible)])))
    return drawn
