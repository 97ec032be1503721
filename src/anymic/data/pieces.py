"""Clips of any length as rows of one length, to train a network of fixed patches."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from anymic import audio
from anymic._internal.frames import frame
from anymic.data.checks import require_usable
from anymic.data.manifest import Manifest
from anymic.errors import ConfigError, Failure, attempt

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
        Only the headers of its files are read, where they state a length.
    length_s : float
    distance_s : float, optional
        By default `length_s`. A ConfigError if not positive, or longer than a piece.

    Returns
    -------
    pieces : Manifest
        With `start_s`, `duration_s`, and `group`, the recording, so that no split divides it.
    failures : tuple of Failure
        The files that cannot be used; if these are all, a ManifestError.
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
    parts = manifest.parts()
    columns = (manifest.paths(), manifest.recordings(), parts["start_s"], parts["duration_s"])
    for record, path, recording, begin_s, clip_s in zip(records, *columns, strict=True):
        if np.isnan(clip_s):
            found_s = attempt(path, audio.length_s, path)
            if isinstance(found_s, Failure):
                failures.append(found_s)
                continue
            clip_s = found_s - begin_s
        for start_s, duration_s in _pieces(clip_s, length_s, distance_s):
            place = {"start_s": begin_s + start_s, "duration_s": duration_s}
            rows.append({**record, **place, "group": recording})
    require_usable(rows, failures)
    pieces = Manifest.from_table(
        frame(rows), manifest.root, name=manifest.name, several=manifest.several
    )
    return pieces, tuple(failures)


def _pieces(clip_s: float, length_s: float, distance_s: float) -> Iterator[tuple[float, float]]:
    """Yield (start, duration) of each piece of a clip."""
    for number in itertools.count():
        left_s = clip_s - number * distance_s
        if left_s <= 0 or (number and left_s < length_s / 2):
            return
        # Rounding must not move the end of a piece beyond the end of the file.
        whole = left_s >= length_s - SLACK_S
        yield number * distance_s, min(length_s, left_s) if whole else left_s
