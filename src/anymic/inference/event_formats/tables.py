"""Write tables of events: CSV, JSON Lines and Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

from anymic._internal.files import atomic_path
from anymic._internal.optional import extra
from anymic.inference.event_formats.rows import COLUMNS, NUMBERS, Row, plain

BLOCK_ROWS = 20_000  # written at once: a row group of Parquet


def write_table(path: Path, kind: str, rows: Iterable[Row]) -> None:
    """Write a table, complete or not at all; the rows may be an iterator of any length.

    Raises
    ------
    DependencyError
        If Parquet is wanted and pyarrow is not installed.
    """
    blocks = _blocks(map(_as_text, rows))
    with atomic_path(path) as unfinished:
        if kind == "parquet":
            _write_parquet(unfinished, blocks)
            return
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            _write_csv(file, blocks) if kind == "csv" else _write_jsonl(file, blocks)


def _as_text(row: Row) -> Row:
    return tuple(plain(cell) if isinstance(cell, str) else cell for cell in row)


def _blocks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while block := list(islice(rows, BLOCK_ROWS)):
        yield block


def _write_csv(file: IO[str], blocks: Iterable[list[Row]]) -> None:
    csv.writer(file, lineterminator="\n").writerow(COLUMNS)
    for block in blocks:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(block)
        if "\r" in text.getvalue():  # which ends a line, and is not quoted by itself
            text = io.StringIO(newline="")
            csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC).writerows(block)
        file.write(text.getvalue())


def _write_jsonl(file: IO[str], blocks: Iterable[list[Row]]) -> None:
    for block in blocks:
        file.writelines(
            json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=False, allow_nan=False)
            + "\n"
            for row in block
        )


def _write_parquet(path: Path, blocks: Iterable[list[Row]]) -> None:
    with extra("parquet"):
        import pyarrow
        import pyarrow.parquet

    kinds: list[Any] = [
        (name, pyarrow.float64() if name in NUMBERS else pyarrow.string()) for name in COLUMNS
    ]
    schema = pyarrow.schema(kinds)
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        for block in blocks:
            columns = [list(cells) for cells in zip(*block, strict=True)]
            writer.write_table(pyarrow.table(columns, schema=schema))
