"""The least that a classifier must reach: a minimum accuracy that decides the exit status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anymic.errors import ConfigError
from anymic.evaluation.robustness.findings import Findings

WHAT = ("worst", "mean", "clean")


@dataclass(frozen=True)
class Floor:
    """A least accuracy.

    Attributes
    ----------
    what : {"worst", "mean", "clean"}
        Of the worst condition, of all but the clean one on average, of the clean clips.
    share : float
        From 0 to 1.
    """

    what: str
    share: float

    @classmethod
    def read(cls, text: str) -> Floor:
        """Read "worst=0.60".

        Raises
        ------
        ConfigError
            It is no such expression.
        """
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


def fallen(findings: Findings, floors: Sequence[Floor]) -> str:
    """Say in one line which floors were fallen under; "" where none was.

    What counts is the accuracy itself, not an end of its interval.
    """
    measured = {
        "worst": (
            findings.accuracy(findings.worst).value,
            f" ({findings.conditions[findings.worst].name})",
        ),
        "mean": (findings.mean.value, f" (of {len(findings.conditions) - 1} conditions)"),
        "clean": (findings.accuracy(0).value, ""),
    }
    parts = [
        f"{floor.what} {100 * measured[floor.what][0]:.1f} %{measured[floor.what][1]}, "
        f"expected {100 * floor.share:.4g} %"
        for floor in floors
        if measured[floor.what][0] < floor.share
    ]
    return f"failed: accuracy of {'; '.join(parts)}" if parts else ""
