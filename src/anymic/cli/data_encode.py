"""`anymic data encode`: pass a corpus through codecs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from anymic.codecs.corpus import Encoding


def encode(
    manifest: Annotated[Path, typer.Argument(help="CSV of clips: path and label.")],
    codecs: Annotated[
        str,
        typer.Option(help="YAML of codecs and bitrates, or the name of a preset: codecs."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the audio and the table.")],
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Clips worked on at once. By default one a processor."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was written as JSON on stdout.")
    ] = False,
) -> None:
    """Let every clip be heard through every codec.

    Written are OUT/audio/CODEC-KBPS/*.flac, each with the rate, length and alignment of its
    original, and OUT/manifest.csv with the columns codec and kbps. Rows of the codec wav name the
    original files. An interrupted run goes on where it stopped.

    Example: anymic data encode esc10.csv --codecs codecs --out esc10-coded
    """
    from anymic.codecs.corpus import encode as run
    from anymic.manifest import Manifest

    result = run(Manifest.read(manifest), codecs, out, workers=workers)
    if as_json:
        typer.echo(json.dumps(_plain(result, out), indent=2))
    else:
        _print(result, out)
    if result.failures:
        raise typer.Exit(1)


def _plain(result: Encoding, out: Path) -> dict[str, object]:
    return {
        "manifest": str(out / "manifest.csv"),
        "files_written": result.written,
        "files_kept": result.kept,
        "codecs": [
            {
                "codec": codec.name,
                "kbps": codec.kbps,
                "measured_kbps": result.measured_kbps[codec],
                "clips_over_full_scale": over,
            }
            for codec, over in result.over_full_scale.items()
        ],
        "failures": [{"path": one.path, "reason": one.reason} for one in result.failures],
    }


def _print(result: Encoding, out: Path) -> None:
    typer.echo(f"{'codec':<12} {'measured kbps':>14} {'over full scale':>16}")
    for codec, over in result.over_full_scale.items():
        typer.echo(f"{codec!s:<12} {result.measured_kbps[codec]:>14.1f} {over:>16}")
    for failure in result.failures:
        typer.echo(f"failed: {failure.path}: {failure.reason}")
    typer.echo(f"{result.written} files written, {result.kept} kept from an earlier run")
    typer.echo(f"{out / 'manifest.csv'} ({len(result.manifest)} rows)")
