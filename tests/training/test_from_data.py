"""Settings from the clips: what is stated stays, the rest suits them, and nothing is too small."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import anymic
from anymic.data.manifest import Manifest
from anymic.data.reading import as_manifest
from anymic.errors import ConfigError
from anymic.features import FrontendConfig
from anymic.training import TrainingConfig, load_config
from anymic.training.config import presets
from anymic.training.from_data import in_windows, settle


def corpus(root: Path, *clips: tuple[int, float]) -> Manifest:
    """Write noise of these rates and lengths, of two labels by turns."""
    random = np.random.default_rng(0)
    for number, (rate_hz, length_s) in enumerate(clips):
        folder = root / ("even", "odd")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        samples = random.normal(scale=0.1, size=round(rate_hz * length_s))
        soundfile.write(folder / f"{number:02}.wav", samples, rate_hz)
    return as_manifest(root)


@pytest.mark.parametrize(
    ("rate_hz", "length_s", "chosen"),
    [
        (44100, 5.0, (44100, 2048, 1024, 128, 5.0)),  # those of `small` before
        (48000, 5.0, (48000, 2048, 1024, 128, 5.0)),
        (96000, 1.0, (48000, 2048, 512, 128, 1.0)),
        (22050, 2.0, (22050, 1024, 512, 128, 2.0)),
        (8000, 1.0, (8000, 512, 128, 64, 1.0)),
        (8000, 0.3, (8000, 512, 64, 64, 0.3)),
        (16000, 30.0, (16000, 1024, 512, 128, 10.0)),
    ],
)
def test_settings_suit_the_clips(
    tmp_path: Path, rate_hz: int, length_s: float, chosen: tuple[float, ...]
) -> None:
    clips = corpus(tmp_path, *[(rate_hz, length_s)] * 2)
    config, notes = settle(load_config("spectrum-correction"), clips)
    front = config.frontend
    found = (front.rate_hz, front.fft_size, front.hop_samples, front.bands, config.clip_s)
    assert list(found) == list(chosen)
    assert config.from_data == ()
    small = load_config("small")
    few = settle(small, clips)[0]
    share = small.frontend.relaxed_normalization
    own = replace(front, bands=64, relaxed_normalization=share)
    assert few == replace(config, frontend=own, random_devices=small.random_devices)
    assert f"{chosen[0]} Hz, FFT of {chosen[1]}, hop of {chosen[2]} samples" in notes[0]
    assert settle(config, clips) == (config, [])


def test_what_is_stated_stays(tmp_path: Path) -> None:
    clips = corpus(tmp_path, (8000, 1.0), (8000, 1.0))
    changes = {"frontend.rate_hz": 44100, "frontend.hop_samples": 300, "clip_s": 2}
    config, _ = settle(load_config("small", changes=changes), clips)
    front = config.frontend
    assert (front.rate_hz, front.hop_samples, config.clip_s) == (44100, 300, 2)
    assert (front.fft_size, front.bands) == (2048, 64)
    whole = {"frontend": {"rate_hz": 16000}}
    config, _ = settle(load_config("small", changes=whole), clips)
    assert config.frontend == FrontendConfig(rate_hz=16000)


def test_other_presets_take_nothing_from_the_clips(tmp_path: Path) -> None:
    clips = corpus(tmp_path, (8000, 1.0), (8000, 1.0))
    for name in set(presets()) - {"small", "spectrum-correction"}:
        config, notes = settle(load_config(name), clips)
        assert (config.frontend, notes) == (load_config(name).frontend, [])
    with pytest.raises(ConfigError, match=r"The clips last from 1.0 to 2.0 s"):
        settle(TrainingConfig(), corpus(tmp_path / "mixed", (8000, 1.0), (8000, 2.0)))


def test_mixed_rates_and_lengths_are_trained_on_and_said(tmp_path: Path) -> None:
    lengths = [(8000, 0.5)] * 6 + [(16000, 0.3)] * 2 + [(8000, 2.6)] * 2
    clips = corpus(tmp_path / "clips", *lengths)
    config = load_config("small", changes={"epochs": 1, "width": 0.25})
    bundle = anymic.train(clips, config, tmp_path / "run", progress=False)
    assert bundle.training["failures"] == []
    assert bundle.training["clips"] == 8 + 2 * 5  # of 2.6 s: five windows of 0.5 s
    said = " ".join(bundle.training["notes"])
    assert "2 clips of 16000 Hz are resampled" in said
    assert "2 longer clips are divided into windows" in said
    assert bundle.contract.clip_s == 0.5
    again = anymic.train(clips, config, tmp_path / "run", progress=False, resume=True)
    assert again.training["clips"] == 18


def test_at_most_sixty_windows_of_a_clip_train(tmp_path: Path) -> None:
    clips = corpus(tmp_path, (8000, 10.0), (8000, 1.0))
    assert len(in_windows(clips, 0.1)) == 60 + 10
    assert in_windows(clips, 7.0) is clips


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"frontend.hop_samples": 256}, "frontend.hop_samples to 1[0-9]{2} or less"),
        ({"frontend.bands": 8}, r"8 bands \(frontend.bands\).*at least 21 of each"),
        ({"crop_frames": 5}, "crop_frames to 21 or more"),
    ],
)
def test_features_too_small_for_the_network_are_refused_before_they_are_computed(
    tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    clips = corpus(tmp_path / "clips", *[(8000, 0.5)] * 4)
    with pytest.raises(ConfigError, match=words):
        anymic.train(clips, load_config("small", changes=changes), tmp_path / "run")
    assert not (tmp_path / "run" / "features").exists()
    hop = {"frontend.hop_samples": 199, "frontend.bands": 21, "epochs": 1}
    anymic.train(clips, load_config("small", changes=hop), tmp_path / "run", progress=False)


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("hop", "frontend.hop_samples"),
        ("fft", "frontend.fft_size"),
        ("bands", "frontend.bands"),
        ("reference", "correction.reference"),
        ("epoch", "epochs"),
        ("frontend.hop", "hop_samples"),
        ("hop_sample", "frontend.hop_samples"),
    ],
)
def test_a_wrong_key_is_compared_with_nested_ones(key: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=f"did you mean '{meant}'"):
        load_config("small", changes={key: 1})


def test_only_settings_that_can_be_chosen_are_taken_from_the_data() -> None:
    with pytest.raises(ConfigError, match=r"from_data is \['epochs'\] \(known: frontend.rate_hz"):
        load_config("small", changes={"from_data": ["epochs"]})
