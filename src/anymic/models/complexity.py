"""What a network costs: parameters and multiply-accumulates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Complexity:
    """What a network costs.

    Attributes
    ----------
    parameters : int
        Numbers learned by gradient (and frozen ones).
    with_running_statistics : int
        The same and the running means and variances of normalization layers.
    multiply_accumulates : int
        Of convolutions and dense layers, for one clip.
    """

    parameters: int
    with_running_statistics: int
    multiply_accumulates: int


def network_complexity(network: nn.Module, input_shape: Sequence[int]) -> Complexity:
    """Count a network's parameters and multiply-accumulates.

    Multiply-accumulates: output size * kernel size * input channels / convolution groups for
    each Conv1d, Conv2d, Conv3d, and output size * input features for each Linear, seen by
    forward hooks on one input of zeros; bias, normalization and activation are not counted.

    Parameters
    ----------
    network : torch.nn.Module
        Left in the mode it was in.
    input_shape : sequence of int
        Without the batch: (1, band, frame).
    """
    total = 0

    def count(module: nn.Module, _inputs: Any, output: Any) -> None:
        nonlocal total
        if isinstance(module, nn.Linear):
            total += output.numel() * module.in_features
        else:
            total += output.numel() * module.weight[0].numel()  # type: ignore[index]

    layers = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
    hooks = [
        module.register_forward_hook(count)
        for module in network.modules()
        if isinstance(module, layers)
    ]
    parameters = list(network.parameters())
    example = torch.zeros(1, *input_shape)
    if parameters:
        example = example.to(parameters[0])
    training = {module: module.training for module in network.modules()}
    try:
        with torch.no_grad():
            network.eval()(example)
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in training.items():
            module.training = mode
    learned = sum(parameter.numel() for parameter in parameters)
    running = sum(
        buffer.numel()
        for name, buffer in network.named_buffers()
        if name.rpartition(".")[2] in ("running_mean", "running_var")
    )
    return Complexity(learned, learned + running, total)
