"""What the verbs that write a derived corpus print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anymic.cli.printing import failures_as_json, finish, print_json

if TYPE_CHECKING:
    from anymic.data.derived import Derived


def variant_lines(variant: str, number: str, rows: Iterable[tuple[Any, Any, int]]) -> list[str]:
    """Return a table: each variant, a number, and how many of its clips are over full scale."""
    width = max(9, len(number) + 1)
    return [
        f"{name!s:<12} {value:>{width}} {over:>16}"
        for name, value, over in [(variant, number, "over full scale"), *rows]
    ]


def print_derived(
    result: Derived, out: Path, *, lines: Iterable[str], plain: Mapping[str, Any], as_json: bool
) -> None:
    """Print what was written to the folder `out`; exit with status 1 where clips failed.

    The variants are printed as `lines`, or with --json as the mapping `plain`.
    """
    table = out / "manifest.csv"
    if as_json:
        print_json(
            {
                "manifest": str(table),
                "folds": {str(fold): str(path) for fold, path in result.folds.items()},
                "files_written": result.written,
                "files_kept": result.kept,
                **plain,
                "failures": failures_as_json(result.failures),
            }
        )
    else:
        print(*lines, sep="\n")
        print(f"{result.written} files written, {result.kept} kept from an earlier run")
        print(f"{table} ({len(result.manifest)} rows)")
        for fold, path in result.folds.items():
            print(f"{path} (fold {fold} is the test set)")
    finish(result.failures)
