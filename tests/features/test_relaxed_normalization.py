"""Relaxed instance frequency-wise normalization, against PyTorch's normalizations."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from anymic.errors import ConfigError
from anymic.features import Frontend, FrontendConfig
from anymic.features.frontend import relaxed_normalization


def test_it_is_the_weighted_sum_of_layer_and_instance_normalization() -> None:
    maps = torch.randn(3, 2, 5, 7, generator=torch.Generator().manual_seed(0)) * 4 + 1
    whole = nn.functional.layer_norm(maps, maps.shape[1:])
    by_band = nn.functional.instance_norm(maps.permute(0, 2, 1, 3).flatten(2))
    by_band = by_band.view(3, 5, 2, 7).permute(0, 2, 1, 3)
    found = relaxed_normalization(maps, 0.3)
    torch.testing.assert_close(found, 0.3 * whole + 0.7 * by_band, atol=1e-5, rtol=0)


def test_without_the_share_of_the_whole_clip_a_device_gain_has_no_effect() -> None:
    config = FrontendConfig(8000, 256, 128, 16, relaxed_normalization=0.0)
    log_mel = torch.randn(2, 16, 9, generator=torch.Generator().manual_seed(1))
    gains = torch.linspace(-3, 3, 16)[:, None]
    frontend = Frontend(config)
    plain, coloured = frontend.maps(log_mel), frontend.maps(log_mel + gains)
    torch.testing.assert_close(coloured, plain, atol=1e-5, rtol=0)


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_shares_outside_0_to_1_are_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="relaxed_normalization is"):
        FrontendConfig(relaxed_normalization=share)
