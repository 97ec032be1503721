"""What an experiment found, as rows that can be asked for."""

from __future__ import annotations

from dataclasses import dataclass

from anymic.report.rows import Row


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
        (found,) = (
            item
            for item in self.rows
            if item.metric == metric
            and all(item.condition.get(key) == value for key, value in condition.items())
        )
        return found
