"""From trained models to an ensemble: choose its members, calibrate each, let them vote."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anymic.bundle import Bundle, Ensemble
from anymic.bundle.leakage import refuse_overlap, refuse_shared_recordings
from anymic.bundle.voting import Voting
from anymic.calibration import CalibrationError, IsotonicCalibrator
from anymic.data.manifest import Manifest
from anymic.errors import BundleError, ConfigError, Failure, ManifestError
from anymic.inference.predictor import Predictor
from anymic.models.complexity import Complexity, network_complexity

SELECTION = re.compile(r"\s*accuracy\s*>=\s*(\d*\.?\d+)\s*")


@dataclass(frozen=True, eq=False)
class Candidate:
    """A model that may become a member.

    Attributes
    ----------
    name : str
        What to call it: where it lies.
    bundle : Bundle
    accuracy : float or None
        On its own validation clips; None where it has none or nobody measured it.
    """

    name: str
    bundle: Bundle
    accuracy: float | None


@dataclass(frozen=True, eq=False)
class Heard:
    """What a model answers for labelled clips: probabilities (clip, label), targets (clip,)."""

    clips: tuple[str, ...]
    probabilities: NDArray[np.float64]
    targets: NDArray[np.int64]
    failures: tuple[Failure, ...]

    @property
    def accuracy(self) -> float:
        """The share of clips that it gets right."""
        return float((self.probabilities.argmax(axis=1) == self.targets).mean())


def least_accuracy(text: str) -> float:
    """Read a rule such as "accuracy>=0.70".

    Raises
    ------
    ConfigError
        If it is another rule, or no share.
    """
    found = SELECTION.fullmatch(text)
    if found is None or float(found[1]) > 1:
        raise ConfigError(
            f"the selection {text!r} is not valid",
            expected="accuracy>= and a share from 0 to 1",
            fix="write accuracy>=0.70, for example",
        )
    return float(found[1])


class Builder:
    """Makes ensembles of trained models.

    Parameters
    ----------
    manifest : Manifest, optional
        Where clips are found again by their ids: each model's validation clips, whose answers
        calibrate it, and measure it where its accuracy was not recorded.
    calibration : Manifest, optional
        Calibrates every model on these clips in place of its own validation clips.
    cache : path, optional
        A folder where features are kept.
    progress : callable, optional
        Told the number of models that have been heard since the last call.
    """

    def __init__(
        self,
        manifest: Manifest | None = None,
        *,
        calibration: Manifest | None = None,
        cache: str | Path | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self.manifest, self.calibration = manifest, calibration
        self.cache, self.progress = cache, progress
        self.failures: dict[str, Failure] = {}
        self._heard: dict[str, Heard] = {}

    def candidates(self, models: Mapping[str, Bundle]) -> list[Candidate]:
        """Look up each model's accuracy on its own validation clips, or measure it."""
        found = []
        for name, model in models.items():
            bundle = model.uncalibrated()  # members vote with their networks' own probabilities
            accuracy = recorded_accuracy(bundle)
            if accuracy is None and self.manifest is not None and validation_ids(bundle):
                accuracy = self.hear(name, bundle).accuracy
            found.append(Candidate(name, bundle, accuracy))
        return found

    def build(
        self,
        candidates: Sequence[Candidate],
        *,
        voting: Voting = "soft",
        select: str | None = None,
    ) -> Ensemble:
        """Make an ensemble of those that are good enough.

        Parameters
        ----------
        candidates : sequence of Candidate
        voting : {"soft", "calibrated", "geometric"}
            calibrated fits an isotonic regression for each label and member on clips that the
            member was not trained on.
        select : str, optional
            A rule such as "accuracy>=0.70", on each model's own validation clips; by default all
            of them vote.

        Raises
        ------
        BundleError
            If labels or contracts differ, a model has no validation clips where they are needed,
            none is good enough, or clips to calibrate on were learned from.
        ConfigError
            If the rule is none.
        ManifestError
            If validation clips are not in the manifest.
        CalibrationError
            If a member has too few clips of some label to be calibrated.
        """
        chosen = list(candidates) if select is None else _good_enough(candidates, select)
        Ensemble(tuple(one.bundle for one in chosen))  # what cannot vote together is not heard
        members = [one.bundle for one in chosen]
        calibrators = []
        for number, one in enumerate(chosen if voting == "calibrated" else ()):
            heard = self.hear(one.name, one.bundle, calibrate=True)
            calibrators.append(_calibrator(one, heard))
            fitted_on = {**one.bundle.fitted_on, "calibration": heard.clips}
            members[number] = replace(one.bundle, fitted_on=fitted_on)
        record = {
            "anymic": version("anymic"),
            "select": select or "all",
            "members": [
                {"name": one.name, "network": one.bundle.network_name, "accuracy": one.accuracy}
                for one in chosen
            ],
            "left_out": [one.name for one in candidates if one not in chosen],
        }
        return Ensemble(tuple(members), voting, tuple(calibrators), training=record)

    def hear(self, name: str, bundle: Bundle, *, calibrate: bool = False) -> Heard:
        """Let a model answer for its own validation clips, or those it is to be calibrated on.

        Raises
        ------
        BundleError
            If it has no validation clips, or learned from these.
        ManifestError
            If some are not in the manifest, or none can be used.
        """
        if calibrate and self.calibration is not None:
            clips = self.calibration
            refuse_overlap(bundle.fitted_on, clips.clip_ids(), name)
            refuse_shared_recordings(bundle.fitted_on, clips, self.manifest or clips, name)
            return self._answers(bundle, clips, name)
        if name not in self._heard:
            clips = validation_clips(bundle, self.manifest, name)
            assert self.manifest is not None
            refuse_overlap(bundle.fitted_on, clips.clip_ids(), name)
            refuse_shared_recordings(bundle.fitted_on, clips, self.manifest, name)
            self._heard[name] = self._answers(bundle, clips, name)
        return self._heard[name]

    def _answers(self, bundle: Bundle, clips: Manifest, name: str) -> Heard:
        clips.require_labels(bundle.labels)
        heard = Predictor(bundle).predict_manifest(clips, cache=self.cache)
        if self.progress is not None:
            self.progress(1)
        self.failures.update({failure.path: failure for failure in heard.failures})
        if not len(heard.rows):
            raise ManifestError(
                f"none of the {len(clips)} clips for {name} can be used."
                f" The first: {heard.failures[0].reason}",
                expected="at least one",
                fix="correct the files or the paths in the manifest",
            )
        used = clips.rows(heard.rows)
        targets = used.targets(bundle.labels)
        return Heard(tuple(used.clip_ids()), heard.probabilities, targets, heard.failures)


def recorded_accuracy(bundle: Bundle) -> float | None:
    """Return the accuracy on its validation clips that a model's training wrote down."""
    best, monitor = bundle.training.get("best"), bundle.training.get("monitor")
    if not validation_ids(bundle) or monitor == "validation_loss":
        return None
    return float(best) if isinstance(best, (int, float)) else None


def validation_ids(bundle: Bundle) -> tuple[str, ...]:
    """Return the ids of the clips that were set aside when a model was trained."""
    return bundle.fitted_on.get("validation", ())


def validation_clips(bundle: Bundle, manifest: Manifest | None, name: str) -> Manifest:
    """Find a model's own validation clips again.

    Raises
    ------
    BundleError
        If it was trained without.
    ManifestError
        If there is no manifest, or some of them are not in it.
    """
    wanted = set(validation_ids(bundle))
    if not wanted:
        raise BundleError(
            f"no validation clips were set aside for {name}",
            expected="clips that it was not trained on",
            fix="train it with validation_share in the settings, or calibrate on another split",
        )
    if manifest is None:
        raise ManifestError(
            f"the {len(wanted)} validation clips of {name} need a manifest",
            expected="the manifest that it was trained on",
            fix="pass that manifest",
        )
    rows = [row for row, clip in enumerate(manifest.clip_ids()) if clip in wanted]
    if len(rows) < len(wanted):
        raise ManifestError(
            f"{manifest.root} has {len(rows)} of the {len(wanted)} validation clips of {name}",
            expected="all of them",
            fix="pass the manifest that it was trained on",
        )
    return manifest.rows(rows)


def complexity(model: Bundle | Ensemble) -> Complexity:
    """Return what a model costs for one clip: the sum over its members."""
    known: dict[str, Complexity] = {}
    each = []
    for one in model.members if isinstance(model, Ensemble) else (model,):
        config, contract = one.frontend.config, one.contract
        shape = config.input_shape(round(contract.clip_s * contract.rate_hz))
        key = f"{one.network_name} {one.network_arguments} {shape}"
        if key not in known:
            known[key] = network_complexity(one.network, shape)
        each.append(known[key])
    return Complexity(
        sum(one.parameters for one in each),
        sum(one.with_running_statistics for one in each),
        sum(one.multiply_accumulates for one in each),
    )


def _good_enough(candidates: Sequence[Candidate], select: str) -> list[Candidate]:
    least = least_accuracy(select)
    unknown = [one for one in candidates if one.accuracy is None]
    if unknown:
        first = unknown[0]
        why = f"no validation clips were set aside for {first.name}"
        if validation_ids(first.bundle):
            why = f"the accuracy of {first.name} was not recorded"
        raise BundleError(
            f"{why} ({len(unknown)} of {len(candidates)} members)",
            expected=f"an accuracy to select by ({select})",
            fix="pass the training manifest to measure it, or do not select",
        )
    chosen = [one for one in candidates if one.accuracy is not None and one.accuracy >= least]
    if not chosen and candidates:
        best = max(candidates, key=lambda one: one.accuracy or 0.0)
        raise BundleError(
            f"no member has {select} (the best of {len(candidates)}, {best.name}, has"
            f" {best.accuracy:.3f})",
            expected="at least one",
            fix="choose a lower accuracy, or train longer",
        )
    return chosen


def _calibrator(candidate: Candidate, heard: Heard) -> IsotonicCalibrator:
    try:
        return IsotonicCalibrator().fit(heard.probabilities, heard.targets)
    except CalibrationError as error:
        counts = np.bincount(heard.targets, minlength=len(candidate.bundle.labels))
        few = int(counts.argmin())
        raise CalibrationError(
            f"there are {len(heard.targets)} clips to calibrate {candidate.name} on,"
            f" {counts[few]} of {candidate.bundle.labels[few]}",
            expected=error.expected,
            fix="set more clips aside when it is trained",
        ) from error
