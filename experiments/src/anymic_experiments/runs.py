"""A training and its test, as a task whose folder is named by all that decides its result."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anymic._internal.settings import to_mapping
from anymic.bundle import Bundle, Ensemble
from anymic.codecs.conditions import codec_names
from anymic.data.checks import require_all_usable
from anymic.data.manifest import Manifest
from anymic.devices.correction.device_prior import Prior
from anymic.inference.predictor import Predictor
from anymic.training import CorrectionConfig, TrainingConfig, fit
from anymic_experiments.runner import Arrays, ArrayTask

RESULT = "test.npz"
FEATURES = "features"
FIRST_FRONTEND = (  # the front-end's settings when the first runs were named: these never change
    *("rate_hz", "fft_size", "hop_samples", "bands", "low_hz", "high_hz"),
    *("mel_scale", "mel_norm", "power", "log_offset"),
)
FIRST_CORRECTION = ("reference", "estimator")
FIRST_POLICY = "identity"  # what corrected runs did with clips of unknown devices
# Raise it when the same settings and clips begin to give other weights, rounding apart: a stored
# run is as good as one on another processor.
TRAINING_VERSION = 1
BLIND_PRIOR: Prior = "microphones"  # of blind gains; see `renewed`


def changed_settings(config: TrainingConfig) -> dict[str, Any]:
    """Return the settings that are not the defaults: a new setting renames no old run."""
    plain = to_mapping(TrainingConfig())
    return {key: value for key, value in to_mapping(config).items() if value != plain[key]}


def named_by(facts: Sequence[Any], manifest: Path) -> str:
    """Return the name of a folder that changes with these facts or with the clips."""
    digest = hashlib.sha256(json.dumps(list(facts), sort_keys=True).encode())
    file = manifest.stat()
    digest.update(_clips_digest(manifest.resolve(), file.st_mtime_ns, file.st_size).encode())
    return digest.hexdigest()[:16]


@lru_cache  # a grid asks for it hundreds of times
def _clips_digest(manifest: Path, *_: int) -> str:
    return Manifest.read(manifest).digest()


@dataclass(frozen=True)
class Run(ArrayTask):
    """One training and its test."""

    condition: str  # what is compared: "no correction", say
    config: TrainingConfig
    manifest: Path  # a CSV whose `split` names the training and test clips

    @property
    def key(self) -> str:
        """A name for the run's folder that changes with its settings or its clips."""
        chosen = changed_settings(self.config)
        # What was not there at first, inside these two, is named where it is not the default.
        for name, first in (("frontend", FIRST_FRONTEND), ("correction", FIRST_CORRECTION)):
            if chosen.get(name):
                plain = to_mapping(replace(TrainingConfig(), correction=CorrectionConfig()))[name]
                chosen[name] = {
                    key: value
                    for key, value in chosen[name].items()
                    if key in first or value != plain[key]
                }
        if self.config.correction is not None:
            chosen["correction"].pop("unknown_device", None)
            if (policy := self.config.correction.policy) != FIRST_POLICY:
                chosen["correction"]["unknown_device"] = policy
        return named_by([TRAINING_VERSION, chosen], self.manifest)

    def folder(self, out: Path) -> Path:
        """Return the folder of the training, where its bundle is."""
        return out / self.key

    def file(self, out: Path) -> Path:
        """Return the file of the test's probabilities."""
        return self.folder(out) / RESULT

    def finish(self, out: Path) -> None:
        """Train and test; checkpoints go once the result is there."""
        super().finish(out)
        shutil.rmtree(self.folder(out) / "checkpoints", ignore_errors=True)

    def arrays(self, out: Path) -> Arrays:
        """Train, and classify the test clips.

        Raises AnymicError if a test clip cannot be used.
        """
        place = self.folder(out)
        manifest = Manifest.read(self.manifest)
        bundle = fit(
            manifest,
            self.config,
            place,
            resume=place.is_dir(),
            progress=False,
            cache=out / FEATURES,
        )
        test = with_test(manifest).where(split="test")
        table = test.table
        coded = "codec" in table or "device" not in table
        devices = codec_names(test) if coded else table["device"].to_numpy(dtype=str)
        return {
            "probabilities": classify(bundle, test),
            "labels": np.array(bundle.labels),
            "targets": test.targets(bundle.labels),
            "devices": devices,
            "groups": table["group"].to_numpy(dtype=str),
        }

    def outcome(self, out: Path) -> Outcome:
        """Return what was kept."""
        found = self.read(out)
        return Outcome(self, labels=tuple(found.pop("labels").tolist()), **found)


def with_test(manifest: Manifest) -> Manifest:
    """Return a manifest whose validation clips test, where it has no others to test.

    So the test clips of Nguyen 2020 choose the epoch.
    """
    splits = manifest.table["split"]
    if (splits == "test").any():
        return manifest
    return manifest.with_columns(split=splits.replace("validation", "test"))


def renewed(bundle: Bundle) -> Bundle:
    """Return a model whose blind gains expect the devices that those of new models expect.

    A model keeps what it expected when it was trained. Stored runs of an earlier version would
    otherwise stand beside new ones in one table.
    """
    spectrum, profile = bundle.spectrum, bundle.profile
    if spectrum is None or spectrum.prior == BLIND_PRIOR:
        return bundle
    gains = [] if profile is None else [np.log(one.gains) for one in profile.devices.values()]
    known = np.array(gains).reshape(-1, len(spectrum.log_magnitude))
    return replace(bundle, spectrum=replace(spectrum, prior=BLIND_PRIOR, known=known))


def classify(bundle: Bundle | Ensemble, manifest: Manifest) -> NDArray[np.float64]:
    """Return the probabilities (clip, class) of all clips.

    Raises AnymicError if a clip cannot be used.
    """
    found = Predictor(bundle).predict_manifest(manifest)
    require_all_usable(found.failures, which=" to test")
    return found.probabilities


@dataclass(frozen=True)
class Outcome:
    """What a run predicted for its test clips."""

    run: Run
    probabilities: NDArray[np.float64]  # (clip, class)
    targets: NDArray[np.int64]  # array (clip,), true class numbers
    labels: tuple[str, ...]
    # the device that recorded each clip, in a coded corpus, or one without devices, the codec (such
    # as "mp3 32", or "clean"); and the recording it was cut from
    devices: NDArray[np.str_]
    groups: NDArray[np.str_]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether each clip is classified correctly (clip,)."""
        right: NDArray[np.bool_] = self.probabilities.argmax(axis=1) == self.targets
        return right

    def named(self, condition: str) -> Outcome:
        """Return it under another name of what is compared."""
        return replace(self, run=replace(self.run, condition=condition))


@dataclass(frozen=True)
class Validation(ArrayTask):
    """The predictions of a trained run for its own validation clips."""

    run: Run

    def file(self, out: Path) -> Path:
        """Return the file of the result."""
        return self.run.folder(out) / "validation.npz"

    def arrays(self, out: Path) -> Arrays:
        """Classify the validation clips; there are none where the run set none aside."""
        bundle = Bundle.load(self.run.folder(out))
        manifest = Manifest.read(self.run.manifest)
        mine = set(bundle.fitted_on.get("validation", ()))
        rows = [row for row, clip in enumerate(manifest.clip_ids()) if clip in mine]
        if not rows:
            return {
                "probabilities": np.empty((0, len(bundle.labels))),
                "targets": np.empty(0, dtype=np.int64),
            }
        validation = manifest.rows(rows)
        found = Predictor(bundle).predict_manifest(validation)
        targets = validation.rows(found.rows).targets(bundle.labels)
        return {"probabilities": found.probabilities, "targets": targets}


@dataclass(frozen=True, eq=False)
class Member:
    """A trained run, its predictions for the test clips, and for its own validation clips."""

    outcome: Outcome
    validation: NDArray[np.float64]  # (clip, class): Empty where no clip was set aside
    targets: NDArray[np.int64]  # (clip,): Of the validation clips

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether each of its own validation clips is classified correctly (clip,)."""
        right: NDArray[np.bool_] = self.validation.argmax(axis=1) == self.targets
        return right
