"""Several models that vote, as one bundle."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anymic.bundle.contract import InputContract
from anymic.bundle.format import (
    ENSEMBLE,
    FOLDER,
    MEMBER_CALIBRATORS,
    PARTS,
    EnsembleRecord,
    read_member_calibrators,
    read_parts,
    read_record,
    write_member_calibrators,
    write_record,
)
from anymic.bundle.installed import resolve
from anymic.bundle.leakage import refuse_overlap
from anymic.bundle.model import Bundle, identifier_problems
from anymic.bundle.targets import Targets, threshold_problems, thresholds_of
from anymic.bundle.voting import Voting
from anymic.calibration import DeviceCalibrator, IsotonicCalibrator
from anymic.devices.correction.profile import DeviceProfile
from anymic.errors import BundleError, counted

if TYPE_CHECKING:
    from anymic.devices.identification.identifier import DeviceIdentifier

MEMBERS = "members"  # the folder


@dataclass
class Ensemble:
    """Models that vote; used for prediction as a `Bundle` is.

    Attributes
    ----------
    members : tuple of Bundle
        With the same labels and contract; networks and front-ends may differ.
    voting : {"soft", "calibrated", "geometric"}
        See `anymic.bundle.voting.vote`.
    calibrators : tuple of IsotonicCalibrator
        One for each member, for calibrated voting only, fitted on the clips that are
        `fitted_on["calibration"]` of the member.
    training : dict
        How the members were chosen; plain JSON values.
    identifier : DeviceIdentifier or None
        Identifies the device of clips for which none is stated, for all members.
    calibration : DeviceCalibrator or None
        Calibrates the probabilities after the vote. The members' own `calibration` is removed:
        they vote with the probabilities of their networks.
    thresholds : tuple of float, or None
        As of a `Bundle`, for the mean of the members' scores; by default the mean of the members'
        thresholds.

    Raises
    ------
    BundleError
        If there is no member, labels, targets or contracts differ, calibrators are missing or were
        fitted on clips that their member was trained on, or scores of several labels a clip are
        combined by other than soft voting.
    """

    members: tuple[Bundle, ...]
    voting: Voting = "soft"
    calibrators: tuple[IsotonicCalibrator, ...] = ()
    training: dict[str, Any] = field(default_factory=dict)
    identifier: DeviceIdentifier | None = None
    calibration: DeviceCalibrator | None = None
    thresholds: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """Check that the members fit each other."""
        self.members = tuple(member.uncalibrated() for member in self.members)
        if not self.members:
            raise BundleError(
                "the ensemble has no member", expected="at least one model", fix="pass its members"
            )
        _refuse_different(self.members)
        if wrong := identifier_problems(self.identifier, self.contract):
            raise BundleError(
                wrong[0], expected="the same rate", fix="fit an identifier with clips of that rate"
            )
        self._settle_thresholds()
        wanted = len(self.members) if self.voting == "calibrated" else 0
        if len(self.calibrators) != wanted:
            raise BundleError(
                f"{counted(len(self.calibrators), 'calibrator')} for {self.voting} voting"
                f" of {counted(len(self.members), 'member')}",
                expected=f"{wanted} calibrators",
                fix="build it with anymic.training.ensemble_builder.build",
            )
        after = self.calibration.fitted_on if self.calibration else ()
        for number, member in enumerate(self.members):
            before = member.fitted_on.get("calibration", ()) if self.calibrators else ()
            refuse_overlap(member.fitted_on, (*before, *after), f"member {number}")

    def _settle_thresholds(self) -> None:
        """Check what several labels a clip need; the mean of the members' thresholds is used."""
        if self.targets == "several" and self.voting != "soft":
            raise BundleError(
                f"{self.voting} voting is for models of one label a clip",
                expected="soft voting for models of several labels a clip",
                fix="choose soft voting",
            )
        own = [member.thresholds for member in self.members]
        if self.targets == "several" and self.thresholds is None and any(own):
            each = [thresholds_of(one, len(self.labels)) for one in own]
            self.thresholds = tuple(sum(one) / len(each) for one in zip(*each, strict=True))
        calibrated = self.calibration is not None
        wrong = threshold_problems(
            self.targets, self.thresholds, self.labels, calibrated=calibrated
        )
        if wrong:
            raise BundleError(
                "; ".join(wrong),
                expected="a threshold from 0 to 1 for each label, and several labels a clip",
                fix="build the ensemble again",
            )

    @property
    def targets(self) -> Targets:
        """Whether a clip has one label or several, for every member."""
        return self.members[0].targets

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of every member."""
        return self.members[0].labels

    @property
    def contract(self) -> InputContract:
        """The contract of every member."""
        return self.members[0].contract

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices that every member with a profile has gains for."""
        each = [member.devices for member in self.members if member.devices]
        return tuple(name for name in (each or [()])[0] if all(name in own for own in each))

    @property
    def blind_devices(self) -> tuple[str, ...]:
        """Those of them whose gains are blind in some member."""
        blind = {name for member in self.members for name in member.blind_devices}
        return tuple(name for name in self.devices if name in blind)

    @property
    def profile(self) -> DeviceProfile | None:
        """The profile of the first member that has one; each member uses its own."""
        return next((member.profile for member in self.members if member.profile), None)

    @property
    def fitted_on(self) -> dict[str, tuple[str, ...]]:
        """For each use, the clips that some member was fitted on."""
        uses: dict[str, dict[str, None]] = {}
        for member in self.members:
            for use, clips in member.fitted_on.items():
                uses.setdefault(use, {}).update(dict.fromkeys(clips))
        if self.identifier is not None:
            uses["identifier"] = dict.fromkeys(self.identifier.fitted_on)
        if self.calibration is not None:
            uses.setdefault("calibration", {}).update(dict.fromkeys(self.calibration.fitted_on))
        return {use: tuple(clips) for use, clips in uses.items()}

    @property
    def file_hashes(self) -> dict[str, str]:
        """The hash of the file of each clip that some member was fitted on, by the clip's id."""
        return {clip: one for member in self.members for clip, one in member.file_hashes.items()}

    def save(self, folder: str | Path) -> Path:
        """Write the ensemble into a folder, as `Bundle.save` does; return the folder.

        Raises
        ------
        BundleError
            If `folder` is a file, or has a folder `members` that does not belong to an ensemble.
        """
        folder = Path(folder)
        if (folder / MEMBERS).exists() and not _is_ensemble(folder):
            raise BundleError(
                f"the folder {folder} has a folder {MEMBERS} that belongs to no ensemble",
                expected="a new folder, or an ensemble to replace",
                fix="choose another path",
            )
        digits = max(2, len(str(len(self.members) - 1)))
        names = [f"{number:0{digits}}" for number in range(len(self.members))]
        files = [_index_of(name) for name in names]
        with FOLDER.writing(folder, optional=(MEMBER_CALIBRATORS, *PARTS.values())) as new:
            for name, member in zip(names, self.members, strict=True):
                member.save(new / MEMBERS / name)
            if self.calibrators:
                write_member_calibrators(new, names, self.calibrators)
                files.append(MEMBER_CALIBRATORS)
            own = {"kind": ENSEMBLE, "voting": self.voting, "members": tuple(names)}
            write_record(new, EnsembleRecord, self, files, **own)
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> Ensemble:
        """Read an ensemble that `save` wrote.

        Raises
        ------
        BundleError
            As for `Bundle.load`, of the ensemble or one of its members.
        """
        folder = Path(folder)
        record = read_record(folder, EnsembleRecord)
        if not record.members or not all(name.isdecimal() for name in record.members):
            raise BundleError(
                f"{folder / FOLDER.index} lists the members {', '.join(record.members) or 'none'}",
                expected="numbers",
                fix="build the ensemble again",
            )
        calibrated = record.voting == "calibrated"
        needed = [_index_of(name) for name in record.members]
        needed += [MEMBER_CALIBRATORS] if calibrated else []
        parts = read_parts(folder, record, needed=needed)
        calibrators: tuple[IsotonicCalibrator, ...] = ()
        if calibrated:
            labels = len(record.labels)
            calibrators = read_member_calibrators(folder, record.members, labels=labels)
        return cls(
            members=tuple(Bundle.load(folder / MEMBERS / name) for name in record.members),
            voting=record.voting,
            calibrators=calibrators,
            training=record.training,
            thresholds=record.thresholds,
            **parts,
        )


def load(folder: str | Path) -> Bundle | Ensemble:
    """Read the model or the ensemble in a folder, or the installed model of that name.

    Raises
    ------
    BundleError
        As for `Bundle.load`.
    """
    folder = resolve(folder)
    kind = FOLDER.read_index(folder).get("kind")
    return Ensemble.load(folder) if kind == ENSEMBLE else Bundle.load(folder)


def _index_of(member: str) -> str:
    """Return the index of a member, which holds the hashes of the member's other files."""
    return f"{MEMBERS}/{member}/{FOLDER.index}"


def _refuse_different(members: tuple[Bundle, ...]) -> None:
    first = members[0]
    for number, member in enumerate(members[1:], start=1):
        problem = ""
        if member.labels != first.labels:
            problem = f"different labels: {_difference(first.labels, member.labels)}"
        elif member.targets != first.targets:
            problem = f"{first.targets} and {member.targets} labels a clip"
        elif member.contract != first.contract:
            problem = f"different contracts: {first.contract} and {member.contract}"
        if problem:
            raise BundleError(
                f"the members have {problem} (members 0 and {number})",
                expected="the same labels in the same order, rate, length and rules",
                fix="leave one out, or train them on the same labels, with the same settings",
            )


def _difference(first: tuple[str, ...], other: tuple[str, ...]) -> str:
    here, there = (sorted(set(a) - set(b)) for a, b in ((first, other), (other, first)))
    if not here and not there:
        return "another order"
    return f"{', '.join(here) or 'none'} and {', '.join(there) or 'none'} are in one only"


def _is_ensemble(folder: Path) -> bool:
    try:
        return FOLDER.read_index(folder).get("kind") == ENSEMBLE
    except BundleError:
        return False
