from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import librosa
import numpy as np
import pytest
import scipy.signal
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anymic.audio import Clip
from anymic.devices.correction.apply import apply_to_magnitude, apply_to_stft, apply_to_waveform
from anymic.errors import DeviceError

RATE_HZ = 16000


def noise(samples: int, seed: int = 0) -> Clip:
    values = 0.2 * np.random.default_rng(seed).standard_normal(samples)
    return Clip(values.astype(np.float32), RATE_HZ, path="noise", notes=("a note",))


@settings(max_examples=40, deadline=None)
@given(
    samples=st.integers(1, 9000),
    half=st.integers(8, 1024),
    share=st.floats(0.001, 1.0),
    gain_db=st.floats(-40, 40),
)
def test_a_constant_gain_is_a_constant_factor(
    samples: int, half: int, share: float, gain_db: float
) -> None:
    """Any length (shorter than a window too), FFT size and hop; at 0 dB the input comes back."""
    clip, factor = noise(samples), 10 ** (gain_db / 20)
    hop = max(1, round(share * half)) if half < 64 else max(half // 8, round(share * half))
    result = apply_to_waveform(clip, np.full(half + 1, factor), fft_size=2 * half, hop_samples=hop)
    assert result.samples.dtype == np.float32
    assert len(result.samples) == samples
    np.testing.assert_allclose(result.samples / factor, clip.samples, atol=1e-5)


def test_nothing_but_the_samples_changes() -> None:
    clip = noise(5000)
    before = clip.samples.copy()
    result = apply_to_waveform(clip, np.full(1025, 0.5))
    np.testing.assert_array_equal(clip.samples, before)
    assert (result.rate_hz, result.path, result.notes) == (clip.rate_hz, clip.path, clip.notes)


def test_the_middle_equals_librosas_round_trip() -> None:
    clip = noise(3 * RATE_HZ)
    gains = np.exp(np.random.default_rng(3).normal(size=1025))
    stft = librosa.stft(clip.samples, n_fft=2048, hop_length=512)
    expected = librosa.istft(apply_to_stft(stft, gains), hop_length=512, length=len(clip.samples))
    result = apply_to_waveform(clip, gains)
    inside = slice(4096, -4096)
    np.testing.assert_allclose(result.samples[inside], expected[inside], atol=2e-5)


def test_gains_of_a_short_filter_act_as_that_filter_without_delay() -> None:
    taps = scipy.signal.firwin2(65, [0, 0.2, 0.5, 1], [0.3, 2.0, 1.0, 0.5])
    clip = noise(2 * RATE_HZ)
    expected = scipy.signal.convolve(clip.samples, taps, mode="same")
    magnitude = np.abs(np.fft.rfft(taps, 2048))
    result = apply_to_waveform(clip, magnitude)
    error = result.samples - expected
    assert np.sqrt(np.mean(error**2)) < 0.01 * np.sqrt(np.mean(expected**2))
    # To the very ends: nothing is faded in or out.
    assert np.abs(error[:64]).max() < 0.05 * np.abs(expected).max()
    assert np.abs(error[-64:]).max() < 0.05 * np.abs(expected).max()


def test_a_click_stays_where_it_was() -> None:
    samples = np.zeros(RATE_HZ, dtype=np.float32)
    samples[7000] = 1.0
    gains = 10 ** (np.interp(np.arange(1025), [0, 200, 600, 1024], [12, 0, -12, 6]) / 20)
    result = apply_to_waveform(Clip(samples, RATE_HZ), gains)
    assert int(np.argmax(np.abs(result.samples))) == 7000


@pytest.mark.parametrize("shape", [(1025, 7), (2, 1025, 7)])
def test_magnitudes_and_stfts_of_both_kinds_are_multiplied_alike(shape: tuple[int, ...]) -> None:
    generator = np.random.default_rng(4)
    magnitude = generator.random(shape).astype(np.float32)
    stft = (magnitude * np.exp(1j * generator.random(shape))).astype(np.complex64)
    gains = generator.random(1025) + 0.1
    cases: list[tuple[Any, Callable[..., Any]]] = [
        (magnitude, apply_to_magnitude),
        (stft, apply_to_stft),
    ]
    for values, function in cases:
        before = values.copy()
        result = function(values, gains)
        as_tensor = function(torch.from_numpy(values), gains)
        assert result.dtype == values.dtype
        assert as_tensor.dtype == torch.from_numpy(values).dtype
        np.testing.assert_array_equal(values, before)
        np.testing.assert_allclose(result, before * gains[:, None], rtol=1e-6)
        np.testing.assert_array_equal(as_tensor.numpy(), result)
    np.testing.assert_allclose(
        np.abs(apply_to_stft(stft, gains)), apply_to_magnitude(np.abs(stft), gains), rtol=1e-6
    )


def test_a_spectrum_that_cannot_be_written_is_corrected_without_a_warning() -> None:
    magnitude = np.ones((17, 3), np.float32)
    magnitude.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(apply_to_magnitude(magnitude, np.full(17, 2.0)), 2)


def test_gains_that_do_not_fit_are_refused() -> None:
    with pytest.raises(
        DeviceError, match=r"gains have shape \(513,\)\. Expected one gain for each bin"
    ):
        apply_to_waveform(noise(3000), np.ones(513))
    with pytest.raises(DeviceError, match=r"\(1025,\)"):
        apply_to_magnitude(np.ones((1025, 3)), np.ones(1024))
    with pytest.raises(DeviceError, match="axis of bins"):
        apply_to_magnitude(np.ones(1025), np.ones(1025))
    with pytest.raises(DeviceError, match="hop is 2500 samples"):
        apply_to_waveform(noise(3000), np.ones(1025), hop_samples=2500)


def test_samples_are_corrected_with_overlapping_windows_whatever_the_hop() -> None:
    gains = np.linspace(0.5, 2, 1025)
    wanted = apply_to_waveform(noise(3000), gains, hop_samples=1024)
    found = apply_to_waveform(noise(3000), gains, hop_samples=2048)
    np.testing.assert_array_equal(found.samples, wanted.samples)
