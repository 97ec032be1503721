"""Chains: codecs one after the other, as one codec."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from anymic import audio
from anymic.audio import Clip
from anymic.codecs.backend import Backend, Bitrates, CodecSpec
from anymic.codecs.codec import Codec
from anymic.codecs.table import CHAINS, CODECS, THEN, makes_chain_rows, problem
from anymic.errors import ConfigError


class Chain(Backend):
    """Encodes by the last codec what was passed through the others.

    Parameters
    ----------
    steps : sequence of str
        Codecs as `Codec.parse` reads them. They may be chains themselves.
    """

    def __init__(self, steps: Sequence[str]) -> None:
        self.texts = tuple(steps)

    @property
    def steps(self) -> tuple[Codec, ...]:
        """The codecs."""
        return tuple(map(Codec.parse, self.texts))

    def problem(self, spec: CodecSpec) -> tuple[str, str]:
        """Return why one of the codecs is not available here; empty texts if all are."""
        found = [(step, problem(step.spec)) for step in self.steps]
        missing = [(step, each) for step, each in found if each[0]]
        if not missing:
            return "", ""
        reasons = "; ".join(f"{step}: {reason}" for step, (reason, _) in missing)
        return reasons, "; ".join(remedy for _, (_, remedy) in missing)

    def version(self, spec: CodecSpec) -> str:
        """Return the codecs, and the versions of their encoders."""
        backends = [(step.spec, step.spec.backend) for step in self.steps]
        versions = [backend.version(own) if backend else "" for own, backend in backends]
        return repr(list(zip(self.texts, versions, strict=True)))

    def encode(
        self, spec: CodecSpec, samples: NDArray[np.float32], *, rate_hz: int, kbps: float
    ) -> bytes:
        """Return the file of the last codec; what the others return has their delays removed."""
        clip = Clip(samples, rate_hz)
        *first, last = self.steps
        for step in first:
            clip = step.apply(clip).clip
        backend = last.spec.backend
        assert backend is not None
        assert last.kbps is not None
        own_hz = last.spec.rate_for(last.kbps, clip.rate_hz)
        into = audio.resample(clip, own_hz).samples
        return backend.encode(last.spec, into, rate_hz=own_hz, kbps=last.kbps)

    def decode(self, spec: CodecSpec, data: bytes) -> tuple[NDArray[np.float32], int]:
        """Return what the last codec decodes."""
        last = self.steps[-1].spec
        assert last.backend is not None
        return last.backend.decode(last, data)

    def decode_with_losses(
        self, spec: CodecSpec, data: bytes, *, share: float, generator: np.random.Generator
    ) -> tuple[NDArray[np.float32], int]:
        """Return what the last codec decodes of the packets that are left."""
        last = self.steps[-1].spec
        assert last.backend is not None
        return last.backend.decode_with_losses(last, data, share=share, generator=generator)

    def notes(self, spec: CodecSpec, rate_hz: int) -> tuple[str, ...]:
        """Return a note on the codecs, and the rate of each where there are several."""
        said = []
        for step in self.steps:
            assert step.kbps is not None
            said.append(f"{step} at {step.spec.rate_for(step.kbps, rate_hz)} Hz")
        return (", then ".join(said),) if len(said) > 1 else ()


@makes_chain_rows
@cache
def spec_of(name: str) -> CodecSpec:
    """Return the row of a chain: of a name in chains.yaml, or a list, "opus-voice 16 > aac 64".

    Its bitrate is that of its last codec; clips are resampled to a rate of the first.

    Raises
    ------
    ConfigError
        If a codec of it is unknown or the original, or a bitrate is not supported.
    """
    facts = CHAINS.get(name, {})
    steps = [Codec.parse(text) for text in facts.get("steps", name.split(THEN.strip()))]
    first, last = steps[0], steps[-1]
    if any(step.kbps is None for step in steps):
        raise ConfigError(
            f"the chain {name!r} contains the original",
            expected="codecs only",
            fix="leave the original out",
        )
    assert first.kbps is not None
    assert last.kbps is not None
    texts = [str(step) for step in steps]
    return CodecSpec(
        name,
        facts.get("title", ", then ".join(texts)),
        container=last.spec.container,
        encoder=THEN.join(texts),
        backend=Chain(texts),
        bitrates=(Bitrates(first.spec.rates_at(first.kbps), (last.kbps,)),),
        sample_format=first.spec.sample_format,
        ceiling=first.spec.ceiling,
        packets=last.spec.packets,
        lost=last.spec.lost if last.lost is None else last.lost,
    )


def every_spec() -> list[CodecSpec]:
    """Return the rows of all codecs, and of the chains that have names.

    Examples
    --------
    >>> from anymic.codecs import every_spec
    >>> {"opus", "voice-message"} <= {spec.name for spec in every_spec()}
    True
    """
    return [*CODECS.specs(), *map(spec_of, CHAINS)]
