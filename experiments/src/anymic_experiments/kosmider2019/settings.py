"""The grid file of Kosmider 2019."""

from __future__ import annotations

from dataclasses import dataclass

from anymic.bundle.voting import Voting
from anymic_experiments.conditions import Grid


@dataclass(frozen=True)
class Ensemble:
    """One way to vote: how, and which of the members `whole`, `selected` and `augmented`."""

    name: str
    voting: Voting
    members: tuple[str, ...]


@dataclass(frozen=True)
class Routing:
    """What is tried with clips of unstated and unknown devices.

    Attributes
    ----------
    known : tuple of str
        The devices that profiles and identifiers have.
    clips : int
        That the identifier learns each device from.
    batches : tuple of int
        Recordings of one device that blind gains are estimated from.
    references : dict of str to str
        What the references of the corrections are called.
    """

    known: tuple[str, ...]
    clips: int
    batches: tuple[int, ...]
    references: dict[str, str]


@dataclass(frozen=True)
class Identification:
    """What identifiers are tried with.

    Attributes
    ----------
    sizes : tuple of int
        Training clips of each device; most is measured with `aimed_clips`.
    together : tuple of int
        Recordings of one device that are judged together.
    aimed_accuracy, aimed_area : float
    """

    sizes: tuple[int, ...]
    aimed_clips: int
    together: tuple[int, ...]
    aimed_accuracy: float
    aimed_area: float


@dataclass(frozen=True, kw_only=True)
class Settings(Grid):
    """The grid file.

    Attributes
    ----------
    selected : float
        The validation accuracy that members of ensembles reach.
    ensembles : tuple of Ensemble
    calibrated, soft : str
        The two that are compared with each other.
    routing : Routing
    identification : Identification
    """

    selected: float
    ensembles: tuple[Ensemble, ...]
    calibrated: str
    soft: str
    routing: Routing
    identification: Identification
