"""What an experiment found, as rows that can be asked for."""

from __future__ import annotations

from dataclasses import dataclass

from anymic.evaluation.report.rows import Row


@dataclass(frozen=True)
class Findings:
    """The results of one part of an experiment.

    Attributes
    ----------
    rows : list of Row
    """

    rows: list[Row]

    def of(self, metric: str, **condition: str) -> Row:
        """Return the one row of this metric whose condition says all of this."""
        (found,) = self._all(metric, condition)
        return found

    def maybe(self, metric: str, **condition: str) -> Row | None:
        """Return that row, or None where there is none: what could not be stated."""
        return next(iter(self._all(metric, condition)), None)

    def _all(self, metric: str, condition: dict[str, str]) -> list[Row]:
        return [
            item
            for item in self.rows
            if item.metric == metric
            and all(item.condition.get(key) == value for key, value in condition.items())
        ]
