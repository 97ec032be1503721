"""The submissions: four kinds of ensemble, and what calibrating their members changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anymic import metrics
from anymic.bundle.voting import Voting, vote
from anymic.calibration import IsotonicCalibrator
from anymic.errors import AnymicError
from anymic.evaluation.report.cells import percent, plain, points
from anymic.evaluation.report.rows import Row, row
from anymic.metrics import intervals
from anymic_experiments.kosmider2019.grid import WHOLE
from anymic_experiments.kosmider2019.table import COLOURED, PAIR
from anymic_experiments.members import SELECTED, Member

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AVERAGE = "average member"
SOFT, CALIBRATED, GEOMETRIC = (
    f"{voting} voting, selected members" for voting in ("soft", "calibrated", "geometric")
)
SCORES = ("log_loss", "expected_calibration_error", "brier_score")


@dataclass(frozen=True, eq=False)
class Kind:
    """One way to vote: which members, and how.

    Attributes
    ----------
    name : str
    voting : {"soft", "calibrated", "geometric"}
    members : sequence of sequence of Member
        One sequence a fold.
    """

    name: str
    voting: Voting
    members: Sequence[Sequence[Member]]

    def probabilities(self) -> NDArray[np.float64]:
        """Return the votes (clip, class) on the test clips of all folds."""
        return np.concatenate([_vote(members, self.voting) for members in self.members])


@dataclass(frozen=True, eq=False)
class Ensembles:
    """What the ensembles are worth.

    Attributes
    ----------
    rows : list of Row
        accuracy by condition and device (A; B and C together; all three), the scores of the
        probabilities on all three, and differences in pairs: each kind against its average
        member, calibrated against soft voting of the same members.
    sizes : dict of str to tuple of int
        The fewest and the most members of a kind in a fold.
    votes : dict of str to array (clip, class)
        For the reliability diagrams.
    targets, groups : array (clip,)
    """

    rows: list[Row]
    sizes: dict[str, tuple[int, int]]
    votes: dict[str, NDArray[np.float64]]
    targets: NDArray[np.int64]
    groups: NDArray[np.str_]

    def of(self, metric: str, condition: str, device: str = "all") -> Row:
        """Return one row."""
        (found,) = (
            item
            for item in self.rows
            if item.metric == metric
            and (item.condition["condition"], item.condition["device"]) == (condition, device)
        )
        return found


def kinds(found: Sequence[Member]) -> list[Kind]:
    """Return the ensembles of the report, as far as they can be told, and two for comparison.

    The report's four: soft voting of members trained on the whole development set; two calibrated
    soft votings; soft voting of all. Its two calibrated ensembles differ in their members, it does
    not say how: here one takes every selected member and the other those with augmentation.
    """
    folds: dict[Path, list[Member]] = {}
    for member in found:
        folds.setdefault(member.outcome.run.manifest, []).append(member)
    parts = list(folds.values())
    everything = [[m for m in fold if m.outcome.run.condition.startswith(WHOLE)] for fold in parts]
    selected = [[m for m in fold if m.selected] for fold in parts]
    augmented = [
        [m for m in fold if m.outcome.run.config.spec_augment is not None] for fold in selected
    ]
    both = [one + other for one, other in zip(everything, selected, strict=True)]
    return [
        Kind("soft voting, trained on all clips", "soft", everything),
        Kind(CALIBRATED, "calibrated", selected),
        Kind("calibrated voting, selected members with augmentation", "calibrated", augmented),
        Kind("soft voting, all of both", "soft", both),
        Kind(SOFT, "soft", selected),
        Kind(GEOMETRIC, "geometric", selected),
    ]


def _vote(found: Sequence[Member], voting: Voting) -> NDArray[np.float64]:
    if not found:
        raise AnymicError(
            f"no member reached {100 * SELECTED:.0f} % on its validation clips",
            expected="at least one in each fold",
            fix="train longer, or train more members",
        )
    calibrators = [
        IsotonicCalibrator().fit(member.validation, member.targets)
        for member in (found if voting == "calibrated" else ())
    ]
    return vote([member.outcome.probabilities for member in found], voting, calibrators)


def score(found: Sequence[Kind]) -> Ensembles:
    """Score every kind on the test clips of A, B and C, and compare them in pairs."""
    firsts = [fold[0].outcome for fold in found[0].members]
    facts = {
        name: np.concatenate([getattr(first, name) for first in firsts])
        for name in ("targets", "devices", "groups")
    }
    heard = {
        "A": facts["devices"] == "A",
        PAIR: np.isin(facts["devices"], COLOURED),
        "all": np.isin(facts["devices"], ("A", *COLOURED)),
    }
    votes = {kind.name: kind.probabilities() for kind in found}
    right = {name: p.argmax(axis=1) == facts["targets"] for name, p in votes.items()}
    rows: list[Row] = []
    for kind in found:
        average = np.concatenate([_hits_of_members(fold) for fold in kind.members])
        for device, kept in heard.items():
            groups = facts["groups"][kept]
            where = {"condition": kind.name, "device": device}
            rows.append(
                row("accuracy", intervals.accuracy(right[kind.name][kept], groups), **where)
            )
            change = intervals.paired_difference(
                right[kind.name][kept].astype(float), average[kept], groups
            )
            rows.append(row("accuracy_difference", change, **where, against_condition=AVERAGE))
        kept = heard["all"]
        scores = metrics.probability_scores(
            votes[kind.name][kept], facts["targets"][kept], facts["groups"][kept]
        )
        where = {"condition": kind.name, "device": "all"}
        rows += [row(name, scores[name], **where) for name in SCORES]
    rows += _calibrated_against_soft(votes, facts, heard["all"])
    kept = heard["all"]
    return Ensembles(
        rows,
        {kind.name: _size(kind) for kind in found},
        {name: p[kept] for name, p in votes.items()},
        facts["targets"][kept],
        facts["groups"][kept],
    )


def _calibrated_against_soft(
    votes: Mapping[str, NDArray[np.float64]],
    facts: Mapping[str, NDArray[np.generic]],
    kept: NDArray[np.bool_],
) -> list[Row]:
    losses = {
        name: metrics.log_losses(votes[name][kept], facts["targets"][kept])
        for name in (CALIBRATED, SOFT)
    }
    change = intervals.paired_difference(losses[CALIBRATED], losses[SOFT], facts["groups"][kept])
    where = {"condition": CALIBRATED, "device": "all"}
    return [row("log_loss_difference", change, **where, against_condition=SOFT)]


def _hits_of_members(fold: Sequence[Member]) -> NDArray[np.float64]:
    """Return how often the members are right about each test clip (clip,), on average."""
    outcomes = [member.outcome for member in fold]
    mean: NDArray[np.float64] = np.mean(
        [item.probabilities.argmax(axis=1) == item.targets for item in outcomes], axis=0
    )
    return mean


def _size(kind: Kind) -> tuple[int, int]:
    sizes = [len(fold) for fold in kind.members]
    return min(sizes), max(sizes)


def markdown(found: Ensembles) -> str:
    """Return the table of ensembles."""
    lines = [
        "| ensemble | members a fold | A | B and C | over its average member | log loss | ECE |",
        "|---" * 7 + "|",
    ]
    for name, (fewest, most) in found.sizes.items():
        size = str(most) if fewest == most else f"{fewest} to {most}"
        accuracy = [
            percent(found.of("accuracy", name, device), interval_digits=0) for device in ("A", PAIR)
        ]
        gain = points(found.of("accuracy_difference", name))
        scores = [plain(found.of(metric, name)) for metric in SCORES[:2]]
        lines.append("| " + " | ".join([name, size, *accuracy, gain, *scores]) + " |")
    return "\n".join(lines) + "\n"


def reading(found: Ensembles) -> str:
    """Say what calibrated voting gains over a member and over soft voting."""
    gain = found.of("accuracy_difference", CALIBRATED)
    loss = found.of("log_loss_difference", CALIBRATED)
    errors = {
        name: found.of("expected_calibration_error", name).value for name in (CALIBRATED, SOFT)
    }
    better = "lower" if errors[CALIBRATED] < errors[SOFT] else "not lower"
    return (
        f"Calibrated voting of the selected members beats their average by {points(gain)} points "
        f"on A, B and C. Against soft voting of the same members its log loss changes by "
        f"{plain(loss, signed=True)}, and its calibration error is {better}: "
        f"{errors[CALIBRATED]:.3f} against {errors[SOFT]:.3f}."
    )


def figure(found: Ensembles) -> Figure:
    """Draw reliability diagrams of soft and calibrated voting of the same members."""
    from anymic.evaluation.report.figures import reliability

    names = (SOFT, CALIBRATED)
    return reliability(
        np.concatenate([found.votes[name] for name in names]),
        np.tile(found.targets, 2),
        devices=np.repeat(names, len(found.targets)),
        groups=np.tile(found.groups, 2),
        title="Soft and calibrated voting of the same members",
    )
