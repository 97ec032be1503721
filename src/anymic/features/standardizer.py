"""Zero mean and unit variance of each mel band, estimated from the training clips."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from anymic.errors import ConfigError

SMALLEST_SCALE = 1e-3


class Standardizer:
    """Mean and standard deviation of each band (Kosmider 2019, section 3).

    Attributes
    ----------
    mean_ : array (band,), float32
    scale_ : array (band,), float32
        The standard deviation, at least 1e-3: a constant band must not be divided by 0.

    Examples
    --------
    >>> import anymic, numpy as np
    >>> generator = np.random.default_rng(0)
    >>> clips = [generator.normal(3, 2, (8, 20)) for _ in range(200)]  # (band, frame)
    >>> standardizer = anymic.Standardizer().fit(clips)
    >>> standardizer.mean_.shape, bool(abs(standardizer.mean_ - 3).max() < 0.2)
    ((8,), True)
    """

    mean_: NDArray[np.float32]
    scale_: NDArray[np.float32]

    def fit(self, features: Iterable[NDArray[np.floating]]) -> Standardizer:
        """Estimate both from clips of features, each (band, frame), in one pass; return self.

        Raises
        ------
        ConfigError
            If there is no clip.
        """
        count, mean, spread = 0, np.zeros(1), np.zeros(1)
        for clip in features:
            # Chan's update of mean and sum of squared deviations: stable at any length.
            part = np.asarray(clip, dtype=np.float64)
            frames = part.shape[-1]
            part_mean = part.mean(axis=-1)
            difference = part_mean - mean
            total = count + frames
            spread = spread + ((part - part_mean[:, None]) ** 2).sum(axis=-1)
            spread = spread + difference**2 * (count * frames / total)
            mean = mean + difference * (frames / total)
            count = total
        if count == 0:
            raise ConfigError(
                "there are no clips to standardize on",
                expected="training clips",
                fix="check the split",
            )
        self.mean_ = mean.astype(np.float32)
        self.scale_ = np.maximum(np.sqrt(spread / count), SMALLEST_SCALE).astype(np.float32)
        return self
