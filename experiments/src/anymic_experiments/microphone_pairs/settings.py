"""The grid file of the page on pairs of microphones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from anymic_experiments.conditions import Grid


@dataclass(frozen=True, kw_only=True)
class Settings(Grid):
    """The grid file."""

    microphones: int
    defects: tuple[str, ...]
    takes: int
    inner_folds: int
    candidates: dict[str, dict[str, Any]]  # settings of trainings by name
    aims: dict[str, float]
