"""`anymic data balance`: pitch-shifted copies for labels with few clips."""

from __future__ import annotations

import sys
from pathlib import Path

from anymic.cli.derived import derived_outcome
from anymic.cli.printing import Outcome
from anymic.errors import counted


def data_balance(
    manifest: Path,
    *,
    out: Path,
    semitones: int = 12,
    top_db: float = 60.0,
    rate: int | None = None,
    clips: int | None = None,
    seed: int = 0,
    workers: int | None = None,
) -> Outcome:
    """Add pitch-shifted clips until every label has as many as the largest.

    Silence at both ends of each clip is removed, and its peak is normalized to full scale. Labels
    with fewer training clips than the largest get copies of their own clips, shifted by a random
    whole number of semitones; clips of other splits are never shifted. OUT/audio and
    OUT/manifest.csv are written. The same seed gives the same files; an interrupted run continues
    where it stopped. The exit status is 1 if some files could not be used; they are listed.

    Example: anymic data balance freesound.csv --out freesound-balanced
    """
    from anymic.data.balancing import balance as run
    from anymic.data.reading import as_manifest

    result = run(
        as_manifest(manifest),
        out,
        seed=seed,
        semitones=semitones,
        top_db=top_db,
        rate_hz=rate,
        clips=clips,
        workers=workers,
        progress=sys.stderr.isatty(),
    )
    return derived_outcome(
        result,
        out,
        lines=[
            f"{label}  {counted(count, 'shifted clip')}"
            for label, count in sorted(result.added.items())
        ],
        plain={"rows": len(result.manifest), "added": result.added},
    )
