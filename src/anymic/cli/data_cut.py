"""`anymic data cut`: clips of any length as rows of one length."""

from __future__ import annotations

from pathlib import Path

from anymic.cli.printing import Outcome, failures_as_json
from anymic.errors import counted

PATCH_S, PATCH_EVERY_S = 0.975, 0.96


def data_cut(
    manifest: Path,
    *,
    out: Path,
    length: float = PATCH_S,
    every: float | None = None,
) -> Outcome:
    """Write a manifest with a row for each piece of each clip; no audio is written.

    By default the pieces are patches of VGGish, which overlap a little. Pieces of another length
    follow each other without a gap, unless --every says otherwise. The rest at a clip's end is a
    piece if it is at least half as long as one. A clip that is shorter than a piece is one: train
    with --set shorter=repeat. The exit status is 1 if some files could not be used: these are
    listed.

    Example: anymic data cut freesound.csv --out patches.csv
    """
    from anymic.data.pieces import cut_rows
    from anymic.data.reading import as_manifest

    if every is None:
        every = PATCH_EVERY_S if length == PATCH_S else length
    clips = as_manifest(manifest, several=None)
    pieces, failures = cut_rows(clips, length_s=length, distance_s=every)
    pieces.write(out)
    failed = failures_as_json(failures)
    outcome = {"manifest": str(out), "rows": len(pieces), "failures": failed}
    return Outcome(outcome, [f"{out}: {counted(len(pieces), 'piece')}"], failures)
