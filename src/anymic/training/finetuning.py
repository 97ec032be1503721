"""Fine-tune a trained model: its whole network, some segments, or from random weights."""

from __future__ import annotations

import copy
import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from anymic import models
from anymic._internal.files import write_arrays
from anymic._internal.folder_lock import one_at_a_time
from anymic._internal.process_state import left_as_found
from anymic._internal.saved_folder import tensor_bytes
from anymic.bundle import Bundle
from anymic.bundle.format import tensors_of
from anymic.bundle.leakage import fitted_clips_warning, fitted_rows
from anymic.codecs.conditions import codec_names
from anymic.data.manifest import Manifest
from anymic.data.reading import as_manifest
from anymic.errors import AnymicWarning, ConfigError, ManifestError
from anymic.features import Frontend
from anymic.features.feature_store import open_features
from anymic.training.coded import with_versions
from anymic.training.config import TrainingConfig, load_config
from anymic.training.parts import Parts, in_one_order
from anymic.training.run import TrainingRun, fresh_network

if TYPE_CHECKING:
    import pandas as pd

    from anymic.training.measuring import Measured

PRESET = "finetuning"
REPORT_EPOCHS = (0, 1, 10, 20, 40)  # those of Peters 2022, table 2
ANSWERS = "measured.npz"


@one_at_a_time
@left_as_found()
def finetune(
    bundle: Bundle | str | Path,
    manifest: Manifest | pd.DataFrame | str | Path,
    out: str | Path,
    *,
    config: TrainingConfig | None = None,
    segments: str = models.ALL,
    from_scratch: bool = False,
    report_epochs: Sequence[int] = REPORT_EPOCHS,
    resume: bool = False,
    progress: bool = True,
    cache: str | Path | None = None,
    trainer: Mapping[str, Any] | None = None,
    ray: str | None = None,
) -> Bundle:
    """Train a model's network on other clips, such as coded ones, and write the model to `out`.

    Labels, front-end, device gains, standardization and temperature are carried over. Calibration
    is not, because it was fitted to other weights. Segments that are not named in `segments` keep
    their weights and running statistics, bit by bit.

    Parameters
    ----------
    bundle : Bundle or path
        The model to start from; it is not changed. A path is its folder.
    manifest : Manifest, DataFrame or path
        Clips with the splits that `fit` uses. Accuracy is measured on those of the split "test",
        or where there are none on the validation clips: for each codec (columns `codec`, `kbps`),
        for each device, and as the difference to the given model on clean clips. Where there are
        neither, validation clips are set aside as by `fit`, with an AnymicWarning. Clean clips are
        also measured through each codec of a set in `config.codecs`.
    out : path
        The folder of the run, as for `fit`, and with it `measured.npz`: the probabilities (epoch,
        clip, label) at every epoch of the report, `targets`, and `ids`, `codecs`, `devices` and
        `groups` of the clips.
    config : TrainingConfig, optional
        By default the preset "finetuning". Network, front-end, correction, standardization, length
        of clips, temperature and targets are those of the model, not of the settings. With
        several labels a clip, the thresholds are chosen again on the validation clips, and a clip
        counts as right where exactly its labels are named. `precision` is
        that of training and of measuring.
    segments : str
        See `anymic.models.choose_segments`.
    from_scratch : bool
        Start from random weights (of `config.seed`) instead of the model's: the retraining that
        fine-tuning is compared with.
    report_epochs : sequence of int
        When to measure. Epochs after the last one are left out, and the last is always included.
        Epoch 0 is the model as it was given, also with `from_scratch`.
    resume, progress, cache, trainer, ray
        As for `fit`.

    Returns
    -------
    Bundle
        Its `training["finetuned"]` holds the origin, the segments and the measured rows.

    Raises
    ------
    ConfigError
        If there is no such segment, only some would be trained from random weights, or the run to
        resume is another.
    ManifestError
        If the labels are not the model's, or there is no clean clip to measure on.

    Examples
    --------
    >>> import anymic
    >>> from anymic.training import load_config
    >>> config = load_config("finetuning", changes={"epochs": 1, "batch_size": 8})
    >>> tuned = anymic.finetune("run", "clips.csv", "tuned", config=config, progress=False)
    >>> tuned.labels
    ('bus', 'park', 'street_traffic')
    """
    from anymic.training import measuring

    if not isinstance(bundle, Bundle):
        bundle = Bundle.load(bundle)
    manifest = as_manifest(manifest, several=bundle.targets == "several")
    config = settings_for(bundle, config or load_config(PRESET))
    run = TrainingRun(
        manifest,
        _with_clips_to_measure(manifest, config),
        out,
        resume=resume,
        progress=progress,
        cache=cache,
        trainer=trainer,
        ray=ray,
    )
    config = run.config
    network = cast(models.Network, copy.deepcopy(bundle.network))
    frozen, trained = _divide(network, segments, from_scratch=from_scratch)
    _require_same_labels(bundle, run.parts.training)
    chosen = _to_measure(run.manifest, run.parts)
    if config.codecs is not None:
        chosen = with_versions(chosen, config.codecs, run.cache / "coded")
    origin = {
        "weights_sha256": weights_digest(bundle),
        "segments": [segment.name for segment in trained],
        "from_scratch": from_scratch,
    }
    run.begin(origin)
    frontend = copy.deepcopy(bundle.frontend)
    data = run.examples(frontend, labels=bundle.labels)
    clips = _clips(bundle, chosen, frontend, run)
    epochs = {epoch for epoch in report_epochs if 0 <= epoch < config.epochs}
    evaluation = measuring.EvaluationCallback(
        replace(bundle, frontend=frontend),
        clips,
        (*sorted(epochs), config.epochs),
        precision=config.precision,
    )
    evaluation.measure(0, bundle.network)
    if from_scratch:
        network = fresh_network(
            bundle.network_name,
            classes=len(bundle.labels),
            seed=config.seed,
            arguments=bundle.network_arguments,
        )
    record = run.train(network, frontend, data, frozen=frozen, callbacks=[evaluation])
    if int(record["rank"]) != 0:
        return replace(bundle, network=network)
    fitted_on = bundle.fitted_on
    if from_scratch:
        fresh = ("weights", "validation")
        fitted_on = {use: ids for use, ids in fitted_on.items() if use not in fresh}
    record["finetuned"] = {
        **origin,
        "from": bundle.training,
        "measured_clips": len(clips.targets),
        "measured_known": len(fitted_rows(bundle, clips.manifest).get("weights", ())),
        "warning": fitted_clips_warning(bundle, clips.manifest),
        "measured": measuring.summarize(evaluation.answers, clips, thresholds=bundle.thresholds),
    }
    result = replace(
        bundle,
        network=network,
        frontend=frontend,
        training=record,
        fitted_on=run.fitted_on(fitted_on),
        file_hashes=run.file_hashes(bundle.file_hashes),
        calibration=None,
        **run.answers(record),
    )
    table = clips.manifest.table
    write_arrays(
        run.out / ANSWERS,
        epochs=np.array(list(evaluation.answers)),
        probabilities=np.stack(list(evaluation.answers.values())),
        targets=clips.targets,
        labels=np.array(bundle.labels),
        ids=np.array(clips.manifest.clip_ids()),
        codecs=codec_names(clips.manifest),
        devices=np.array(list(table.get("device", [""] * len(table))), dtype=str),
        groups=np.array(clips.manifest.recordings()),
    )
    return run.save(result)


def settings_for(bundle: Bundle, config: TrainingConfig) -> TrainingConfig:
    """Return the settings with everything that is the model's own taken from the model."""
    frontend, contract = bundle.frontend, bundle.contract
    return replace(
        config,
        network=bundle.network_name or config.network,
        width=float(bundle.network_arguments.get("width", 1.0)),
        frontend=frontend.config,
        correction=None,
        standardize=bool(frontend.mean.any()) or bool((frontend.scale != 1).any()),
        clip_s=contract.clip_s,
        from_data=(),
        shorter=contract.shorter if contract.shorter != "refuse" else config.shorter,
        other_rates=contract.other_rates,
        temperature=bundle.temperature,
        targets=bundle.targets,
    )


def lasting(config: TrainingConfig, epochs: int) -> TrainingConfig:
    """Return the settings for a number of epochs; the last restart ends with the last epoch."""
    restarts = (*(each for each in config.restarts if each < epochs), epochs)
    return replace(config, epochs=epochs, restarts=restarts)


def weights_digest(bundle: Bundle) -> str:
    """Return the SHA-256 of the file of weights that the bundle writes."""
    weights = tensor_bytes(tensors_of(bundle.network, bundle.frontend))
    return hashlib.sha256(weights).hexdigest()


def _divide(
    network: models.Network, wanted: str, *, from_scratch: bool
) -> tuple[list[models.Segment], list[models.Segment]]:
    """Return the segments that stay as they are and those that are trained."""
    segments = network.segments()
    places = models.choose_segments(network, wanted)
    if from_scratch and len(places) < len(segments):
        raise ConfigError(
            f"only segments {wanted} would be trained from random weights",
            expected="all segments, because the others would stay random",
            fix="train all segments, or start from the model's weights",
        )
    frozen = [each for place, each in enumerate(segments) if place not in places]
    return frozen, [segments[place] for place in places]


def _require_same_labels(bundle: Bundle, training: Manifest) -> None:
    own, found = set(bundle.labels), set(training.labels)
    if own == found:
        return
    differences = [("lacks", own - found), ("adds", found - own)]
    what = " and ".join(
        f"{verb} {', '.join(sorted(names))}" for verb, names in differences if names
    )
    raise ManifestError(
        f"the labels of the training clips differ from those of the model (the manifest {what})",
        expected=", ".join(bundle.labels),
        fix="use clips of exactly these labels, or train a new model",
    )


def _with_clips_to_measure(manifest: Manifest, config: TrainingConfig) -> TrainingConfig:
    """Return settings that set validation clips aside, if there are no others to measure on."""
    splits = set(manifest.table.get("split", ()))
    if config.validation_share or splits & {"test", "validation"}:
        return config
    share = TrainingConfig.validation_share
    warnings.warn(
        f"there is no split test or validation: {share:.0%} of the recordings are set aside to"
        " choose the epoch and to measure",
        AnymicWarning,
        stacklevel=3,
    )
    return replace(config, validation_share=share)


def _to_measure(manifest: Manifest, parts: Parts) -> Manifest:
    """Return the clips of the split test, else those that validate."""
    if "split" in manifest.table and len(test := manifest.where(split="test")):
        return in_one_order(test)
    return in_one_order(cast(Manifest, parts.validation))  # see `_with_clips_to_measure`


def _clips(bundle: Bundle, chosen: Manifest, frontend: Frontend, run: TrainingRun) -> Measured:
    """Return the clips to measure on that can be used; the run keeps the failures."""
    from anymic.training.measuring import Measured

    chosen.require_labels(bundle.labels)
    codec_names(chosen)  # raises before anything is computed, where no clip is clean
    length = run.config.length
    store = open_features(chosen, frontend, run.cache, length=length, dtype="float32", ray=run.ray)
    run.failures += store.failures
    used = chosen.rows(store.rows)
    return Measured(store.features, used, used.targets(bundle.labels))
