"""Noise that gains would raise is subtracted: laws on sounds with known responses and noise."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anymic.devices.correction.apply import apply_to_magnitude, apply_to_samples, apply_to_stft
from anymic.devices.correction.frames import SampleFrames
from anymic.devices.correction.merging import merge
from anymic.devices.correction.noise import factors_with_noise, noise_level
from anymic.devices.correction.profile import DeviceGains, DeviceProfile
from anymic.devices.correction.spectrum_correction import SpectrumCorrection
from anymic.devices.correction.spectrum_gains import SpectrumGains
from anymic.errors import DeviceError

RATE_HZ, FFT, HOP = 16000, 512, 160
NOISE, QUIET = 1e-3, 0.1  # of every device; the response of B above half of the band
ANALYSIS: dict[str, Any] = {"fft_size": FFT, "hop_samples": HOP}
HIGH = slice(FFT // 4 + 16, FFT // 2)


def recorded(sound: np.ndarray, device: str, seed: int) -> np.ndarray:
    """Return a sound (sample,) with the response and the noise of A or B."""
    spectrum = np.fft.rfft(sound)
    if device == "B":
        spectrum[len(spectrum) // 2 :] *= QUIET
    own = np.random.default_rng(seed).normal(scale=NOISE, size=len(sound))
    return (np.fft.irfft(spectrum, len(sound)) + own).astype(np.float32)


@pytest.fixture(scope="module")
def fitted() -> SpectrumCorrection:
    """Return gains of twelve takes of bursts of noise, with a pause after each."""
    random = np.random.default_rng(0)
    bursts = random.normal(scale=0.1, size=(12, 2 * RATE_HZ))
    bursts[:, RATE_HZ:] = 0
    clips = [
        recorded(burst, device, 2 * take + (device == "B"))
        for device in "AB"
        for take, burst in enumerate(bursts)
    ]
    correction = SpectrumCorrection(reference="A", subtract_noise=True, **ANALYSIS)
    devices, takes = ["A"] * 12 + ["B"] * 12, [*range(12)] * 2
    return correction.fit(np.stack(clips), device=devices, take=takes, rate_hz=RATE_HZ)


def spectrum(samples: np.ndarray) -> np.ndarray:
    """Return the magnitudes (bin, frame) with the window of a profile."""
    return np.concatenate(list(SampleFrames(samples, **ANALYSIS).magnitudes())).T


@pytest.mark.parametrize(("fft_size", "hop"), [(256, 128), (512, 160), (2048, 512)])
def test_the_level_is_that_of_the_noise_for_any_analysis(fft_size: int, hop: int) -> None:
    """In the third of the clip without sound; a tenth of the frames are enough."""
    samples = np.random.default_rng(1).normal(scale=NOISE, size=5 * RATE_HZ).astype(np.float32)
    samples[: 3 * RATE_HZ] += np.sin(np.arange(3 * RATE_HZ)).astype(np.float32)
    frames = SampleFrames(samples, fft_size=fft_size, hop_samples=hop)
    quiet = noise_level(SampleFrames(samples[3 * RATE_HZ :], **frames._analysis), fft_size=fft_size)
    assert 20 * np.log10(np.median(quiet) / NOISE) == pytest.approx(0, abs=0.5)
    level_db = 20 * np.log10(np.median(noise_level(frames, fft_size=fft_size)) / NOISE)
    assert 0 < level_db < 6  # the sound is in most frames: less is noise, and it reads higher


def test_what_is_subtracted_is_twice_the_excess_over_the_noise_of_the_reference() -> None:
    """By hand, of levels that are equal over bins; nothing where the corrected noise is lower."""
    gains = np.where(np.arange(257) < 128, 2.0, 0.5)
    noise = np.stack([np.full(257, 3.0), np.full(257, 2.0)])
    factors, subtracted, floor = factors_with_noise(gains, noise).reshape(3, 257)
    np.testing.assert_array_equal(factors, gains)
    np.testing.assert_allclose(subtracted[:120], 2 * ((2 * 3) ** 2 - 2**2))
    np.testing.assert_array_equal(subtracted[128:], 0)  # 1.5 is less than 2
    np.testing.assert_allclose(floor, 2**2)


def test_the_gains_are_those_without_subtraction(fitted: SpectrumCorrection) -> None:
    plain = SpectrumCorrection(reference="A", **ANALYSIS).fit_spectra(fitted.spectra_)
    for name, device in plain.profile_.devices.items():
        np.testing.assert_array_equal(device.gains, fitted.profile_.gains_for(name))
        assert device.noise is None
        np.testing.assert_array_equal(device.factors, device.gains)


def test_the_reference_does_not_change(fitted: SpectrumCorrection) -> None:
    clip = spectrum(recorded(np.random.default_rng(5).normal(size=RATE_HZ), "A", 6))
    factors = fitted.profile_.devices["A"].factors
    np.testing.assert_array_equal(apply_to_magnitude(clip, factors), clip)
    module = SpectrumGains(fitted.profile_)  # whose rows have noise, that of A of 0
    batch = torch.from_numpy(np.stack([clip, clip]))
    assert torch.equal(module(batch, ["A", "B"])[0], batch[0])


def test_noise_alone_comes_out_at_the_level_of_the_references(fitted: SpectrumCorrection) -> None:
    silence = np.zeros(4 * RATE_HZ)
    own, other = (spectrum(recorded(silence, device, 7))[HIGH] for device in "AB")
    both = [fitted.profile_.devices["B"].gains, fitted.profile_.devices["B"].factors]
    whole = spectrum(recorded(silence, "B", 7))
    plain, less = (apply_to_magnitude(whole, one)[HIGH] for one in both)
    level_db = [20 * np.log10(np.median(one) / np.median(own)) for one in (other, plain, less)]
    # The noise of takes that are half pause is estimated 3 dB too high, on both devices.
    assert level_db == pytest.approx([0, 20, 1.5], abs=2)
    spread_db = [np.std(20 * np.log10(one)) for one in (own, less)]
    assert spread_db[1] == pytest.approx(spread_db[0], rel=0.2)  # no isolated peaks


def test_a_loud_tone_keeps_its_corrected_level(fitted: SpectrumCorrection) -> None:
    """6 kHz, far above the noise after the response of B."""
    tone = np.sin(2 * np.pi * 6000 / RATE_HZ * np.arange(RATE_HZ))
    sound, peak = spectrum(recorded(tone, "B", 8)), 6000 * FFT // RATE_HZ
    device = fitted.profile_.devices["B"]
    plain, less = (apply_to_magnitude(sound, one)[peak] for one in (device.gains, device.factors))
    assert 20 * np.log10(plain / sound[peak]).min() > 18
    np.testing.assert_allclose(20 * np.log10(less / plain), 0, atol=0.1)


def test_every_way_to_apply_gives_one_answer(fitted: SpectrumCorrection) -> None:
    """Magnitudes, STFTs and waveforms, of numpy (in blocks of frames) and of torch."""
    profile, factors = fitted.profile_, fitted.profile_.devices["B"].factors
    sound = recorded(np.random.default_rng(9).normal(scale=0.01, size=4 * RATE_HZ), "B", 10)
    magnitude = spectrum(sound)
    phases = np.exp(1j * np.random.default_rng(11).uniform(0, 6, magnitude.shape))
    stft = (magnitude * phases).astype(np.complex64)
    wanted = apply_to_magnitude(magnitude, factors)
    np.testing.assert_allclose(np.abs(apply_to_stft(stft, factors)), wanted, rtol=1e-4)
    found = apply_to_magnitude(torch.from_numpy(magnitude), factors).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    module = SpectrumGains(profile)(torch.from_numpy(magnitude)[None], "B")[0]
    np.testing.assert_allclose(module.numpy(), wanted, rtol=1e-4)
    samples = apply_to_samples(sound, factors, **ANALYSIS)
    layer = SpectrumGains(profile, domain="waveform")(torch.from_numpy(sound), "B")
    np.testing.assert_allclose(layer.numpy(), samples, atol=2e-6)
    np.testing.assert_array_equal(profile.apply(sound, RATE_HZ, device="B"), samples)
    np.testing.assert_array_equal(fitted.transform(sound[None], device="B")[0], samples)
    assert (
        np.abs(samples - apply_to_samples(sound, profile.gains_for("B"), **ANALYSIS)).max() > 1e-3
    )


def test_a_file_holds_the_noise_and_an_older_one_has_none(
    fitted: SpectrumCorrection, tmp_path: Path
) -> None:
    path = fitted.profile_.write(tmp_path / "profile.json")
    read = DeviceProfile.read(path)
    for name, device in fitted.profile_.devices.items():
        np.testing.assert_array_equal(read.devices[name].factors, device.factors)
    values = json.loads(path.read_text())
    assert "noise" not in values["devices"]["A"]
    values["devices"]["B"]["noise"][1][3] = -1.0
    with pytest.raises(
        DeviceError, match=r"noise levels of device B that are not two of 0 or more"
    ):
        DeviceProfile.from_mapping(values)
    del values["devices"]["B"]["noise"]
    older = DeviceProfile.from_mapping(values).devices["B"]
    np.testing.assert_array_equal(older.factors, fitted.profile_.gains_for("B"))


def test_gains_by_way_of_another_device_end_at_the_noise_of_its_reference(
    fitted: SpectrumCorrection,
) -> None:
    bins = FFT // 2 + 1
    own, levels = fitted.profile_, np.stack([np.full(bins, 3.0), np.full(bins, 2.0)])
    phone = DeviceGains(np.full(bins, 5.0), 10, np.zeros(bins), noise=levels)
    given = replace(own, reference=("B",), devices={"phone": phone, "B": own.devices["B"]})
    first = own.devices["B"]
    assert first.noise is not None
    found = merge(own, given).devices["phone"]
    np.testing.assert_array_equal(found.noise, [levels[0], first.noise[1]])
    plain = replace(own, devices={**own.devices, "B": replace(first, noise=None)})
    found = merge(plain, given).devices["phone"]
    np.testing.assert_array_equal(found.gains, 5 * first.gains)
    np.testing.assert_array_equal(found.noise, [levels[0], 2 * first.gains])


def test_spectra_without_noise_are_refused(fitted: SpectrumCorrection) -> None:
    with pytest.raises(DeviceError, match="without the noise of the clips"):
        SpectrumCorrection(reference="A", subtract_noise=True, **ANALYSIS).fit_spectra(
            replace(fitted.spectra_, noise=None)
        )
