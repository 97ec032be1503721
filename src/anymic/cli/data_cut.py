"""`anymic data cut`: clips of any length as rows of one length."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from anymic.cli import options


def data_cut(
    manifest: Annotated[
        Path,
        typer.Argument(
            help="CSV of clips: path, label, perhaps split; or a folder of one folder per label."
        ),
    ],
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
    failed = [{"path": one.path, "reason": one.reason} for one in failures]
    if as_json:
        print(json.dumps({"manifest": str(out), "rows": len(pieces), "failures": failed}))
    else:
        for one in failed:
            print(f"failed: {one['path']}: {one['reason']}")
        print(f"{out}: {len(pieces)} pieces")
    if failed:
        raise typer.Exit(1)
