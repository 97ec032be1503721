"""Random cut-offs: where they lie, and that they do what a low-pass filter does."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import signal

from anymic.codecs.random_codec import Codecs
from anymic.errors import ConfigError
from anymic.features import Frontend, FrontendConfig
from anymic.training import TrainingConfig
from anymic.training.loop.cut_offs import CutOffDraw, CutOffs, cut_offs

CONFIG = FrontendConfig(rate_hz=44100, fft_size=2048, hop_samples=1024, bands=64)


def test_the_share_of_clips_has_frequencies_uniform_over_their_logarithm() -> None:
    drawn = CutOffs(0.4, CONFIG).draw(20000, np.random.default_rng(0)).first.numpy()
    cut = drawn[drawn < CONFIG.bands]
    octaves = math.log2(22050 / 3400)
    centres = CutOffs(0.4, CONFIG).centres_hz
    # A cut-off above the last band's centre empties no band.
    share = 0.4 * math.log2(centres[-1] / 3400) / octaves
    assert len(cut) / len(drawn) == pytest.approx(share, abs=0.01)
    assert centres[cut.min()] == pytest.approx(3400, rel=0.06)
    middle = np.searchsorted(centres, 3400 * 2 ** (octaves / 2))
    assert np.mean(drawn < middle) == pytest.approx(0.2, abs=0.02)


def test_emptied_bands_are_those_of_a_filtered_recording() -> None:
    generator, cut_hz = np.random.default_rng(1), 5000.0
    noise = 0.1 * generator.standard_normal(4 * 44100)
    taps = signal.firwin(4001, cut_hz, fs=44100, window=("kaiser", 14))
    filtered = signal.fftconvolve(noise, taps, mode="same")
    frontend = Frontend(CONFIG)
    both = torch.from_numpy(np.stack([noise, filtered]).astype(np.float32))
    plain, wanted = frontend.log_mel(both, frontend.device_index([None, None]))[:, :, 3:-3]
    cuts = CutOffs(1.0, CONFIG)
    first = torch.tensor([int(np.searchsorted(cuts.centres_hz, cut_hz))])
    made = CutOffDraw(first, cuts.empty).apply(plain[None])[0]
    width = 4  # bands beside the cut-off: it divides one, and others leak into their neighbours
    below, above = slice(0, int(first) - width), slice(int(first) + width, None)
    torch.testing.assert_close(made[below], wanted[below], atol=0.05, rtol=0)
    assert float((plain[above] - wanted[above]).mean()) > 3  # what is there without a cut-off
    torch.testing.assert_close(made[above], wanted[above], atol=0.1, rtol=0)


def test_a_draw_is_seeded_and_leaves_its_input_as_it_is() -> None:
    draw = CutOffs(0.5, CONFIG).draw(8, np.random.default_rng(3))
    again = CutOffs(0.5, CONFIG).draw(8, np.random.default_rng(3))
    assert torch.equal(draw.first, again.first)
    features = torch.randn(8, 64, 5)
    before = features.clone()
    changed = draw.apply(features)
    assert torch.equal(features, before)
    assert torch.equal(changed[draw.first == 64], before[draw.first == 64])


def test_features_that_are_samples_have_no_cut_off() -> None:
    waveform = FrontendConfig(
        rate_hz=16000, fft_size=1024, hop_samples=512, bands=1, features="waveform"
    )
    config = replace(TrainingConfig(), frontend=waveform, codecs=Codecs())
    assert cut_offs(config) is None
    with pytest.raises(ConfigError, match="features are the samples"):
        cut_offs(replace(config, codecs=Codecs(masks=0.5)))
    assert cut_offs(replace(TrainingConfig(), codecs=Codecs(set=("mp3 32",)))) is None
