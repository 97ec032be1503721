"""What an experiment found, as rows that can be asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from anymic.evaluation.report.rows import Row


@dataclass(frozen=True)
class Findings:
    """The results of one part of an experiment."""

    rows: list[Row]

    def of(self, metric: str, **condition: str | float) -> Row:
        """Return the one row of this metric whose condition says all of this."""
        (found,) = self._all(metric, condition)
        return found

    def maybe(self, metric: str, **condition: str | float) -> Row | None:
        """Return that row, or None where there is none: what could not be stated."""
        return next(iter(self._all(metric, condition)), None)

    def _all(self, metric: str, condition: dict[str, str | float]) -> list[Row]:
        wanted = {key: named(value) for key, value in condition.items()}
        return [
            item
            for item in self.rows
            if item.metric == metric
            and all(item.condition.get(key) == value for key, value in wanted.items())
        ]


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
