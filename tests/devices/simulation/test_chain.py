"""Laws of one device: what goes in, what comes out, measured from outside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from scipy import signal

from anymic._internal.settings import from_mapping
from anymic.audio import Clip
from anymic.devices.simulation.chain import CompressionSpec, Device, noise_seed, record
from anymic.devices.simulation.response import Peak, ResponseSpec
from anymic.errors import ConfigError, DeviceError

RATE = 44100


def level_db(samples: NDArray[np.float32]) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(samples.astype(np.float64) ** 2))))


def sine(hz: float, *, peak: float = 0.1, duration_s: float = 2.0) -> Clip:
    time_s = np.arange(round(duration_s * RATE)) / RATE
    return Clip((peak * np.sin(2 * np.pi * hz * time_s)).astype(np.float32), RATE)


def white(*, level: float = 0.05, duration_s: float = 10.0, rate_hz: int = RATE) -> Clip:
    generator = np.random.default_rng(3)
    frames = round(duration_s * rate_hz)
    return Clip(level * generator.standard_normal(frames, dtype=np.float32), rate_hz)


def gain_at(hz: float, device: Device) -> float:
    clip = sine(hz)
    middle = slice(RATE // 2, -RATE // 2)
    recorded = record(clip, device, seed=0).clip.samples
    return level_db(recorded[middle]) - level_db(clip.samples[middle])


def test_the_identity_device_only_rounds() -> None:
    on_grid = Clip(np.arange(-32768, 32768, 5, dtype=np.float32) / np.float32(32768), RATE)
    np.testing.assert_array_equal(record(on_grid, Device(), seed=0).clip.samples, on_grid.samples)
    off_grid = white()
    for bits in (16, 24):
        recorded = record(off_grid, Device(bits=bits), seed=0)
        assert np.abs(recorded.clip.samples - off_grid.samples).max() <= 2.0**-bits
        assert recorded.over_full_scale == 0


def test_a_sine_beyond_full_scale_is_limited_and_counted() -> None:
    clip = sine(100.0, peak=0.9)
    recorded = record(clip, Device(gain_db=6.0), seed=0)
    assert recorded.over_full_scale == np.count_nonzero(np.abs(clip.samples * 10**0.3) > 1)
    assert recorded.over_full_scale > 1000
    assert recorded.clip.samples.max() == 1 - 2.0**-15
    assert recorded.clip.samples.min() == -1


@pytest.mark.parametrize(("hz", "gain_db", "q"), [(1000.0, 9.0, 2.0), (250.0, -12.0, 0.7)])
def test_a_peak_has_its_gain_at_its_frequency(hz: float, gain_db: float, q: float) -> None:
    device = Device(ResponseSpec(peaks=(Peak(hz=hz, gain_db=gain_db, q=q),)))
    assert gain_at(hz, device) == pytest.approx(gain_db, abs=0.02)
    assert gain_at(15 * hz, device) == pytest.approx(0, abs=0.3)


def test_cuts_are_3_db_down_at_their_frequency_and_fall_by_their_slope() -> None:
    device = Device(
        ResponseSpec(low_cut_hz=200, low_cut_slope_db=24, high_cut_hz=4000, high_cut_slope_db=12)
    )
    assert gain_at(200, device) == pytest.approx(-3.01, abs=0.1)
    assert gain_at(4000, device) == pytest.approx(-3.01, abs=0.1)
    assert gain_at(900, device) == pytest.approx(0, abs=0.1)
    assert gain_at(50, device) - gain_at(100, device) == pytest.approx(-24, abs=0.5)


def test_parametric_responses_follow_scipys_own_filter() -> None:
    device = Device(ResponseSpec(low_cut_hz=300, high_cut_hz=5000, high_cut_slope_db=6), bits=24)
    sections = np.concatenate(
        [
            signal.butter(2, 300, "highpass", fs=RATE, output="sos"),
            signal.butter(1, 5000, "lowpass", fs=RATE, output="sos"),
        ]
    )
    clip = white(duration_s=2.0)
    wanted = signal.sosfilt(sections, clip.samples)
    np.testing.assert_allclose(record(clip, device, seed=0).clip.samples, wanted, atol=2e-6)


def lopsided_response(folder: Path, *, rate_hz: int, delay: int = 90) -> Path:
    """Write a decaying, coloured response behind a delay, at an arbitrary level."""
    generator = np.random.default_rng(5)
    taps = generator.standard_normal(400) * np.exp(-np.arange(400) / 40)
    taps[0] = 6.0
    path = folder / "response.wav"
    soundfile.write(path, 0.02 * np.pad(taps, (delay, 0)), rate_hz, subtype="FLOAT")
    return path


def transfer(clip: Clip, recorded: Clip) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return frequencies and magnitude of the transfer, from the cross-spectrum (Welch)."""
    size = 4096
    hz, cross = signal.csd(clip.samples, recorded.samples, fs=clip.rate_hz, nperseg=size)
    _, own = signal.welch(clip.samples, fs=clip.rate_hz, nperseg=size)
    return hz, np.abs(cross) / own


def normalized(path: Path, hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the file's magnitude at `hz`, 0 dB RMS over 100 Hz to 10 kHz: an outside reference."""
    taps, rate_hz = soundfile.read(path)
    of = np.geomspace(100, 10_000, 3000)
    _, band = signal.freqz(taps, worN=of, fs=rate_hz)
    _, wanted = signal.freqz(taps, worN=hz, fs=rate_hz)
    return np.asarray(np.abs(wanted) / np.sqrt(np.mean(np.abs(band) ** 2)))


@pytest.mark.parametrize("rate_hz", [44100, 48000])
def test_white_noise_takes_the_measured_response(tmp_path: Path, rate_hz: int) -> None:
    path = lopsided_response(tmp_path, rate_hz=rate_hz)
    device = Device(ResponseSpec(file=path.name), bits=24)
    clip = white(level=0.02)
    recorded = record(clip, device, seed=0, responses=str(tmp_path)).clip
    assert len(recorded.samples) == len(clip.samples)
    hz, gain = transfer(clip, recorded)
    inside = (hz > 100) & (hz < 18_000)
    error_db = 20 * np.log10(gain[inside] / normalized(path, hz[inside]))
    assert np.sqrt(np.mean(error_db**2)) < 0.5


@pytest.mark.parametrize("name", ["GEC_bigdynamic", "Reslo_RV", "IR_Lomo52A5M"])
def test_real_microphones_colour_as_measured_and_stay_aligned(shared_data: Path, name: str) -> None:
    folder = shared_data / "micirp"
    device = Device(ResponseSpec(file=f"{name}.wav"), bits=24)
    clip = white(level=0.02)
    recorded = record(clip, device, seed=0, responses=str(folder)).clip
    hz, gain = transfer(clip, recorded)
    inside = (hz > 150) & (hz < 9000)
    error_db = 20 * np.log10(gain[inside] / normalized(folder / f"{name}.wav", hz[inside]))
    assert np.median(np.abs(error_db)) < 0.5
    assert lag(clip, recorded) == 0


def lag(clip: Clip, recorded: Clip) -> int:
    """Return by how many samples `recorded` is late, from the cross-correlation."""
    correlation = signal.correlate(recorded.samples, clip.samples, method="fft")
    return int(np.argmax(np.abs(correlation))) - (len(clip.samples) - 1)


@pytest.mark.parametrize("rate_hz", [44100, 48000, 22050])
def test_a_late_response_leaves_the_take_in_time(tmp_path: Path, rate_hz: int) -> None:
    path = lopsided_response(tmp_path, rate_hz=rate_hz, delay=1000)
    device = Device(ResponseSpec(file=path.name), rate_hz=20_000)
    clip = white()
    late = lag(clip, record(clip, device, seed=0, responses=str(tmp_path)).clip)
    assert abs(late) <= (rate_hz != RATE)  # other rates: to the nearest sample


@pytest.mark.parametrize("colour", ["white", "pink"])
def test_the_noise_floor_has_its_level_and_spectrum(colour: str) -> None:
    quiet = Clip(np.zeros(10 * RATE, dtype=np.float32), RATE)
    device = from_mapping(
        Device, {"noise_db": -60, "noise_colour": colour, "gain_db": 20, "bits": 24}
    )
    recorded = record(quiet, device, seed=noise_seed(1, "B", "x")).clip
    assert level_db(recorded.samples) == pytest.approx(-60, abs=0.3)
    hz, power = signal.welch(recorded.samples, fs=RATE, nperseg=8192)
    low, high = power[(hz > 100) & (hz < 200)].mean(), power[(hz > 6400) & (hz < 12_800)].mean()
    octaves_db = 10 * np.log10(low / high)
    assert octaves_db == pytest.approx(18 if colour == "pink" else 0, abs=1.0)


def test_noise_depends_on_seed_device_and_take_only() -> None:
    seeds = {
        noise_seed(*key) for key in [(0, "A", "x"), (1, "A", "x"), (0, "B", "x"), (0, "A", "y")]
    }
    assert len(seeds) == 4
    clip, device = white(duration_s=0.1), Device(noise_db=-40)
    first = record(clip, device, seed=7).clip.samples
    np.testing.assert_array_equal(first, record(clip, device, seed=7).clip.samples)
    assert np.abs(first - record(clip, device, seed=8).clip.samples).max() > 1e-3


@pytest.mark.parametrize(("threshold_db", "ratio"), [(-30.0, 4.0), (-12.0, 2.0)])
def test_compression_has_the_stated_ratio_above_the_threshold(
    threshold_db: float, ratio: float
) -> None:
    device = Device(compression=CompressionSpec(threshold_db=threshold_db, ratio=ratio))
    settled = slice(RATE, None)
    for over_db in (-6.0, 5.0, 10.0):
        clip = sine(1000.0, peak=10 ** ((threshold_db + over_db) / 20))
        recorded = record(clip, device, seed=0).clip.samples
        change_db = level_db(recorded[settled]) - level_db(clip.samples[settled])
        wanted_db = -max(over_db, 0.0) * (1 - 1 / ratio)
        assert change_db == pytest.approx(wanted_db, abs=0.1)


def test_compression_attacks_in_its_time_constant() -> None:
    spec = CompressionSpec(threshold_db=-40, ratio=1e6, attack_ms=50, release_ms=200)
    clip = sine(1000.0, peak=0.5)
    recorded = record(clip, Device(compression=spec, bits=24), seed=0).clip.samples
    block = slice(round(0.049 * RATE), round(0.051 * RATE))
    reduction_db = level_db(clip.samples[block]) - level_db(recorded[block])
    whole_db = 40 + 20 * np.log10(0.5)
    assert reduction_db == pytest.approx(whole_db * (1 - np.exp(-1)), abs=0.5)


def test_a_rate_limit_ends_the_band_at_half_of_it() -> None:
    device = Device(rate_hz=16_000)
    assert gain_at(5000, device) == pytest.approx(0, abs=0.05)
    above = record(sine(10_000), device, seed=0).clip.samples
    assert np.abs(above[RATE // 2 : -RATE // 2]).max() < 1e-4
    assert gain_at(10_000, Device(rate_hz=96_000)) == pytest.approx(0, abs=1e-3)


def test_the_clip_that_goes_in_is_not_changed() -> None:
    clip = white(duration_s=0.5)
    before = clip.samples.copy()
    record(clip, Device(gain_db=20, noise_db=-20, rate_hz=8000), seed=0)
    np.testing.assert_array_equal(clip.samples, before)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"respnse": {}}, "did you mean 'response'"),
        ({"response": {}}, "response is empty"),
        ({"response": {"file": "x.wav", "low_cut_hz": 100}}, "both measured and parametric"),
        ({"response": {"low_cut_hz": 100, "low_cut_slope_db": 10}}, "6, 12, 18"),
        ({"response": {"peaks": [{"hz": 100, "gain": 3}]}}, "gain_db"),
        ({"response": {"peaks": [{"hz": 0, "gain_db": 3}]}}, "hz and q above 0"),
        ({"compression": {"threshold_db": -20, "ratio": 0.5}}, "ratio of at least 1"),
        ({"noise_db": 3}, "at most 0"),
        ({"noise_colour": "brown"}, "white, pink"),
        ({"rate_hz": 16}, "1000 Hz"),
        ({"bits": 8}, "16, 24"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        from_mapping(Device, settings)


def test_a_missing_silent_or_unreadable_response_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("not audio")
    soundfile.write(tmp_path / "hum.wav", np.zeros(100), RATE)
    for name, says in [
        ("gone.wav", "no impulse response .*folder of the responses"),
        ("text.wav", "cannot be read"),
        ("hum.wav", "silent"),
    ]:
        device = Device(ResponseSpec(file=name))
        with pytest.raises(DeviceError, match=says):
            record(sine(100.0), device, seed=0, responses=str(tmp_path))


def test_a_low_cut_above_the_clips_band_is_refused() -> None:
    with pytest.raises(DeviceError, match="low cut is at 6000 Hz for a clip of 8000 Hz"):
        record(white(rate_hz=8000), Device(ResponseSpec(low_cut_hz=6000)), seed=0)
