"""The frequency response of a microphone: a measured impulse response, or cuts and peaks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anymic._internal.files import file_state
from anymic.errors import AnymicError, ConfigError, DeviceError

NORMAL_LOW_HZ, NORMAL_HIGH_HZ = 100.0, 10_000.0
PARAMETRIC_LENGTH_S = 1.0


@dataclass(frozen=True)
class Peak:
    """A peak of the response: `gain_db` at `hz`, 0 dB far from it.

    A second-order peaking filter (Bristow-Johnson, Audio EQ Cookbook). `gain_db` may be negative;
    `q` is the centre frequency over the bandwidth.
    """

    hz: float
    gain_db: float
    q: float = 1.0

    def __post_init__(self) -> None:
        if self.hz <= 0 or self.q <= 0:
            raise ConfigError(
                f"the peak has hz {self.hz:g} and q {self.q:g}", expected="hz and q above 0"
            )


@dataclass(frozen=True)
class ResponseSpec:
    """A response: either `file`, or any of the others.

    Attributes
    ----------
    file : str, optional
        Audio file of a measured impulse response, relative to the folder of responses. It is
        normalized to an RMS gain of 0 dB over 100 Hz to 10 kHz, with equal weight for every
        octave, because its absolute level depends only on the measurement.
    low_cut_hz, high_cut_hz : float, optional
        Butterworth cuts, -3 dB at these frequencies. A high cut or peak at or above half the
        clip's rate is left out; a low cut there is refused.
    low_cut_slope_db, high_cut_slope_db : int
        Slopes in dB per octave, a multiple of 6.
    peaks : tuple of Peak
        Parametric responses are not normalized.
    """

    file: str | None = None
    low_cut_hz: float | None = None
    low_cut_slope_db: int = 12
    high_cut_hz: float | None = None
    high_cut_slope_db: int = 12
    peaks: tuple[Peak, ...] = ()

    def __post_init__(self) -> None:
        parametric = self.low_cut_hz is not None or self.high_cut_hz is not None or self.peaks
        if (self.file is None) == (not parametric):
            raise ConfigError(
                "the response is both measured and parametric"
                if self.file
                else "the response is empty",
                expected="either `file` or any of low_cut_hz, high_cut_hz, peaks",
                fix="leave `response` out for a flat one",
            )
        for cut_hz in (self.low_cut_hz, self.high_cut_hz):
            if cut_hz is not None and cut_hz <= 0:
                raise ConfigError(f"the cut is at {cut_hz:g} Hz", expected="a frequency above 0 Hz")
        for slope_db in (self.low_cut_slope_db, self.high_cut_slope_db):
            if slope_db not in range(6, 49, 6):
                raise ConfigError(
                    f"the slope is {slope_db} dB per octave", expected="6, 12, 18 ... 48"
                )


@dataclass(frozen=True)
class ImpulseResponse:
    """Filter taps (tap,) at one rate, and which of them is time zero.

    A sine keeps its amplitude at a frequency with a gain of 1. The tap at time zero is the first of
    a parametric response, and that of largest magnitude of a measured one. This removes the delay
    of microphone and measurement, so that the takes of several devices stay aligned, to the nearest
    sample.
    """

    taps: NDArray[np.float32]
    zero: int

    def apply(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return `samples` (sample,) convolved with the taps, as long and in time."""
        from scipy.signal import fftconvolve

        whole = fftconvolve(samples, self.taps)
        return np.asarray(whole[self.zero : self.zero + len(samples)], dtype=np.float32)


def impulse_response(spec: ResponseSpec, rate_hz: int, folder: str = ".") -> ImpulseResponse:
    """Return the response at `rate_hz`: measured ones are resampled and normalized.

    Raises a DeviceError if the file is missing, is not audio, or is silent between 100 Hz and
    10 kHz, or a low cut lies at or above half of `rate_hz`.
    """
    return _impulse_response(spec, rate_hz, _file(spec, folder))


def response_digest(spec: ResponseSpec, folder: str = ".") -> str:
    """Return a hash of a measured response's taps, "" for a parametric one."""
    file = _file(spec, folder)
    return "" if file is None else _measured(file)[2]


def band_gain_db(taps: NDArray[np.float64], rate_hz: int) -> float:
    """Return the RMS gain in dB of `taps` over 100 Hz to 10 kHz, every octave weighing the same."""
    low_hz, high_hz = NORMAL_LOW_HZ, min(NORMAL_HIGH_HZ, rate_hz / 2)
    size = 1 << max(len(taps) - 1, 2 * rate_hz).bit_length()
    power = np.abs(np.fft.rfft(taps, size)) ** 2
    hz = np.geomspace(low_hz, high_hz, 4096)
    mean = np.interp(hz, np.fft.rfftfreq(size, 1 / rate_hz), power).mean()
    return float(10 * np.log10(mean)) if mean > 0 else float("-inf")


_File = tuple[Path, tuple[int, ...]]  # a path and its state, from which a cached value was made


def _file(spec: ResponseSpec, folder: str) -> _File | None:
    if spec.file is None:
        return None
    path = Path(folder) / spec.file
    if not path.is_file():
        raise DeviceError(
            f"there is no impulse response {path}",
            expected="the audio file that the device names",
            fix="pass the folder of the responses, or correct `response.file`",
        )
    return path, file_state(path)


@lru_cache(maxsize=256)
def _impulse_response(spec: ResponseSpec, rate_hz: int, file: _File | None) -> ImpulseResponse:
    if file is None:
        return ImpulseResponse(_parametric_taps(spec, rate_hz).astype(np.float32), 0)
    taps, own_rate_hz, _ = _measured(file)
    if own_rate_hz != rate_hz:
        import soxr

        # A convolution sums over samples, so a lower rate needs larger taps.
        taps = soxr.resample(taps, own_rate_hz, rate_hz, quality="HQ") * own_rate_hz / rate_hz
    return ImpulseResponse(np.asarray(taps, dtype=np.float32), int(np.argmax(np.abs(taps))))


@lru_cache(maxsize=256)
def _measured(file: _File) -> tuple[NDArray[np.float64], int, str]:
    """Return the taps, their rate in Hz and a hash of them as they stand in the file."""
    from anymic import audio

    try:
        clip = audio.read(file[0], channel="left")
    except AnymicError as error:
        raise DeviceError(
            f"the impulse response cannot be read: {error.problem}",
            expected=error.expected or "an audio file",
            fix="correct `response.file`",
        ) from error
    taps = clip.samples.astype(np.float64)
    gain_db = band_gain_db(taps, clip.rate_hz)
    if not np.isfinite(gain_db):
        raise DeviceError(
            f"the impulse response {file[0]} is silent",
            expected="energy between 100 Hz and 10 kHz",
        )
    digest = hashlib.sha256(taps.tobytes()).hexdigest()
    return taps / 10 ** (gain_db / 20), clip.rate_hz, digest


def _parametric_taps(spec: ResponseSpec, rate_hz: int) -> NDArray[np.float64]:
    from scipy.signal import butter, sosfilt

    half_hz = rate_hz / 2
    sections = [_peak_section(peak, rate_hz) for peak in spec.peaks if peak.hz < half_hz]
    if spec.low_cut_hz is not None and spec.low_cut_hz >= half_hz:
        raise DeviceError(
            f"the low cut is at {spec.low_cut_hz:g} Hz for a clip of {rate_hz} Hz",
            expected=f"a low cut below {half_hz:g} Hz",
            fix="lower low_cut_hz",
        )
    for kind, cut_hz, slope_db in (
        ("highpass", spec.low_cut_hz, spec.low_cut_slope_db),
        ("lowpass", spec.high_cut_hz, spec.high_cut_slope_db),
    ):
        if cut_hz is not None and cut_hz < half_hz:
            sections.append(butter(slope_db // 6, cut_hz, kind, fs=rate_hz, output="sos"))
    impulse = np.zeros(round(PARAMETRIC_LENGTH_S * rate_hz))
    impulse[0] = 1.0
    return np.asarray(sosfilt(np.concatenate(sections), impulse) if sections else impulse)


def _peak_section(peak: Peak, rate_hz: int) -> NDArray[np.float64]:
    amplitude = 10 ** (peak.gain_db / 40)
    angle = 2 * np.pi * peak.hz / rate_hz
    alpha = np.sin(angle) / (2 * peak.q)
    middle = -2 * np.cos(angle)
    above = [1 + alpha * amplitude, middle, 1 - alpha * amplitude]
    below = [1 + alpha / amplitude, middle, 1 - alpha / amplitude]
    return np.array([above + below], dtype=np.float64) / float(below[0])
