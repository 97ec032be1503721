"""``anymic data show``: the clips of a manifest, counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from anymic._internal.terminal import cell
from anymic.cli.printing import Outcome
from anymic.errors import counted

COLUMNS = ("label", "device", "split")


def data_show(
    manifest: Path,
) -> Outcome:
    """Count the clips of a manifest by label, device and split.

    Example: anymic data show sounds.csv
    """
    from anymic.data.reading import as_manifest

    clips = as_manifest(manifest, several=None)
    keys = clips.table.reindex(columns=COLUMNS, fill_value="")
    counts = keys.value_counts(sort=False).sort_index()
    rows = counts.rename("clips").reset_index().to_dict("records")
    table = _table(counts, title=f"{clips.name}: {counted(len(clips), 'clip')}")
    return Outcome({"rows": len(clips), "counts": rows}, [table])


def _table(counts: Any, *, title: str) -> Any:
    """Return the counts as a table: a row for each label, a column for each split and device."""
    from rich.table import Table

    clips = counts.unstack(["split", "device"], fill_value=0).sort_index(axis="columns")
    several = len(clips.columns) > 1
    table = Table(title=cell(title), show_footer=True)
    table.add_column("label", footer="all")
    for (split, device), total in clips.sum().items():
        head = "\n".join(part for part in (split or "no split", device) if part)
        named = split or device or several
        table.add_column(cell(head if named else "clips"), footer=str(total), justify="right")
    if several:
        table.add_column("all", footer=str(counts.sum()), justify="right")
    for label, row in clips.iterrows():
        cells = [str(number) if number else "·" for number in row]
        table.add_row(cell(str(label)), *cells, *([str(row.sum())] if several else []))
    return table
