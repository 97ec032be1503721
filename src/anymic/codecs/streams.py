"""Samples to the bytes of a file and back, in memory: PyAV, libsndfile's Vorbis, LAME, fdkaac."""

from __future__ import annotations

import io
import struct
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import soundfile
from numpy.typing import NDArray

from anymic.codecs import fdkaac
from anymic.codecs.table import Entry
from anymic.errors import AudioError

if TYPE_CHECKING:
    import av

_BLOCK_SAMPLES = 1 << 16


@cache
def problem(entry: Entry) -> tuple[str, str]:
    """Say why a codec is not available here, and what to do: two empty texts where it is."""
    if entry.backend in ("none", "lame"):
        return "", ""
    if entry.backend == "fdkaac":
        reason = fdkaac.problem()
        return reason, fdkaac.REMEDY if reason else ""
    if entry.backend == "libsndfile":
        if soundfile.check_format("OGG", "VORBIS"):
            return "", ""
        return (
            "the libsndfile of this soundfile has no Vorbis",
            "install soundfile from PyPI, whose wheels have it",
        )
    import av

    try:
        av.codec.Codec(entry.encoder, "w")
    except (av.FFmpegError, ValueError):
        return (
            f"the FFmpeg inside PyAV {av.__version__} has no encoder {entry.encoder}",
            "install the wheel of PyAV 18.1 or newer from PyPI (`pip install --upgrade av`)",
        )
    return "", ""


def encoder_version(entry: Entry) -> str:
    """Return the version of the library that encodes; "" for fdkaac, which states none."""
    if entry.backend == "ffmpeg":
        import av

        return str(av.__version__)
    if entry.backend == "lame":
        return version("lameenc")
    return soundfile.__libsndfile_version__ if entry.backend == "libsndfile" else ""


def describe(entry: Entry) -> dict[str, Any]:
    """Return what a codec is and offers, and whether it is available here, as plain values."""
    reason, remedy = problem(entry)
    return {
        "codec": entry.name,
        "title": entry.title,
        "container": entry.container,
        "encoder": entry.encoder,
        "offers": [vars(offer) for offer in entry.offers],
        "rates_hz": list(entry.rates_hz),
        "kbps": list(entry.kbps),
        "available": not reason,
        "reason": reason,
        "remedy": remedy,
    }


def encode(entry: Entry, samples: NDArray[np.float32], *, rate_hz: int, kbps: float) -> bytes:
    """Return the whole file: container, headers and all.

    Parameters
    ----------
    entry : Entry
        An available codec.
    samples : (sample,) float32
        Full scale 1.0. Encoders of integers limit what is over it, as they must.
    rate_hz : int
        One that the codec has.
    kbps : float
        Nominal.

    Raises
    ------
    AudioError
        The encoder refuses.
    """
    if entry.backend == "fdkaac":
        return fdkaac.encode(to_int16(samples), rate_hz=rate_hz, kbps=kbps)
    if entry.backend == "libsndfile":
        return _vorbis(samples, rate_hz, _vorbis_level(rate_hz, kbps))
    if entry.backend == "lame":
        return _mp3(to_int16(samples), rate_hz, round(kbps))
    import av

    if entry.sample_format == "s16":
        frames: NDArray[np.generic] = to_int16(samples)
    else:
        frames = samples
    buffer = io.BytesIO()
    try:
        # Else Ogg's serial number would be another one every time.
        options = {"fflags": "+bitexact"}
        with av.open(buffer, "w", format=entry.container, options=options) as container:
            stream = cast("av.AudioStream", container.add_stream(entry.encoder, rate=rate_hz))
            stream.layout = "mono"
            stream.format = entry.sample_format
            stream.bit_rate = round(kbps * 1000)
            stream.codec_context.open()
            # Some encoders drop a last frame that is not full.
            short = -len(frames) % (stream.codec_context.frame_size or 1)
            frame = av.AudioFrame.from_ndarray(
                np.pad(frames, (0, short))[None], format=entry.sample_format, layout="mono"
            )
            frame.sample_rate = rate_hz
            for piece in (frame, None):
                for packet in stream.encode(piece):
                    container.mux(packet)
    except (av.FFmpegError, ValueError) as error:
        raise AudioError(
            f"encoder {entry.encoder} that refuses {rate_hz} Hz at {kbps:g} kbps ({error})",
            expected="a rate and bitrate that it encodes",
            fix="choose others; `anymic codec list` names them",
        ) from None
    return buffer.getvalue()


def decode(entry: Entry, data: bytes) -> tuple[NDArray[np.float32], int]:
    """Return the samples (sample,) float32 and the rate in Hz that a file decodes to.

    Vorbis is decoded by the library that encoded it: FFmpeg gives the same samples but drops the
    last hundred of some files. All else is decoded by FFmpeg. What the container says to skip
    (Opus' pre-skip, LAME's delay) is skipped; nothing else is.

    Raises
    ------
    AudioError
        The stream cannot be decoded.
    """
    if entry.backend == "libsndfile":
        samples, heard_hz = soundfile.read(io.BytesIO(data), dtype="float32")
        return samples, int(heard_hz)
    import av

    form = {"adts": "aac"}.get(entry.container, entry.container)
    together = av.AudioFifo()  # thousands of small frames become one array
    try:
        with av.open(io.BytesIO(data), "r", format=form) as container:
            for frame in container.decode(audio=0):
                frame.pts = None  # where the container's times leap, nothing is put in
                together.write(frame)
        whole = together.read()
    except (av.FFmpegError, ValueError, IndexError) as error:
        raise AudioError(
            f"a stream of {entry.name} that FFmpeg does not decode ({error})"
        ) from None
    if whole is None:
        raise AudioError(
            f"a stream of {entry.name} without a sample in it",
            expected="sound",
            fix="this is a fault of anymic or of the encoder: please report it",
        )
    return _samples(whole), whole.sample_rate


def to_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Return round(32768 x samples), limited to what 16 bits hold."""
    steps: NDArray[np.float32] = np.rint(samples * np.float32(32768)).clip(-32768, 32767)
    return steps.astype(np.int16)


def _samples(frame: av.AudioFrame) -> NDArray[np.float32]:
    raw = frame.to_ndarray()
    # One channel of HE-AAC comes back as two equal ones: parametric stereo might have been in it.
    raw = raw[0] if frame.format.is_planar else raw[0, :: frame.layout.nb_channels]
    if raw.dtype == np.int16:
        return raw.astype(np.float32) / np.float32(32768)
    return raw.astype(np.float32, copy=False)


def _mp3(samples: NDArray[np.int16], rate_hz: int, kbps: int) -> bytes:
    """Encode by LAME itself, in a third of the time that the LAME inside PyAV's wheel takes."""
    import lameenc

    encoder = lameenc.Encoder()
    encoder.silence()  # else it reports on stderr
    encoder.set_channels(1)
    encoder.set_in_sample_rate(rate_hz)
    encoder.set_out_sample_rate(rate_hz)
    encoder.set_bit_rate(kbps)
    return bytes(encoder.encode(samples.tobytes())) + bytes(encoder.flush())


def _vorbis(samples: NDArray[np.float32], rate_hz: int, level: float) -> bytes:
    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer, "w", rate_hz, 1, format="OGG", subtype="VORBIS", compression_level=level
    ) as file:
        # In blocks: libsndfile's Vorbis encoder overflows the stack on long arrays.
        for begin in range(0, len(samples), _BLOCK_SAMPLES):
            file.write(samples[begin : begin + _BLOCK_SAMPLES])
    return buffer.getvalue()


@cache
def _vorbis_level(rate_hz: int, kbps: float) -> float:
    """Find the level at which the stream's own header names this nominal bitrate.

    Vorbis is encoded by quality; libvorbis writes the nominal bitrate of a quality into the
    identification header (Vorbis I specification, 4.2.2), and it falls with libsndfile's level.
    """
    low, high = 0.0, 1.0
    for _ in range(24):
        level = (low + high) / 2
        if _nominal_kbps(_vorbis(np.zeros(64, np.float32), rate_hz, level)) > kbps:
            low = level
        else:
            high = level
    return high


def _nominal_kbps(data: bytes) -> float:
    """Read the nominal bitrate in the header of a Vorbis stream."""
    at = data.index(b"\x01vorbis") + 7
    _, _, _, _, nominal, _ = struct.unpack("<IBIiii", data[at : at + 21])
    return float(nominal) / 1000
