"""What the verbs that write a derived corpus print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anymic.cli.printing import Outcome, failures_as_json
from anymic.errors import counted

if TYPE_CHECKING:
    from anymic.data.derived import Derived


def variant_lines(variant: str, number: str, rows: Iterable[tuple[Any, Any, int]]) -> list[str]:
    """Return a table: each variant, a number, and how many of its clips are over full scale."""
    width = max(9, len(number) + 1)
    return [
        f"{name!s:<12} {value:>{width}} {over:>16}"
        for name, value, over in [(variant, number, "over full scale"), *rows]
    ]


def derived_outcome(
    result: Derived, out: Path, *, lines: Iterable[str], plain: Mapping[str, Any]
) -> Outcome:
    """Return what was written to the folder `out`: the variants are `lines`, in JSON `plain`."""
    table = out / "manifest.csv"
    return Outcome(
        {
            "manifest": str(table),
            "folds": {str(fold): str(path) for fold, path in result.folds.items()},
            "files_written": result.written,
            "files_kept": result.kept,
            **plain,
            "failures": failures_as_json(result.failures),
        },
        [
            *lines,
            f"{counted(result.written, 'file')} written, {result.kept} kept from an earlier run",
            f"{table} ({counted(len(result.manifest), 'row')})",
            *(f"{path} (fold {fold} is the test set)" for fold, path in result.folds.items()),
        ],
        result.failures,
    )
