"""A head that classifies embeddings: its files and its predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from anymic import models
from anymic._internal.process_state import default_torch, left_as_found
from anymic._internal.reading import parsing
from anymic._internal.saved_folder import FolderFormat, part_of, tensor_bytes
from anymic._internal.settings import from_mapping
from anymic.bundle.targets import Targets, threshold_problems
from anymic.data.embeddings import Vectors
from anymic.data.manifest import Manifest
from anymic.errors import BundleError, ConfigError
from anymic.inference.answers import average, probabilities, thresholds_by_label
from anymic.inference.prediction import DevicePolicy, ManifestPredictions, Prediction
from anymic.models.network import Network
from anymic.models.segments import fixed_segments

FOLDER = FolderFormat(
    "head",
    "anymic-head",
    version=1,
    index="head.json",
    error=BundleError,
    remedy="pass the folder that `anymic train-head` wrote",
    again="train it again",
)
WEIGHTS = "weights.safetensors"


@dataclass(frozen=True, kw_only=True)
class _Record:
    """The content of `head.json`."""

    format: str
    network: str
    arguments: dict[str, Any]
    labels: tuple[str, ...]
    segments: int
    training: dict[str, Any]
    version: int = FOLDER.version
    library: str = ""
    fitted_on: dict[str, tuple[str, ...]] = field(default_factory=dict)
    file_hashes: dict[str, str] = field(default_factory=dict)
    targets: Targets = "one"
    thresholds: tuple[float, ...] | None = None


@dataclass(frozen=True, eq=False)
class VectorHead:
    """A trained head, with the mean and scale that its input is standardized by.

    Attributes
    ----------
    network : Network
    name, arguments
        The arguments of `anymic.models.build` that give this network.
    labels : tuple of str
    segments : int
        In a window.
    mean, scale : array (feature,), float32
    training, fitted_on, file_hashes, targets, thresholds
        As of a `Bundle`.
    """

    calibration = profile = None  # a head has neither

    network: Network
    name: str
    arguments: Mapping[str, Any]
    labels: tuple[str, ...]
    segments: int
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    training: Mapping[str, Any]
    fitted_on: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    file_hashes: Mapping[str, str] = field(default_factory=dict)
    targets: Targets = "one"
    thresholds: tuple[float, ...] | None = None

    @property
    def temperature(self) -> float:
        """The temperature of the training; probabilities are softmax(logits / temperature)."""
        return float(self.training.get("settings", {}).get("temperature", 1.0))

    @default_torch()
    def predict(self, vectors: Vectors) -> NDArray[np.float64]:
        """Return probabilities (clip, label): the mean over the parts of each clip's sequence.

        Raises
        ------
        ConfigError
            If the vectors have another number of features than the training vectors.
        """
        width = vectors.sequences[0].shape[1]
        if width != len(self.mean):
            raise ConfigError(
                f"the vectors have {width} features",
                expected=f"{len(self.mean)}, as the head was trained on",
                fix="embed the clips with the same model",
            )
        self.network.eval()
        found = []
        with torch.inference_mode():
            for sequence in vectors.sequences:
                parts = fixed_segments((sequence - self.mean) / self.scale, self.segments)
                logits = self.network(torch.from_numpy(parts.astype(np.float32)))
                found.append(average(probabilities(logits, self.temperature, self.targets)))
        return np.stack(found)

    def predict_manifest(self, vectors: Vectors, chosen: Manifest) -> ManifestPredictions:
        """Classify some of the clips, as `Predictor.predict_manifest` does."""
        place = {clip: row for row, clip in enumerate(vectors.clips.clip_ids())}
        rows = [place[clip] for clip in chosen.clip_ids()]
        some = Vectors(chosen, tuple(vectors.sequences[row] for row in rows))
        count = len(rows)
        policy: DevicePolicy = "identity"
        return ManifestPredictions(
            self.predict(some), np.arange(count), (), (None,) * count, (policy,) * count
        )

    def answers(self, vectors: Vectors, *, min_confidence: float = 0.0) -> list[Prediction]:
        """Classify every clip, as `Predictor.predict` does; its duration is unknown (0 s)."""
        found = []
        for path, sequence, own in zip(
            vectors.clips.table["path"], vectors.sequences, self.predict(vectors), strict=True
        ):
            best = int(own.argmax())
            found.append(
                Prediction(
                    path=path,
                    label=self.labels[best],
                    probability=float(own[best]),
                    probabilities=dict(zip(self.labels, own.tolist(), strict=True)),
                    windows=len(fixed_segments(sequence, self.segments)),
                    min_confidence=min_confidence,
                    thresholds=thresholds_by_label(self),
                )
            )
        return found

    def save(self, folder: str | Path) -> Path:
        """Write `head.json` and `weights.safetensors`, whole or not at all."""
        folder = Path(folder)
        weights = {f"network.{key}": value for key, value in self.network.state_dict().items()}
        index = {
            **FOLDER.header(),
            "network": self.name,
            "arguments": dict(self.arguments),
            "labels": list(self.labels),
            "segments": self.segments,
            "training": dict(self.training),
            "fitted_on": {use: list(clips) for use, clips in self.fitted_on.items()},
            "file_hashes": dict(self.file_hashes),
            "targets": self.targets,
            "thresholds": None if self.thresholds is None else list(self.thresholds),
        }
        with FOLDER.writing(folder) as new:
            content = tensor_bytes({"mean": self.mean, "scale": self.scale, **weights})
            (new / WEIGHTS).write_bytes(content)
            FOLDER.write_index(new, index)
        return folder


@left_as_found()
def load_head(folder: str | Path) -> VectorHead:
    """Read a head that `VectorHead.save` wrote.

    Raises
    ------
    BundleError
        If the folder has no head, it is damaged, or it has another version.
    """
    folder = Path(folder)
    index = FOLDER.read_index(folder)
    tensors = FOLDER.read_tensors(folder / WEIGHTS)
    fix, expected = FOLDER.again, f"{FOLDER.index} and {WEIGHTS} of a head on embeddings"
    with parsing(f"the head in {folder}", BundleError, expected=expected, fix=fix):
        record = from_mapping(_Record, index)
        network = models.build(record.network, classes=len(record.labels), **record.arguments)
        network.load_state_dict(part_of(tensors, "network"))
        head = VectorHead(
            network=network,
            name=record.network,
            arguments=record.arguments,
            labels=record.labels,
            segments=record.segments,
            mean=tensors["mean"].numpy(),
            scale=tensors["scale"].numpy(),
            training=record.training,
            fitted_on=record.fitted_on,
            file_hashes=record.file_hashes,
            targets=record.targets,
            thresholds=record.thresholds,
        )
        width = head.mean.size
        with torch.inference_mode():  # the parts fit if they classify an example
            network.eval()(torch.zeros(1, record.segments, width))
        if not (head.mean.shape == head.scale.shape == (width,) and head.temperature > 0):
            raise ValueError("the mean, the scale or the temperature does not fit")
        wrong = threshold_problems(head.targets, head.thresholds, head.labels, calibrated=False)
        if wrong:
            raise ValueError("; ".join(wrong))
        return head
