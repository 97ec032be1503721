"""Pass training clips through codecs that are drawn for every epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anymic.codecs.codec import Codec
from anymic.codecs.codec_set import CodecSet
from anymic.codecs.table import ORIGINAL
from anymic.codecs.whole_table import WholeTable
from anymic.errors import ConfigError, counted

ANY = "any"
"""The text that stands for the whole table of codecs in settings."""
MASKS = 0.25
"""The share of clips with a random cut-off, where codecs are drawn from the whole table."""
CONSISTENCY = 1.0
"""The weight of the consistency there: docs/results/codecs.md compares a training without it."""


@dataclass(frozen=True)
class Codecs:
    """Settings of training with codecs: in each epoch, a share of the clips is passed through one.

    In settings the text "any" stands for the defaults, and another text for the set of codecs that
    `anymic.codecs.CodecSet.read` makes of it, such as "voice-message" or "mp3 32, aac 32".

    Attributes
    ----------
    share : float
        Probability that a clip is passed through a codec in an epoch. Heads on embeddings do not
        use it: they are trained on every clip and on its coded versions.
    set : tuple of str
        The codecs and bitrates, such as "mp3 32"; all are equally likely. Without any, each clip
        has `versions` coded versions, each of a codec and bitrate drawn from the whole table
        (`anymic.codecs.whole_table.WholeTable`).
    without : tuple of str
        What is not drawn from the table: families, codecs or chains, or codecs at a bitrate.
    versions : int
        Number of coded versions of each clip, where codecs are drawn from the table.
    masks : float, optional
        Probability that the bands of a clip above a random frequency are emptied in an epoch, so
        that a network relies less on the highest frequency of a recording. By default 0.25 where
        codecs are drawn from the table, and 0 for a set. Only networks on log-mel features use it.
    consistency : float, optional
        Weight in the loss of the divergence between the answers for a clip and for another version
        of it; see `anymic.training.loop.losses.divergence`. By default 1 where codecs are drawn
        from the table, and 0 for a set. Only networks use it; each batch is computed twice.

    Raises
    ------
    ConfigError
        If a share, the number of versions or the weight is not possible, the set contains the
        original, something is left out of a set, or codecs or bitrates are unknown.
    """

    share: float = 0.5
    set: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    versions: int = 4
    masks: float | None = None
    consistency: float | None = None

    def __post_init__(self) -> None:
        problems = [] if 0 < self.share <= 1 else [f"share is {self.share}"]
        problems += [] if self.versions >= 1 else [f"versions is {self.versions}"]
        problems += [] if 0 <= (self.masks or 0) <= 1 else [f"masks is {self.masks}"]
        problems += (
            [] if 0 <= (self.consistency or 0) < np.inf else [f"consistency is {self.consistency}"]
        )
        if problems:
            raise ConfigError(
                f"the settings of codecs are impossible: {'; '.join(problems)}",
                expected="a share above 0 and at most 1, 1 or more versions, masks from 0 to 1, and"
                " a weight of the consistency from 0 on",
                fix='write, for example, `codecs: {share: 0.5, set: ["mp3 32", "aac 64"]}`',
            )
        if self.set and self.without:
            raise ConfigError(
                f"{', '.join(self.without)} cannot be left out of"
                f" {counted(len(self.set), 'codec')} that a set names",
                expected="a set, or what is left out of the whole table",
                fix="remove one of set and without",
            )
        if any(codec.is_original for codec in self.codecs):
            raise ConfigError(
                f"the codec {ORIGINAL} is the original, which needs no training",
                expected="codecs only: clips that get none stay as they are",
                fix="remove it and lower the share instead",
            )
        if self.without:
            WholeTable(self.without)  # refuses what is unknown

    @classmethod
    def from_text(cls, text: str) -> dict[str, Any]:
        """Return the settings that a text stands for.

        Raises
        ------
        ConfigError
            If it is neither "any" nor codecs; see `anymic.codecs.CodecSet.read`.
        """
        if text == ANY:
            return {}
        return {"set": [str(codec) for codec in CodecSet.read(text) if not codec.is_original]}

    @property
    def codecs(self) -> CodecSet:
        """The codecs of the set; none where they are drawn from the table."""
        return CodecSet(tuple(Codec.parse(text) for text in dict.fromkeys(self.set)))

    @property
    def table(self) -> WholeTable:
        """The codecs that are drawn from the table, where there is no set."""
        return WholeTable(self.without)

    @property
    def masked(self) -> float:
        """The share of the clips with a random cut-off."""
        if self.masks is None:
            return 0.0 if self.set else MASKS
        return self.masks

    @property
    def consistency_weight(self) -> float:
        """The weight of the consistency."""
        if self.consistency is None:
            return 0.0 if self.set else CONSISTENCY
        return self.consistency

    @property
    def number(self) -> int:
        """The number of coded versions that each clip has."""
        return len(self.codecs) if self.set else self.versions

    def draw(self, clips: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Draw a coded version for each clip (clip,): 0 for none, i for the i-th."""
        chosen = generator.integers(1, self.number + 1, clips)
        return np.where(generator.random(clips) < self.share, chosen, 0).astype(np.int64)
