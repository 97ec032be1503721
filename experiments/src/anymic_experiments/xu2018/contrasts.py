"""What a choice changes, clip by clip, beside what it changed in the paper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anymic.evaluation.report.rows import Row, row
from anymic.metrics.intervals import paired_difference
from anymic.metrics.scores import reciprocal_ranks_at
from anymic_experiments.xu2018.grid import Line

if TYPE_CHECKING:
    from anymic_experiments.xu2018.work import Answers

METRIC = "mean_average_precision_at_3_difference"
# Of each table: a line, and the line that it is compared with. {n} is any number of segments, as
# the scales differ in it.
PAIRS: dict[int, tuple[tuple[str, str], ...]] = {
    2: (
        ("balanced, first", "original VGGish"),
        ("all four", "original VGGish"),
        ("balanced, both", "unbalanced, both"),
        ("balanced, both", "balanced, first"),
        ("unbalanced, both", "unbalanced, first"),
        ("all four", "balanced, both"),
    ),
    3: (
        ("LSTM", "1 segment, multi-level"),
        ("{n} segments, attention", "1 segment, multi-level"),
        ("{n} segments, attention", "LSTM"),
        ("with pitch shift", "{n} segments, attention"),
        ("with mixup 0.1", "with pitch shift"),
        ("with mixup 0.2", "with pitch shift"),
        ("with mixup 0.4", "with pitch shift"),
        ("with mixup 1", "with pitch shift"),
    ),
    4: (("2", "1"), ("4", "1"), ("4", "2"), ("all", "1"), ("all", "4")),
}


@dataclass(frozen=True)
class Contrast:
    """One line of a table against another.

    Attributes
    ----------
    row : Row
        The difference of MAP@3, over whole recordings.
    paper : float
        The same in the paper.
    """

    row: Row
    paper: float

    @property
    def verdict(self) -> str:
        """Whether the paper's difference lies within our interval, and whether zero does."""
        low, high = self.row.low, self.row.high
        if low is None or high is None:
            return ""
        if not low <= self.paper <= high:
            return "differs"
        return "agrees, as no change would" if low <= 0 <= high else "agrees"


def contrasts(table: int, scored: Mapping[str, tuple[Line, Answers]]) -> list[Contrast]:
    """Return the contrasts of a table whose two lines it has, both with a number of the paper's."""
    ranks = {
        name: reciprocal_ranks_at(found.probabilities, found.targets)
        for name, (_, found) in scored.items()
    }
    result = []
    for first, second in PAIRS[table]:
        one, other = _find(first, scored), _find(second, scored)
        if one is None or other is None:
            continue
        papers = scored[one][0].paper, scored[other][0].paper
        if papers[0] is None or papers[1] is None:
            continue
        change = paired_difference(ranks[one], ranks[other], scored[one][1].groups)
        condition = {"table": str(table), "line": one, "against_line": other}
        result.append(Contrast(row(METRIC, change, **condition), papers[0] - papers[1]))
    return result


def _find(name: str, scored: Mapping[str, tuple[Line, Answers]]) -> str | None:
    """Return the line of this name, whatever its number of segments."""
    if "{n}" in name:
        ending = name.removeprefix("{n}")
        return next((line for line in scored if line.endswith(ending)), None)
    if name == "all":
        return next((line for line in scored if line.startswith("all:")), None)
    return name if name in scored else None
