"""Which clips are shifted in pitch, and how far, to balance the labels of training clips."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from anymic.data.manifest import Manifest
from anymic.errors import ManifestError

SEMITONES = 12  # shifts are whole numbers of semitones between minus this and this, both excluded


def draw_shifts(
    manifest: Manifest,
    *,
    seed: int,
    semitones: int = SEMITONES,
    clips: int | None = None,
    without: Collection[int] = (),
) -> list[tuple[int, int]]:
    """Return (row, semitones) of the shifted clips that balance the labels of training clips.

    With `clips`, each label gets so many at least. Rows of `without` count nothing.

    Raises
    ------
    ManifestError
        If no clip trains.
    """
    table = manifest.table
    training = np.ones(len(table), dtype=bool)
    if "split" in table.columns:
        training = table["split"].isin(["train"]).to_numpy(dtype=bool, copy=True)
    training[list(without)] = False
    rows: dict[str, list[int]] = {}
    for row in np.flatnonzero(training).tolist():
        rows.setdefault(table["label"].iloc[row], []).append(row)
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
        # Round by round every clip once, each with the next shift of an order of its own.
        orders = {row: generator.permutation(possible) for row in own}
        wanted = max(0, most - len(own))
        for turn in range(-(-wanted // len(own))):
            for row in generator.permutation(own)[: wanted - turn * len(own)].tolist():
                drawn.append((row, int(orders[row][turn % len(possible)])))
    return drawn
