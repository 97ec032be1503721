"""What the codecs of libsndfile, inside soundfile, have in common."""

from __future__ import annotations

import io
from typing import ClassVar

import numpy as np
import soundfile
from numpy.typing import NDArray

from anymic.codecs.backend import Backend, CodecSpec


class Libsndfile(Backend):
    """Decodes by the libsndfile inside soundfile.

    Attributes
    ----------
    title, container, subtype : str
        The codec's name in messages, and libsndfile's names of its file and coding.
    """

    title: ClassVar[str]
    container: ClassVar[str]
    subtype: ClassVar[str]

    def problem(self, spec: CodecSpec) -> tuple[str, str]:
        """Return that this libsndfile was built without the codec, where it was."""
        if soundfile.check_format(self.container, self.subtype):
            return "", ""
        return (
            f"the libsndfile of this soundfile has no {self.title}",
            "install soundfile from PyPI, whose wheels have it",
        )

    def version(self, spec: CodecSpec) -> str:
        """Return libsndfile's version."""
        return str(soundfile.__libsndfile_version__)

    def decode(self, spec: CodecSpec, data: bytes) -> tuple[NDArray[np.float32], int]:
        """Return the samples and their rate."""
        samples, rate_hz = soundfile.read(io.BytesIO(data), dtype="float32")
        return samples, int(rate_hz)
