"""Pass training clips through codecs that are drawn for every epoch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anymic.codecs.codec import Codec
from anymic.codecs.codec_set import CodecSet
from anymic.codecs.table import ORIGINAL
from anymic.errors import ConfigError, counted


@dataclass(frozen=True)
class Codecs:
    """Settings of training with codecs: in each epoch, a share of the clips is passed through one.

    Attributes
    ----------
    share : float
        Probability that a clip is passed through a codec in an epoch.
    set : tuple of str
        The codecs and bitrates, such as "mp3 32"; all are equally likely.

    Raises
    ------
    ConfigError
        If the share is not above 0 and at most 1, the set is empty or contains the original, or
        codecs or bitrates are unknown.
    """

    share: float = 0.5
    set: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1 or not self.set:
            raise ConfigError(
                f"the share of clips is {self.share}, with {counted(len(self.set), 'codec')}",
                expected="a share above 0 and at most 1, and at least one codec",
                fix='write, for example, `codecs: {share: 0.5, set: ["mp3 32", "aac 64"]}`',
            )
        if any(codec.is_original for codec in self.codecs):
            raise ConfigError(
                f"the codec {ORIGINAL} is the original, which needs no training",
                expected="codecs only: clips that get none stay as they are",
                fix="remove it and lower the share instead",
            )

    @property
    def codecs(self) -> CodecSet:
        """The codecs of the set."""
        return CodecSet(tuple(Codec.parse(text) for text in dict.fromkeys(self.set)))

    def draw(self, clips: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Draw a codec for each clip (clip,): 0 for none, i for the i-th codec of the set."""
        chosen = generator.integers(1, len(self.codecs) + 1, clips)
        return np.where(generator.random(clips) < self.share, chosen, 0).astype(np.int64)
