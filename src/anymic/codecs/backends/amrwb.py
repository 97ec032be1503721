"""AMR-WB by the library vo-amrwbenc, which Debian has and wheels have not."""

from __future__ import annotations

import ctypes
import ctypes.util
from functools import cache

import numpy as np
from numpy.typing import NDArray

from anymic.codecs.backend import Backend, CodecSpec, refused, to_int16
from anymic.codecs.table import register_builtin

LIBRARY = "vo-amrwbenc"
REMEDY = (
    "install it: on Debian `apt-get install libvo-amrwbenc0` (`make amrwb` does it), "
    "elsewhere https://github.com/mstorsjo/vo-amrwbenc"
)
_FRAME_SAMPLES = 320  # 20 ms at 16 kHz
_MOST_BYTES = 64  # of a frame; the highest mode has 61
_MAGIC = b"#!AMR-WB\n"  # RFC 4867, 5.1


class AmrWb(Backend):
    """Encodes by vo-amrwbenc at one of nine modes, without pauses in the transmission (DTX)."""

    def problem(self, spec: CodecSpec) -> tuple[str, str]:
        """Return that the library is missing, where it is."""
        if _library() is None:
            return f"the library lib{LIBRARY} is not installed", REMEDY
        return "", ""

    def version(self, spec: CodecSpec) -> str:
        """Return the file name of the library, which contains its version."""
        return str(ctypes.util.find_library(LIBRARY) or "")

    def encode(
        self, spec: CodecSpec, samples: NDArray[np.float32], *, rate_hz: int, kbps: float
    ) -> bytes:
        """Return the whole file, in the storage format of RFC 4867."""
        library = _library()
        if library is None:
            raise refused(spec.encoder, rate_hz, kbps, self.problem(spec)[0])
        steps = to_int16(spec.limited(samples))
        frames = np.pad(steps, (0, -len(steps) % _FRAME_SAMPLES)).reshape(-1, _FRAME_SAMPLES)
        mode = spec.kbps.index(kbps)
        coded = ctypes.create_string_buffer(_MOST_BYTES)
        parts = [_MAGIC]
        state = library.E_IF_init()
        try:
            for frame in np.ascontiguousarray(frames):
                size = library.E_IF_encode(state, mode, frame.ctypes.data, coded, 0)
                if size <= 0:
                    raise refused(spec.encoder, rate_hz, kbps, f"it returned {size}")
                parts.append(coded.raw[:size])
        finally:
            library.E_IF_exit(state)
        return b"".join(parts)


@cache
def _library() -> ctypes.CDLL | None:
    name = ctypes.util.find_library(LIBRARY)
    if name is None:
        return None
    try:
        library = ctypes.CDLL(name)
    except OSError:
        return None
    library.E_IF_init.restype = ctypes.c_void_p
    library.E_IF_init.argtypes = []
    library.E_IF_encode.restype = ctypes.c_int
    library.E_IF_encode.argtypes = [
        ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int,
    ]  # fmt: skip
    library.E_IF_exit.restype = None
    library.E_IF_exit.argtypes = [ctypes.c_void_p]
    return library


register_builtin(AmrWb())
