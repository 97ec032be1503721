"""A codec at a bitrate: encode a clip and decode it again."""

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
from anymic.codecs.table import CODECS, listed, problem, require
from anymic.errors import AudioError, ConfigError, part_of


@dataclass(frozen=True, eq=False)
class Coded:
    """A clip that was passed through a codec.

    Attributes
    ----------
    clip : Clip
        With the rate, length and alignment of the input. Peaks may exceed full scale.
    codec : Codec
        The codec, and the nominal bitrate.
    kbps : float or None
        The measured bitrate: bits of the whole file, container and headers included, over the
        clip's duration. None for the original.
    data : bytes
        The encoded file.
    rate_hz : int
        The encoded sampling rate.
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
        A name of the codec table; "wav" is the original, which stays unchanged.
    kbps : float, optional
        Nominal bitrate. It may be left out where the codec has only one.
    rate_hz : int, optional
        The encoded sampling rate. By default the lowest rate of the codec that is not below the
        clip's, else its highest; a clip of another rate is resampled before and after.

    Raises
    ------
    ConfigError
        If there is no such codec, or it does not support the bitrate or the rate.

    Examples
    --------
    >>> import anymic
    >>> clip = anymic.audio.read("clip.wav")
    >>> coded = anymic.Codec("opus", kbps=16).apply(clip)
    >>> coded.clip.rate_hz == clip.rate_hz, len(coded.clip.samples) == len(clip.samples)
    (True, True)
    >>> str(anymic.Codec.parse("opus 16"))
    'opus 16'
    """

    name: str
    kbps: float | None = field(default=None, kw_only=True)
    rate_hz: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        offered, kbps = self.spec.kbps, self.kbps
        if kbps is None and len(offered) == 1:
            kbps = offered[0]
        if (offered or kbps is not None) and kbps not in offered:
            wrong = "has no default bitrate" if kbps is None else f"does not support {kbps:g} kbps"
            raise ConfigError(
                f"codec {self.name} {wrong}",
                expected=f"one of {listed(offered)} kbps" if offered else "no bitrate",
                fix="choose one of these" if offered else "leave it out",
            )
        object.__setattr__(self, "kbps", kbps if kbps is None else float(kbps))
        rates = () if kbps is None else self.spec.rates_at(kbps)
        if self.rate_hz is not None and self.rate_hz not in rates:
            original = "no rate, because it is the original"
            raise ConfigError(
                f"codec {self} does not support {self.rate_hz} Hz",
                expected=f"one of {listed(rates)} Hz" if rates else original,
                fix="choose one of these, or leave the rate out" if rates else "leave it out",
            )

    @classmethod
    def parse(cls, text: str) -> Codec:
        """Return the codec of a text as `str` writes it: "mp3 32" is MP3 at 32 kbps.

        Raises
        ------
        ConfigError
            If the text is not a name and a bitrate, or these are not supported.
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
        """Whether it stands for no codec: the clip stays unchanged."""
        return self.spec.backend is None

    @property
    def slug(self) -> str:
        """A name for files and folders, such as "mp3-32"."""
        rate = "" if self.rate_hz is None else f"-{self.rate_hz}hz"
        return str(self).replace(" ", "-") + rate

    def __str__(self) -> str:
        return self.name if self.kbps is None else f"{self.name} {self.kbps:g}"

    @property
    def available(self) -> bool:
        """Whether it can be encoded on this machine."""
        return not problem(self.spec)[0]

    def require(self) -> Codec:
        """Return the codec; DependencyError if it cannot be encoded on this machine."""
        require([self.spec])
        return self

    def apply(self, clip: Clip, *, cache: EncodeCache | None = None) -> Coded:
        """Encode a clip and decode it again, in memory.

        Parameters
        ----------
        clip : Clip
            Of any rate and length; it may be silent.
        cache : EncodeCache, optional
            Stores the encoded files, for clips that are encoded again.

        Returns
        -------
        Coded
            Its clip has the rate, length and alignment of the input: the codec's delay is measured
            once for each codec, bitrate and rate, and removed to the nearest sample.

        Raises
        ------
        DependencyError
            If the codec is not available on this machine.
        AudioError
            If samples are NaN or infinite, or the encoder fails.
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
                f"codec {self} returned {part_of(len(decoded), count, 'sample')}",
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
    """Return the delay of a codec, in samples of the clip's rate (see `anymic.codecs.delays`).

    A probe is encoded and decoded as a clip is.
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
    """Return the encoded file, and its decoded samples at the clip's rate, delay included."""
    assert codec.kbps is not None
    # Zeros after the clip flush its last samples out of resampler, encoder and decoder.
    tail = max(0, int(np.ceil(late_s * clip.rate_hz))) + 2 * -(-clip.rate_hz // rate_hz)
    longer = replace(clip, samples=np.pad(clip.samples, (0, tail)))
    into = audio.resample(longer, rate_hz).samples
    backend = codec.spec.backend
    assert backend is not None
    encode = backend.encode if cache is None else cache.encode
    data = encode(codec.spec, into, rate_hz=rate_hz, kbps=codec.kbps)
    samples, decoded_hz = backend.decode(codec.spec, data)
    return data, audio.resample(Clip(samples, decoded_hz), clip.rate_hz).samples
