"""The figures that a paper prints: `published.csv` with the columns table, row, column, value."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from anymic.errors import ConfigError
from anymic_experiments.findings import named

FILE = "published.csv"
COLUMNS = ["table", "row", "column", "value"]


@dataclass(frozen=True)
class Published:
    """A paper's figures."""

    values: Mapping[tuple[str, str, str], float]  # by table, row and column

    @classmethod
    def read(cls, folder: Path) -> Published:
        """Read the figures of a paper; none where it has no such file.

        Raises ConfigError in one line, with the line of the file that is wrong.
        """
        file = folder / FILE
        values: dict[tuple[str, str, str], float] = {}
        if not file.is_file():
            return cls(values)
        with file.open(encoding="utf-8", newline="") as lines:
            for number, line in enumerate(csv.reader(lines), start=1):
                if number == 1 and line == COLUMNS:
                    continue
                try:
                    table, row, column, value = line
                    if number == 1 or (table, row, column) in values:
                        raise ValueError
                    values[table, row, column] = float(value)
                except ValueError:
                    raise ConfigError(
                        f"{file}, line {number}: {','.join(line)}",
                        expected=f"{','.join(COLUMNS)} in the first line, below it each place once",
                        fix="correct the line",
                    ) from None
        return cls(values)

    def of(self, table: str, row: str | float, column: str | float) -> float:
        """Return a figure that the paper prints."""
        return self.values[table, named(row), named(column)]

    def maybe(self, table: str, row: str | float, column: str | float) -> float | None:
        """Return a figure, or None where the paper prints none."""
        return self.values.get((table, named(row), named(column)))

    def rows(self, table: str) -> list[str]:
        """Return the rows of a table, in order."""
        return list(dict.fromkeys(row for name, row, _ in self.values if name == table))
