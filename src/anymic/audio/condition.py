"""What a recording lacks, or has that no sound made: band limits, clipping, hum, silence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NOTED_SHARE = 0.8  # a band limit below this share of the band that is used is noted
LONG_SILENCE_S = 1.0
CLIPPED_SHARE = 0.001  # a larger share of clipped samples is noted


def clipping_note(share: float) -> tuple[str, ...]:
    """Return a note on the share of clipped samples; none where it is 0.1 % or less."""
    if share <= CLIPPED_SHARE:
        return ()
    return (f"clipped: {100 * share:.1f} % of samples at full scale",)


@dataclass(frozen=True)
class BandStretch:
    """A stretch of a recording with one effective bandwidth (`anymic.audio.bandwidth`)."""

    start_s: float
    end_s: float
    bandwidth_hz: float
    limited: bool


@dataclass(frozen=True)
class Condition:
    """What a recording lacks, or has that no sound made, measured as the file is read.

    Attributes
    ----------
    rate_hz : int
        Of the file.
    bandwidth_hz : float
        The highest frequency at which it holds sound (`anymic.audio.bandwidth`).
    limited : bool
        Whether its spectrum ends in a step there.
    lower_rate_hz : int or None
        The rate from which it was likely resampled: half of it is where the spectrum ends. A codec
        may have its low-pass there as well.
    clipped_share : float
        Of the samples at full scale (`anymic.audio.inspection.inspect`).
    dead_channels : tuple of int
        Channels, from 0, that are 60 dB below the loudest one.
    hum_hz : float or None
        50 or 60, where its harmonics stand out.
    silence_s : float
        The longest part in which every sample is 0.
    bands : tuple of BandStretch
        The stretches of one bandwidth each, where it changes; else empty.
    """

    rate_hz: int
    bandwidth_hz: float
    limited: bool = False
    lower_rate_hz: int | None = None
    clipped_share: float = 0.0
    channels: int = 1
    dead_channels: tuple[int, ...] = ()
    hum_hz: float | None = None
    silence_s: float = 0.0
    bands: tuple[BandStretch, ...] = ()

    @classmethod
    def of_plain(cls, values: Mapping[str, Any]) -> Condition:
        """Return the condition of what `dataclasses.asdict` and JSON made of one."""
        bands = tuple(BandStretch(**one) for one in values["bands"])
        return cls(**{**values, "bands": bands, "dead_channels": tuple(values["dead_channels"])})

    @property
    def limit_hz(self) -> float:
        """The frequency above which nothing can be: the step, or half the rate.

        Of several stretches, that of the narrowest one.
        """
        whole = (self,) if not self.bands else self.bands
        return min(one.bandwidth_hz if one.limited else self.rate_hz / 2 for one in whole)

    def clipping(self) -> tuple[str, ...]:
        """Return the note on clipping, if there is one."""
        return clipping_note(self.clipped_share)

    def notes(self, *, used_hz: float | None = None) -> tuple[str, ...]:
        """Return a note on each observation but clipping, which a `Clip` notes itself.

        A band limit is noted below 0.8 of `used_hz`, by default half the rate of the file.
        """
        used_hz = self.rate_hz / 2 if used_hz is None else used_hz
        found = []
        if self.limit_hz < NOTED_SHARE * used_hz:
            band = f"effective bandwidth {self.limit_hz / 1000:.1f} of {used_hz / 1000:.1f} kHz"
            if self.bands:
                band += " in a part of the recording"
            elif self.lower_rate_hz is not None:
                band += f", likely resampled from {self.lower_rate_hz} Hz"
            found.append(band)
        for one in self.dead_channels:
            found.append(f"channel {one} of {self.channels} has no signal")
        if self.hum_hz is not None:
            found.append(f"mains hum of {self.hum_hz:g} Hz")
        if self.silence_s >= LONG_SILENCE_S:
            found.append(f"digital silence of {self.silence_s:.1f} s")
        return tuple(found)
