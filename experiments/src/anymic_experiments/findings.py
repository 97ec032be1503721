"""What an experiment found, and the figures that a paper prints: rows that can be asked for."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from anymic.errors import ConfigError
from anymic.evaluation.report.rows import Row


@dataclass(frozen=True)
class Findings:
    """The results of one part of an experiment."""

    rows: list[Row]

    def of(self, metric: str, **condition: str | float) -> Row:
        """Return the one row of this metric whose condition says all of this."""
        (found,) = self.all(metric, **condition)
        return found

    def maybe(self, metric: str, **condition: str | float) -> Row | None:
        """Return that row, or None where there is none: what could not be stated."""
        return next(iter(self.all(metric, **condition)), None)

    def all(self, metric: str, **condition: str | float) -> list[Row]:
        """Return all rows of this metric whose condition says all of this."""
        wanted = {key: named(value) for key, value in condition.items()}.items()
        return [one for one in self._by_metric.get(metric, []) if wanted <= one.condition.items()]

    @cached_property
    def _by_metric(self) -> dict[str, list[Row]]:
        """The rows, by metric: a page asks for thousands."""
        found: dict[str, list[Row]] = {}
        for one in self.rows:
            found.setdefault(one.metric, []).append(one)
        return found

    def values(self, key: str) -> list[str]:
        """Return the devices, say, that conditions name, each once and in order."""
        found = (item.condition[key] for item in self.rows if key in item.condition)
        return list(dict.fromkeys(found))


def named(value: str | float) -> str:
    """Return a number as conditions write it: 10, 0.5."""
    return value if isinstance(value, str) else f"{value:g}"


def clear(found: Iterable[Row]) -> list[Row]:
    """Return the rows whose interval lies above 0."""
    return [item for item in found if item.low is not None and item.low > 0]


def verdict(found: Row, published: float) -> str:
    """Say whether a published number lies within an interval, and whether 0 does.

    It is "within" (the interval does not hold 0), "within, as 0 is", "outside", or "" without one.
    """
    if found.low is None or found.high is None:
        return ""
    if not found.low <= published <= found.high:
        return "outside"
    return "within, as 0 is" if found.low <= 0 <= found.high else "within"


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
