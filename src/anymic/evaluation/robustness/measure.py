"""Measure a classifier on every clip, passed through every device and codec."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from anymic._internal.process_state import left_as_found
from anymic._internal.progress import progress_bar
from anymic._internal.settings import of_file, preset_file, read_yaml
from anymic.bundle.leakage import fitted_clips_warning
from anymic.codecs import Codec, CodecSet, EncodeCache
from anymic.data.manifest import Manifest
from anymic.data.reading import as_manifest
from anymic.data.splits import clips_to_evaluate
from anymic.devices.simulation.device_set import DeviceSet, stratified_order
from anymic.evaluation.measurement import as_given, last_part
from anymic.evaluation.robustness.classifiers import BundleClassifier, Classifier, as_classifier
from anymic.evaluation.robustness.conditions import grid
from anymic.evaluation.robustness.findings import Robustness
from anymic.evaluation.robustness.variants import classify_variants


@left_as_found()
def robustness(
    classifier: Classifier | Any,
    manifest: Manifest | pd.DataFrame | str | Path,
    *,
    devices: DeviceSet | str | Path | None = None,
    codecs: Iterable[Codec] | str | Path | None = None,
    responses: str | Path | None = None,
    labels: Sequence[str] | None = None,
    split: str | None = None,
    fold: int | None = None,
    clips: int | None = None,
    cache: str | Path | None = None,
    workers: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Robustness:
    """Pass every clip through every device and codec, and classify it each time.

    The conditions are all pairs of (as recorded, each device) and (not encoded, each codec at each
    bitrate); the first is the clean clip. A clip is passed through the device first, at the rate of
    its file, then through the codec: on the fly, in threads, and nothing is written. The same clip
    always gets the same device noise (`anymic.devices.simulation.chain.noise_seed`), that of
    `anymic data simulate`. A clip that cannot be used in one condition is left out of all of them.

    The name of a virtual device is passed to a model of this library if it has a profile for it
    (see `BundleClassifier`).

    Parameters
    ----------
    classifier : Classifier, Predictor, Bundle, Ensemble, path of a bundle, or callable
        See `anymic.evaluation.robustness.classifiers.as_classifier`.
    manifest : Manifest, DataFrame or path
        Labelled clips; a path is a CSV file or a folder of one folder per label. The groups, or
        takes, are the recordings that intervals resample; a row's `device` is what recorded the
        clip.
    devices : DeviceSet, path of its YAML, or name of a preset, optional
        Only its devices and its seed are used, not which clips they record.
    codecs : codecs, path of a YAML, or name of a preset, optional
    responses : path, optional
        Folder of the impulse responses; by default that of the YAML.
    labels : sequence of str, optional
        Of a callable.
    split : str, optional
        Clips of this split only, "all" for every clip; by default those of "test" if there is a
        column `split`, else all.
    fold : int, optional
        Clips of this fold only.
    clips : int, optional
        At most so many clips, drawn in proportion to the labels.
    cache : path, optional
        Folder where encoded clips are kept, for later runs with the same clips.
    workers : int, optional
        Threads that filter and encode; by default one a processor.
    seed : int
        Of the resamples behind intervals, and of `clips`.
    progress : bool
        Show a progress bar, if stderr is a terminal.

    Returns
    -------
    anymic.evaluation.robustness.findings.Robustness
        `probabilities` (condition, clip, label) of the `conditions`, the clean one first; its
        methods give accuracies and paired differences with 95 % intervals, and `write` the report.

    Raises
    ------
    ConfigError
        If settings are not valid, or there is neither a device nor a codec.
    DeviceError
        If an impulse response is missing.
    DependencyError
        If a codec is not available.
    ManifestError
        If labels are unknown to the classifier, or no clip can be used.
    ClassifierError
        If the classifier cannot be used, or does not return probabilities.

    Examples
    --------
    >>> import anymic
    >>> codecs = [anymic.Codec("opus", kbps=16)]
    >>> found = anymic.robustness("run", "clips.csv", codecs=codecs, split="test")
    >>> [condition.name for condition in found.conditions]
    ['clean', 'opus 16']
    >>> found.difference(1).n  # clips, in pairs with the clean ones
    12
    """
    asked = as_classifier(classifier, labels=labels)
    model = asked.predictor.bundle if isinstance(asked, BundleClassifier) else None
    clips_given = as_manifest(manifest, several=model is not None and model.targets == "several")
    chosen, name = _chosen(clips_given, split, fold, clips, seed)
    if asked.labels:
        chosen.require_labels(asked.labels)
    microphones, coded = read_conditions(devices, codecs, responses=responses)
    conditions = grid(microphones, coded)
    with progress_bar(len(chosen) * len(conditions), "predicting", shown=progress) as advance:
        answers = classify_variants(
            asked,
            chosen,
            conditions,
            devices=microphones,
            channel=model.contract.channel if model else "mean",
            clip_s=model.contract.clip_s if model else None,
            encode_cache=None if cache is None else EncodeCache(cache),
            workers=workers,
            progress=advance,
        )
    used = chosen.rows(answers.rows)
    named = last_part(classifier, str(getattr(classifier, "name", "a classifier")))
    return Robustness(
        labels=asked.labels,
        conditions=conditions,
        probabilities=answers.probabilities,
        targets=used.targets(asked.labels),
        recordings=np.array(used.recordings()),
        kbps=answers.kbps,
        failures=answers.failures,
        seed=seed,
        model=model,
        model_name=named,
        clips_name=name,
        warning=fitted_clips_warning(model, chosen) if model else "",
        facts={
            "model": as_given(classifier, named),
            "data": as_given(manifest, name),
            "devices": as_given(devices, ", ".join(microphones.devices if microphones else ())),
            "codecs": as_given(codecs, ", ".join(map(str, coded))),
            "digest": chosen.digest(),
        },
    )


def _chosen(
    manifest: Manifest, split: str | None, fold: int | None, clips: int | None, seed: int
) -> tuple[Manifest, str]:
    """Return the clips to measure on, and their name."""
    chosen, name = clips_to_evaluate(manifest, split)
    if fold is not None:
        chosen.require("fold", purpose=f"the fold {fold}")
        chosen, name = chosen.where(fold=fold), f"{name}, fold {fold}"
    if clips is not None and clips < len(chosen):
        chosen, name = draw_clips(chosen, clips, seed=seed), f"{name}, {clips} of its clips"
    return chosen, name


def read_conditions(
    devices: DeviceSet | str | Path | None,
    codecs: Iterable[Codec] | str | Path | None,
    *,
    responses: str | Path | None = None,
) -> tuple[DeviceSet | None, tuple[Codec, ...]]:
    """Read devices and codecs, and check that all are available; errors as for `robustness`."""
    microphones = devices if isinstance(devices, DeviceSet) else _devices(devices, responses)
    chosen = CodecSet.read(codecs) if isinstance(codecs, (str, Path)) else tuple(codecs or ())
    coded = CodecSet(tuple(chosen)).require().codecs
    if microphones is not None:
        microphones.check_responses()
    return microphones, coded


def draw_clips(manifest: Manifest, clips: int, *, seed: int = 0) -> Manifest:
    """Return so many clips in their order, in proportion to the labels."""
    labels = manifest.table["label"].tolist()
    order = stratified_order(labels, np.random.default_rng(seed))
    return manifest.rows(sorted(order[:clips]))


def _devices(path: str | Path | None, responses: str | Path | None) -> DeviceSet | None:
    """Read the devices of a YAML, which may lack the key `recorded`."""
    if path is None:
        return None
    file = preset_file(path, example="microphones")
    values = read_yaml(file)
    named = values.get("devices")
    if "recorded" not in values and isinstance(named, Mapping) and named:
        values["recorded"] = {"all": {str(name): "all" for name in named}}
    with of_file(file):
        return DeviceSet.from_mapping(values, responses=responses or file.parent)
