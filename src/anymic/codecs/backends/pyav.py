"""FFmpeg's encoders, inside PyAV: AAC, Opus, SBC, G.722, AMR and mu-law."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from anymic.codecs.backend import Backend, CodecSpec, refused, to_int16
from anymic.codecs.table import register_builtin

if TYPE_CHECKING:
    import av


class PyAV(Backend):
    """Encodes by the FFmpeg that PyAV's wheel contains."""

    def problem(self, spec: CodecSpec) -> tuple[str, str]:
        """Return that this FFmpeg lacks the encoder, where it does."""
        import av

        try:
            av.codec.Codec(spec.encoder, "w")
        except (av.FFmpegError, ValueError):
            return (
                f"the FFmpeg inside PyAV {av.__version__} has no encoder {spec.encoder}",
                "install the wheel of PyAV 18.1 or newer from PyPI (`pip install --upgrade av`)",
            )
        return "", ""

    def version(self, spec: CodecSpec) -> str:
        """Return PyAV's version."""
        import av

        return str(av.__version__)

    def encode(
        self, spec: CodecSpec, samples: NDArray[np.float32], *, rate_hz: int, kbps: float
    ) -> bytes:
        """Return the whole file."""
        import av

        s16 = spec.sample_format == "s16"
        frames: NDArray[Any] = to_int16(samples) if s16 else samples
        buffer = io.BytesIO()
        try:
            # Without it, Ogg has a random serial number.
            options = {"fflags": "+bitexact"}
            with av.open(buffer, "w", format=spec.container, options=options) as container:
                stream = cast("av.AudioStream", container.add_stream(spec.encoder, rate=rate_hz))
                stream.layout = "mono"
                stream.format = spec.sample_format
                stream.bit_rate = round(kbps * 1000)
                stream.codec_context.open()
                # Some encoders drop an incomplete last frame.
                short = -len(frames) % (stream.codec_context.frame_size or 1)
                frame = av.AudioFrame.from_ndarray(
                    np.pad(frames, (0, short))[None], format=spec.sample_format, layout="mono"
                )
                frame.sample_rate = rate_hz
                for piece in (frame, None):
                    for packet in stream.encode(piece):
                        container.mux(packet)
        except (av.FFmpegError, ValueError) as error:
            raise refused(spec.encoder, rate_hz, kbps, error) from None
        return buffer.getvalue()


register_builtin(PyAV())
