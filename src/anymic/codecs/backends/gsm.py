"""GSM full rate by libsndfile, which also decodes it."""

from __future__ import annotations

import io

import numpy as np
import soundfile
from numpy.typing import NDArray

from anymic.codecs.backend import CodecSpec, refused, to_int16
from anymic.codecs.libsndfile import Libsndfile
from anymic.codecs.table import register_builtin


class Gsm(Libsndfile):
    """Encodes and decodes by the libsndfile inside soundfile: two frames in a block of 65 bytes."""

    title, container, subtype = "GSM", "WAV", "GSM610"

    def encode(
        self, spec: CodecSpec, samples: NDArray[np.float32], *, rate_hz: int, kbps: float
    ) -> bytes:
        """Return the whole file."""
        buffer = io.BytesIO()
        try:
            with soundfile.SoundFile(
                buffer, "w", rate_hz, 1, format=self.container, subtype=self.subtype
            ) as file:
                file.write(to_int16(samples))
        except soundfile.SoundFileError as error:
            raise refused(spec.encoder, rate_hz, kbps, error) from None
        return buffer.getvalue()


register_builtin(Gsm())
