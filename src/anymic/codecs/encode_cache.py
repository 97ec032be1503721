"""Encoded files that are kept on disk: encoding takes ten times as long as decoding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anymic._internal.files import key_of, write_bytes
from anymic.codecs.backend import CodecSpec

VERSION = 1  # raise it when the same samples and settings begin to give other files


class EncodeCache:
    """What encoders made of which samples, in a folder.

    A file is found by the samples themselves, the encoder and its version, rate and bitrate: it
    does not matter where the samples came from, and what has changed is encoded anew. Several
    threads and processes may share the folder, and any file in it may be deleted.

    Parameters
    ----------
    folder : path
        Made where it is missing.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def encode(
        self, spec: CodecSpec, samples: NDArray[np.float32], *, rate_hz: int, kbps: float
    ) -> bytes:
        """Return the whole file as the codec's backend makes it, made now or before."""
        file = self.folder / self._name(spec, samples, rate_hz, kbps)
        try:
            return file.read_bytes()
        except FileNotFoundError:
            pass
        assert spec.backend is not None
        data = spec.backend.encode(spec, samples, rate_hz=rate_hz, kbps=kbps)
        write_bytes(file, data)
        return data

    def _name(
        self, spec: CodecSpec, samples: NDArray[np.float32], rate_hz: int, kbps: float
    ) -> str:
        assert spec.backend is not None
        made_by = [spec.encoder, spec.backend.version(spec), spec.container, rate_hz, kbps]
        content = np.ascontiguousarray(samples, dtype="<f4").tobytes()
        return f"{spec.name}-{kbps:g}/{key_of([VERSION, *made_by], content)}"
