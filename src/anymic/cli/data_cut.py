"""`anymic data cut`: clips of any length as rows of one length."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anymic.cli import options
from anymic.cli.printing import failures_as_json, finish, print_outcome


def data_cut(
    manifest: options.Labelled,
    out: Annotated[Path, typer.Option(help="The manifest to write.")],
    length: Annotated[float, typer.Option(help="Length of a piece in seconds.")] = 0.975,
    every: Annotated[
        float, typer.Option(help="Distance between the starts of two pieces in seconds.")
    ] = 0.96,
    as_json: options.Outcome = False,
) -> None:
    """Write a manifest with a row for each piece of each clip; no audio is written.

    By default the pieces are patches of VGGish. The rest at a clip's end is a piece if it is at
    least half as long as one. A clip that is shorter than a piece is one: train with --set
    shorter=repeat. The exit status is 1 if some files could not be used; they are listed.

    Example: anymic data cut freesound.csv --out patches.csv
    """
    from anymic.data.pieces import cut_rows
    from anymic.data.reading import as_manifest

    pieces, failures = cut_rows(as_manifest(manifest), length_s=length, distance_s=every)
    pieces.write(out)
    failed = failures_as_json(failures)
    outcome = {"manifest": str(out), "rows": len(pieces), "failures": failed}
    print_outcome(outcome, f"{out}: {len(pieces)} pieces", as_json=as_json)
    finish(failures)
