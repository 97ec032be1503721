"""Changes to a training batch: first drawn as a value, then applied."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anymic.errors import ConfigError


@dataclass(frozen=True)
class MixupDraw:
    """What mixup does to one batch: clip i becomes weight[i] of itself and the rest of a partner.

    Attributes
    ----------
    partner : array (clip,), int64
        Position in the batch of the clip that is mixed in.
    weight : array (clip,), float32
        Share of the clip itself; 1 leaves it as it is.
    """

    partner: NDArray[np.int64]
    weight: NDArray[np.float32]


@dataclass(frozen=True)
class Mixup:
    """Mix pairs of clips and their targets (Zhang 2018, equation 1; Kosmider 2019).

    Attributes
    ----------
    share : float
        Share of the clips that are mixed; Kosmider 2019 mixes 0.3, Nguyen 2020 all.
    alpha : float
        Parameter of the Beta distribution that the weight is drawn from.
    """

    share: float = 0.3
    alpha: float = 0.2

    def __post_init__(self) -> None:
        """Refuse a share outside 0 to 1 and an alpha that is not positive."""
        if not 0 <= self.share <= 1 or self.alpha <= 0:
            raise ConfigError(
                f"mixup share {self.share} and alpha {self.alpha}",
                wanted="a share from 0 to 1 and a positive alpha",
            )

    def draw(self, clips: int, generator: np.random.Generator) -> MixupDraw:
        """Draw for a batch of `clips` clips; the same generator state gives the same draw."""
        partner = generator.permutation(clips).astype(np.int64)
        weight = generator.beta(self.alpha, self.alpha, size=clips)
        weight[generator.random(clips) >= self.share] = 1.0
        return MixupDraw(partner, weight.astype(np.float32))
