"""A codec at a bitrate: encode a clip and decode it again."""

from __future__ import annotations

import functools
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from anymic import audio
from anymic.audio import Clip
from anymic.codecs.backend import CodecSpec
from anymic.codecs.delays import delay_samples, probe
from anymic.codecs.encode_cache import EncodeCache
from anymic.codecs.table import THEN, listed, problem, require, row_of
from anymic.errors import AudioError, ConfigError, part_of, require_type

_TEXT = re.compile(
    r"(?P<name>\S+)(?: (?P<kbps>\d+(?:\.\d*)?))?(?: lost (?P<lost>\d+(?:\.\d*)?) ?%)?"
)


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
        A name of the codec table or of a chain, or codecs one after the other, such as
        "opus-voice 16 > aac 64"; "wav" is the original, which stays unchanged.
    kbps : float, optional
        Nominal bitrate. It may be left out where the codec has only one.
    rate_hz : int, optional
        The encoded sampling rate. By default the lowest rate of the codec that is not below the
        clip's, else its highest; a clip of another rate is resampled before and after.
    lost : float, optional
        The share of packets that are lost and concealed by the decoder, below 1; Opus and LC3 only.
        Which ones are lost depends on the encoded file alone. By default none, of the chain
        "meeting" 0.05.

    Raises
    ------
    ConfigError
        If there is no such codec, it does not support the bitrate or the rate, or its decoder does
        not conceal lost packets.

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
    lost: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        require_type(self.name, str, "a codec", expected="its name, such as 'opus'")
        if THEN.strip() in self.name:
            steps = THEN.join(str(Codec.parse(one)) for one in self.name.split(THEN.strip()))
            object.__setattr__(self, "name", steps)
        offered, kbps = self.spec.kbps, self.kbps
        require_type(kbps, (Real, type(None)), "the argument kbps", expected="a number such as 64")
        require_type(
            self.lost, (Real, type(None)), "the argument lost", expected="a share such as 0.05"
        )
        if kbps is None and len(offered) == 1:
            kbps = offered[0]
        supported = any(each.supports(kbps or 0) for each in self.spec.bitrates)
        if (offered or kbps is not None) and not supported:
            wrong = "has no default bitrate" if kbps is None else f"does not support {kbps:g} kbps"
            between = any(each.between for each in self.spec.bitrates)
            also = f", or one from {offered[0]:g} to {offered[-1]:g}" if between else ""
            raise ConfigError(
                f"codec {self.name} {wrong}",
                expected=f"one of {listed(offered)} kbps{also}" if offered else "no bitrate",
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
        self._check_losses()

    def _check_losses(self) -> None:
        if self.lost is None:
            return
        if not 0 <= self.lost < 1:
            raise ConfigError(
                f"the share of lost packets is {self.lost:g}",
                expected="at least 0 and less than 1",
                fix="0.05 is 5 %",
            )
        if not self.spec.packets:
            raise ConfigError(
                f"codec {self.name} has no packets whose loss its decoder conceals",
                expected="a codec with packets: Opus, LC3, or a chain that ends with one",
                fix="choose one of these, or leave the lost packets out",
            )

    @classmethod
    def chain(cls, steps: Sequence[str | Codec]) -> Codec:
        """Return codecs one after the other as one codec; texts are read by `parse`.

        Examples
        --------
        >>> import anymic
        >>> str(anymic.Codec.chain(["opus-voice 16", "aac 64"]))
        'opus-voice 16 > aac 64'
        """
        return cls(THEN.join(map(str, steps)))

    @classmethod
    def parse(cls, text: str) -> Codec:
        """Return the codec of a text as `str` writes it: "mp3 32" is MP3 at 32 kbps.

        Raises
        ------
        ConfigError
            If the text is not a name and a bitrate, or these are not supported.
        """
        if THEN.strip() in text:
            return cls(text.strip())
        found = _TEXT.fullmatch(text.strip())
        if found is None:
            raise ConfigError(
                f"{text!r} is not a codec",
                expected='a codec and its kbps, such as "mp3 32" or "opus 24 lost 5%"',
            )
        kbps, lost = (None if one is None else float(one) for one in found.group("kbps", "lost"))
        return cls(found["name"], kbps=kbps, lost=None if lost is None else lost / 100)

    @property
    def spec(self) -> CodecSpec:
        """The codec in the table, or the row that a chain would have."""
        return row_of(self.name)

    @property
    def is_original(self) -> bool:
        """Whether it stands for no codec: the clip stays unchanged."""
        return self.spec.backend is None

    @property
    def slug(self) -> str:
        """A name for files and folders, such as "mp3-32"."""
        rate = "" if self.rate_hz is None else f"-{self.rate_hz}hz"
        return str(self).replace(THEN, "-then-").replace(" ", "-").replace("%", "") + rate

    @property
    def row_name(self) -> str:
        """The name in the column `codec` of a manifest: with lost packets, if any are stated."""
        return self.name + self._losses

    @property
    def _losses(self) -> str:
        return "" if self.lost is None else f" lost {100 * self.lost:g}%"

    def __str__(self) -> str:
        whole = self.kbps is None or THEN in self.name
        return (self.name if whole else f"{self.name} {self.kbps:g}") + self._losses

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
        notes = [f"passed through {self}" + ("" if self.lost or THEN in self.name else " kbps")]
        if rate_hz != clip.rate_hz:
            notes.append(f"encoded at {rate_hz} Hz, resampled there and back")
        backend = self.spec.backend
        notes += [] if backend is None else backend.notes(self.spec, rate_hz)
        over = (
            float(np.mean(np.abs(clip.samples) > 1))
            if self.spec.sample_format.startswith("s")
            else 0
        )
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
    _, decoded = _pass(codec, Clip(sound, clip_rate_hz), rate_hz, late_s=0.0, lossy=False)
    return delay_samples(sound, decoded)


def _pass(
    codec: Codec,
    clip: Clip,
    rate_hz: int,
    *,
    late_s: float,
    lossy: bool = True,
    cache: EncodeCache | None = None,
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
    share = codec.spec.lost if codec.lost is None else codec.lost
    if share and lossy:
        generator = np.random.default_rng(zlib.crc32(data))
        found = backend.decode_with_losses(codec.spec, data, share=share, generator=generator)
    else:
        found = backend.decode(codec.spec, data)
    samples, decoded_hz = found
    return data, audio.resample(Clip(samples, decoded_hz), clip.rate_hz).samples
