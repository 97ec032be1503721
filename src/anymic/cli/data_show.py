"""``anymic data show``: the clips of a manifest, counted."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from anymic.data.manifest import Manifest


def data_show(
    manifest: Annotated[Path, typer.Argument(help="The manifest to look at.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Count the clips of a manifest by label, device and split.

    Example: anymic data show sounds.csv
    """
    from anymic.data.manifest import Manifest

    table = Manifest.read(manifest)
    counts = _counts(table)
    if as_json:
        print(json.dumps({"rows": len(table), "counts": counts}, indent=2))
    else:
        _print_counts(table, counts)


def _counts(manifest: Manifest) -> list[dict[str, str | int]]:
    """Count rows for each label, device and split that occurs; "" where a column is absent."""
    table = manifest.table
    empty = [""] * len(table)
    columns = [
        table[key] if key in table.columns else empty for key in ("label", "device", "split")
    ]
    counted = Counter(zip(*columns, strict=True))
    return [
        {"label": label, "device": device, "split": split, "clips": number}
        for (label, device, split), number in sorted(counted.items())
    ]


def _print_counts(manifest: Manifest, counts: list[dict[str, str | int]]) -> None:
    from rich.console import Console
    from rich.table import Table

    heads = sorted({(str(row["split"]), str(row["device"])) for row in counts})
    number = {(row["label"], row["split"], row["device"]): row["clips"] for row in counts}
    table = Table(title=f"{manifest.name}: {len(manifest)} clips", show_footer=True)
    table.add_column("label", footer="all")

    def cells(labels: list[str]) -> list[int]:
        return [
            sum(int(number.get((label, split, device), 0)) for label in labels)
            for split, device in heads
        ]

    total = cells(manifest.labels)
    for (split, device), clips in zip(heads, total, strict=True):
        head = "\n".join(part for part in (split or "no split", device) if part)
        table.add_column(
            head if split or device or len(heads) > 1 else "clips",
            footer=str(clips),
            justify="right",
        )
    if len(heads) > 1:
        table.add_column("all", footer=str(sum(total)), justify="right")
    for label in manifest.labels:
        row = cells([label])
        summed = [str(sum(row))] if len(heads) > 1 else []
        table.add_row(label, *(str(clips) if clips else "·" for clips in row), *summed)
    Console().print(table)
