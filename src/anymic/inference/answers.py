"""Compute probabilities from logits; no other module does.

A network gives logits for each window of a clip. They become the clip's probabilities in four
steps, always in this order:

1. `probabilities` divides the logits by the network's temperature and takes the softmax, or with
   several labels a clip the sigmoid of each;
2. `vote` combines the members of an ensemble (`anymic.bundle.voting`);
3. `average` takes the mean over the clip's windows;
4. `calibrate` applies the calibrator that was fitted after training, by device.

`Predictor` uses all four, with and without cached features. Heads on embeddings, the measurements
during fine-tuning and the experiments use those that apply to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from anymic.bundle.targets import Targets, named, thresholds_of
from anymic.bundle.voting import vote
from anymic.calibration import DeviceCalibrator

__all__ = ["average", "calibrate", "named", "probabilities", "thresholds_by_label", "vote"]


class _Answering(Protocol):
    """A model, an ensemble, or a head on embeddings."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    @property
    def targets(self) -> Targets: ...

    @property
    def thresholds(self) -> tuple[float, ...] | None: ...


def probabilities(
    logits: Tensor, temperature: float | Sequence[float] = 1.0, targets: Targets = "one"
) -> NDArray[np.float64]:
    """Return softmax(logits / temperature) over the labels, computed in float64.

    With several labels a clip it is sigmoid(logits / temperature), a score for each label.

    Parameters
    ----------
    logits : Tensor, (..., label)
    temperature : float, or sequence of float
        The temperature that the network was trained with; or one for each entry of the first axis,
        the members of an ensemble.
    targets : {"one", "several"}
        As of a `Bundle`.

    Examples
    --------
    >>> import torch
    >>> probabilities(torch.tensor([[0.0, 2.0]]), 2.0).round(3).tolist()
    [[0.269, 0.731]]
    >>> probabilities(torch.tensor([[0.0, 2.0]]), targets="several").round(3).tolist()
    [[0.5, 0.881]]
    """
    divisor = torch.as_tensor(temperature, dtype=torch.float64, device=logits.device)
    divided = logits.detach().double() / divisor.reshape(-1, *[1] * (logits.ndim - 1))
    shares = divided.sigmoid() if targets == "several" else torch.softmax(divided, dim=-1)
    return np.asarray(shares.cpu().numpy())


def average(windows: ArrayLike) -> NDArray[np.float64]:
    """Return a clip's probabilities (label,), the mean over its windows (window, label)."""
    return np.asarray(np.asarray(windows, dtype=np.float64).mean(axis=0))


def calibrate(
    clips: NDArray[np.float64],
    calibration: DeviceCalibrator | None,
    devices: Sequence[str | None],
) -> NDArray[np.float64]:
    """Return calibrated probabilities (clip, label) of the means over windows.

    Without a calibrator they are the same; a device without one of its own gets the general one.
    """
    if calibration is None or not len(clips):
        return clips
    return calibration.transform(clips, devices)


def calibrated_mean(
    windows: NDArray[np.float64],
    calibration: DeviceCalibrator | None,
    devices: Sequence[str | None],
) -> NDArray[np.float64]:
    """Return a clip's calibrated probabilities (label,), of windows (window, label) and devices.

    The mean over the windows of each device is calibrated for it, and weighted by their number.
    """
    names = list(dict.fromkeys(devices))
    shares = [np.array([one == name for one in devices]) for name in names]
    means = np.array([average(windows[one]) for one in shares])
    own = calibrate(means, calibration, names)
    if len(own) == 1:
        return np.asarray(own[0])
    return np.asarray(np.average(own, axis=0, weights=[one.sum() for one in shares]))


def thresholds_by_label(model: _Answering) -> dict[str, float] | None:
    """Return the probability from which a model names each label; None with one label a clip."""
    if model.targets == "one":
        return None
    values = thresholds_of(model.thresholds, len(model.labels))
    return dict(zip(model.labels, values, strict=True))
