"""LC3 by liblc3, inside the package lc3py; FFmpeg has no encoder or decoder of its own."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from anymic._internal import lc3
from anymic.codecs.backend import Backend, CodecSpec
from anymic.codecs.table import register_builtin


class Lc3(Backend):
    """Encodes and decodes by liblc3."""

    def problem(self, spec: CodecSpec) -> tuple[str, str]:
        """Return that lc3py is missing, where it is."""
        return ("", "") if lc3.library() else ("lc3py is not installed", lc3.REMEDY)

    def version(self, spec: CodecSpec) -> str:
        """Return lc3py's version."""
        return version("lc3py")

    def encode(
        self, spec: CodecSpec, samples: NDArray[np.float32], *, rate_hz: int, kbps: float
    ) -> bytes:
        """Return the whole file, in the format of liblc3's tools."""
        frame_us = int(dict(spec.options)["frame_us"])
        size = round(kbps * frame_us / 8000)
        late = lc3.delay_samples(rate_hz=rate_hz, frame_us=frame_us)
        longer = np.pad(samples, (0, late))  # flushes the last samples
        frames = lc3.encode(longer, rate_hz=rate_hz, frame_us=frame_us, frame_bytes=size)
        return lc3.to_file(frames, rate_hz=rate_hz, frame_us=frame_us, samples=len(samples))

    def decode(self, spec: CodecSpec, data: bytes) -> tuple[NDArray[np.float32], int]:
        """Return all samples, with those of the delay in front, and their rate."""
        return self._decoded(data, None)

    def decode_with_losses(
        self, spec: CodecSpec, data: bytes, *, share: float, generator: np.random.Generator
    ) -> tuple[NDArray[np.float32], int]:
        """Decode with lost frames, which liblc3 conceals (Annex B of the specification)."""
        return self._decoded(data, (share, generator))

    def _decoded(
        self, data: bytes, losses: tuple[float, np.random.Generator] | None
    ) -> tuple[NDArray[np.float32], int]:
        file = lc3.from_file(data)
        frames: list[bytes | None] = list(file.frames[0])
        if losses is not None:
            share, generator = losses
            lost = generator.random(len(frames)) < share
            frames = [None if gone else one for one, gone in zip(frames, lost, strict=True)]
        return lc3.decode(frames, rate_hz=file.rate_hz, frame_us=file.frame_us), file.rate_hz


register_builtin(Lc3())
