"""The standardization, beside numpy over all frames at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from anymic.errors import ConfigError
from anymic.features import Frontend, FrontendConfig, Standardizer


def clips(seed: int = 0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.normal(-6, 2, (16, frames)).astype(np.float16) for frames in (5, 40, 17)]


def test_one_pass_equals_numpy_over_all_frames() -> None:
    standardizer = Standardizer().fit(clips())
    together = np.concatenate(clips(), axis=1).astype(np.float64)
    np.testing.assert_allclose(standardizer.mean_, together.mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(standardizer.scale_, together.std(axis=1), rtol=1e-6)


def test_the_training_clips_come_out_with_zero_mean_and_unit_variance() -> None:
    frontend = Frontend(FrontendConfig(bands=16)).standardize_by(Standardizer().fit(clips()))
    result = frontend.standardize(torch.from_numpy(np.concatenate(clips(), axis=1)).float())
    torch.testing.assert_close(result.mean(dim=1), torch.zeros(16), atol=1e-4, rtol=0)
    torch.testing.assert_close(result.std(dim=1, correction=0), torch.ones(16), atol=1e-4, rtol=0)


def test_a_band_that_never_changes_stays_finite() -> None:
    standardizer = Standardizer().fit([np.full((4, 9), -11.5)])
    assert (standardizer.scale_ > 0).all()


def test_no_clip_is_refused() -> None:
    with pytest.raises(ConfigError, match="no clips to standardize on"):
        Standardizer().fit([])
