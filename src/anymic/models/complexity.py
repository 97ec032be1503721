"""The size of a network: parameters and multiply-accumulates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from anymic.models.network import evaluate_once


@dataclass(frozen=True)
class Complexity:
    """The size of a network."""

    parameters: int  # frozen ones included
    with_running_statistics: int  # parameters, and the means and variances of normalization layers
    multiply_accumulates: int  # of convolutions and dense layers, for one clip


def network_complexity(network: nn.Module, input_shape: Sequence[int]) -> Complexity:
    """Count a network's parameters and multiply-accumulates.

    Multiply-accumulates are half of what PyTorch's `FlopCounterMode` counts on one input of zeros.
    Bias, normalization, activation and `nn.LSTM` are not counted.

    Parameters
    ----------
    network : torch.nn.Module
        Left in the mode it was in.
    input_shape : sequence of int
        Without the batch: (1, band, frame).
    """
    parameters = list(network.parameters())
    example = torch.zeros(1, *input_shape)
    if parameters:
        example = example.to(parameters[0])
    with FlopCounterMode(display=False) as counter:
        evaluate_once(network, example)
    learned = sum(parameter.numel() for parameter in parameters)
    running = sum(
        buffer.numel()
        for name, buffer in network.named_buffers()
        if name.rpartition(".")[2] in ("running_mean", "running_var")
    )
    return Complexity(learned, learned + running, counter.get_total_flops() // 2)
