"""Speex: only decoded. No wheel contains its encoder."""

from __future__ import annotations

from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from anymic.codecs.backend import Backend, CodecSpec, refused
from anymic.codecs.table import register_builtin

REASON = "Speex is only decoded: PyAV's FFmpeg has no encoder for it"
REMEDY = "read .spx files as any other recording; to encode speech, use opus-voice, its successor"


class Speex(Backend):
    """States that there is no encoder; FFmpeg decodes."""

    def problem(self, spec: CodecSpec) -> tuple[str, str]:
        """Return that Speex is not encoded here."""
        return REASON, REMEDY

    def encode(
        self, spec: CodecSpec, samples: NDArray[np.float32], *, rate_hz: int, kbps: float
    ) -> NoReturn:
        """Raise AudioError."""
        raise refused(spec.encoder, rate_hz, kbps, REASON)


register_builtin(Speex())
