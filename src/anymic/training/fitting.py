"""From a manifest and settings to a bundle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from anymic import models
from anymic._internal import machine
from anymic._internal.settings import from_mapping, to_mapping
from anymic.bundle import Bundle, InputContract
from anymic.data.manifest import Manifest
from anymic.devices.correction.mel_gains import band_gains
from anymic.devices.correction.profile import DeviceProfile
from anymic.devices.correction.spectrum_correction import SpectrumCorrection
from anymic.errors import AnymicError, ConfigError
from anymic.features import Frontend, Standardizer
from anymic.features.feature_store import Length, open_features
from anymic.features.mel import mel_filters
from anymic.features.patches import patch_distance_s
from anymic.training.coded_features import coded_features
from anymic.training.config import TrainingConfig
from anymic.training.loop.trainer import train
from anymic.training.parts import Examples, Parts, settle_length, split

STATE = "training.json"


def fit(
    manifest: Manifest,
    config: TrainingConfig,
    out: str | Path,
    *,
    resume: bool = False,
    progress: bool = True,
    cache: str | Path | None = None,
    trainer: Mapping[str, Any] | None = None,
) -> Bundle:
    """Train a classifier and write it to `out` as a bundle.

    The steps, each a rung that can be used by itself: split off validation clips, estimate the
    device gains, compute the features once, learn the standardization, train, keep the best epoch.

    Parameters
    ----------
    manifest : Manifest
        Rows whose `split` is neither empty, "train" nor "validation" are left alone.
    config : TrainingConfig
    out : path
        The folder of the run: the bundle, and beside it checkpoints/ and logs/ (TensorBoard).
    resume : bool
        Go on after an interruption; the result is that of a run without one.
    progress : bool
        Show a progress bar.
    cache : path, optional
        Where features are kept; several runs may share it. By default `out`/features.
    trainer : mapping, optional
        Arguments of `pytorch_lightning.Trainer`: accelerator, devices, num_nodes, strategy, ...

    Returns
    -------
    Bundle
        The best epoch by validation, as it was written to `out`.

    Raises
    ------
    ManifestError
        If there are no training clips, one class only, or a group on both sides of the split.
    ConfigError
        If the run to resume has other settings or clips, or clips differ in length.
    """
    out = Path(out)
    machine.keep_memory()
    parts = split(manifest, config)
    config = settle_length(config, parts.training)
    remember(out, config, manifest, resume=resume)
    profile, gains = correct(parts.training, config)
    frontend = Frontend(config.frontend, device_gains=gains)
    length = Length(config.clip_s or 0.0, config.shorter, config.longer)
    cache = Path(cache or out / "features")
    store = open_features(parts.together, frontend, cache, length=length)
    data = Examples.of(parts, store)
    if config.codecs is not None:
        coded = coded_features(
            parts.together, store, config.codecs, frontend, cache, length=length, progress=progress
        )
        data = replace(data, coded=coded)
    if config.standardize:
        frontend.standardize_by(Standardizer().fit(store.features[row] for row in data.training))
    arguments = config.network_arguments
    network = fresh_network(
        config.network, classes=len(data.labels), seed=config.seed, arguments=arguments
    )
    channels, bands = arguments.get("channels", 1), config.frontend.bands
    frames = config.crop_frames or store.features.shape[-1]
    if isinstance(network, models.WrappedModule):
        shape = {"channels": channels, "bands": bands, "frames": frames}
        models.check_network(network, classes=len(data.labels), **shape)
    record = train(network, frontend, data, config, out, resume, progress, trainer or {})
    bundle = Bundle(
        network=network,
        frontend=frontend,
        labels=data.labels,
        contract=InputContract(
            rate_hz=config.frontend.rate_hz,
            clip_s=length.clip_s,
            shorter="repeat" if config.shorter == "repeat" else "pad",
            hop_s=_patch_hop_s(config),
        ),
        network_name=config.network,
        network_arguments=arguments,
        training={
            "settings": to_mapping(config),
            "anymic": version("anymic"),
            "torch": torch.__version__,
            "clips": len(data.training),
            "failures": [vars(failure) for failure in store.failures],
            **record,
        },
        fitted_on=_fitted_on(parts, profile, standardized=config.standardize),
        profile=profile,
        temperature=config.temperature,
    )
    if int(record["rank"]) == 0:
        bundle.save(out)
    return bundle


def correct(
    training: Manifest, config: TrainingConfig
) -> tuple[DeviceProfile | None, dict[str, NDArray[np.float64]] | None]:
    """Estimate the device gains from the training clips.

    Returns
    -------
    profile : DeviceProfile or None
        None where no correction is asked for.
    gains : dict of str to array, or None
        What the front-end applies: those of the profile, (bin,), or of mel bands, (band,).
    """
    if config.correction is None:
        return None, None
    training.require("device", purpose="spectrum correction")
    correction = SpectrumCorrection(
        reference=config.correction.reference or "all",
        estimator=config.correction.estimator,
        fft_size=config.frontend.fft_size,
        hop_samples=config.frontend.hop_samples,
    )
    profile = correction.fit(training).profile_
    if config.correction.domain == "log_mel":
        filters = mel_filters(config.frontend).numpy()
        return profile, band_gains(correction.spectra_, profile, filters)
    return profile, {name: device.gains for name, device in profile.devices.items()}


def identity(
    config: TrainingConfig, manifest: Manifest, origin: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return what a run is, as it is written to its folder: settings, clips, what it came from."""
    found = {"settings": to_mapping(config), "manifest": manifest.digest()}
    return found if origin is None else {**found, "origin": dict(origin)}


def is_same(
    state: Path,
    config: TrainingConfig,
    manifest: Manifest,
    origin: Mapping[str, Any] | None = None,
) -> bool:
    """Say whether the run written down in a file is this one.

    A setting that is newer than the file had its default then.
    """
    found = json.loads(state.read_text(encoding="utf-8"))
    try:
        settings = from_mapping(TrainingConfig, found["settings"])
    except (AnymicError, KeyError, TypeError):
        return False
    return {**found, "settings": to_mapping(settings)} == identity(config, manifest, origin)


def remember(
    out: Path,
    config: TrainingConfig,
    manifest: Manifest,
    *,
    resume: bool,
    origin: Mapping[str, Any] | None = None,
) -> None:
    """Write down what this run is; on resuming, refuse to go on with something else."""
    path = out / STATE
    if resume and path.is_file() and not is_same(path, config, manifest, origin):
        raise ConfigError(
            f"a run in {out} with other settings or clips",
            expected="the same settings and manifest to resume it",
            fix="use them, or another --out",
        )
    out.mkdir(parents=True, exist_ok=True)
    what = identity(config, manifest, origin)
    path.write_text(json.dumps(what, indent=1) + "\n", encoding="utf-8")


def fresh_network(
    name: str, *, classes: int, seed: int, arguments: Mapping[str, Any]
) -> models.Network:
    """Draw the weights from the seed, leaving the global generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return models.build(name, classes=classes, **arguments)


def _patch_hop_s(config: TrainingConfig) -> float | None:
    """Return how far apart the windows of a network with a fixed input begin, else None."""
    patch = models.NETWORKS.get(config.network).patch
    return patch and patch_distance_s(config.frontend, frames=patch[1])


def _fitted_on(
    parts: Parts, profile: DeviceProfile | None, *, standardized: bool
) -> dict[str, tuple[str, ...]]:
    training = tuple(parts.training.clip_ids())
    uses = {"weights": training}
    if standardized:
        uses["standardization"] = training
    if profile is not None:
        uses["correction"] = profile.fitted_on
    if parts.validation is not None:
        uses["validation"] = tuple(parts.validation.clip_ids())
    return uses
