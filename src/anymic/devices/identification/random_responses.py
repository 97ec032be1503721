"""Random smooth responses, which simulate clips of unknown devices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Correlation lengths as a share of the bands (on the mel scale), and the typical deviation in
# nepers: a tilt, wide peaks of a capsule, and narrow resonances.
SCALES = ((0.4, 0.6), (0.15, 0.5), (0.05, 0.3))


class RandomResponses:
    """Draws smooth log responses over mel bands.

    Each is a sum of Gaussian processes of three lengths, each scaled by a random amount of mean 1.
    So some drawn devices differ from the known ones by little and some by much.
    """

    def __init__(self, bands: int) -> None:
        place = np.linspace(0.0, 1.0, bands)
        apart = np.abs(place[:, None] - place)
        self._roots = []
        for length, deviation in SCALES:
            smooth = length < 0.1
            covariance = np.exp(-0.5 * (apart / length) ** 2) if smooth else np.exp(-apart / length)
            root = np.linalg.cholesky(covariance + 1e-6 * np.eye(bands))
            self._roots.append(deviation * root)

    def draw(self, count: int, generator: np.random.Generator) -> NDArray[np.float64]:
        """Return (count, band) log amplitudes whose mean over bands is 0."""
        curves = np.zeros((count, len(self._roots[0])))
        for root in self._roots:
            amount = generator.gamma(2.0, 0.5, size=(count, 1))
            curves += amount * (generator.standard_normal(curves.shape) @ root.T)
        centred: NDArray[np.float64] = curves - curves.mean(axis=1, keepdims=True)
        return centred
