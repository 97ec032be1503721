"""MP3 by LAME itself, in a third of the time that the LAME inside PyAV's wheel takes."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from anymic.codecs.backend import Backend, CodecSpec, to_int16
from anymic.codecs.table import register_builtin


class Lame(Backend):
    """Encodes by the package lameenc."""

    def problem(self, spec: CodecSpec) -> tuple[str, str]:
        """Return that lameenc is missing, where it is."""
        if find_spec("lameenc") is None:
            return "lameenc is not installed", "run pip install 'anymic[codecs]'"
        return "", ""

    def version(self, spec: CodecSpec) -> str:
        """Return lameenc's version."""
        return version("lameenc")

    def encode(
        self, spec: CodecSpec, samples: NDArray[np.float32], *, rate_hz: int, kbps: float
    ) -> bytes:
        """Return the whole file."""
        import lameenc

        encoder = lameenc.Encoder()
        encoder.silence()  # else it reports on stderr
        encoder.set_channels(1)
        encoder.set_in_sample_rate(rate_hz)
        encoder.set_out_sample_rate(rate_hz)
        encoder.set_bit_rate(round(kbps))
        return bytes(encoder.encode(to_int16(samples).tobytes())) + bytes(encoder.flush())


register_builtin(Lame())
