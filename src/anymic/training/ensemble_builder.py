"""Build an ensemble of trained models: choose the members and calibrate each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path

from anymic._version import version
from anymic.bundle import Bundle, Ensemble
from anymic.bundle.leakage import file_hashes
from anymic.bundle.voting import Voting
from anymic.calibration import IsotonicCalibrator
from anymic.data.manifest import Manifest
from anymic.errors import BundleError, ConfigError, Failure, part_of
from anymic.inference.prediction import ManifestPredictions
from anymic.models.complexity import Complexity, network_complexity
from anymic.training.calibration_clips import (
    predict_labelled,
    refuse_known,
    require_each_label,
    validation_clips,
)

Labelled = tuple[Manifest, ManifestPredictions]  # the usable clips, and a model's predictions
SELECTION = re.compile(r"\s*accuracy\s*>=\s*(\d*\.?\d+)\s*")


@dataclass(frozen=True, eq=False)
class Candidate:
    """A model that may become a member of an ensemble."""

    name: str  # for messages: the folder of the model
    bundle: Bundle
    accuracy: float | None  # on its own validation clips, where it has some and it was measured


def least_accuracy(text: str) -> float:
    """Return the number of a rule such as "accuracy>=0.70".

    Raises
    ------
    ConfigError
        If it is another rule, or the number is not between 0 and 1.
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
    """Build ensembles of trained models.

    Parameters
    ----------
    manifest : Manifest, optional
        The clips that the models were trained on. Each model's validation clips are found in it by
        their ids; they calibrate the model, and measure its accuracy where that was not recorded.
    calibration : Manifest, optional
        Clips to calibrate every model on, instead of its own validation clips.
    cache : path, optional
        Folder for features.
    progress : callable, optional
        Called with the number of models that have predicted since the last call.
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
        self._predictions: dict[str, Labelled] = {}

    def candidates(self, models: Mapping[str, Bundle]) -> list[Candidate]:
        """Return each model with its accuracy on its own validation clips, recorded or measured."""
        candidates = []
        for name, model in models.items():
            bundle = model.uncalibrated()  # members vote with uncalibrated probabilities
            accuracy = recorded_accuracy(bundle)
            known = self.manifest is not None and bool(bundle.fitted_on.get("validation"))
            known = known and bundle.targets == "one"
            if accuracy is None and known:
                clips, found = self.predict(name, bundle)
                right = found.probabilities.argmax(axis=1) == clips.targets(bundle.labels)
                accuracy = float(right.mean())
            candidates.append(Candidate(name, bundle, accuracy))
        return candidates

    def build(
        self,
        candidates: Sequence[Candidate],
        *,
        voting: Voting = "soft",
        select: str | None = None,
    ) -> Ensemble:
        """Build an ensemble of all candidates, or of those that are accurate enough.

        Parameters
        ----------
        candidates : sequence of Candidate
        voting : {"soft", "calibrated", "geometric"}
            calibrated fits an isotonic regression for each label and member on clips that the
            member was not trained on.
        select : str, optional
            A rule such as "accuracy>=0.70", applied to the accuracy on each model's own validation
            clips; by default all candidates vote.

        Raises
        ------
        BundleError
            If labels or contracts differ, a model has no validation clips where they are needed,
            no model is accurate enough, or a model was trained on clips that calibrate it.
        ConfigError
            If the rule is not of this form.
        ManifestError
            If validation clips are not in the manifest.
        CalibrationError
            If a member has too few clips of some label to be calibrated.
        """
        chosen = list(candidates) if select is None else _good_enough(candidates, select)
        members = [one.bundle for one in chosen]
        several = any(one.targets == "several" for one in members)
        # raises before anything is predicted
        Ensemble(tuple(members), voting if several else "soft")
        calibrators = []
        for number, one in enumerate(chosen if voting == "calibrated" else ()):
            clips, found = self.predict(one.name, one.bundle, calibrate=True)
            targets = clips.targets(one.bundle.labels)
            fix = "set more clips aside when it is trained"
            require_each_label(targets, one.bundle.labels, name=one.name, fix=fix)
            calibrators.append(IsotonicCalibrator().fit(found.probabilities, targets))
            fitted_on = {**one.bundle.fitted_on, "calibration": tuple(clips.clip_ids())}
            hashes = {**one.bundle.file_hashes, **file_hashes(clips)}
            members[number] = replace(one.bundle, fitted_on=fitted_on, file_hashes=hashes)
        record = {
            "anymic": version(),
            "select": select or "all",
            "members": [
                {"name": one.name, "network": one.bundle.network_name, "accuracy": one.accuracy}
                for one in chosen
            ],
            "left_out": [one.name for one in candidates if one not in chosen],
        }
        return Ensemble(tuple(members), voting, tuple(calibrators), training=record)

    def predict(self, name: str, bundle: Bundle, *, calibrate: bool = False) -> Labelled:
        """Classify a model's own validation clips, or those to calibrate on.

        Raises
        ------
        BundleError
            If it has no validation clips, or was trained on these.
        ManifestError
            If some are not in the manifest, or none can be used.
        """
        own = self.calibration is None or not calibrate
        if own and name in self._predictions:
            return self._predictions[name]
        clips = validation_clips(bundle, self.manifest, name) if own else self.calibration
        assert clips is not None
        refuse_known(bundle, clips, self.manifest or clips, name)
        found = predict_labelled(bundle, clips, cache=self.cache, which=f" for {name}")
        if self.progress is not None:
            self.progress(1)
        self.failures.update({failure.path: failure for failure in found[1].failures})
        if own:
            self._predictions[name] = found
        return found


def recorded_accuracy(bundle: Bundle) -> float | None:
    """Return the accuracy on validation clips in the training record of a model."""
    best, monitor = bundle.training.get("best"), bundle.training.get("monitor")
    if bundle.targets == "several":
        return None
    if not bundle.fitted_on.get("validation") or monitor == "validation_loss":
        return None
    return float(best) if isinstance(best, (int, float)) else None


def complexity(model: Bundle | Ensemble) -> Complexity:
    """Return size and operations of a model for one clip: the sum over its members."""
    known: dict[str, Complexity] = {}
    each = []
    for one in model.members:
        config, contract = one.frontend.config, one.contract
        shape = config.input_shape(round(contract.clip_s * contract.rate_hz))
        key = f"{one.network_name} {one.network_arguments} {shape}"
        if key not in known:
            known[key] = network_complexity(one.network, shape)
        each.append(known[key])
    return Complexity(*(sum(counts) for counts in zip(*map(astuple, each), strict=True)))


def _good_enough(candidates: Sequence[Candidate], select: str) -> list[Candidate]:
    least = least_accuracy(select)
    unknown = [one for one in candidates if one.accuracy is None]
    if unknown:
        first = unknown[0]
        if first.bundle.targets == "several":
            raise BundleError(
                f"{first.name} names several labels a clip, and has no accuracy",
                expected=f"an accuracy to select by ({select})",
                fix="do not select",
            )
        why = f"no validation clips were set aside for {first.name}"
        if first.bundle.fitted_on.get("validation"):
            why = f"the accuracy of {first.name} was not recorded"
        raise BundleError(
            f"{why} ({part_of(len(unknown), len(candidates), 'member')})",
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
