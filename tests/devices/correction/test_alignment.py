"""Takes whose clips were not recorded at the same moment are left out, with the lag."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from numpy.typing import NDArray
from scipy.signal import butter, iirpeak, lfilter, sosfilt

from anymic import SpectrumCorrection
from anymic.cli import main
from anymic.data.manifest import Manifest
from anymic.devices.correction.alignment import lags
from anymic.devices.correction.frames import SampleFrames
from anymic.devices.correction.spectra import measure

RATE_HZ = 16000
TOLERANCE = 2048
Samples = NDArray[np.float32]


def sound(seed: int, seconds: float = 4.0) -> Samples:
    """Return bursts of filtered noise and tones, at random moments."""
    generator = np.random.default_rng(seed)
    samples = 1e-4 * generator.standard_normal(round(seconds * RATE_HZ))
    for _ in range(max(2, round(2 * seconds))):
        length = int(generator.integers(RATE_HZ // 20, RATE_HZ // 2))
        start = int(generator.integers(0, len(samples) - length // 2))
        low = generator.uniform(100, 2000)
        band = butter(2, (low, 3 * low), "bandpass", fs=RATE_HZ, output="sos")
        burst = sosfilt(band, generator.standard_normal(length)) * np.hanning(length)
        samples[start : start + length] += burst[: len(samples) - start]
    return np.asarray(0.3 * samples / np.abs(samples).max(), np.float32)


def recorded(samples: Samples, seed: int, *, noise: float = 1e-3) -> Samples:
    """Return what another microphone records: two resonances, a high-pass, a noise floor."""
    generator = np.random.default_rng(seed)
    low = 300 + 100 * (seed % 9)
    peaks = butter(1, (low, 3 * low), "bandpass", fs=RATE_HZ, output="sos")
    floor = noise * generator.standard_normal(len(samples))
    return np.asarray(samples + 3 * sosfilt(peaks, samples) + floor, np.float32)


def late(samples: Samples, seconds: float) -> Samples:
    count = round(abs(seconds) * RATE_HZ)
    silence = np.full(count, 1e-5, np.float32)
    if seconds < 0:
        return np.concatenate([samples[count:], silence])
    return np.concatenate([silence, samples])[: len(samples)]


def found(*clips: Samples) -> tuple[int, list[float]]:
    frames = [SampleFrames(clip, fft_size=2048, hop_samples=1024) for clip in clips]
    return lags(frames, tolerance=TOLERANCE)


@pytest.mark.parametrize("noise", [1e-4, 1e-2, 1e-1])
@pytest.mark.parametrize("seconds", [0.5, 4.0])
def test_the_same_moment_through_other_microphones_is_aligned(noise: float, seconds: float) -> None:
    for seed in range(10):
        clip = sound(seed, seconds)
        shifted = late(recorded(clip, seed + 1, noise=noise), 0.03)  # a few meters away
        assert found(clip, recorded(clip, seed, noise=noise), shifted) == (0, [0, 0, 0])


@pytest.mark.parametrize("seconds", [2.0, -2.0, 0.4, -0.25])
def test_the_lag_of_a_late_clip_is_found(seconds: float) -> None:
    for seed in range(5):
        clip = sound(seed)
        _, (first, second) = found(clip, late(recorded(clip, seed), seconds))
        assert first == 0
        assert second == pytest.approx(seconds * RATE_HZ, abs=20)


def test_nine_of_ten_pairs_of_different_sounds_are_found() -> None:
    pairs = [(sound(seed), recorded(sound(seed + 100), seed)) for seed in range(30)]
    different = sum(np.isnan(found(*pair)[1][1]) for pair in pairs)
    assert different >= 27


def test_most_clips_decide_which_one_is_late() -> None:
    clip = sound(1)
    anchor, result = found(late(clip, 1.0), recorded(clip, 2), recorded(clip, 3), sound(50))
    assert anchor == 1
    assert result[0] == pytest.approx(RATE_HZ, abs=20)
    assert result[1:3] == [0, 0]
    assert np.isnan(result[3])


def test_three_of_five_clips_decide_although_two_others_agree() -> None:
    clip = sound(1)
    others = [recorded(clip, seed) for seed in (3, 4, 5)]
    anchor, result = found(late(clip, 1.0), late(recorded(clip, 2), 1.0), *others)
    assert anchor == 2
    assert result == [pytest.approx(RATE_HZ, abs=20)] * 2 + [0, 0, 0]


@pytest.mark.parametrize("scale", [1.0, 1e-4])
def test_a_resonance_does_not_hide_a_lag_at_any_level(scale: float) -> None:
    """It rings for longer than the lag: only all bins of the spectrum together show the moment."""
    for seed in range(3):
        ringing = lfilter(*iirpeak(200, 40, fs=RATE_HZ), sound(seed, 6.0))
        clip = np.asarray(scale * (30 * ringing + 0.05 * sound(seed, 6.0)), np.float32)
        lag = 2400  # little more than the tolerance
        assert found(clip, late(clip, lag / RATE_HZ))[1][1] == pytest.approx(lag, abs=20)


@pytest.mark.parametrize(("level", "lag_s"), [(0.6, 0.4), (0.9, 0.0)])
def test_of_two_arrivals_the_later_counts_if_it_is_clearly_the_stronger(
    level: float, lag_s: float
) -> None:
    """By half in the cross-correlation: the first is 0.6 or 0.9 times as strong."""
    for seed in range(3):
        clip = sound(seed)
        both = late(clip, 0.4) + np.float32(level) * clip
        assert found(clip, both)[1][1] == pytest.approx(lag_s * RATE_HZ, abs=20)


def test_equal_magnitudes_are_enough_where_phases_have_nothing_in_common() -> None:
    """Blocks of noise, half of them with the other sign: the cross-correlation is 0 at lag 0."""
    generator = np.random.default_rng(0)
    noise = generator.standard_normal((2, 40, 2048)).astype(np.float32)
    signs = np.where(np.arange(40) % 4 < 2, 1, -1)[:, None]
    one, turned, other = (
        SampleFrames(np.asarray(clip, np.float32).ravel(), fft_size=2048, hop_samples=2048)
        for clip in (noise[0], signs * noise[0], noise[1])
    )
    assert lags([one, turned], tolerance=TOLERANCE) == (0, [0.0, 0.0])
    assert np.isnan(lags([one, other], tolerance=TOLERANCE)[1][1])


@pytest.mark.parametrize("constant", [0.0, 0.5])
def test_a_clip_without_a_sound_is_not_a_number_error(constant: float) -> None:
    _, (_, second) = found(sound(1), np.full(4 * RATE_HZ, constant, np.float32))
    assert second == 0 or np.isnan(second)


def corpus(folder: Path, clips: dict[str, tuple[str, str, Samples]]) -> Path:
    rows = []
    for name, (device, take, samples) in clips.items():
        soundfile.write(folder / name, samples, RATE_HZ, subtype="FLOAT")
        rows.append({"path": name, "label": "x", "device": device, "take": take})
    pd.DataFrame(rows).to_csv(folder / "takes.csv", index=False)
    return folder / "takes.csv"


def test_takes_that_are_not_aligned_are_left_out_with_the_lag(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = {f"{d}{n}.wav": (d, str(n), recorded(sound(n), ord(d))) for n in range(3) for d in "AB"}
    late_clip = late(recorded(sound(7), 2), 2.0)
    odd = {
        "a7.wav": ("A", "7", sound(7)),
        "b7.wav": ("B", "7", late_clip),
        "a8.wav": ("A", "8", sound(8)),
        "b8.wav": ("B", "8", recorded(sound(80), 2)),
    }
    table = corpus(tmp_path, good | odd)
    spectra = measure(Manifest.read(table), aligned_only=True)
    reasons = {Path(one.path).name: one.reason for one in spectra.failures}
    assert "is 2.000 s later than that of A in the same take" in reasons["b7.wav"]
    assert "is 2.000 s earlier than that of B in the same take" in reasons["a7.wav"]
    assert "has no sound in common with that of A" in reasons["b8.wav"]
    assert set(reasons) == set(odd)
    kept = SpectrumCorrection(reference="A").fit(Manifest.read(table)).profile_
    (tmp_path / "good").mkdir()
    alone = SpectrumCorrection(reference="A").fit(Manifest.read(corpus(tmp_path / "good", good)))
    np.testing.assert_array_equal(kept.gains_for("B"), alone.profile_.gains_for("B"))
    out = str(tmp_path / "profile.json")
    command = ["devices", "profile", str(table), "--reference", "A", "--out", out]
    assert main(command) == 1
    said = capsys.readouterr()
    assert "2.000 s" in said.out + said.err
    assert "no sound in common" in said.out + said.err


def test_arrays_are_compared_as_well() -> None:
    clips = [sound(1), recorded(sound(1), 2), sound(3), late(sound(3), 1.0)]
    correction = SpectrumCorrection(reference="A").fit(
        np.stack(clips), device=["A", "B", "A", "B"], take=[1, 1, 2, 2], rate_hz=RATE_HZ
    )
    assert correction.profile_.devices["B"].count == 1


def test_real_recordings_by_nine_microphones_are_aligned(shared_data: Path) -> None:
    """Far and close microphones: the sound arrives up to 32 ms apart."""
    drums = shared_data / "drums-9-microphones"
    if not drums.is_dir():
        pytest.skip("real recordings (shared/data: drums-9-microphones) are not on this machine")
    table = pd.read_csv(drums / "manifest.csv")
    for take in sorted(table["take"].unique())[::25]:
        paths = table.loc[table["take"] == take, "path"]
        clips = [soundfile.read(drums / path, dtype="float32")[0] for path in paths]
        assert found(*clips)[1] == [0] * len(clips)
