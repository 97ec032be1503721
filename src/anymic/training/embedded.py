"""Clips as sequences of embeddings: logistic regression on them, and a comparison with a head."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from anymic import models
from anymic.errors import AnymicWarning, counted
from anymic.inference.answers import probabilities
from anymic.models.heads import LinearHead
from anymic.models.tagger import Standardization
from anymic.training.config import TrainingConfig
from anymic.training.logistic import STRENGTHS, Logistic, fit_logistic
from anymic.training.parts import Examples

COMPARED = 0.1  # C of the logistic regression that other heads are compared with


@dataclass(frozen=True, eq=False)
class Embedded:
    """Examples that are sequences of embeddings, and the clip of each.

    Attributes
    ----------
    data : Examples
        Of features (example, feature, segment).
    clips : array (example,)
        The clip of each example.
    recordings : array (clip,) of str
    config : TrainingConfig
    copies : array (example,), optional
        0 of a clip itself, else the number of its copy through a random device.
    """

    data: Examples
    clips: NDArray[np.int64]
    recordings: NDArray[np.str_]
    config: TrainingConfig
    copies: NDArray[np.int64] | None = None

    def logistic(self, strengths: Sequence[float] = STRENGTHS) -> Logistic:
        """Fit logistic regression on the mean and maximum over the segments of each example.

        Every clip counts the same, however many windows and copies it has. Copies train and help to
        choose the regularization, and do not count in the cross-validated accuracy.
        """
        data = self.data
        clips = self.clips[data.training]
        counts = np.bincount(clips)[clips]
        return fit_logistic(
            self._pooled(data.training),
            data.training_targets,
            self.recordings[clips].tolist(),
            weights=1 / counts,
            strengths=strengths,
            copies=None if self.copies is None else self.copies[data.training] > 0,
            scaling="common",
            seed=self.config.seed,
        )

    def fit_linear(self, head: models.Network, standardization: Standardization) -> dict[str, Any]:
        """Give a linear head, and the standardization before it, the weights of `logistic`.

        Returns what a training returns: the number of epochs is 0, and the quantity that chose the
        regularization is the cross-validated accuracy.
        """
        assert isinstance(head, LinearHead)
        found = self.logistic()
        width = head.inputs
        mean, scale = found.mean[:width], found.scale[:width]
        # The maxima are standardized by the mean of all segments too; the bias has the difference.
        offset = np.concatenate([np.zeros(width), found.mean[width:] - mean]) / found.scale
        bias = found.bias - found.weight @ offset
        values: dict[Any, NDArray[np.float64]] = {
            standardization.mean: mean,
            standardization.scale: scale,
            head.classifier.weight: found.weight * self.config.temperature,
            head.classifier.bias: bias * self.config.temperature,
        }
        with torch.no_grad():
            for tensor, value in values.items():
                tensor.copy_(torch.from_numpy(value))
        result: dict[str, Any] = {
            "epochs": 0,
            "kept_epoch": 0,
            "monitor": "cross-validated accuracy" + " of each label" * self.data.several,
            "best": found.accuracy,
            "precision": "float64",
            "processes": 1,
            "rank": 0,
            "regularization": {
                "C": found.strength,
                "losses": {str(each): loss for each, loss in found.losses.items()},
                "folds": found.folds,
            },
        }
        if len(self.data.validation) and not self.data.several:
            right = self._right(self._probabilities(head, standardization))
            result["validation_accuracy"] = float(right.mean())
        return result

    def compare(
        self, head: models.Network, standardization: Standardization, record: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the accuracy on the validation clips of the head and of logistic regression.

        An AnymicWarning states if the head is worse, and which settings may be the reason.
        Without validation clips, or with several labels a clip, nothing is returned.
        """
        data = self.data
        if not len(data.validation) or data.several:
            return {}
        other = self.logistic([COMPARED])
        logits = torch.from_numpy(other.logits(self._pooled(data.validation)))
        own = self._right(self._probabilities(head, standardization))
        theirs = self._right(probabilities(logits))
        accuracies = float(own.mean()), float(theirs.mean())
        # More than what clips that only one of them has right let expect by chance.
        if (theirs & ~own).sum() - (own & ~theirs).sum() > np.sqrt((own ^ theirs).sum()):
            warnings.warn(
                f"the head is worse than logistic regression on the same embeddings: accuracy"
                f" {accuracies[0]:.3f} against {accuracies[1]:.3f} on"
                f" {counted(len(own), 'validation clip')}"
                f" ({'; '.join(self._reasons(record))})",
                AnymicWarning,
                stacklevel=3,
            )
        found = {"head": accuracies[0], "logistic": accuracies[1], "clips": len(own)}
        return {"logistic": {**found, "C": COMPARED}}

    def _reasons(self, record: Mapping[str, Any]) -> list[str]:
        """Return possible reasons in the settings, the most probable first."""
        config, found = self.config, []
        clips = len(np.unique(self.clips[self.data.training]))
        each = clips / len(self.data.labels)
        if each < 100:
            found.append(f"{each:.0f} training clips a label are few for a network")
        if record["kept_epoch"] >= 0.9 * record["epochs"]:
            found.append(
                f"the loss was still falling at the last of {counted(record['epochs'], 'epoch')}"
            )
        if config.mixup is not None:
            found.append("mixup adds to the regularization by dropout")
        return found or ["a logistic head needs no settings"]

    def _pooled(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the mean and the maximum over the segments: (row, 2 * feature)."""
        pooled = [
            np.concatenate([each.mean(axis=-1, dtype=np.float64), each.max(axis=-1)])
            for each in (self.data.features[row] for row in rows)
        ]
        return np.stack(pooled)

    @torch.inference_mode()
    def _probabilities(
        self, head: models.Network, standardization: Standardization
    ) -> NDArray[np.float64]:
        """Return the probabilities (validation example, class) of the head."""
        head.eval()
        rows = self.data.validation
        parts = [
            head(standardization.maps(torch.from_numpy(each.astype(np.float32))))
            for each in np.array_split(self.data.features[rows], max(1, len(rows) // 256))
        ]
        return probabilities(torch.cat(parts), self.config.temperature)

    def _right(self, windows: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return whether the mean over the windows is right, for each validation clip."""
        clips, first, place = np.unique(
            self.clips[self.data.validation], return_index=True, return_inverse=True
        )
        sums = np.zeros((len(clips), windows.shape[1]))
        np.add.at(sums, place, windows)
        return np.asarray(sums.argmax(axis=1) == self.data.validation_targets[first])
