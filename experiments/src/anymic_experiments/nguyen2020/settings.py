"""The grid file of Nguyen 2020."""

from __future__ import annotations

from dataclasses import dataclass

from anymic_experiments.conditions import Grid


@dataclass(frozen=True, kw_only=True)
class Settings(Grid):
    """The grid file.

    Attributes
    ----------
    uncorrected : str
        The correction that is none.
    pair : str
        The devices, of `devices`, that gains are stated for.
    behind : float
        The training accuracy that a temperature may lack against T = 1 and still be compared.
    calibrated : str
        The condition whose calibration is shown.
    calibration_bound : float
        What the calibration error of every device should be at most.
    """

    uncorrected: str
    pair: str
    behind: float
    calibrated: str
    calibration_bound: float

    @property
    def corrections(self) -> tuple[str, ...]:
        """All corrections, none among them."""
        return tuple(self.factors["correction"])
