"""What networks share: the mean over their maps, and the layout of its gradient."""

from __future__ import annotations

from typing import Any

import torch

from anymic import models
from anymic.models.network import mean_of_maps


def test_the_mean_over_maps_has_the_gradient_of_a_mean_laid_out_as_the_maps() -> None:
    torch.manual_seed(0)
    maps = torch.randn(2, 8, 5, 7).contiguous(memory_format=torch.channels_last).requires_grad_()
    torch.testing.assert_close(mean_of_maps(maps), maps.mean(dim=(2, 3)))
    upstream = torch.randn(2, 8)
    (gradient,) = torch.autograd.grad(mean_of_maps(maps), maps, upstream)
    expected = upstream[:, :, None, None].expand(2, 8, 5, 7) / (5 * 7)
    torch.testing.assert_close(gradient, expected)


def test_no_gradient_reaches_a_normalization_in_another_layout_than_its_maps() -> None:
    """The slow path of batch normalization takes a fifth of a training step."""
    network: Any = models.build("basic1", classes=3)
    network.to(memory_format=torch.channels_last)
    laid_out = []
    for block in network.blocks:
        block[2].register_full_backward_hook(
            lambda _module, _inputs, outputs: laid_out.append(
                outputs[0].is_contiguous(memory_format=torch.channels_last)
            )
        )
    features = torch.randn(3, 1, 40, 50).contiguous(memory_format=torch.channels_last)
    network(features).square().sum().backward()
    assert laid_out == [True] * len(network.blocks)
