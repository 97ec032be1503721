"""FFmpeg's encoders, inside PyAV: AAC, Opus, SBC, aptX, ADPCM, AMR and other telephony."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from anymic.codecs.backend import Backend, CodecSpec, refused, to_format
from anymic.codecs.concealment import decode_opus
from anymic.codecs.table import register_builtin

if TYPE_CHECKING:
    import av

# Where FFmpeg states more than the codec needs: 8 samples of G.726 are whole bytes at any bitrate.
_FRAME_SAMPLES = {"g726": 8}


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

        form = spec.sample_format
        layout = "mono" if spec.channels == 1 else "stereo"
        frames: NDArray[Any] = to_format(spec.limited(samples), form)
        buffer = io.BytesIO()
        try:
            # Without it, Ogg has a random serial number.
            options = {"fflags": "+bitexact"}
            with av.open(buffer, "w", format=spec.container, options=options) as container:
                encoder = container.add_stream(
                    spec.encoder, rate=rate_hz, options=dict(spec.options)
                )
                stream = cast("av.AudioStream", encoder)
                stream.layout = layout
                stream.format = form
                stream.bit_rate = round(kbps * 1000)
                stream.codec_context.open()
                # Some encoders drop an incomplete last frame.
                frame_samples = stream.codec_context.frame_size or 1
                short = -len(frames) % _FRAME_SAMPLES.get(spec.encoder, frame_samples)
                whole = np.pad(frames, (0, short))[None].repeat(spec.channels, axis=0)
                frame = av.AudioFrame.from_ndarray(whole, format=form, layout=layout)
                frame.sample_rate = rate_hz
                for piece in (frame, None):
                    for packet in stream.encode(piece):
                        container.mux(packet)
        except (av.FFmpegError, ValueError) as error:
            raise refused(spec.encoder, rate_hz, kbps, error) from None
        return buffer.getvalue()

    def decode_with_losses(
        self, spec: CodecSpec, data: bytes, *, share: float, generator: np.random.Generator
    ) -> tuple[NDArray[np.float32], int]:
        """Decode Opus with lost packets, by libopus itself."""
        if spec.encoder != "libopus":
            return super().decode_with_losses(spec, data, share=share, generator=generator)
        return decode_opus(data, share=share, generator=generator)


register_builtin(PyAV())
