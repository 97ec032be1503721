"""Train a classifier on the clips of a manifest."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from anymic import models
from anymic._internal.folder_lock import one_at_a_time
from anymic._internal.process_state import left_as_found
from anymic.bundle import Bundle, InputContract
from anymic.data.manifest import Manifest
from anymic.devices.correction.gain_fitting import band_gains
from anymic.devices.correction.profile import DeviceProfile
from anymic.devices.correction.spectrum_correction import SpectrumCorrection
from anymic.errors import AnymicError
from anymic.features import Frontend, Standardizer
from anymic.features.mel import mel_filters
from anymic.features.patches import patch_distance_s
from anymic.training.config import TrainingConfig, as_config
from anymic.training.from_data import require_size
from anymic.training.parts import Examples
from anymic.training.run import TrainingRun, fresh_network

if TYPE_CHECKING:
    import pandas as pd


@one_at_a_time
@left_as_found()
def fit(
    manifest: Manifest | pd.DataFrame | str | Path,
    config: TrainingConfig | str,
    out: str | Path,
    *,
    network: nn.Module | None = None,
    resume: bool = False,
    progress: bool = True,
    cache: str | Path | None = None,
    trainer: Mapping[str, Any] | None = None,
    ray: str | None = None,
    on_start: Callable[[], object] | None = None,
) -> Bundle:
    """Train a classifier and write it to `out` as a bundle.

    The steps: set validation clips aside, estimate the device gains, compute the features once,
    fit the standardization, train, keep the best epoch.

    Parameters
    ----------
    manifest : Manifest, DataFrame or path
        A path is a CSV file or a folder of one folder per label. Rows whose `split` is neither
        empty, "train" nor "validation" are not used.
    config : TrainingConfig, or str
        Or the name of a preset, or the path of a YAML file.
    out : path
        The folder of the run: the bundle, and beside it checkpoints/ and logs/ (TensorBoard).
    network : nn.Module, optional
        Your own network, from features (batch, channel, band, frame) to logits (batch, label). A
        copy of it is trained in place of `config.network`, from the weights it has. Where its
        class is registered with `anymic.register_network` and is built from `classes` alone, the
        bundle is written; otherwise the model exists in memory only, and a warning says so.
    resume : bool
        Continue after an interruption; the result is that of a run without one.
    progress : bool
        Show a progress bar, or print a line an epoch where stderr is no terminal.
    cache : path, optional
        Folder for features; several runs may share it. By default `out`/features.
    trainer : mapping, optional
        Arguments of `pytorch_lightning.Trainer`: accelerator, devices, num_nodes, strategy, ...
    ray : str, optional
        The address of a Ray cluster that computes the features
        (`anymic.features.feature_store.open_features`); the network is trained here.
    on_start : callable, optional
        Called when settings and clips are accepted and the features are computed.

    Returns
    -------
    Bundle
        The best epoch by validation, as it was written to `out`.

    Raises
    ------
    ManifestError
        If there are no training clips, one label only, or a group on both sides of the split.
    ConfigError
        If the run to resume has other settings or clips, clips differ in length, or the network
        does not return (batch, label).
    """
    config, origin = as_config(config), None
    if network is not None:
        origin = {"network": f"{type(network).__module__}.{type(network).__qualname__}"}
        config = replace(config, network=models.NETWORKS.name_of(type(network)) or config.network)
    run = TrainingRun(
        manifest,
        config,
        out,
        resume=resume,
        progress=progress,
        cache=cache,
        trainer=trainer,
        ray=ray,
    )
    run.begin(origin)
    config = run.config
    if network is None:
        arguments = config.network_arguments
        require_size(config, fresh_network(config.network, classes=2, seed=0, arguments=arguments))
    profile, gains = correct(run.parts.training, config)
    frontend = Frontend(config.frontend, device_gains=gains)
    data = run.examples(frontend)
    if config.standardize:
        frontend.standardize_by(Standardizer().fit(data.features[row] for row in data.training))
    name, arguments = config.network, config.network_arguments
    if network is None:
        built = fresh_network(name, classes=len(data.labels), seed=config.seed, arguments=arguments)
    else:
        (built, name), arguments = own_network(network, data, config), {}
    if isinstance(built, models.WrappedModule):
        _check(built, data, config)
    if on_start is not None:
        on_start()
    record = run.train(built, frontend, data)
    uses = run.fitted_on()
    if config.standardize:
        uses["standardization"] = uses["weights"]
    if profile is not None:
        uses["correction"] = profile.fitted_on
    distance = models.NETWORKS.get(name).patch_distance if name else None
    bundle = Bundle(
        network=built,
        frontend=frontend,
        labels=data.labels,
        contract=InputContract(
            rate_hz=config.frontend.rate_hz,
            clip_s=config.length.clip_s,
            shorter="repeat" if config.shorter == "repeat" else "pad",
            hop_s=distance and patch_distance_s(config.frontend, frames=distance),
        ),
        network_name=name,
        network_arguments=arguments,
        training={**record, **(origin or {})},
        fitted_on=uses,
        file_hashes=run.file_hashes(),
        profile=profile,
        temperature=config.temperature,
        **run.answers(record),
    )
    return run.save(bundle)


def correct(
    training: Manifest, config: TrainingConfig
) -> tuple[DeviceProfile | None, dict[str, NDArray[np.float64]] | None]:
    """Estimate the device gains from the training clips; None without a correction.

    The gains are those that the front-end applies: of the profile (bin,) or of mel bands (band,).
    """
    if config.correction is None:
        return None, None
    training.require("device", purpose="spectrum correction")
    correction = SpectrumCorrection(
        reference=config.correction.reference or "all",
        estimator=config.correction.estimator,
        fft_size=config.frontend.fft_size,
        hop_samples=config.frontend.hop_samples,
        floor_db=config.correction.floor_db,
        silence_db=config.correction.silence_db,
        weighting=config.correction.weighting,
    )
    profile = correction.fit(training).profile_
    if config.correction.domain == "log_mel":
        filters = mel_filters(config.frontend).numpy()
        return profile, band_gains(correction.spectra_, profile, filters)
    return profile, {name: device.factors for name, device in profile.devices.items()}


def own_network(
    network: nn.Module, data: Examples, config: TrainingConfig
) -> tuple[models.Network, str]:
    """Return a copy of a user's network, and the name that builds it again.

    The name is "" where the network cannot be built again: its class is not registered, or its
    weights do not fit what `classes` alone builds.
    """
    own = models.as_network(copy.deepcopy(network), channels=1 + config.frontend.deltas)
    own.to("cpu", torch.float32)  # it may have been made under other defaults of torch
    _check(own, data, config)
    name = models.NETWORKS.name_of(type(network)) or ""
    try:
        again = fresh_network(name, classes=len(data.labels), seed=config.seed, arguments={})
        again.load_state_dict(own.state_dict())
    except (AnymicError, RuntimeError):
        name = ""
    return own, name


def _check(network: models.Network, data: Examples, config: TrainingConfig) -> None:
    models.check_network(
        network,
        classes=len(data.labels),
        channels=1 + config.frontend.deltas,
        bands=config.frontend.bands,
        frames=config.crop_frames or data.features.shape[-1] - config.frontend.lost_frames,
    )
