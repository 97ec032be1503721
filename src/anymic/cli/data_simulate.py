"""`anymic data simulate`: pass a corpus through devices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from anymic.devices.simulate import Simulation


def simulate(
    manifest: Annotated[
        Path, typer.Argument(help="CSV of clean clips: path, label, and a split or a fold.")
    ],
    devices: Annotated[
        str,
        typer.Option(
            help="YAML of the devices and of who hears what, or the name of a preset: microphones."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the audio and the tables.")],
    responses: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the impulse responses that the YAML names. By default the YAML's own."
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Clips worked on at once. By default one a processor."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was written as JSON on stdout.")
    ] = False,
) -> None:
    """Make a corpus of several devices out of a clean one.

    Each device colours the clips with its response, its gain, its compression and its noise, and
    writes FLAC. Which clips it hears says the YAML: all, a count, or a share. Devices with few
    clips hear the same ones (aligned takes). Written are OUT/audio, OUT/manifest.csv and, for a
    corpus with folds, one OUT/foldK.csv a fold, ready to train on. The same settings give the
    same bytes; an interrupted run goes on where it stopped.

    Example: anymic data simulate esc10.csv --devices microphones --responses micirp --out mics
    """
    from anymic.devices.simulate import simulate as run
    from anymic.manifest import Manifest

    result = run(Manifest.read(manifest), devices, out, responses=responses, workers=workers)
    if as_json:
        typer.echo(json.dumps(_plain(result, out), indent=2))
    else:
        _print(result, out)
    if result.failures:
        raise typer.Exit(1)


def _plain(result: Simulation, out: Path) -> dict[str, object]:
    counts = result.manifest.table["device"].value_counts()
    return {
        "manifest": str(out / "manifest.csv"),
        "folds": {str(fold): str(path) for fold, path in result.folds.items()},
        "files_written": result.written,
        "files_kept": result.kept,
        "devices": {
            device: {"clips": int(counts.get(device, 0)), "clips_over_full_scale": over}
            for device, over in result.over_full_scale.items()
        },
        "failures": [{"path": one.path, "reason": one.reason} for one in result.failures],
    }


def _print(result: Simulation, out: Path) -> None:
    counts = result.manifest.table["device"].value_counts()
    typer.echo(f"{'device':<12} {'clips':>7} {'over full scale':>16}")
    for device, over in result.over_full_scale.items():
        typer.echo(f"{device:<12} {counts.get(device, 0):>7} {over:>16}")
    for failure in result.failures:
        typer.echo(f"failed: {failure.path}: {failure.reason}")
    typer.echo(f"{result.written} files written, {result.kept} kept from an earlier run")
    typer.echo(f"{out / 'manifest.csv'} ({len(result.manifest)} rows)")
    for fold, path in result.folds.items():
        typer.echo(f"{path} (fold {fold} is the test set)")
