"""What the verbs that write a derived corpus print."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from anymic.data.derived import Derived


def say(
    result: Derived,
    out: Path,
    *,
    columns: tuple[str, str],
    lines: Sequence[tuple[str, str, int]],
    plain: Mapping[str, Any],
    as_json: bool,
) -> None:
    """Print what was written; exit status 1 where clips failed.

    Parameters
    ----------
    result : Derived
    out : path
        Its folder.
    columns : tuple
        What a variant is called, and the number shown of each.
    lines : sequence
        A variant, that number, and how many of its clips went over full scale.
    plain : mapping
        What --json prints of the variants.
    as_json : bool
    """
    if as_json:
        said = {
            "manifest": str(out / "manifest.csv"),
            "folds": {str(fold): str(path) for fold, path in result.folds.items()},
            "files_written": result.written,
            "files_kept": result.kept,
            **plain,
            "failures": [{"path": one.path, "reason": one.reason} for one in result.failures],
        }
        typer.echo(json.dumps(said, indent=2))
    else:
        wide = max(9, len(columns[1]) + 1)
        typer.echo(f"{columns[0]:<12} {columns[1]:>{wide}} {'over full scale':>16}")
        for name, number, over in lines:
            typer.echo(f"{name:<12} {number:>{wide}} {over:>16}")
        for failure in result.failures:
            typer.echo(f"failed: {failure.path}: {failure.reason}")
        typer.echo(f"{result.written} files written, {result.kept} kept from an earlier run")
        typer.echo(f"{out / 'manifest.csv'} ({len(result.manifest)} rows)")
        for fold, path in result.folds.items():
            typer.echo(f"{path} (fold {fold} is the test set)")
    if result.failures:
        raise typer.Exit(1)
