"""FFmpeg's encoders, inside PyAV: AAC, Opus, SBC, G.722, AMR and mu-law."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from anymic.codecs.backend import Backend, Bitrates, CodecSpec, refused, to_int16
from anymic.codecs.table import register_codec

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

        if spec.sample_format == "s16":
            frames: NDArray[np.generic] = to_int16(samples)
        else:
            frames = samples
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


_PYAV = PyAV()
_HIGH_HZ = (32000, 44100, 48000)

for _spec in (
    CodecSpec(
        "aac",
        "AAC-LC",
        container="adts",
        encoder="aac",
        backend=_PYAV,
        sample_format="fltp",
        bitrates=(
            Bitrates((16000,), (16, 24, 32, 48, 64)),
            Bitrates((22050, 24000), (24, 32, 48, 64, 96)),
            Bitrates(_HIGH_HZ, (24, 32, 48, 64, 96, 128, 160)),
        ),
    ),
    CodecSpec(
        "opus",
        "Opus",
        container="ogg",
        encoder="libopus",
        backend=_PYAV,
        bitrates=(
            Bitrates((8000, 12000), (8, 12, 16, 24, 32)),
            Bitrates((16000, 24000), (8, 12, 16, 24, 32, 48, 64)),
            Bitrates((48000,), (8, 12, 16, 24, 32, 48, 64, 96, 128)),
        ),
    ),
    CodecSpec(
        "sbc",
        "SBC, Bluetooth's subband codec",
        container="sbc",
        encoder="sbc",
        backend=_PYAV,
        sample_format="s16",
        bitrates=(Bitrates((16000,), (32, 48, 64)), Bitrates(_HIGH_HZ, (64, 96, 128, 192))),
    ),
    CodecSpec(
        "g722",
        "G.722, wideband telephony",
        container="g722",
        encoder="g722",
        backend=_PYAV,
        sample_format="s16",
        bitrates=(Bitrates((16000,), (64,)),),
    ),
    CodecSpec(
        "amr-nb",
        "AMR narrowband, mobile telephony",
        container="amr",
        encoder="libopencore_amrnb",
        backend=_PYAV,
        sample_format="s16",
        bitrates=(Bitrates((8000,), (4.75, 5.15, 5.9, 6.7, 7.4, 7.95, 10.2, 12.2)),),
    ),
    CodecSpec(
        "mu-law",
        "G.711 mu-law, telephony",
        container="wav",
        encoder="pcm_mulaw",
        backend=_PYAV,
        sample_format="s16",
        bitrates=(Bitrates((8000,), (64,)),),
    ),
):
    register_codec(_spec)
