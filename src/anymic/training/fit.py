"""From a manifest and settings to a bundle."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

import anymic
from anymic import audio, machine, models
from anymic.augment import Mixup
from anymic.bundle import Bundle, InputContract
from anymic.config import to_mapping
from anymic.devices.correction import SpectrumCorrection
from anymic.devices.profile import DeviceProfile
from anymic.errors import ConfigError, ManifestError
from anymic.frontend import Frontend, Standardizer
from anymic.frontend.store import FeatureStore, Length, open_features
from anymic.manifest import Manifest, check_splits, split_groups
from anymic.training.batches import EvaluationBatches, TrainingBatches, training_loader
from anymic.training.config import TrainingConfig

if TYPE_CHECKING:
    import pytorch_lightning as lightning

STATE = "training.json"


@dataclass(frozen=True)
class Parts:
    """The clips of one training run: those that train and those that validate."""

    training: Manifest
    validation: Manifest | None


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
    parts = _parts(manifest, config)
    config = _settle(config, parts.training)
    _remember(out, config, manifest, resume=resume)
    profile = correct(parts.training, config)
    frontend = _frontend(config, profile)
    used = parts.training if parts.validation is None else _together(parts)
    length = Length(config.clip_s or 0.0, config.shorter, config.longer)
    store = open_features(used, frontend, Path(cache or out / "features"), length=length)
    data = _Data.of(parts, store)
    if config.standardize:
        frontend.standardize_by(Standardizer().fit(store.features[row] for row in data.training))
    network = _fresh_network(config, len(data.labels))
    record = _train(network, frontend, data, config, out, resume, progress, trainer or {})
    bundle = Bundle(
        network=network,
        frontend=frontend,
        labels=data.labels,
        contract=InputContract(
            rate_hz=config.frontend.rate_hz,
            clip_s=length.clip_s,
            shorter="repeat" if config.shorter == "repeat" else "pad",
        ),
        network_name=config.network,
        training={
            "settings": to_mapping(config),
            "anymic": anymic.__version__,
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


def correct(training: Manifest, config: TrainingConfig) -> DeviceProfile | None:
    """Estimate the device gains from the training clips; None where no correction is asked for."""
    if config.correction is None:
        return None
    training.require("device", purpose="spectrum correction")
    correction = SpectrumCorrection(
        reference=config.correction.reference or "all",
        estimator=config.correction.estimator,
        fft_size=config.frontend.fft_size,
        hop_samples=config.frontend.hop_samples,
    )
    return correction.fit(training).profile_


def _parts(manifest: Manifest, config: TrainingConfig) -> Parts:
    if "split" in manifest.table:
        check_splits(manifest)
        training, validation = manifest.where(split="train"), manifest.where(split="validation")
        if not len(training):
            raise ManifestError(
                "no clip whose split is 'train'", wanted="training clips", remedy="mend `split`"
            )
        if len(validation):
            return Parts(training, validation)
    else:
        training = manifest
    if len(training.labels) < 2:
        raise ManifestError(
            f"training clips of {len(training.labels)} label", wanted="two labels or more"
        )
    if config.validation_share == 0:
        return Parts(training, None)
    return Parts(*split_groups(training, share=config.validation_share, seed=config.seed))


def _together(parts: Parts) -> Manifest:
    from anymic.manifest import concatenate

    assert parts.validation is not None
    return concatenate([parts.training, parts.validation])


def _settle(config: TrainingConfig, training: Manifest) -> TrainingConfig:
    """Find the length that all clips share, where none was chosen."""
    if config.clip_s is not None:
        return config
    if "duration_s" in training.table:
        lengths = set(training.table["duration_s"].round(3))
    else:
        lengths = {round(audio.probe(path).duration_s or 0.0, 3) for path in training.paths()}
    if len(lengths) > 1:
        raise ConfigError(
            f"clips from {min(lengths)} to {max(lengths)} s",
            wanted="one length",
            remedy="cut them to one length, or choose one with clip_s",
        )
    return replace(config, clip_s=float(lengths.pop()))


def _remember(out: Path, config: TrainingConfig, manifest: Manifest, *, resume: bool) -> None:
    """Write down what this run is; on resuming, refuse to go on with something else."""
    state = {"settings": to_mapping(config), "manifest": manifest.digest()}
    path = out / STATE
    if resume and path.is_file() and json.loads(path.read_text(encoding="utf-8")) != state:
        raise ConfigError(
            f"a run in {out} with other settings or clips",
            wanted="the same settings and manifest to resume it",
            remedy="use them, or another --out",
        )
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")


def _frontend(config: TrainingConfig, profile: DeviceProfile | None) -> Frontend:
    gains = {name: item.gains for name, item in profile.devices.items()} if profile else None
    return Frontend(config.frontend, device_gains=gains)


@dataclass(frozen=True)
class _Data:
    """Features and classes of the usable clips; rows index the store."""

    features: NDArray[np.float16]
    labels: tuple[str, ...]
    training: NDArray[np.int64]
    training_targets: NDArray[np.int64]
    validation: NDArray[np.int64]
    validation_targets: NDArray[np.int64]

    @classmethod
    def of(cls, parts: Parts, store: FeatureStore) -> _Data:
        labels = parts.training.labels
        names = list(parts.training.table["label"])
        if parts.validation is not None:
            parts.validation.require_labels(labels)
            names += list(parts.validation.table["label"])
        targets = np.array([labels.index(name) for name in names], dtype=np.int64)[store.rows]
        trains = store.rows < len(parts.training)
        training, validation = np.flatnonzero(trains), np.flatnonzero(~trains)
        if len(set(targets[training])) < len(labels):
            lost = "; ".join(failure.reason for failure in store.failures[:3])
            raise ManifestError(
                f"no usable training clip for some label ({lost})",
                wanted="at least one a label",
                remedy="mend the files",
            )
        return cls(
            store.features,
            tuple(labels),
            training,
            targets[training],
            validation,
            targets[validation],
        )


def _fresh_network(config: TrainingConfig, classes: int) -> models.Basic:
    """Draw the weights from the seed, leaving the global generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return models.build(config.network, classes=classes)


def _train(
    network: models.Basic,
    frontend: Frontend,
    data: _Data,
    config: TrainingConfig,
    out: Path,
    resume: bool,
    progress: bool,
    arguments: Mapping[str, Any],
) -> dict[str, Any]:
    """Run the trainer, put the best epoch's weights into `network`, return what happened."""
    from anymic.training.module import TrainedClassifier

    validated = len(data.validation) > 0
    module = TrainedClassifier(network, frontend, config, validated=validated)
    with _quiet_lightning():
        trainer, keeper = _trainer(config, out, progress, arguments, validated=validated)
        share = {"rank": trainer.global_rank, "processes": trainer.world_size}
        batches = TrainingBatches(
            data.features,
            data.training,
            data.training_targets,
            classes=len(data.labels),
            batch_size=config.batch_size,
            mixup=Mixup(config.mixup_share, config.mixup_alpha),
            seed=config.seed,
            **share,
        )
        checks = EvaluationBatches(
            data.features,
            data.validation,
            data.validation_targets,
            classes=len(data.labels),
            batch_size=config.batch_size,
            **share,
        )
        last = out / "checkpoints" / "last.ckpt"
        trainer.fit(
            module,
            training_loader(batches),
            torch.utils.data.DataLoader(checks, batch_size=None) if validated else None,
            ckpt_path=last if resume and last.is_file() else None,
            weights_only=False if resume else None,
        )
    best = torch.load(keeper.best_model_path or last, map_location="cpu", weights_only=False)
    prefix = "network."
    weights = {
        name.removeprefix(prefix): value
        for name, value in best["state_dict"].items()
        if name.startswith(prefix)
    }
    network.cpu().load_state_dict(weights)
    frontend.cpu()
    score = keeper.best_model_score
    return {
        "epochs": trainer.current_epoch,
        "kept_epoch": int(best["epoch"]) + 1,
        "monitor": keeper.monitor or "last epoch",
        "best": None if score is None else float(score),
        "precision": str(trainer.precision),
        "processes": trainer.world_size,
        "rank": trainer.global_rank,
    }


def _trainer(
    config: TrainingConfig,
    out: Path,
    progress: bool,
    arguments: Mapping[str, Any],
    *,
    validated: bool,
) -> tuple[lightning.Trainer, Any]:
    import pytorch_lightning as lightning
    from pytorch_lightning.callbacks import ModelCheckpoint, RichProgressBar
    from pytorch_lightning.loggers import TensorBoardLogger

    from anymic.training.synchronize import SynchronizeBatchNorm

    keeper = ModelCheckpoint(
        dirpath=out / "checkpoints",
        filename="best",
        monitor=f"validation_{config.monitor}" if validated else None,
        mode="max" if config.monitor == "accuracy" else "min",
        save_last=True,
        enable_version_counter=False,
    )
    chosen: dict[str, Any] = {"accelerator": "auto", "devices": 1, **arguments}
    callbacks = [keeper, *chosen.pop("callbacks", ()), *([RichProgressBar()] if progress else [])]
    if chosen["accelerator"] == "auto":
        chosen["accelerator"] = "gpu" if torch.cuda.is_available() else "cpu"
    chosen.setdefault(
        "precision", machine.lightning_precision(config.precision, chosen["accelerator"])
    )
    trainer = lightning.Trainer(
        max_epochs=config.epochs,
        default_root_dir=out,
        logger=TensorBoardLogger(out, name="logs", version=""),
        callbacks=callbacks,
        enable_progress_bar=progress,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        use_distributed_sampler=False,
        plugins=[SynchronizeBatchNorm()],
        **chosen,
    )
    return trainer, keeper


@contextmanager
def _quiet_lightning() -> Any:
    """Keep the trainer's advice (workers, hardware found) out of the user's terminal."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            warnings.filterwarnings("ignore", module="lightning_fabric")
            yield
    finally:
        logger.setLevel(level)


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
