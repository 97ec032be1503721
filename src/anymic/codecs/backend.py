"""The description of a codec, and the interface of a backend, which encodes and decodes."""

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
    """Nominal bitrates that a codec supports at some sampling rates, ascending.

    Attributes
    ----------
    rates_hz : tuple of int
    kbps : tuple of float
        Of one channel; of the stream for a codec that has stereo only.
    between : bool
        Whether the encoder also supports bitrates between the lowest and the highest of these.
    """

    rates_hz: tuple[int, ...]
    kbps: tuple[float, ...]
    between: bool = False

    def supports(self, kbps: float) -> bool:
        """Return whether a bitrate is one of these, or between them where that is possible."""
        return kbps in self.kbps or (self.between and self.kbps[0] < kbps < self.kbps[-1])


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
        FFmpeg's name of the container; its bytes count in the bitrate.
    encoder : str
        The encoder, in FFmpeg's name of it or the program's.
    backend : Backend or None
        None for the original.
    bitrates : tuple of Bitrates
        Empty for the original.
    sample_format : str
        Of the encoder, in FFmpeg's names: fltp, flt, s16, s16p or s32p.
    options : tuple of (str, str)
        Settings of the encoder, such as ("application", "voip").
    channels : int
        2 for a codec that has stereo only: the clip is encoded twice, the first is decoded.
    packets : bool
        Whether single packets can be lost, and are concealed by its decoder.
    lost : float
        The share of packets that are lost unless the codec states another.
    family : str
        The codecs that change a recording alike: mp3, aac, opus, vorbis, bluetooth, lc3, speech or
        adpcm; of an own codec any name, or none.
    ceiling : float
        Where samples are limited before they are encoded: below 1 for encoders or decoders whose
        integers overflow at full scale.
    """

    name: str
    title: str
    container: str
    encoder: str
    backend: Backend | None
    bitrates: tuple[Bitrates, ...]
    sample_format: str = "flt"
    options: tuple[tuple[str, str], ...] = ()
    channels: int = 1
    packets: bool = False
    lost: float = 0.0
    ceiling: float = 1.0
    family: str = ""

    @property
    def kbps(self) -> tuple[float, ...]:
        """Every bitrate, ascending."""
        return tuple(sorted({one for each in self.bitrates for one in each.kbps}))

    @property
    def rates_hz(self) -> tuple[int, ...]:
        """Every sampling rate, ascending."""
        return tuple(sorted({one for each in self.bitrates for one in each.rates_hz}))

    def limited(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return samples within the ceiling, where it is below full scale."""
        return samples if self.ceiling >= 1 else samples.clip(-self.ceiling, self.ceiling)

    def rates_at(self, kbps: float) -> tuple[int, ...]:
        """Return the sampling rates that have this bitrate, ascending."""
        fitting = [each for each in self.bitrates if each.supports(kbps)]
        return tuple(sorted({rate_hz for each in fitting for rate_hz in each.rates_hz}))

    def rate_for(self, kbps: float, clip_rate_hz: int) -> int:
        """Return the lowest rate of this bitrate that is not below the clip's, else the highest."""
        rates = self.rates_at(kbps)
        return next((rate for rate in rates if rate >= clip_rate_hz), rates[-1])


class Backend(ABC):
    """A library or program that encodes: one class a file in `anymic.codecs.backends`.

    Everything happens in memory. One object may serve several codecs: each call gets the
    `CodecSpec` of the codec.
    """

    def problem(self, spec: CodecSpec) -> tuple[str, str]:
        """Return why a codec is not available here and what to do; empty texts if it is."""
        return "", ""

    def version(self, spec: CodecSpec) -> str:
        """Return the version of the encoder, part of the key of cached files."""
        return ""

    def notes(self, spec: CodecSpec, rate_hz: int) -> tuple[str, ...]:
        """Return notes for clips that are encoded at a rate, beside those of every codec."""
        return ()

    @abstractmethod
    def encode(
        self, spec: CodecSpec, samples: NDArray[np.float32], *, rate_hz: int, kbps: float
    ) -> bytes:
        """Return the whole file, container and headers included.

        Parameters
        ----------
        spec : CodecSpec
            An available codec.
        samples : (sample,) float32
            Full scale is 1.0. Encoders of integers limit higher values.
        rate_hz, kbps : int, float
            Supported by the codec.

        Raises
        ------
        AudioError
            If the encoder fails.
        """

    def decode(self, spec: CodecSpec, data: bytes) -> tuple[NDArray[np.float32], int]:
        """Return the samples (sample,) float32 of a file and their rate in Hz.

        By default the FFmpeg inside PyAV decodes. Only samples that the container marks (Opus'
        pre-skip, LAME's delay) are skipped. AudioError if the stream cannot be decoded.
        """
        import av

        form = {"adts": "aac"}.get(spec.container, spec.container)
        together = av.AudioFifo()  # thousands of small frames become one array
        try:
            with av.open(io.BytesIO(data), "r", format=form) as container:
                for frame in container.decode(audio=0):
                    frame.pts = None  # no silence where the times of the container jump
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

    def decode_with_losses(
        self, spec: CodecSpec, data: bytes, *, share: float, generator: np.random.Generator
    ) -> tuple[NDArray[np.float32], int]:
        """Return samples and rate as `decode`, with lost packets, which the decoder conceals.

        Each packet is lost with the probability `share`, independently. A backend of codecs with
        `CodecSpec.packets` overrides it.
        """
        raise AudioError(
            f"lost packets of {spec.name} cannot be concealed here",
            expected="a codec whose decoder conceals lost packets",
            fix="choose Opus or LC3",
        )


def to_format(
    samples: NDArray[np.float32], sample_format: str
) -> NDArray[np.float32] | NDArray[np.int16] | NDArray[np.int32]:
    """Return samples in one of FFmpeg's sample formats; integers are limited to full scale."""
    if sample_format.startswith("s16"):
        return to_int16(samples)
    if sample_format.startswith("s32"):
        steps = np.rint(samples.astype(np.float64) * 2.0**31)
        return steps.clip(-(2.0**31), 2.0**31 - 1).astype(np.int32)
    return samples


def to_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Return round(32768 x samples), limited to the range of 16 bits."""
    steps: NDArray[np.float32] = np.rint(samples * np.float32(32768)).clip(-32768, 32767)
    return steps.astype(np.int16)


def refused(encoder: str, rate_hz: int, kbps: float, reason: object) -> AudioError:
    """Return the error of an encoder that does not support a rate and bitrate."""
    return AudioError(
        f"the encoder {encoder} does not support {rate_hz} Hz at {kbps:g} kbps ({reason})",
        expected="a rate and bitrate that it supports",
        fix="choose others from `anymic codec list`",
    )


def _samples(frame: av.AudioFrame) -> NDArray[np.float32]:
    raw = frame.to_ndarray()
    # FFmpeg decodes one channel of HE-AAC to two equal ones: it might be parametric stereo.
    raw = raw[0] if frame.format.is_planar else raw[0, :: frame.layout.nb_channels]
    if raw.dtype.kind == "i":
        full_scale = np.float32(2.0 ** (8 * raw.dtype.itemsize - 1))
        return np.ascontiguousarray(raw, np.float32) / full_scale
    return raw.astype(np.float32, copy=False)
