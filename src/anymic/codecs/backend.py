"""What a codec is, and what its backend does: encode samples to a file, and decode it again."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anymic.errors import AudioError

if TYPE_CHECKING:
    import av


@dataclass(frozen=True)
class Bitrates:
    """Bitrates that a codec has at some sampling rates.

    Attributes
    ----------
    rates_hz : tuple of int
        Of the audio that is encoded, ascending.
    kbps : tuple of float
        Nominal, for one channel, ascending.
    """

    rates_hz: tuple[int, ...]
    kbps: tuple[float, ...]


@dataclass(frozen=True)
class CodecSpec:
    """One codec of the table.

    Attributes
    ----------
    name : str
        As on the command line.
    title : str
        As in the literature.
    container : str
        How the stream is packed, in FFmpeg's name of the format; its bytes count in the bitrate.
    encoder : str
        The encoder, in FFmpeg's name of it or the program's.
    backend : Backend or None
        Who encodes; None for the original.
    bitrates : tuple of Bitrates
        None for the original.
    sample_format : str
        What the encoder takes: FFmpeg's fltp, flt or s16.
    """

    name: str
    title: str
    container: str
    encoder: str
    backend: Backend | None
    bitrates: tuple[Bitrates, ...]
    sample_format: str = "flt"

    @property
    def kbps(self) -> tuple[float, ...]:
        """Every bitrate, ascending."""
        return tuple(sorted({one for each in self.bitrates for one in each.kbps}))

    @property
    def rates_hz(self) -> tuple[int, ...]:
        """Every sampling rate, ascending."""
        return tuple(sorted({one for each in self.bitrates for one in each.rates_hz}))

    def rates_at(self, kbps: float) -> tuple[int, ...]:
        """Return the sampling rates that have this bitrate, ascending."""
        fitting = [each.rates_hz for each in self.bitrates if kbps in each.kbps]
        return tuple(sorted({rate for rates in fitting for rate in rates}))

    def rate_for(self, kbps: float, clip_rate_hz: int) -> int:
        """Return the lowest rate that carries all of a clip at this bitrate, else the highest."""
        rates = self.rates_at(kbps)
        return next((rate for rate in rates if rate >= clip_rate_hz), rates[-1])


class Backend(ABC):
    """A library or program that encodes: one class a file in `anymic.codecs.backends`.

    Everything happens in memory. One object may serve several codecs: each call gets the
    `CodecSpec` of the codec that is meant.
    """

    def problem(self, spec: CodecSpec) -> tuple[str, str]:
        """Return why a codec is not available here and what to do; two empty texts where it is."""
        return "", ""

    def version(self, spec: CodecSpec) -> str:
        """Return the version of what encodes: another one encodes anew. "" where none is stated."""
        return ""

    @abstractmethod
    def encode(
        self, spec: CodecSpec, samples: NDArray[np.float32], *, rate_hz: int, kbps: float
    ) -> bytes:
        """Return the whole file: container, headers and all.

        Parameters
        ----------
        spec : CodecSpec
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

    def decode(self, spec: CodecSpec, data: bytes) -> tuple[NDArray[np.float32], int]:
        """Return the samples (sample,) float32 and the rate in Hz that a file decodes to.

        By default FFmpeg inside PyAV decodes. What the container says to skip (Opus' pre-skip,
        LAME's delay) is skipped; nothing else is.

        Raises
        ------
        AudioError
            The stream cannot be decoded.
        """
        import av

        form = {"adts": "aac"}.get(spec.container, spec.container)
        together = av.AudioFifo()  # thousands of small frames become one array
        try:
            with av.open(io.BytesIO(data), "r", format=form) as container:
                for frame in container.decode(audio=0):
                    frame.pts = None  # where the container's times leap, nothing is put in
                    together.write(frame)
            whole = together.read()
        except (av.FFmpegError, ValueError, IndexError) as error:
            raise AudioError(
                f"FFmpeg does not decode the stream of {spec.name} ({error})"
            ) from None
        if whole is None:
            raise AudioError(
                f"the stream of {spec.name} has no samples",
                expected="at least one sample",
                fix="report this as a fault of anymic or of the encoder",
            )
        return _samples(whole), whole.sample_rate


def to_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Return round(32768 x samples), limited to what 16 bits hold."""
    steps: NDArray[np.float32] = np.rint(samples * np.float32(32768)).clip(-32768, 32767)
    return steps.astype(np.int16)


def refused(encoder: str, rate_hz: int, kbps: float, reason: object) -> AudioError:
    """Return the error of an encoder that does not accept a rate and bitrate."""
    return AudioError(
        f"the encoder {encoder} does not support {rate_hz} Hz at {kbps:g} kbps ({reason})",
        expected="a rate and bitrate that it supports",
        fix="choose others from `anymic codec list`",
    )


def _samples(frame: av.AudioFrame) -> NDArray[np.float32]:
    raw = frame.to_ndarray()
    # One channel of HE-AAC comes back as two equal ones: parametric stereo might have been in it.
    raw = raw[0] if frame.format.is_planar else raw[0, :: frame.layout.nb_channels]
    if raw.dtype == np.int16:
        return raw.astype(np.float32) / np.float32(32768)
    return raw.astype(np.float32, copy=False)
