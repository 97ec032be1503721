"""The signal chain of a device: response, gain, compression, noise, converter."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from anymic._internal.files import encoded
from anymic.devices.simulation.response import ResponseSpec, impulse_response
from anymic.errors import ConfigError

if TYPE_CHECKING:
    from anymic.audio import Clip

PINK_LOW_HZ = 20.0


@dataclass(frozen=True)
class CompressionSpec:
    """A feed-forward dynamic-range compressor without make-up gain.

    Giannoulis, Massberg and Reiss, "Digital Dynamic Range Compressor Design" (JAES 60(6), 2012):
    hard knee in dB, then branching one-pole smoothing of the gain reduction. The level is the
    peak within each millisecond, in dBFS.

    Attributes
    ----------
    threshold_db : float
        Peak level in dBFS above which the gain is reduced.
    ratio : float
        Above the threshold, `ratio` dB more input give 1 dB more output.
    attack_ms, release_ms : float
        Time constants (to 63 %) of rising and falling reduction.
    """

    threshold_db: float
    ratio: float
    attack_ms: float = 5.0
    release_ms: float = 100.0

    def __post_init__(self) -> None:
        if self.ratio < 1 or self.attack_ms < 0 or self.release_ms < 0:
            raise ConfigError(
                f"the compressor has ratio {self.ratio:g}, attack {self.attack_ms:g} ms, release "
                f"{self.release_ms:g} ms",
                expected="a ratio of at least 1 and times of at least 0 ms",
            )


@dataclass(frozen=True)
class Device:
    """A recording device; by default the identity, apart from the converter's rounding.

    The chain applies the settings in the order below, which is that of a recorder: capsule,
    preamplifier, automatic level control, noise, decimation filter, converter. The noise of a real
    device passes its compressor; here it is added after it, so that `noise_db` is the level in the
    pauses of the file.

    Attributes
    ----------
    response : ResponseSpec, optional
        The frequency response; by default flat.
    gain_db : float
        Level change, before compression.
    compression : CompressionSpec, optional
        Dynamic-range compression.
    noise_db : float, optional
        RMS level of the noise floor in dBFS (0 dBFS = an RMS of 1.0), over the whole band.
    noise_colour : {"white", "pink"}
        Pink: power falls by 3 dB per octave above 20 Hz and is flat below.
    rate_hz : int, optional
        The device's own rate. Sound and noise above half of it are removed by resampling down and
        up again. No effect at or above the clip's rate.
    bits : {16, 24}
        The resolution of converter and file. The rounding noise of 16 bits is at -101 dBFS; use 24
        for devices whose `noise_db` is lower than about -90.
    """

    response: ResponseSpec | None = None
    gain_db: float = 0.0
    compression: CompressionSpec | None = None
    noise_db: float | None = None
    noise_colour: Literal["white", "pink"] = "white"
    rate_hz: int | None = None
    bits: Literal[16, 24] = 16

    def __post_init__(self) -> None:
        if self.noise_db is not None and self.noise_db > 0:
            raise ConfigError(
                f"noise_db is {self.noise_db:g}", expected="a level of at most 0 dBFS, such as -75"
            )
        if self.rate_hz is not None and self.rate_hz < 1000:
            raise ConfigError(f"rate_hz is {self.rate_hz}", expected="at least 1000 Hz")


@dataclass(frozen=True)
class Recording:
    """A clip as recorded by a device, and how many of its samples were limited to full scale."""

    clip: Clip
    over_full_scale: int


def noise_seed(seed: int, device: str, take: str) -> int:
    """Return the seed of the noise of one take on one device, which depends on nothing else."""
    digest = hashlib.sha256(encoded(f"{seed}|{device}|{take}")).digest()
    return int.from_bytes(digest[:8], "big")


def record(clip: Clip, device: Device, *, seed: int, responses: str = ".") -> Recording:
    """Pass a clip through a device. The clip is not changed.

    `seed` is for the noise (see `noise_seed`); `responses` is the folder of the measured impulse
    responses. Raises a DeviceError if a response is missing or does not fit the clip's rate.
    """
    samples = clip.samples
    if device.response is not None:
        samples = impulse_response(device.response, clip.rate_hz, responses).apply(samples)
    if device.gain_db:
        samples = samples * np.float32(10 ** (device.gain_db / 20))
    if device.compression is not None:
        samples = compress(samples, clip.rate_hz, device.compression)
    if device.noise_db is not None:
        generator = np.random.default_rng(seed)
        floor = noise(len(samples), clip.rate_hz, device.noise_colour, generator)
        samples = samples + floor * np.float32(10 ** (device.noise_db / 20))
    if device.rate_hz is not None and device.rate_hz < clip.rate_hz:
        samples = limit_rate(samples, clip.rate_hz, device.rate_hz)
    samples, over = convert(samples, device.bits)
    return Recording(replace(clip, samples=samples), over)


def compress(
    samples: NDArray[np.float32], rate_hz: int, spec: CompressionSpec
) -> NDArray[np.float32]:
    """Return `samples` (sample,) compressed; the gain is computed once per millisecond.

    Attack or release depends on the previous value, so this loop cannot be vectorized.
    """
    block = max(1, round(rate_hz / 1000))
    blocks = -(-len(samples) // block)
    padded = np.pad(np.abs(samples), (0, blocks * block - len(samples)))
    peak = padded.reshape(blocks, block).max(axis=1).astype(np.float64)
    over_db = np.maximum(20 * np.log10(np.maximum(peak, 1e-10)) - spec.threshold_db, 0.0)
    wanted_db = over_db * (1 - 1 / spec.ratio)
    step_s = block / rate_hz
    attack, release = (
        float(np.exp(-step_s / (time_ms / 1000))) if time_ms > 0 else 0.0
        for time_ms in (spec.attack_ms, spec.release_ms)
    )
    reduction_db = np.empty(blocks)
    state = 0.0
    for index, goal in enumerate(wanted_db.tolist()):
        keep = attack if goal > state else release
        state = keep * state + (1 - keep) * goal
        reduction_db[index] = state
    centres = (np.arange(blocks) + 0.5) * block - 0.5
    every = np.interp(np.arange(len(samples)), centres, reduction_db)
    return np.asarray(samples * 10 ** (-every / 20), dtype=np.float32)


def noise(
    frames: int, rate_hz: int, colour: Literal["white", "pink"], generator: np.random.Generator
) -> NDArray[np.float32]:
    """Draw Gaussian noise (frames,) with an expected RMS of 1.0."""
    white = generator.standard_normal(frames, dtype=np.float32)
    if colour == "white" or frames < 2:
        return white
    from scipy.fft import irfft, rfft

    hz = np.fft.rfftfreq(frames, 1 / rate_hz)
    shape = 1 / np.sqrt(np.maximum(hz, PINK_LOW_HZ))
    shape /= np.sqrt(np.mean(shape**2))
    return np.asarray(irfft(rfft(white) * shape.astype(np.float32), frames), dtype=np.float32)


def limit_rate(
    samples: NDArray[np.float32], rate_hz: int, device_rate_hz: int
) -> NDArray[np.float32]:
    """Return `samples` (sample,) resampled to the device's rate and back."""
    import soxr

    narrow = soxr.resample(samples, rate_hz, device_rate_hz, quality="HQ")
    wide = soxr.resample(narrow, device_rate_hz, rate_hz, quality="HQ")[: len(samples)]
    return np.pad(wide, (0, len(samples) - len(wide))).astype(np.float32)


def convert(samples: NDArray[np.float32], bits: int) -> tuple[NDArray[np.float32], int]:
    """Round to multiples of 2 ** (1 - bits) within [-1, 1), which an integer file holds exactly.

    Returns the samples (sample,), and the number of samples that were beyond +-1.0.
    """
    over = int(np.count_nonzero(np.abs(samples) > 1.0))
    steps = float(2 ** (bits - 1))
    grid = np.clip(np.rint(samples.astype(np.float64) * steps), -steps, steps - 1) / steps
    return grid.astype(np.float32), over
