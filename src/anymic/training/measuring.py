"""What a network is worth while it is fine-tuned: by codec and device, at chosen epochs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from numpy.typing import NDArray
from torch import nn

from anymic._internal.files import atomic_file
from anymic.codecs.conditions import CLEAN, codec_names
from anymic.data.manifest import Manifest
from anymic.features import Frontend
from anymic.metrics import intervals
from anymic.training.loop.module import TrainedClassifier

BATCH = 16
Probabilities = Mapping[int, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Measured:
    """The clips that a network is measured on.

    Attributes
    ----------
    features : array (clip, band, frame), float16
    manifest : Manifest
        A row each.
    targets : array (clip,), int64
    labels : tuple of str
    """

    features: NDArray[np.float16]
    manifest: Manifest
    targets: NDArray[np.int64]
    labels: tuple[str, ...]


@torch.no_grad()
def hear(
    network: nn.Module, frontend: Frontend, clips: Measured, *, temperature: float
) -> NDArray[np.float32]:
    """Return probabilities (clip, label) in float32, with the network in inference mode."""
    network.eval()
    place = next(network.parameters()).device
    found = [np.empty((0, len(clips.labels)), dtype=np.float32)]
    for first in range(0, len(clips.features), BATCH):
        part = torch.from_numpy(clips.features[first : first + BATCH].astype(np.float32))
        logits = network(frontend.maps(part.to(place)))
        found.append(torch.softmax(logits / temperature, dim=1).cpu().numpy())
    return np.concatenate(found)


class Listener(lightning.Callback):
    """Measures after chosen epochs, and keeps what the network answered in a folder."""

    def __init__(self, clips: Measured, epochs: tuple[int, ...], folder: Path) -> None:
        self.clips, self.epochs, self.folder = clips, epochs, folder

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Hear the clips, if this is an epoch to do so after."""
        epoch = trainer.current_epoch + 1
        if epoch not in self.epochs or not trainer.is_global_zero:
            return
        assert isinstance(pl_module, TrainedClassifier)
        temperature = pl_module.config.temperature
        keep(
            self.folder,
            epoch,
            hear(pl_module.network, pl_module.frontend, self.clips, temperature=temperature),
        )
        pl_module.train()


def keep(folder: Path, epoch: int, probabilities: NDArray[np.float32]) -> None:
    """Write an epoch's answers, whole or not at all."""
    with atomic_file(folder / f"{epoch}.npy") as file:
        np.save(file, probabilities)


def kept(folder: Path) -> dict[int, NDArray[np.float32]]:
    """Read every epoch's answers (clip, label), in the order of epochs."""
    found = {int(path.stem): path for path in folder.glob("[0-9]*.npy")}
    return {epoch: np.load(found[epoch]) for epoch in sorted(found)}


def summarize(answers: Probabilities, clips: Measured) -> list[dict[str, Any]]:
    """Return rows as those of a report: accuracy by epoch for all clips, each codec, each device.

    On clean clips there is the difference to epoch 0 as well, in pairs: what was forgotten, where
    it is negative.
    """
    codecs, groups = codec_names(clips.manifest), np.array(clips.manifest.recordings())
    parts: list[tuple[dict[str, str], NDArray[np.bool_]]] = []
    for name in sorted(set(codecs), key=lambda each: (each != CLEAN, each)):
        parts.append(({"codec": name}, codecs == name))
    for name in clips.manifest.devices:
        heard = clips.manifest.table["device"].to_numpy() == name
        parts.append(({"device": name}, heard))
    right = {epoch: each.argmax(axis=1) == clips.targets for epoch, each in answers.items()}
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


def _row(metric: str, found: intervals.Interval, **condition: str) -> dict[str, Any]:
    return {"condition": condition, "metric": metric, **asdict(found)}
