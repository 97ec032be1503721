"""`anymic data balance`: pitch-shifted copies for labels with few clips."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from anymic.cli import options
from anymic.cli.derived import print_derived


def data_balance(
    manifest: options.Labelled,
    out: options.Corpus,
    semitones: Annotated[
        int, typer.Option(min=2, help="Shifts lie between minus this and this, both excluded.")
    ] = 12,
    top_db: Annotated[
        float, typer.Option(help="Frames this far below a clip's loudest frame count as silent.")
    ] = 60.0,
    rate: Annotated[
        int | None, typer.Option(min=1, help="Resample to this rate in Hz. [default: none]")
    ] = None,
    clips: Annotated[
        int | None,
        typer.Option(
            min=0, help="At least this number for each label. [default: that of the largest label]"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the choice of clips and shifts.")] = 0,
    workers: options.Workers = None,
    as_json: options.Outcome = False,
) -> None:
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
    print_derived(
        result,
        out,
        lines=[f"{label}  {count} shifted clips" for label, count in sorted(result.added.items())],
        plain={"rows": len(result.manifest), "added": result.added},
        as_json=as_json,
    )
