"""Set up PyTorch Lightning's trainer, run it, and read its outcome."""

from __future__ import annotations

import inspect
import logging
import os
import signal
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich
import torch

from anymic import models
from anymic._internal.optional import extra
from anymic._internal.precision import choose, lightning_precision
from anymic._internal.processors import idle_processors
from anymic._internal.progress import on_terminal
from anymic._internal.torch_threads import in_threads
from anymic.errors import AnymicWarning, ConfigError, counted
from anymic.features import Frontend, Standardizer
from anymic.models.tagger import Standardization
from anymic.training.config import TrainingConfig
from anymic.training.loop.batches import EvaluationBatches, TrainingBatches, training_loader
from anymic.training.parts import Examples

if TYPE_CHECKING:
    import pytorch_lightning as lightning

PACKAGES = ("pytorch_lightning", "tensorboard")  # which take seconds to import
CHECKPOINTS = "checkpoints"  # in the folder of a run

# What a training chooses itself, from its settings and its folder.
OWN = {
    "default_root_dir",
    "enable_checkpointing",
    "enable_model_summary",
    "enable_progress_bar",
    "log_every_n_steps",
    "logger",
    "max_epochs",
    "num_sanity_val_steps",
    "plugins",
    "use_distributed_sampler",
}


def check_trainer(arguments: Mapping[str, Any]) -> None:
    """Refuse arguments that `pytorch_lightning.Trainer` does not have or does not accept.

    Raises
    ------
    DependencyError
        If a package of the extra "train" is missing.
    ConfigError
        If there is no such argument, a training sets it itself, or this machine does not have
        what it asks for.
    """
    with extra("train"):
        for package in PACKAGES:
            if find_spec(package) is None:
                raise ModuleNotFoundError(name=package)
    if not arguments:  # a head that is fitted as logistic regression never imports the trainer
        return
    import pytorch_lightning as lightning
    from lightning_fabric.utilities.exceptions import MisconfigurationException

    known = set(inspect.signature(lightning.Trainer).parameters) - OWN
    if unknown := sorted(set(arguments) - known):
        raise ConfigError(
            f"the trainer has no argument {', '.join(unknown)}",
            expected=", ".join(sorted(known)),
            fix="correct the name; epochs and seed are settings of the training",
        )
    try:
        with _quiet_lightning():
            lightning.Trainer(**arguments, logger=False, enable_checkpointing=False)
    except (MisconfigurationException, ImportError, ValueError, TypeError, RuntimeError) as error:
        given = ", ".join(f"{name}={value}" for name, value in arguments.items())
        raise ConfigError(
            f"the trainer refuses {given} ({error})",
            expected="what this machine has, as PyTorch Lightning names it",
            fix="leave the arguments out to let it choose",
        ) from error


def train(
    network: models.Network,
    frontend: Frontend | Standardization,
    data: Examples,
    config: TrainingConfig,
    out: Path,
    resume: bool,
    progress: bool,
    arguments: Mapping[str, Any],
    *,
    frozen: Sequence[models.Segment] = (),
) -> dict[str, Any]:
    """Run the trainer, load the weights of the epoch that is kept, and return the outcome.

    `TrainingRun.train` calls it and describes its parameters; `out` is the folder of checkpoints/
    and logs/, and `arguments` are those of `pytorch_lightning.Trainer`.
    """
    from anymic.training.loop.checkpoints import read_checkpoint, resuming
    from anymic.training.loop.module import TrainedClassifier, measure_of

    validated = len(data.validation) > 0
    example = frontend.maps(torch.from_numpy(data.features[:1].astype("float32")))
    fill = _fill(example.shape[1], data, config)
    module = TrainedClassifier(
        network,
        frontend,
        config,
        fill=fill,
        validated=validated,
        frozen=frozen,
        lines=progress and not on_terminal(),
    )
    module.train()
    with _quiet_lightning():
        bar = progress and on_terminal()
        trainer, keeper = _trainer(config, out, bar, arguments, validated=validated)
        share: dict[str, Any] = {"rank": trainer.global_rank, "processes": trainer.world_size}
        lost_frames = data.features.shape[-1] - example.shape[-1]
        batches = TrainingBatches(data, config, lost_frames=lost_frames, **share)
        checks = EvaluationBatches(data, config.batch_size, **share)
        last = out / CHECKPOINTS / "last.ckpt"
        resumed = last if resume and last.is_file() else None
        begun: Mapping[str, Any] = {}
        if resumed:  # what is needed after the last epoch is read before the first one
            begun, chosen = read_checkpoint(last), last.with_name("best.ckpt")
            if chosen.exists():
                read_checkpoint(chosen)
        threads = _threads(trainer, begun.get("threads"))
        with (
            _plain_endings(),
            in_threads(threads),
            resuming(last, module) if resumed else nullcontext(),
        ):
            trainer.fit(
                module,
                training_loader(batches),
                torch.utils.data.DataLoader(checks, batch_size=None) if validated else None,
                ckpt_path=resumed,
            )
    best = read_checkpoint(Path(keeper.best_model_path or last))
    prefix = "network."
    weights = {
        name.removeprefix(prefix): value
        for name, value in best["state_dict"].items()
        if name.startswith(prefix)
    }
    network.requires_grad_(True).cpu().load_state_dict(weights)
    frontend.cpu()
    score, counted = keeper.best_model_score, trainer.fit_loop.epoch_progress.state_dict()
    if score is None:
        score = trainer.callback_metrics.get(f"validation_{measure_of(config)}")
    return {
        "epochs": counted["current"]["processed"],
        "kept_epoch": int(best["epoch"]) + 1,
        "monitor": keeper.monitor or "last epoch",
        "best": None if score is None else float(score),
        "precision": str(trainer.precision),
        "number_format": _number_format(trainer, config, arguments),
        "threads": threads,
        "processes": trainer.world_size,
        "rank": trainer.global_rank,
    }


def _number_format(
    trainer: lightning.Trainer, config: TrainingConfig, arguments: Mapping[str, Any]
) -> str:
    """Return in words the number format of the training, and why it was chosen."""
    if "precision" in arguments:
        return f"computed in {trainer.precision}: as set for the trainer"
    chosen = choose(config.precision, trainer.strategy.root_device.type, "training")
    return f"computed in {chosen.format}: {chosen.reason}"


def _threads(trainer: lightning.Trainer, before: object) -> int:
    """Return in how many threads torch is to compute: not in more than processors are idle.

    Threads share each operation and wait for the last one after it: where another program uses one
    of two processors, two threads can take ten times as long as one. A resumed run continues with
    the number it had before.
    """
    threads = torch.get_num_threads()
    if isinstance(before, int) and 0 < before <= threads:
        return before
    alone = trainer.strategy.root_device.type == "cpu" and trainer.world_size == 1
    if threads == 1 or "OMP_NUM_THREADS" in os.environ or not alone:
        return threads
    idle = max(1, round(idle_processors()))
    if idle < threads:
        warnings.warn(
            f"Other programs use the processors: the training computes in {counted(idle, 'thread')}"
            f" instead of {threads}. To choose the number, set the variable OMP_NUM_THREADS.",
            AnymicWarning,
            stacklevel=2,
        )
    return min(threads, idle)


def _fill(channels: int, data: Examples, config: TrainingConfig) -> torch.Tensor:
    """Return the value that replaces a masked one, (channel, band, 1): the mean of its band.

    The mean is that of the training clips: 0 where features are standardized, and in their deltas.
    In log-mel features that are not standardized, 0 would be louder than anything in the clip.
    """
    fill = torch.zeros(channels, data.features.shape[1], 1)
    if config.spec_augment is not None and not config.standardize:
        statistics = Standardizer().fit(data.features[row] for row in data.training)
        fill[0, :, 0] = torch.from_numpy(statistics.mean_)
    return fill


def _trainer(
    config: TrainingConfig,
    out: Path,
    progress: bool,
    arguments: Mapping[str, Any],
    *,
    validated: bool,
) -> tuple[lightning.Trainer, Any]:
    with extra("train"):
        import pytorch_lightning as lightning
        from pytorch_lightning.callbacks import ModelCheckpoint, RichProgressBar
        from pytorch_lightning.loggers import TensorBoardLogger

    from anymic.training.loop.checkpoints import Checkpoints
    from anymic.training.loop.module import measure_of
    from anymic.training.loop.synchronize import SynchronizeBatchNorm

    picks = validated and config.monitor != "last"
    watched = measure_of(config) if config.monitor == "accuracy" else config.monitor
    keeper = ModelCheckpoint(
        dirpath=out / CHECKPOINTS,
        filename="best",
        monitor=f"validation_{watched}" if picks else None,
        mode="min" if config.monitor == "loss" else "max",
        save_last=True,
        enable_version_counter=False,
    )
    chosen: dict[str, Any] = {"accelerator": "auto", "devices": 1, **arguments}
    bars = [RichProgressBar(console_kwargs={"stderr": True})] if progress else []
    callbacks = [keeper, *chosen.pop("callbacks", ()), *bars]
    if chosen["accelerator"] == "auto":
        chosen["accelerator"] = "gpu" if torch.cuda.is_available() else "cpu"
    chosen.setdefault(
        "precision", lightning_precision(config.precision, chosen["accelerator"], "training")
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
        plugins=[SynchronizeBatchNorm(), Checkpoints()],
        **chosen,
    )
    return trainer, keeper


@contextmanager
def _plain_endings() -> Iterator[None]:
    """Raise the exception that a signal raises in any other program.

    Lightning turns an interruption into an exit with status 1 and ignores further interruptions.
    It turns SIGTERM into an exit with status 0, as if the training were complete.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as ended:
        if isinstance(ended.__context__, KeyboardInterrupt):
            signal.signal(signal.SIGINT, handler)
            raise KeyboardInterrupt from None
        if ended.code is None:
            raise SystemExit(128 + signal.SIGTERM) from None
        raise


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Hide the trainer's advice (number of workers, hardware found); its bar changes a console."""
    logger, console = logging.getLogger("pytorch_lightning"), rich.get_console()
    level, shown = logger.level, console.__dict__
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            warnings.filterwarnings("ignore", module="lightning_fabric")
            yield
    finally:
        logger.setLevel(level)
        console.__dict__ = shown
