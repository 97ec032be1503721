"""The robustness report's measurement: every clip through every device and codec."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from anymic._internal.settings import preset_file, read_yaml
from anymic.codecs import Codec, CodecSet, EncodeCache
from anymic.data.manifest import Manifest
from anymic.devices.simulation.device_set import DeviceSet, stratified_order
from anymic.evaluation.robustness.classifiers import BundleClassifier, Classifier, as_classifier
from anymic.evaluation.robustness.conditions import grid
from anymic.evaluation.robustness.findings import Findings
from anymic.evaluation.robustness.listening import listen


def robustness(
    classifier: Classifier | Any,
    manifest: Manifest,
    *,
    devices: DeviceSet | str | Path | None = None,
    codecs: Iterable[Codec] | str | Path | None = None,
    responses: str | Path | None = None,
    labels: Sequence[str] | None = None,
    cache: str | Path | None = None,
    workers: int | None = None,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Findings:
    """Hear every clip through every device and codec, and ask a classifier each time.

    The conditions are all pairs of (as recorded, each device) and (not encoded, each codec at each
    bitrate); the first is the clean clip. A clip goes through the device first, at the rate of its
    file, then through the codec. It is made on the fly, in threads, and nothing is written; the
    same clip always gets the same device noise (`anymic.devices.simulation.chain.noise_seed`), that
    of `anymic data simulate`. A clip that cannot be used in one condition is left out of all of
    them.

    What is known of a clip's device is told to a model of ours: the virtual device's name where
    the model has a profile for it, and else nothing (see `BundleClassifier`).

    Parameters
    ----------
    classifier : Classifier, Predictor, Bundle, Ensemble, path of a bundle, or callable
        See `anymic.evaluation.robustness.classifiers.as_classifier`.
    manifest : Manifest
        Labelled clips. Its groups, or takes, are the recordings that intervals resample; a row's
        `device` is what the clip was recorded with.
    devices : DeviceSet, path of its YAML, or name of a preset, optional
        Only its devices and its seed are used, not who hears what.
    codecs : codecs, path of a YAML, or name of a preset, optional
    responses : path, optional
        Folder of the impulse responses; by default that of the YAML.
    labels : sequence of str, optional
        Of a callable that does not know its own.
    cache : path, optional
        Folder where encoded clips are kept. What is in it is not encoded again: by a run that goes
        on after an interruption, or one with another classifier and the same clips.
    workers : int, optional
        Threads that filter and encode; by default one a processor.
    seed : int
        Of the resamples behind intervals.
    progress : callable, optional
        Told how many clips were heard since the last call, of clips times conditions.

    Raises
    ------
    ConfigError
        Settings that cannot be, or neither a device nor a codec.
    DeviceError
        An impulse response is missing.
    DependencyError
        A codec is not available here.
    ManifestError
        Labels that the classifier does not know, or no clip that can be used.
    ClassifierError
        The classifier cannot be used, or returned what no probabilities are; the line says for
        which clip.
    """
    asked = as_classifier(classifier, labels=labels)
    if asked.labels:
        manifest.require_labels(asked.labels)
    microphones, chosen = read_conditions(devices, codecs, responses=responses)
    conditions = grid(microphones, chosen)
    contract = asked.predictor.bundle.contract if isinstance(asked, BundleClassifier) else None
    answers = listen(
        asked,
        manifest,
        conditions,
        devices=microphones,
        channel=contract.channel if contract else "mean",
        clip_s=contract.clip_s if contract else None,
        encode_cache=None if cache is None else EncodeCache(cache),
        workers=workers,
        progress=progress,
    )
    used = manifest.rows(answers.rows.tolist())
    return Findings(
        labels=asked.labels,
        conditions=conditions,
        probabilities=answers.probabilities,
        targets=used.targets(asked.labels),
        recordings=np.array(used.recordings()),
        kbps=answers.kbps,
        failures=answers.failures,
        seed=seed,
    )


def read_conditions(
    devices: DeviceSet | str | Path | None,
    codecs: Iterable[Codec] | str | Path | None,
    *,
    responses: str | Path | None = None,
) -> tuple[DeviceSet | None, tuple[Codec, ...]]:
    """Read what clips are heard through, and check that all of it is there.

    Raises
    ------
    ConfigError, DeviceError, DependencyError
        As for `robustness`.
    """
    microphones = devices if isinstance(devices, DeviceSet) else _devices(devices, responses)
    chosen = CodecSet.read(codecs) if isinstance(codecs, (str, Path)) else tuple(codecs or ())
    coded = CodecSet(tuple(chosen)).require().codecs
    if microphones is not None:
        microphones.check_responses()
    return microphones, coded


def draw_clips(manifest: Manifest, clips: int, *, seed: int = 0) -> Manifest:
    """Return so many clips, the labels in proportion as nearly as can be, in their order."""
    labels = manifest.table["label"].tolist()
    order = stratified_order(labels, np.random.default_rng(seed))
    return manifest.rows(sorted(order[:clips]))


def _devices(path: str | Path | None, responses: str | Path | None) -> DeviceSet | None:
    """Read the devices of a YAML, which need not say who hears what."""
    if path is None:
        return None
    file = preset_file(path, example="microphones")
    values = read_yaml(file)
    named = values.get("devices")
    if "heard" not in values and isinstance(named, Mapping) and named:
        values["heard"] = {"all": {str(name): "all" for name in named}}
    return DeviceSet.from_mapping(values, responses=responses or file.parent)
