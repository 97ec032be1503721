"""The losses, against numbers worked out by hand and against PyTorch's own."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from anymic.errors import ConfigError
from anymic.losses import SoftTargetLoss


def test_focal_loss_by_hand() -> None:
    # p = softmax([ln 3, 0]) = (0.75, 0.25); the target is the first class: 0.25 * -ln 0.75.
    logits, target = torch.tensor([[math.log(3.0), 0.0]]), torch.tensor([[1.0, 0.0]])
    loss = SoftTargetLoss("focal", focal_power=1.0)(logits, target)
    assert loss.item() == pytest.approx(-0.25 * math.log(0.75), rel=1e-6)


def test_focal_loss_of_soft_targets_by_hand() -> None:
    # 0.6 * 0.25**2 * -ln 0.75 + 0.4 * 0.75**2 * -ln 0.25
    logits, target = torch.tensor([[math.log(3.0), 0.0]]), torch.tensor([[0.6, 0.4]])
    loss = SoftTargetLoss("focal", focal_power=2.0)(logits, target)
    expected = -(0.6 * 0.0625 * math.log(0.75) + 0.4 * 0.5625 * math.log(0.25))
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_cross_entropy_equals_pytorchs_with_soft_targets() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(7, 5, generator=generator)
    targets = torch.rand(7, 5, generator=generator).softmax(dim=1)
    expected = nn.functional.cross_entropy(logits, targets)
    torch.testing.assert_close(SoftTargetLoss("cross_entropy")(logits, targets), expected)
    torch.testing.assert_close(SoftTargetLoss("focal", focal_power=0.0)(logits, targets), expected)


def test_temperature_divides_the_logits_and_so_scales_the_gradient() -> None:
    # d/dz of cross-entropy at temperature T is (softmax(z / T) - y) / T.
    logits = torch.tensor([[2.0, -1.0, 0.5]], requires_grad=True)
    target = torch.tensor([[0.0, 1.0, 0.0]])
    SoftTargetLoss("cross_entropy", temperature=10.0)(logits, target).backward()
    expected = ((logits.detach() / 10).softmax(dim=1) - target) / 10
    torch.testing.assert_close(logits.grad, expected)


@pytest.mark.parametrize("temperature", [0.1, 1.0, 100.0])
@pytest.mark.parametrize("name", ["focal", "cross_entropy"])
def test_extreme_logits_in_bfloat16_stay_finite(name: str, temperature: float) -> None:
    logits = torch.tensor([[300.0, -300.0], [-300.0, 300.0]], dtype=torch.bfloat16)
    logits.requires_grad_()
    loss = SoftTargetLoss(name, temperature=temperature)(logits, torch.eye(2))  # type: ignore[arg-type]
    loss.backward()
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="temperature 0"):
        SoftTargetLoss("focal", temperature=0)
    with pytest.raises(ConfigError, match="focal or cross_entropy"):
        SoftTargetLoss("hinge")  # type: ignore[arg-type]
