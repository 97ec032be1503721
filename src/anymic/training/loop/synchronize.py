"""Batch normalization over the batch of all processes, on CPUs as well."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from anymic._internal.optional import extra

with extra("train"):
    from pytorch_lightning.plugins.layer_sync import LayerSync


class SynchronizedBatchNorm(nn.BatchNorm2d):
    """Batch normalization with the mean and variance of the clips of all processes.

    PyTorch's own SyncBatchNorm does not work on CPUs; this one works wherever the process group
    does. Two processes give the same result as one with the whole batch.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Normalize (batch, channel, band, frame) by channel."""
        if not self.training or self.running_mean is None or self.running_var is None:
            return super().forward(features)
        from torch.distributed.nn.functional import all_reduce  # with a gradient

        values = features.float()
        count = values.new_tensor([values.numel() / values.shape[1]])
        sums = torch.cat([values.sum(dim=(0, 2, 3)), values.square().sum(dim=(0, 2, 3)), count])
        sums = all_reduce(sums)  # type: ignore[no-untyped-call]
        first, second = sums[:-1].chunk(2)
        total = sums[-1]
        mean = first / total
        variance = (second / total - mean.square()).clamp_min(0)
        with torch.no_grad():
            momentum = 0.1 if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(variance * total / (total - 1), momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
        scale = torch.rsqrt(variance + self.eps)
        if self.affine:
            scale = self.weight * scale
        shift = -mean * scale
        if self.affine:
            shift = self.bias + shift
        result = values * scale[:, None, None] + shift[:, None, None]
        return cast("Tensor", result.to(features.dtype))


class SynchronizeBatchNorm(LayerSync):
    """Replace every batch normalization by the synchronized one, and restore it."""

    def apply(self, model: nn.Module) -> nn.Module:
        """Make each batch normalization use the clips of all processes, in place."""
        for module in model.modules():
            if type(module) is nn.BatchNorm2d:
                module.__class__ = SynchronizedBatchNorm
        return model

    def revert(self, model: nn.Module) -> nn.Module:
        """Undo `apply`."""
        for module in model.modules():
            if type(module) is SynchronizedBatchNorm:
                module.__class__ = nn.BatchNorm2d  # type: ignore[assignment]
        return model
