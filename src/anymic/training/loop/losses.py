"""Losses for soft targets, with a temperature."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SoftTargetLoss(nn.Module):
    """Focal loss or cross-entropy of logits against soft targets, the mean over the batch.

    With p = softmax(z / temperature) and targets y, the loss of one clip is
    -sum over classes of (1 - p)**focal_power * y * log p (Lin 2017, equation 4; Nguyen 2020,
    section 2.3); focal_power 0 is cross-entropy. The temperature is that of the heated-up
    softmax (Nguyen 2020, section 2.2): the gradient at logits T z is 1/T of that at z without it.
    It is computed in float32, whatever the data type of the logits. `TrainingConfig` checks the
    values.
    """

    def __init__(
        self, name: str = "focal", *, focal_power: float = 1.0, temperature: float = 1.0
    ) -> None:
        super().__init__()
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
