"""What was measured on labelled clips: the common part of what evaluations return."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anymic.errors import Failure


@dataclass(frozen=True, eq=False, kw_only=True)
class Measurement(ABC):
    """A classifier's probabilities of labelled clips, and what was run.

    Attributes
    ----------
    labels : tuple of str
    probabilities : (..., clip, label) float64
        Calibrated if the model is.
    targets : (clip,) int64
        The true label's number.
    failures : tuple of Failure
        The clips that could not be used; no number includes them.
    warning : str
        How many of the clips the model was fitted on, and for what; empty if none.
    facts : mapping
        What was measured, for the header of the report.
    seed : int
        Of the resamples behind the intervals.
    """

    labels: tuple[str, ...]
    probabilities: NDArray[np.float64]
    targets: NDArray[np.int64]
    failures: tuple[Failure, ...] = ()
    warning: str = ""
    facts: Mapping[str, Any]
    seed: int = 0

    def write(self, folder: str | Path, **facts: Any) -> dict[str, Path]:
        """Write report.html and report.json with figures; return their paths.

        Parameters
        ----------
        folder : path
            Made if it does not exist; a report already in it is replaced.
        facts
            More facts for the header, such as command="...".
        """
        warning = {"warning": self.warning} if self.warning else {}
        return self._write(folder, {**facts, **self.facts, **warning, **facts})

    @abstractmethod
    def _write(self, folder: str | Path, facts: Mapping[str, Any]) -> dict[str, Path]: ...


def as_given(given: Any, otherwise: str) -> str:
    """Return a path as it was given; the name of anything else."""
    return str(given) if isinstance(given, str | Path) else otherwise


def last_part(given: Any, otherwise: str) -> str:
    """Return the last part of a path; the name of anything else."""
    return Path(given).resolve().name if isinstance(given, str | Path) else otherwise
