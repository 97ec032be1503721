"""A codec at a bitrate: a clip goes in, is encoded and decoded, and comes back."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from anymic import audio
from anymic.audio import Clip
from anymic.codecs.backend import CodecSpec
from anymic.codecs.delays import delay_samples, probe
from anymic.codecs.encode_cache import EncodeCache
from anymic.codecs.table import CODECS, listed, problem
from anymic.errors import AudioError, ConfigError, DependencyError


@dataclass(frozen=True, eq=False)
class Coded:
    """A clip that was passed through a codec.

    Attributes
    ----------
    clip : Clip
        Rate, length and alignment of the clip that went in. Peaks may be over full scale, as
        decoders to floating point give them.
    codec : Codec
        The codec, and the nominal bitrate.
    kbps : float or None
        The measured bitrate: bits of the whole file, container and headers included, over the
        clip's duration. None for the original.
    data : bytes
        That file.
    rate_hz : int
        Sampling rate that was encoded.
    delay_samples : float
        The codec's delay, which was removed, in samples of the clip's rate.
    """

    clip: Clip
    codec: Codec
    kbps: float | None
    data: bytes = field(repr=False)
    rate_hz: int
    delay_samples: float


@dataclass(frozen=True)
class Codec:
    """A codec at a bitrate.

    Attributes
    ----------
    name : str
        A name of the codec table; "wav" is the original, which passes unchanged.
    kbps : float, optional
        Nominal bitrate, one that the codec offers; left out where it offers only one.
    rate_hz : int, optional
        Sampling rate that is encoded. By default the lowest of the codec's that carries all of
        the clip, else its highest; a clip of another rate is resampled there and back.

    Raises
    ------
    ConfigError
        No such codec, a bitrate that it does not offer, a rate that it cannot carry.
    """

    name: str
    kbps: float | None = field(default=None, kw_only=True)
    rate_hz: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        spec = self.spec
        offered = spec.kbps
        if self.kbps is None and len(offered) == 1:
            object.__setattr__(self, "kbps", float(offered[0]))
        elif self.kbps is not None and self.kbps in offered:
            object.__setattr__(self, "kbps", float(self.kbps))
        elif self.kbps is not None or offered:
            said = (
                "has no default bitrate"
                if self.kbps is None
                else f"does not support {self.kbps:g} kbps"
            )
            raise ConfigError(
                f"codec {self.name} {said}",
                expected=f"one of {listed(offered)} kbps" if offered else "no bitrate",
                fix="choose one of these" if offered else "leave it out",
            )
        rates = spec.rates_hz if self.kbps is None else spec.rates_at(self.kbps)
        if self.rate_hz is not None and self.rate_hz not in rates:
            raise ConfigError(
                f"codec {self} does not support {self.rate_hz} Hz",
                expected=f"one of {listed(rates)} Hz"
                if rates
                else "no rate, because it is the original",
                fix="choose one of these, or leave the rate out" if rates else "leave it out",
            )

    @classmethod
    def parse(cls, text: str) -> Codec:
        """Read what `str` writes: "mp3 32" is MP3 at 32 kbps, "wav" the original.

        Raises
        ------
        ConfigError
            It is no name and bitrate, or not one that is offered.
        """
        name, _, number = text.strip().partition(" ")
        try:
            kbps = float(number) if number else None
        except ValueError:
            raise ConfigError(
                f"{text!r} is not a codec", expected='a codec and its kbps, such as "mp3 32"'
            ) from None
        return cls(name, kbps=kbps)

    @property
    def spec(self) -> CodecSpec:
        """The codec in the table."""
        return CODECS.get(self.name)

    @property
    def is_original(self) -> bool:
        """Whether it is no codec at all: the clip passes unchanged."""
        return self.spec.backend is None

    @property
    def slug(self) -> str:
        """A name for files and folders, such as "mp3-32"."""
        parts = [self.name]
        parts += [] if self.kbps is None else [f"{self.kbps:g}"]
        parts += [] if self.rate_hz is None else [f"{self.rate_hz}hz"]
        return "-".join(parts)

    def __str__(self) -> str:
        return self.name if self.kbps is None else f"{self.name} {self.kbps:g}"

    @property
    def available(self) -> bool:
        """Whether it can be encoded on this machine."""
        return not problem(self.spec)[0]

    def require(self) -> Codec:
        """Return the codec itself, if it can be encoded on this machine.

        Raises
        ------
        DependencyError
            It cannot; the line says why and how to get it. No other codec takes its place.
        """
        reason, remedy = problem(self.spec)
        if reason:
            raise DependencyError(f"codec {self.name} is not available here: {reason}", fix=remedy)
        return self

    def apply(self, clip: Clip, *, cache: EncodeCache | None = None) -> Coded:
        """Encode a clip and decode it again, in memory.

        Parameters
        ----------
        clip : Clip
            Any rate and length; silence too.
        cache : EncodeCache, optional
            Where encoded files are kept, for clips that are encoded again; the result is the same.

        Returns
        -------
        Coded
            Its clip has the rate, length and alignment of the one that went in: the codec's delay
            is measured once for each codec, bitrate and rate and taken off to the nearest sample.

        Raises
        ------
        DependencyError
            The codec is not available here.
        AudioError
            NaN or infinite samples, or an encoder that refuses.
        """
        audio.check(clip, allow_silence=True)
        if self.kbps is None:
            return Coded(clip, self, None, b"", clip.rate_hz, 0.0)
        self.require()
        rate_hz = self.rate_hz or self.spec.rate_for(self.kbps, clip.rate_hz)
        late = delay(self, clip.rate_hz)
        data, decoded = _pass(self, clip, rate_hz, late_s=late / clip.rate_hz, cache=cache)
        begin, count = round(late), len(clip.samples)
        decoded = decoded[begin:] if begin >= 0 else np.pad(decoded, (-begin, 0))
        if len(decoded) < count:
            raise AudioError(
                f"codec {self} returned {len(decoded)} of {count} samples",
                expected="as many samples as went in",
                fix="report this as a fault of anymic or of the encoder",
            )
        notes = [f"passed through {self} kbps"]
        if rate_hz != clip.rate_hz:
            notes.append(f"encoded at {rate_hz} Hz, resampled there and back")
        over = float(np.mean(np.abs(clip.samples) > 1)) if self.spec.sample_format == "s16" else 0
        if over:
            notes.append(f"limited to full scale by the encoder: {100 * over:.2g} % of samples")
        samples = np.ascontiguousarray(decoded[:count])
        return Coded(
            clip=replace(clip, samples=samples, notes=(*clip.notes, *notes)),
            codec=self,
            kbps=8 * len(data) / clip.duration_s / 1000,
            data=data,
            rate_hz=rate_hz,
            delay_samples=late,
        )


@functools.cache
def delay(codec: Codec, clip_rate_hz: int) -> float:
    """Measure how late a codec is, in samples of the clip's rate.

    A probe goes through encoder, container and decoder as a clip does, and the peak of its
    cross-correlation with what comes back is the delay (see `anymic.codecs.delays`).

    Raises
    ------
    DependencyError
        The codec is not available here.
    """
    if codec.kbps is None:
        return 0.0
    codec.require()
    rate_hz = codec.rate_hz or codec.spec.rate_for(codec.kbps, clip_rate_hz)
    sound = probe(clip_rate_hz)
    _, decoded = _pass(codec, Clip(sound, clip_rate_hz), rate_hz, late_s=0.0)
    return delay_samples(sound, decoded)


def _pass(
    codec: Codec, clip: Clip, rate_hz: int, *, late_s: float, cache: EncodeCache | None = None
) -> tuple[bytes, NDArray[np.float32]]:
    """Return the encoded file, and its sound at the clip's rate, late by the codec's delay."""
    assert codec.kbps is not None
    # Zeros behind the clip push its last samples out of resampler, encoder and decoder.
    tail = max(0, int(np.ceil(late_s * clip.rate_hz))) + 2 * -(-clip.rate_hz // rate_hz)
    longer = replace(clip, samples=np.pad(clip.samples, (0, tail)))
    into = audio.resample(longer, rate_hz).samples
    backend = codec.spec.backend
    assert backend is not None
    encode = backend.encode if cache is None else cache.encode
    data = encode(codec.spec, into, rate_hz=rate_hz, kbps=codec.kbps)
    samples, decoded_hz = backend.decode(codec.spec, data)
    return data, audio.resample(Clip(samples, decoded_hz), clip.rate_hz).samples
