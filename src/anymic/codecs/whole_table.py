"""Codecs drawn from the whole table: the setting `codecs: any` of a training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar
from zlib import crc32

import numpy as np

from anymic.codecs.chain import Chain, every_spec
from anymic.codecs.codec import Codec
from anymic.codecs.table import CHAINS, ORIGINAL, problem
from anymic.errors import ConfigError

Item = TypeVar("Item")
CHAIN_FAMILY = "chains"
"""The name of all chains together, as a family."""


@dataclass(frozen=True)
class WholeTable:
    """Every codec of the table at each of its bitrates, and every chain that has a name.

    A draw is uniform over the families (mp3, aac, opus, vorbis, bluetooth, lc3, speech, adpcm, and
    the chains), then over the codecs of the family. Of two bitrates the lower one is used, so that
    low bitrates are more frequent. What is left out, or not available on this machine, is drawn
    again, and all other draws stay the same.

    Attributes
    ----------
    without : tuple of str
        What is never drawn: families, codecs or chains by name, or codecs at a bitrate ("mp3 32").
        A name that is both a family's and a codec's is the family's. Chains that contain what is
        left out are left out too; "chains" leaves out all of them.

    Raises
    ------
    ConfigError
        If there is no such family, codec or bitrate.

    Examples
    --------
    >>> from anymic.codecs.whole_table import WholeTable
    >>> table = WholeTable(without=("speech", "chains"))
    >>> table.draw("a clip", versions=2, seed=0) == table.draw("a clip", versions=2, seed=0)
    True
    """

    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the names."""
        for name in self.without:
            if name == ORIGINAL:
                raise ConfigError(
                    f"the original ({ORIGINAL}) is left out of the codecs",
                    expected="families, codecs, chains, or codecs at a bitrate",
                    fix="remove it; the share says how many clips stay as they are",
                )
            if name not in self._names:
                Codec.parse(name)  # refuses what is no codec

    @cached_property
    def families(self) -> dict[str, dict[str, tuple[Codec, ...]]]:
        """The codecs of each family by name, each at its bitrates, whatever is left out."""
        found: dict[str, dict[str, tuple[Codec, ...]]] = {}
        for spec in every_spec():
            if not spec.bitrates:  # the original
                continue
            family = CHAIN_FAMILY if spec.name in CHAINS else spec.family or spec.name
            at = tuple(Codec(spec.name, kbps=kbps) for kbps in spec.kbps)
            found.setdefault(family, {})[spec.name] = at
        return found

    @cached_property
    def _names(self) -> frozenset[str]:
        """The families, the codecs and the chains."""
        return frozenset(
            [*self.families, *(name for own in self.families.values() for name in own)]
        )

    @cached_property
    def codecs(self) -> tuple[Codec, ...]:
        """The codecs that may be drawn, at each of their bitrates; a ConfigError without any."""
        every = (codec for own in self.families.values() for at in own.values() for codec in at)
        found = tuple(one for one in every if self._wanted(one) and one.available)
        if not found:
            raise ConfigError(
                f"no codec is left without {', '.join(self.without) or 'those not available here'}",
                expected="at least one codec that is available here",
                fix="leave fewer out, or install what `anymic codec list` names",
            )
        return found

    @cached_property
    def absent(self) -> dict[str, str]:
        """The reason of each codec that is not left out and not available on this machine."""
        found = {}
        for family, own in self.families.items():
            for name, at in own.items() if family != CHAIN_FAMILY else ():
                reason = problem(at[0].spec)[0]
                if reason and any(map(self._wanted, at)):
                    found[name] = reason
        return found

    def draw(self, clip: str, *, versions: int, seed: int = 0) -> tuple[Codec, ...]:
        """Return the codecs of a clip's coded versions.

        They depend on the seed and on `clip`, which identifies it: not on other clips, nor on how
        many versions there are. A clip may have a codec twice.
        """
        allowed = frozenset(self.codecs)
        found = []
        for version in range(versions):
            generator = np.random.default_rng([seed, version, crc32(clip.encode())])
            codec = self._one(generator)
            while codec not in allowed:
                codec = self._one(generator)
            found.append(codec)
        return tuple(found)

    def _one(self, generator: np.random.Generator) -> Codec:
        family = _choice(list(self.families.values()), generator)
        at = _choice(list(family.values()), generator)
        return at[int(generator.integers(0, len(at), 2).min())]

    def _wanted(self, codec: Codec) -> bool:
        """Return whether neither a codec nor a step of a chain is left out."""
        if codec.name in CHAINS and {CHAIN_FAMILY, codec.name} & set(self.without):
            return False
        return not any(self._left_out(step) for step in steps_of(codec))

    def _left_out(self, codec: Codec) -> bool:
        for name in self.without:
            if name in self.families:
                if codec.spec.family == name:
                    return True
            elif name == codec.name:
                return True
            elif name not in self._names:
                other = Codec.parse(name)
                if (codec.name, codec.kbps) == (other.name, other.kbps):
                    return True
        return False


def steps_of(codec: Codec) -> tuple[Codec, ...]:
    """Return the codecs that a chain passes a clip through; of another codec this one alone."""
    backend = codec.spec.backend
    if not isinstance(backend, Chain):
        return (codec,)
    return tuple(one for step in backend.steps for one in steps_of(step))


def _choice(items: Sequence[Item], generator: np.random.Generator) -> Item:
    return items[int(generator.integers(len(items)))]
