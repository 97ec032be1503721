"""Checked probabilities of labelled clips, which all rows and figures are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymic.errors import counted
from anymic.metrics import Interval, MetricError, accuracy, check_probabilities

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
    devices : (clip,) str
        The device of each clip; "" if not known.
    """

    probabilities: NDArray[np.float64]
    targets: NDArray[np.intp]
    recordings: NDArray[Any]
    devices: NDArray[np.str_]

    @classmethod
    def of(
        cls,
        probabilities: ArrayLike,
        targets: ArrayLike,
        devices: Column = None,
        groups: Column = None,
    ) -> ScoredClips:
        """Check the arrays; without `groups`, each clip is a recording of its own.

        Raises
        ------
        MetricError
            As `anymic.metrics.check_probabilities`, or if there is not one device for each clip.
        """
        p, t = check_probabilities(probabilities, targets)
        if devices is not None and len(devices) != len(t):
            raise MetricError(
                f"{counted(len(devices), 'device')} for {counted(len(t), 'clip')}",
                expected="one for each clip",
            )
        recordings = np.arange(len(t)) if groups is None else np.asarray(groups)
        return cls(p, t, recordings, device_names(devices, len(t)))

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, kept: NDArray[np.bool_]) -> ScoredClips:
        """Return the clips where `kept` (clip,) is true."""
        return ScoredClips(*(column[kept] for column in vars(self).values()))

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

    def of_devices(self) -> dict[str, ScoredClips]:
        """Return the clips of each device, sorted by name; clips of no device are left out."""
        names = sorted(set(self.devices.tolist()) - {""})
        return {name: self[self.devices == name] for name in names}

    def parts(self) -> list[tuple[dict[str, str], ScoredClips]]:
        """Return (condition, clips) of all clips and of each device: {}, {"device": "A"}, ..."""
        return [({}, self), *(({"device": name}, of) for name, of in self.of_devices().items())]


def device_names(devices: Column, clips: int) -> NDArray[np.str_]:
    """Return the device of each clip as text; "" for None and NaN."""
    given = [""] * clips if devices is None else devices
    return np.array(["" if one is None or one != one else str(one) for one in given], dtype=str)
