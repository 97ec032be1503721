from __future__ import annotations

from pathlib import Path

import librosa
import numpy as np
import pandas as pd
import pytest
import soundfile

from anymic.data.manifest import Manifest
from anymic.devices.correction.frames import MagnitudeFrames, SampleFrames
from anymic.devices.correction.spectra import ClipSpectra, measure
from anymic.errors import DeviceError, ManifestError

RATE_HZ = 16000


def manifest_of(folder: Path, clips: dict[str, tuple[str, str, np.ndarray]]) -> Manifest:
    rows = []
    for name, (device, take, samples) in clips.items():
        soundfile.write(folder / name, samples.astype(np.float32), RATE_HZ, subtype="FLOAT")
        rows.append({"path": name, "label": "x", "device": device, "take": take})
    return Manifest.from_table(pd.DataFrame(rows), folder)


def white(seed: int, samples: int = RATE_HZ) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(samples)


@pytest.mark.parametrize("samples", [100, 2048, 20001])
def test_mean_spectra_equal_librosas(tmp_path: Path, samples: int) -> None:
    clip = white(1, samples)
    spectra = measure(manifest_of(tmp_path, {"a.wav": ("A", "", clip)}), silence_db=-300.0)
    magnitude = np.abs(librosa.stft(clip, n_fft=2048, hop_length=512))
    assert spectra.frames[0] == magnitude.shape[1]
    np.testing.assert_allclose(spectra.magnitude[0], magnitude.mean(axis=1), rtol=1e-4)
    np.testing.assert_allclose(spectra.log_magnitude[0], np.log(magnitude).mean(axis=1), atol=1e-3)


def test_floor_is_relative_to_the_loudest_frame(tmp_path: Path) -> None:
    clip = white(2)
    tone = clip + np.sin(np.arange(len(clip)))
    magnitude = np.abs(librosa.stft(tone, n_fft=512, hop_length=256))
    # Parseval: the sum of squares over the two-sided spectrum, per bin of the window's length.
    both = np.concatenate([magnitude, magnitude[-2:0:-1]])
    level = np.sqrt((both**2).mean(axis=0)).max()
    spectra = measure(
        manifest_of(tmp_path, {"a.wav": ("A", "", tone)}),
        fft_size=512,
        hop_samples=256,
        floor_db=-20.0,
        silence_db=-300.0,
    )
    expected = np.log(np.maximum(magnitude, 0.1 * level)).mean(axis=1)
    np.testing.assert_allclose(spectra.log_magnitude[0], expected, atol=1e-4)
    assert (magnitude < 0.1 * level).any()


def test_frames_silent_on_one_device_count_for_none(tmp_path: Path) -> None:
    sound, hiss = white(3, 5 * RATE_HZ), 0.02 * white(4, 5 * RATE_HZ)
    sound[2 * RATE_HZ :] = 0
    clips = {"a.wav": ("A", "t", sound), "b.wav": ("B", "t", sound + hiss)}
    spectra = measure(manifest_of(tmp_path, clips))
    assert spectra.active_frames[0] == spectra.active_frames[1]
    share = spectra.active_frames[0] / spectra.frames[0]
    assert share == pytest.approx(0.4, abs=0.02)
    # B alone takes its hiss, 34 dB down, for sound.
    assert (spectra.joint_log_magnitude[1] - spectra.log_magnitude[1]).mean() > 1.5


def test_a_segment_is_what_the_table_says(tmp_path: Path) -> None:
    clip = white(5, 3 * RATE_HZ)
    whole = manifest_of(tmp_path, {"long.wav": ("A", "", clip)})
    part = whole.with_columns(start_s=[1.0], duration_s=[0.5])
    cut = manifest_of(tmp_path, {"cut.wav": ("A", "", clip[RATE_HZ : RATE_HZ * 3 // 2])})
    np.testing.assert_array_equal(measure(part).magnitude, measure(cut).magnitude)


def test_long_clips_go_block_by_block(tmp_path: Path) -> None:
    clip = white(6, 512 * 600 + 7)
    magnitude = np.abs(librosa.stft(clip, n_fft=2048, hop_length=512)).mean(axis=1)
    spectra = measure(manifest_of(tmp_path, {"a.wav": ("A", "", clip)}))
    np.testing.assert_allclose(spectra.magnitude[0], magnitude, rtol=1e-4)


def test_bad_clips_are_failures_and_the_rest_goes_on(tmp_path: Path) -> None:
    clips = {
        "a1.wav": ("A", "1", white(7)),
        "b1.wav": ("B", "1", white(8)),
        "a2.wav": ("A", "2", white(9)),
        "b2.wav": ("B", "2", np.zeros(RATE_HZ)),
        "a3.wav": ("A", "3", white(10)),
        "b3.wav": ("B", "3", white(11, RATE_HZ // 2)),
        "a4.wav": ("A", "4", np.r_[white(12), np.zeros(RATE_HZ)]),
        "b4.wav": ("B", "4", np.r_[np.zeros(RATE_HZ + 2048), white(12)[2048:]]),
        "a5.wav": ("A", "5", white(13)),
        "b5.wav": ("B", "5", np.full(RATE_HZ, np.nan)),
    }
    manifest = manifest_of(tmp_path, clips)
    soundfile.write(tmp_path / "a5.wav", white(13), 8000)
    (tmp_path / "b1.wav").write_text("not sound")
    spectra = measure(manifest)
    failed = {Path(failure.path).name: failure.reason for failure in spectra.failures}
    assert set(failed) == {"b1.wav", "b2.wav", "a3.wav", "b3.wav", "a4.wav", "b4.wav"} | {
        "a5.wav",
        "b5.wav",
    }
    assert "equal lengths" in failed["a3.wav"]
    assert "is 1.000 s earlier than that of" in failed["a4.wav"]
    assert "is 1.000 s later than that of A" in failed["b4.wav"]
    assert "8000 Hz" in failed["a5.wav"]
    assert sorted(map(str, spectra.takes)) == ["1", "2"]


def test_nothing_to_measure_says_why(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path, {"a.wav": ("A", "", white(1))})
    with pytest.raises(DeviceError, match="aligned take"):
        measure(manifest, aligned_only=True)
    (tmp_path / "a.wav").unlink()
    with pytest.raises(
        DeviceError, match=r"no clip to measure\. The first of 1 failures: .*a\.wav"
    ):
        measure(manifest)
    without = Manifest.from_table(manifest.table.drop(columns="device"), tmp_path)
    with pytest.raises(ManifestError, match="device"):
        measure(without)


@pytest.mark.parametrize(("fft_size", "hop_samples"), [(2047, 512), (8, 4), (512, 0), (512, 513)])
def test_an_analysis_that_skips_samples_is_refused(
    tmp_path: Path, fft_size: int, hop_samples: int
) -> None:
    manifest = manifest_of(tmp_path, {"a.wav": ("A", "", white(1))})
    with pytest.raises(DeviceError, match="Expected"):
        measure(manifest, fft_size=fft_size, hop_samples=hop_samples)


def test_a_take_recorded_twice_by_one_device_is_refused(tmp_path: Path) -> None:
    clips = {
        "a.wav": ("A", "t", white(1)),
        "b.wav": ("B", "t", white(1)),
        "c.wav": ("B", "t", white(1)),
    }
    spectra: ClipSpectra = measure(manifest_of(tmp_path, clips))
    with pytest.raises(DeviceError, match="Take t has two clips of device B"):
        spectra.aligned_rows(["A", "B"])


@pytest.mark.parametrize("fft_size", [64, 512])
def test_levels_of_a_spectrogram_are_those_of_its_samples(fft_size: int) -> None:
    """By Parseval's theorem: all bins but the first and the last stand for two."""
    samples = np.random.default_rng(0).normal(loc=0.5, size=4000).astype(np.float32)
    samples += np.cos(np.pi * np.arange(4000), dtype=np.float32)  # much in the last bin, too
    frames = SampleFrames(samples, fft_size=fft_size, hop_samples=fft_size // 4)
    spectrogram = MagnitudeFrames(np.concatenate(list(frames.magnitudes())).T)
    np.testing.assert_allclose(spectrogram.levels(), frames.levels(), rtol=1e-5)
