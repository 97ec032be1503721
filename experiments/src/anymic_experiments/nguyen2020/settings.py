"""The grid file of Nguyen 2020."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from anymic_experiments.conditions import Grid


@dataclass(frozen=True, kw_only=True)
class Settings(Grid):
    """The grid file."""

    uncorrected: str  # the correction that is none
    pair: str  # the devices, of `devices`, that gains are stated for
    # the training accuracy that a temperature may lack against T = 1 and still be compared
    behind: float
    calibrated: str  # the condition whose calibration is shown
    ablation_seeds: int  # of the seeds, how many table 2 and the choice of the epoch are made with
    calibration_bound: float  # what the calibration error of every device should be at most

    # what chooses the epoch that is kept: training clips that are set aside, or, as in the paper,
    # the test clips; at the small scale the last epoch is kept
    validation: Literal["training clips", "test clips"]

    @property
    def shown(self) -> tuple[str, str]:
        """The devices of table 2 and figure 3."""
        return next(iter(self.devices)), self.pair
