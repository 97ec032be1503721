"""The grid file of Kosmider 2019."""

from __future__ import annotations

from dataclasses import dataclass

from anymic.bundle.voting import Voting
from anymic_experiments.commands import Scale
from anymic_experiments.conditions import Grid


@dataclass(frozen=True)
class Ensemble:
    """One way to vote: how, and which of the members `whole`, `selected` and `augmented`."""

    name: str
    voting: Voting
    members: tuple[str, ...]
    smoothing: bool = True  # of the isotonic steps that calibrate; the report's are plain


@dataclass(frozen=True)
class DevicePolicy:
    """What is tried with clips of unstated and unknown devices."""

    known: tuple[str, ...]  # the devices that profiles and identifiers have; the first is flat
    clips: int  # that the identifier learns each device from
    batches: tuple[int, ...]  # recordings of one device that blind gains are estimated from
    references: dict[str, str]  # what the references of the corrections are called


@dataclass(frozen=True)
class Identification:
    """What identifiers are tried with."""

    sizes: tuple[int, ...]  # training clips of each device; most is measured with `aimed_clips`
    aimed_clips: int
    together: tuple[int, ...]  # recordings of one device that are judged together
    aimed_accuracy: float
    aimed_area: float


@dataclass(frozen=True, kw_only=True)
class Settings(Grid):
    """The grid file."""

    selected: float  # the validation accuracy that members of ensembles reach
    ensembles: tuple[Ensemble, ...]
    calibrated: str  # the two that are compared with each other
    soft: str
    # of each set of networks of the submissions, how many there are; see `submissions.trained`
    sets: dict[str, dict[Scale, int]]
    submissions: tuple[Ensemble, ...]  # their members are sets
    device_policy: DevicePolicy
    identification: Identification
    members: int | None = None  # of every ensemble in each fold, how many, the first ones
