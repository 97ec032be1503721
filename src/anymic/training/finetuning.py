"""A trained model learns on: all of its network, or some segments, or anew from random weights."""

from __future__ import annotations

import copy
import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from anymic import models
from anymic._internal import machine
from anymic._internal.files import write_arrays
from anymic._internal.settings import to_mapping
from anymic.bundle import Bundle
from anymic.bundle.weights import tensors_of
from anymic.codecs.conditions import codec_names
from anymic.data.manifest import Manifest
from anymic.errors import ConfigError, ManifestError
from anymic.features import Frontend
from anymic.features.feature_store import Length, open_features
from anymic.training.coded_features import coded_features
from anymic.training.config import TrainingConfig, load_config
from anymic.training.fitting import fresh_network, remember
from anymic.training.loop.trainer import train
from anymic.training.parts import Examples, Parts, in_one_order, split

PRESET = "finetuning"
REPORT_EPOCHS = (0, 1, 10, 20, 40)  # those of Peters 2022, table 2
ANSWERS, MEASURED = "measured.npz", "measured"


def finetune(
    bundle: Bundle,
    manifest: Manifest,
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
) -> Bundle:
    """Train a model's network on other clips, such as coded ones, and write the model to `out`.

    Labels, front-end, device gains, standardization and temperature are carried over as they are;
    calibration fitted after training is not, as it was that of other weights. What is not named in
    `segments` keeps its weights and its running statistics, bit by bit.

    Parameters
    ----------
    bundle : Bundle
        The model to start from; it is not changed.
    manifest : Manifest
        Clips with the splits that `fit` knows. Accuracy is measured on those of the split "test",
        or where there are none on those that validate: for each codec (columns `codec`, `kbps`),
        each device, and what was forgotten on clean clips.
    out : path
        The folder of the run, as for `fit`, with `measured.npz` beside: the answers (epoch, clip,
        label) at every epoch of the report, `targets`, and `ids`, `codecs`, `devices` and `groups`
        of the clips.
    config : TrainingConfig, optional
        By default the preset "finetuning". What the model carries over is taken from the model:
        network, front-end, correction, standardization, length of clips, temperature. Its
        `precision` is that of training and of measuring.
    segments : str
        See `anymic.models.choose_segments`.
    from_scratch : bool
        Begin with random weights (of `config.seed`) in place of the model's: the retraining that
        fine-tuning is compared with.
    report_epochs : sequence of int
        When to measure; those behind the last epoch are left out, and the last is always there.
        Epoch 0 is the model as it was given, also with `from_scratch`.
    resume, progress, cache, trainer
        As for `fit`.

    Returns
    -------
    Bundle
        Its `training["finetuned"]` says from what, which segments, and holds the rows measured.

    Raises
    ------
    ConfigError
        If there is no such segment, only some are to be trained from random weights, or the run to
        resume is another.
    ManifestError
        If the labels are not the model's, or there is nothing, or nothing clean, to measure on.
    """
    from anymic.training.measuring import EvaluationCallback, classify, keep, kept, summarize

    out = Path(out)
    machine.keep_memory()
    config = settings_for(bundle, config or load_config(PRESET))
    network = cast(models.Network, copy.deepcopy(bundle.network))
    frozen, trained = _divide(network, segments, from_scratch=from_scratch)
    parts = split(manifest, config)
    _require_same_labels(bundle, parts.training)
    chosen = _to_measure(manifest, parts)
    origin = {
        "weights_sha256": weights_digest(bundle),
        "segments": [segment.name for segment in trained],
        "from_scratch": from_scratch,
    }
    if not resume:
        shutil.rmtree(out / MEASURED, ignore_errors=True)
    remember(out, config, manifest, resume=resume, origin=origin)
    frontend = copy.deepcopy(bundle.frontend)
    length = Length(config.clip_s or 0.0, config.shorter, config.longer)
    place = Path(cache or out / "features")
    store = open_features(parts.together, frontend, place, length=length)
    data = _in_order(Examples.of(parts, store), bundle.labels)
    if config.codecs is not None:
        coded = coded_features(
            parts.together, store, config.codecs, frontend, place, length=length, progress=progress
        )
        data = replace(data, coded=coded)
    clips, lost = _clips(bundle, chosen, frontend, place, length)
    epochs = _epochs(report_epochs, config.epochs)
    keep(out / MEASURED, 0, classify(bundle, clips, precision=config.precision))
    if from_scratch:
        network = fresh_network(
            bundle.network_name,
            classes=len(bundle.labels),
            seed=config.seed,
            arguments=bundle.network_arguments,
        )
    evaluation = EvaluationCallback(
        bundle, clips, epochs, out / MEASURED, precision=config.precision
    )
    arguments = dict(trainer or {})
    arguments["callbacks"] = [*arguments.get("callbacks", ()), evaluation]
    record = train(network, frontend, data, config, out, resume, progress, arguments, frozen=frozen)
    if int(record["rank"]) != 0:
        return replace(bundle, network=network)
    answers = kept(out / MEASURED)
    result = replace(
        bundle,
        network=network,
        frontend=frontend,
        training={
            "settings": to_mapping(config),
            "anymic": version("anymic"),
            "torch": torch.__version__,
            "clips": len(data.training),
            "failures": [vars(failure) for failure in (*store.failures, *lost)],
            **record,
            "finetuned": {
                **origin,
                "from": bundle.training,
                "measured_clips": len(clips.targets),
                "measured_known": _known(bundle, clips.manifest),
                "measured": summarize(answers, clips),
            },
        },
        fitted_on=_fitted_on(bundle, parts, from_scratch=from_scratch),
        calibration=None,
    )
    _write_answers(out, answers, clips)
    result.save(out)
    return result


def settings_for(bundle: Bundle, config: TrainingConfig) -> TrainingConfig:
    """Return the settings with what the model carries over; what it was made with stays its own."""
    frontend = bundle.frontend
    standardized = bool(frontend.mean.any()) or bool((frontend.scale != 1).any())
    contract = bundle.contract
    return replace(
        config,
        network=bundle.network_name,
        width=float(bundle.network_arguments.get("width", 1.0)),
        frontend=frontend.config,
        correction=None,
        standardize=standardized,
        clip_s=contract.clip_s,
        shorter=contract.shorter if contract.shorter != "refuse" else config.shorter,
        temperature=bundle.temperature,
    )


def lasting(config: TrainingConfig, epochs: int) -> TrainingConfig:
    """Return the settings for so many epochs; the last cosine of warm restarts ends with them."""
    restarts = (*(each for each in config.restarts if each < epochs), epochs)
    return replace(config, epochs=epochs, restarts=restarts)


def weights_digest(bundle: Bundle) -> str:
    """Return the SHA-256 of the file of weights that the bundle writes."""
    from safetensors.torch import save

    return hashlib.sha256(save(tensors_of(bundle.network, bundle.frontend))).hexdigest()


def _divide(
    network: models.Network, wanted: str, *, from_scratch: bool
) -> tuple[list[models.Segment], list[models.Segment]]:
    """Return the segments that stay as they are and those that are trained."""
    segments = network.segments()
    places = models.choose_segments(network, wanted)
    if from_scratch and len(places) < len(segments):
        raise ConfigError(
            f"segments {wanted} from random weights",
            expected="all of them: what is not trained would stay random",
            fix="leave out --segments or --from-scratch",
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
        f"training clips whose labels differ from the model's (the manifest {what})",
        expected=", ".join(bundle.labels),
        fix="take clips of exactly these labels, or train a model of its own with anymic train",
    )


def _in_order(data: Examples, labels: tuple[str, ...]) -> Examples:
    """Return the examples with their classes in the model's order, which may be any."""
    place = np.array([labels.index(name) for name in data.labels])
    return replace(
        data,
        labels=labels,
        training_targets=place[data.training_targets],
        validation_targets=place[data.validation_targets],
    )


def _to_measure(manifest: Manifest, parts: Parts) -> Manifest:
    """Return the clips of the split test, else those that validate."""
    if "split" in manifest.table and len(test := manifest.where(split="test")):
        return in_one_order(test)
    if parts.validation is None:
        raise ManifestError(
            "no clip to measure on",
            expected="clips of the split test or validation",
            fix="add a column split, or set some aside with --set validation_share=0.2",
        )
    return in_one_order(parts.validation)


def _clips(
    bundle: Bundle, chosen: Manifest, frontend: Frontend, cache: Path, length: Length
) -> tuple[Any, Sequence[Any]]:
    """Return the clips to measure on that can be used, and the failures."""
    from anymic.training.measuring import Measured

    chosen.require_labels(bundle.labels)
    codec_names(chosen)  # refused before anything is computed, where nothing is clean
    store = open_features(chosen, frontend, cache, length=length, dtype="float32")
    used = chosen.rows(store.rows)
    targets = used.targets(bundle.labels)
    return Measured(store.features, used, targets, bundle.labels), store.failures


def _epochs(wanted: Sequence[int], last: int) -> tuple[int, ...]:
    return tuple(sorted({0, last, *(epoch for epoch in wanted if 0 <= epoch <= last)}))


def _known(bundle: Bundle, measured: Manifest) -> int:
    """Count the clips to measure on that the model had been trained on."""
    known = set(bundle.fitted_on.get("weights", ()))
    return sum(clip in known for clip in measured.clip_ids())


def _fitted_on(bundle: Bundle, parts: Parts, *, from_scratch: bool) -> dict[str, tuple[str, ...]]:
    """Return the clips of both trainings; those of the first have no part in random weights."""
    uses = {use: clips for use, clips in bundle.fitted_on.items() if use != "calibration"}
    for use, part in (("weights", parts.training), ("validation", parts.validation)):
        before = () if from_scratch else uses.pop(use, ())
        new = () if part is None else part.clip_ids()
        uses.pop(use, None)
        if together := tuple(dict.fromkeys((*before, *new))):
            uses[use] = together
    return uses


def _write_answers(out: Path, answers: Mapping[int, Any], clips: Any) -> None:
    table = clips.manifest.table
    devices = table["device"] if "device" in table else [""] * len(table)
    write_arrays(
        out / ANSWERS,
        epochs=np.array(list(answers)),
        probabilities=np.stack(list(answers.values())),
        targets=clips.targets,
        labels=np.array(clips.labels),
        ids=np.array(clips.manifest.clip_ids()),
        codecs=codec_names(clips.manifest),
        devices=np.array(list(devices), dtype=str),
        groups=np.array(clips.manifest.recordings()),
    )
    shutil.rmtree(out / MEASURED, ignore_errors=True)
