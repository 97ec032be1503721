"""Checked probabilities of labelled clips, which all rows and figures are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymic.metrics import Interval, accuracy, check_probabilities

Column: TypeAlias = Sequence[Any] | NDArray[Any] | None


@dataclass(frozen=True, eq=False)
class ScoredClips:
    """Checked probabilities of labelled clips.

    Attributes
    ----------
    probabilities : (clip, class) float64
    targets : (clip,) intp
        The true class numbers.
    recordings : (clip,)
        The source recording of each clip; clips of one recording are resampled together.
    """

    probabilities: NDArray[np.float64]
    targets: NDArray[np.intp]
    recordings: NDArray[Any]

    @classmethod
    def of(cls, probabilities: ArrayLike, targets: ArrayLike, groups: Column = None) -> ScoredClips:
        """Check the arrays; without `groups`, each clip is a recording of its own.

        Raises
        ------
        MetricError
            As `anymic.metrics.check_probabilities`.
        """
        p, t = check_probabilities(probabilities, targets)
        return cls(p, t, np.arange(len(t)) if groups is None else np.asarray(groups))

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, kept: NDArray[np.bool_]) -> ScoredClips:
        """Return the clips where `kept` (clip,) is true."""
        return ScoredClips(self.probabilities[kept], self.targets[kept], self.recordings[kept])

    @property
    def confidence(self) -> NDArray[np.float64]:
        """The probability of the predicted class: (clip,)."""
        return np.asarray(self.probabilities.max(axis=1))

    @property
    def predicted(self) -> NDArray[np.intp]:
        """The most probable class: (clip,)."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether this is the true class: (clip,)."""
        return np.asarray(self.predicted == self.targets)

    def accuracy(self) -> Interval:
        """Return the share of correct clips with its interval."""
        return accuracy(self.correct, self.recordings)

    def by_device(self, devices: Column) -> list[tuple[dict[str, str], ScoredClips]]:
        """Return (condition, clips) of all clips and of each device: {}, {"device": "A"}, ..."""
        parts = [({"device": name}, self[of]) for name, of in by_device(devices).items()]
        return [({}, self), *parts]


def by_device(devices: Column) -> dict[str, NDArray[np.bool_]]:
    """Return which clips each device recorded, sorted by name; clips of no device are left out."""
    if devices is None:
        return {}
    missing = [device is None or device != device for device in devices]
    names = np.where(missing, "", np.array([str(device) for device in devices], dtype=str))
    return {name: names == name for name in sorted(set(names.tolist()) - {""})}
