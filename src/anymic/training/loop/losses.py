"""Losses for soft targets, with a temperature."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from anymic.errors import ConfigError

LossName = Literal["focal", "cross_entropy"]


class SoftTargetLoss(nn.Module):
    """Focal loss or cross-entropy of logits against soft targets, the mean over the batch.

    With p = softmax(z / temperature) and targets y, the loss of one clip is
    -sum over classes of (1 - p)**focal_power * y * log p (Lin 2017, equation 4; Nguyen 2020,
    section 2.3); focal_power 0 is cross-entropy. The temperature is that of the heated-up
    softmax (Nguyen 2020, section 2.2): the gradient at logits T z is 1/T of that at z without it.
    It is computed in float32, whatever the data type of the logits.

    Raises
    ------
    ConfigError
        If the name is unknown, the temperature not positive, the focal power negative, or one
        of them not finite.
    """

    def __init__(
        self, name: LossName = "focal", *, focal_power: float = 1.0, temperature: float = 1.0
    ) -> None:
        super().__init__()
        if name not in ("focal", "cross_entropy"):
            raise ConfigError(f"unknown loss {name!r}", expected="focal or cross_entropy")
        if not 0 < temperature < math.inf:
            raise ConfigError(
                f"the temperature is {temperature}",
                expected="a positive number",
                fix="use 1 for the usual softmax",
            )
        if not 0 <= focal_power < math.inf:
            raise ConfigError(
                f"the focal power is {focal_power}",
                expected="0 or more",
                fix="use 1 as in the paper, or 0 for cross-entropy",
            )
        self.focal_power = focal_power if name == "focal" else 0.0
        self.temperature = temperature

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the scalar loss of logits (batch, class) against targets (batch, class)."""
        log_p = torch.log_softmax(logits.float() / self.temperature, dim=1)
        weight = targets
        if self.focal_power:
            # -expm1(log p) is 1 - p without cancellation; the clamp keeps its power differentiable.
            weight = targets * (-torch.expm1(log_p)).clamp_min(1e-12) ** self.focal_power
        return -(weight * log_p).sum(dim=1).mean()
