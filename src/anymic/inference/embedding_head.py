"""A head that classifies embeddings: its files and its predictions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from anymic import models
from anymic._internal.files import atomic_folder
from anymic.bundle.format import tensor_bytes
from anymic.bundle.parts import part_of
from anymic.data.embeddings import Vectors
from anymic.data.manifest import Manifest
from anymic.errors import BundleError, ConfigError, version_fix
from anymic.inference.answers import average, probabilities
from anymic.inference.prediction import DevicePolicy, ManifestPredictions, Prediction
from anymic.models.network import Network
from anymic.models.segments import fixed_segments

INDEX, WEIGHTS = "head.json", "weights.safetensors"
FORMAT, VERSION = "anymic-head", 1


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
    training, fitted_on
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

    @property
    def temperature(self) -> float:
        """The temperature of the training; probabilities are softmax(logits / temperature)."""
        return float(self.training.get("settings", {}).get("temperature", 1.0))

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
                found.append(average(probabilities(logits, self.temperature)))
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
                    device=None,
                    device_from="assumed",
                    device_policy="identity",
                    windows=len(fixed_segments(sequence, self.segments)),
                    start_s=0.0,
                    duration_s=0.0,
                    min_confidence=min_confidence,
                )
            )
        return found

    def save(self, folder: str | Path) -> Path:
        """Write `head.json` and `weights.safetensors`, whole or not at all."""
        folder = Path(folder)
        own = {"mean": torch.from_numpy(self.mean), "scale": torch.from_numpy(self.scale)}
        weights = {f"network.{key}": value for key, value in self.network.state_dict().items()}
        index = {
            "format": FORMAT,
            "version": VERSION,
            "library": version("anymic"),
            "network": self.name,
            "arguments": dict(self.arguments),
            "labels": list(self.labels),
            "segments": self.segments,
            "training": dict(self.training),
            "fitted_on": {use: list(clips) for use, clips in self.fitted_on.items()},
        }
        with atomic_folder(folder, index=INDEX) as unfinished:
            (unfinished / WEIGHTS).write_bytes(tensor_bytes({**own, **weights}))
            (unfinished / INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
        return folder


def load_head(folder: str | Path) -> VectorHead:
    """Read a head that `VectorHead.save` wrote.

    Raises
    ------
    BundleError
        If the folder has no head, it is damaged, or it has another version.
    """
    from safetensors.torch import load

    folder = Path(folder)
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        _require_version(folder, index)
        tensors = load((folder / WEIGHTS).read_bytes())
        network = models.build(index["network"], classes=len(index["labels"]), **index["arguments"])
        network.load_state_dict(part_of(tensors, "network"))
        mean, scale = tensors["mean"].numpy(), tensors["scale"].numpy()
    except BundleError:
        raise
    except Exception as error:
        raise BundleError(
            f"the folder {folder} contains no head ({type(error).__name__}: {error})",
            expected=f"{INDEX} and {WEIGHTS} of a head that was trained on embeddings",
            fix="train it again",
        ) from error
    return VectorHead(
        network=network,
        name=index["network"],
        arguments=index["arguments"],
        labels=tuple(index["labels"]),
        segments=index["segments"],
        mean=mean,
        scale=scale,
        training=index["training"],
        fitted_on={use: tuple(own) for use, own in index.get("fitted_on", {}).items()},
    )


def _require_version(folder: Path, index: Mapping[str, Any]) -> None:
    """Refuse an index of another format or version."""
    if index.get("format") != FORMAT:
        raise BundleError(
            f"{folder / INDEX} is not the index of a head",
            expected=f'"format": "{FORMAT}"',
            fix="pass the folder that `anymic train-head` wrote",
        )
    found, library = index.get("version", 1), index.get("library")  # the first had no version
    if found != VERSION:
        raise BundleError(
            f"head {folder} has version {found!r}, written by anymic {library}",
            expected=f"version {VERSION}",
            fix=version_fix(found, VERSION, written_by=library, otherwise="train it again"),
        )


def is_head(folder: str | Path) -> bool:
    """Return whether a folder contains a head on embeddings."""
    return (Path(folder) / INDEX).is_file()
