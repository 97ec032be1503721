"""Clips of any length as rows of one length, to train a network of fixed patches."""

from __future__ import annotations

from typing import Any

import pandas as pd

from anymic import audio
from anymic.data.checks import require_usable
from anymic.data.manifest import Manifest
from anymic.errors import AudioError, ConfigError, Failure

SLACK_S = 1e-3


def cut_rows(
    manifest: Manifest, *, length_s: float, distance_s: float | None = None
) -> tuple[Manifest, tuple[Failure, ...]]:
    """Return a row for each piece of each clip, by the rule of `anymic.inference.windowing`.

    Pieces of `length_s` begin every `distance_s`, for VGGish 0.975 and 0.96 s
    (`anymic.features.patches`). The rest at a clip's end is a piece if it is at least half as long;
    a clip shorter than a piece is one. Both are shorter than `length_s`: training needs the
    setting `shorter: repeat` or `shorter: pad`.

    Parameters
    ----------
    manifest : Manifest
        Only the headers of its files are read.
    length_s : float
    distance_s : float, optional
        By default `length_s`.

    Returns
    -------
    pieces : Manifest
        With `start_s`, `duration_s`, and `group`, the recording, so that no split divides it.
    failures : tuple of Failure
        The files that cannot be used.

    Raises
    ------
    ConfigError
        If a length or distance is not positive.
    ManifestError
        If no clip can be used.
    """
    distance_s = length_s if distance_s is None else distance_s
    if not (length_s > 0 and 0 < distance_s <= length_s):
        raise ConfigError(
            f"pieces of {length_s} s cannot start every {distance_s} s",
            expected="a positive length, and a distance of at most the length",
        )
    rows: list[dict[Any, Any]] = []
    failures = []
    records: list[dict[Any, Any]] = manifest.table.to_dict("records")
    recordings = manifest.recordings()
    for path, record, recording in zip(manifest.paths(), records, recordings, strict=True):
        try:
            begin_s, clip_s = _part(path.as_posix(), record)
        except AudioError as error:
            failures.append(Failure(str(path), str(error)))
            continue
        for start_s, duration_s in _pieces(clip_s, length_s, distance_s):
            place = {"start_s": begin_s + start_s, "duration_s": duration_s}
            rows.append({**record, **place, "group": recording})
    require_usable(rows, failures)
    pieces = Manifest.from_table(pd.DataFrame(rows), manifest.root, name=manifest.name)
    return pieces, tuple(failures)


def _part(path: str, record: dict[Any, Any]) -> tuple[float, float]:
    """Return the start of a row's clip in its file, and its duration."""
    begin_s = float(record.get("start_s", 0.0))
    length_s = float(record.get("duration_s", float("nan")))
    if length_s == length_s:
        return begin_s, length_s
    found = audio.probe(path).duration_s
    if found is None:  # the header does not say
        found = audio.read(path, allow_silence=True).duration_s
    return begin_s, found - begin_s


def _pieces(clip_s: float, length_s: float, distance_s: float) -> list[tuple[float, float]]:
    """Return (start, duration) of each piece of a clip."""
    pieces = []
    number = 0
    while (left_s := clip_s - number * distance_s) > 0:
        if number and left_s < length_s / 2:
            break
        # Rounding must not move the end of a piece beyond the end of the file.
        whole = left_s >= length_s - SLACK_S
        pieces.append((number * distance_s, min(length_s, left_s) if whole else left_s))
        number += 1
    return pieces
