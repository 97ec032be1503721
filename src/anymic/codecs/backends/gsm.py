"""GSM full rate by libsndfile, which also decodes it."""

from __future__ import annotations

import io

import numpy as np
import soundfile
from numpy.typing import NDArray

from anymic.codecs.backend import Backend, CodecSpec, refused, to_int16
from anymic.codecs.table import register_builtin


class Gsm(Backend):
    """Encodes and decodes by the libsndfile inside soundfile: two frames in a block of 65 bytes."""

    def problem(self, spec: CodecSpec) -> tuple[str, str]:
        """Return that this libsndfile was built without GSM, where it was."""
        if soundfile.check_format("WAV", spec.encoder):
            return "", ""
        return (
            "the libsndfile of this soundfile has no GSM",
            "install soundfile from PyPI, whose wheels have it",
        )

    def version(self, spec: CodecSpec) -> str:
        """Return libsndfile's version."""
        return str(soundfile.__libsndfile_version__)

    def encode(
        self, spec: CodecSpec, samples: NDArray[np.float32], *, rate_hz: int, kbps: float
    ) -> bytes:
        """Return the whole file."""
        buffer = io.BytesIO()
        try:
            with soundfile.SoundFile(
                buffer, "w", rate_hz, 1, format="WAV", subtype=spec.encoder
            ) as file:
                file.write(to_int16(samples))
        except soundfile.SoundFileError as error:
            raise refused(spec.encoder, rate_hz, kbps, error) from None
        return buffer.getvalue()

    def decode(self, spec: CodecSpec, data: bytes) -> tuple[NDArray[np.float32], int]:
        """Return the samples and their rate."""
        samples, rate_hz = soundfile.read(io.BytesIO(data), dtype="float32")
        return samples, int(rate_hz)


register_builtin(Gsm())
