"""Minimum accuracies that decide the exit status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anymic.errors import ConfigError, counted
from anymic.evaluation.robustness.findings import Robustness

WHAT = ("worst", "mean", "clean")


@dataclass(frozen=True)
class Floor:
    """A minimum accuracy.

    Attributes
    ----------
    what : {"worst", "mean", "clean"}
        Of the worst condition, of all conditions but the clean one on average, of the clean clips.
    share : float
        From 0 to 1.
    """

    what: str
    share: float

    @classmethod
    def read(cls, text: str) -> Floor:
        """Read "worst=0.60"; raise ConfigError for anything else."""
        what, _, number = (part.strip() for part in text.partition("="))
        try:
            share = float(number)
        except ValueError:
            share = -1.0
        if what not in WHAT or not 0 <= share <= 1:
            raise ConfigError(
                f"{text!r} is not a minimum",
                expected=f"one of {', '.join(WHAT)}, and an accuracy from 0 to 1",
                fix="write worst=0.60, for example",
            )
        return cls(what, share)


def missed_floors(findings: Robustness, floors: Sequence[Floor]) -> str:
    """Return a line with the minimums that accuracy (not its interval) is below; "" if none."""
    worst = findings.worst
    measured = {
        "worst": (findings.accuracy(worst).value, f" ({findings.conditions[worst].name})"),
        "mean": (
            findings.mean.value,
            f" (of {counted(len(findings.conditions) - 1, 'condition')})",
        ),
        "clean": (findings.accuracy(0).value, ""),
    }
    parts = []
    for floor in floors:
        share, place = measured[floor.what]
        if share < floor.share:
            parts.append(
                f"{floor.what} {100 * share:.1f} %{place}, expected {100 * floor.share:.4g} %"
            )
    return f"failed: accuracy of {'; '.join(parts)}" if parts else ""
