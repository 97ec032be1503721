"""How accurate a network is while it is fine-tuned: by codec and device, at chosen epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from anymic._internal.optional import extra
from anymic.bundle import Bundle
from anymic.bundle.targets import named
from anymic.codecs.conditions import CLEAN, codec_names
from anymic.data.manifest import Manifest
from anymic.inference.engine import Engine, Precision
from anymic.metrics import intervals
from anymic.training.loop.module import TrainedClassifier

with extra("train"):
    import pytorch_lightning as lightning

BATCH = 16


@dataclass(frozen=True, eq=False)
class Measured:
    """The clips that a network is measured on."""

    features: NDArray[np.float32]  # (clip, band, frame): log-mel, before standardization
    manifest: Manifest  # a row for each
    targets: NDArray[np.int64]  # (clip,)


class EvaluationCallback(lightning.Callback):
    """Classifies the clips after chosen epochs; a checkpoint contains the probabilities so far.

    `bundle` is the model whose network is trained, with the front-end that the trainer uses.
    `answers` are the probabilities (clip, label) by epoch: those of `Predictor` with the same
    precision, before calibration, because a calibrator belongs to the weights that it was fitted
    on.
    """

    def __init__(
        self, bundle: Bundle, clips: Measured, epochs: tuple[int, ...], *, precision: Precision
    ) -> None:
        self.bundle, self.clips = bundle, clips
        self.epochs, self.precision = epochs, precision
        self.answers: dict[int, NDArray[np.float32]] = {}

    def state_dict(self) -> dict[str, Any]:
        """Return the probabilities, for a checkpoint: tensors, which alone can be read again."""
        return {"answers": {epoch: torch.from_numpy(p) for epoch, p in self.answers.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the probabilities of a checkpoint over."""
        self.answers |= {epoch: p.numpy() for epoch, p in state_dict["answers"].items()}

    def measure(self, epoch: int, network: nn.Module, *, accelerator: str = "cpu") -> None:
        """Classify the clips by the network as it is at an epoch."""
        current = replace(self.bundle, network=network)
        engine = Engine(current, precision=self.precision, accelerator=accelerator)
        found = engine.classify_stored([self.clips.features], batch_size=BATCH)
        self.answers[epoch] = found.astype(np.float32)

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Classify the clips, if this is one of the epochs."""
        epoch = trainer.current_epoch + 1
        if epoch in self.epochs and trainer.is_global_zero:
            assert isinstance(pl_module, TrainedClassifier)
            self.measure(epoch, pl_module.network, accelerator=str(pl_module.device))
            pl_module.train()  # making a bundle has put the network in inference mode


def summarize(
    answers: Mapping[int, NDArray[np.float32]],
    clips: Measured,
    *,
    thresholds: Sequence[float] | None = None,
) -> list[dict[str, Any]]:
    """Return rows as those of a report: accuracy by epoch for each codec and each device.

    Clean clips have the paired difference to epoch 0 as well; where it is negative, the network has
    forgotten something. With several labels a clip, a clip is right where exactly its labels are
    named, at the thresholds of the model that fine-tuning starts from.
    """
    codecs, groups = codec_names(clips.manifest), np.array(clips.manifest.recordings())
    names = sorted(set(codecs), key=lambda each: (each != CLEAN, each))
    parts = [({"codec": name}, codecs == name) for name in names]
    for name in clips.manifest.devices:
        parts.append(({"device": name}, clips.manifest.table["device"].to_numpy() == name))
    right = {epoch: _right(each, clips, thresholds) for epoch, each in answers.items()}
    rows = []
    for condition, chosen in parts:
        for epoch, each in right.items():
            found = intervals.accuracy(each[chosen], groups[chosen])
            rows.append(_row("accuracy", found, **condition, epoch=str(epoch)))
    chosen = codecs == CLEAN
    if len(set(groups[chosen])) > 1 and 0 in right:
        before = right[0][chosen].astype(float)
        for epoch in (each for each in right if each):
            after = right[epoch][chosen].astype(float)
            found = intervals.paired_difference(after, before, groups[chosen])
            condition = {"codec": CLEAN, "epoch": str(epoch), "against_epoch": "0"}
            rows.append(_row("accuracy_difference", found, **condition))
    return rows


def _right(
    p: NDArray[np.float32], clips: Measured, thresholds: Sequence[float] | None
) -> NDArray[np.bool_]:
    """Return whether each clip is classified correctly."""
    if clips.targets.ndim == 2:
        return np.asarray((named(p, thresholds) == clips.targets).all(axis=1))
    return np.asarray(p.argmax(axis=1) == clips.targets)


def _row(metric: str, found: intervals.Interval, **condition: str) -> dict[str, Any]:
    return {"condition": condition, "metric": metric, **asdict(found)}
