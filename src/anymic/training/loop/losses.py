"""Losses for soft targets, with a temperature, and the divergence between two answers."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SoftTargetLoss(nn.Module):
    """Focal loss or cross-entropy of logits against soft targets, the mean over the batch.

    With p = softmax(z / temperature) and targets y, the loss of one clip is
    -sum over classes of (1 - p)**focal_power * y * log p (Lin 2017, equation 4; Nguyen 2020,
    section 2.2); focal_power 0 is cross-entropy. The temperature is that of the heated-up
    softmax (Nguyen 2020, section 2.3): the gradient at logits T z is 1/T of that at z without it.
    With several labels a clip, p = sigmoid(z / temperature), and the loss of one clip is the sum
    over classes of -(1 - p)**focal_power * y * log p - p**focal_power * (1 - y) * log(1 - p), the
    focal loss of two classes; focal_power 0 is binary cross-entropy. The gradient for a logit is
    then as large as with the softmax, for any number of classes.
    It is computed in float32, whatever the data type of the logits. `TrainingConfig` checks the
    values.
    """

    def __init__(
        self,
        name: str = "focal",
        *,
        focal_power: float = 1.0,
        temperature: float = 1.0,
        several: bool = False,
    ) -> None:
        super().__init__()
        self.focal_power = focal_power if name == "focal" else 0.0
        self.temperature, self.several = temperature, several

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the scalar loss of logits (batch, class) against targets (batch, class)."""
        divided = logits.float() / self.temperature
        if self.several:
            log_p = nn.functional.logsigmoid(torch.stack([divided, -divided]))
            targets = torch.stack([targets, 1 - targets])
        else:
            log_p = torch.log_softmax(divided, dim=1)
        weight = targets
        if self.focal_power:
            # -expm1(log p) is 1 - p without cancellation; the clamp keeps its power differentiable.
            weight = targets * (-torch.expm1(log_p)).clamp_min(1e-12) ** self.focal_power
        each = (weight * log_p).sum(dim=-1)
        return -(each.sum(dim=0) if self.several else each).mean()


def divergence(
    logits: Tensor, others: Tensor, *, temperature: float = 1.0, several: bool = False
) -> Tensor:
    """Return how much two answers to the same clips differ, the mean over the batch.

    It is the mean of both Kullback-Leibler divergences, KL(p, q) and KL(q, p), of the
    probabilities p and q (Liang 2021, R-Drop, equation 2), 0 where they are equal. With several
    labels a clip it is summed over the labels. Gradients go to both answers.

    Parameters
    ----------
    logits, others : (batch, class)
    temperature : float
        Divisor of both.
    several : bool
        Whether a clip may have several labels.
    """
    one, other = (values.float() / temperature for values in (logits, others))
    if several:
        # (p - q)(log p - log q) + ((1-p) - (1-q))(log(1-p) - log(1-q)) = (p - q)(z_p - z_q)
        each = (one.sigmoid() - other.sigmoid()) * (one - other)
    else:
        log_p, log_q = torch.log_softmax(one, dim=1), torch.log_softmax(other, dim=1)
        each = (log_p.exp() - log_q.exp()) * (log_p - log_q)
    return 0.5 * each.sum(dim=1).mean()
