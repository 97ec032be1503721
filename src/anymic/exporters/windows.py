"""Windows of a clip as nodes of a graph: the rule of `anymic.inference.windowing.cut`."""

from __future__ import annotations

import numpy as np

from anymic.bundle import InputContract
from anymic.exporters.graph import Graph
from anymic.inference.windowing import SLACK_S


class WindowNodes:
    """Adds windows (batch * window, sample) of samples (batch, sample), and the mean over them.

    A clip shorter than a window is padded or repeated (padded too where the contract refuses it).
    """

    def __init__(self, graph: Graph, samples: str, contract: InputContract) -> None:
        self.graph = graph
        length, hop = contract.clip_samples, contract.hop_samples
        slack = int(SLACK_S * contract.rate_hz)
        least = length - slack if contract.shorter == "refuse" else -(-length // 2)
        size = graph.size(samples, 1)
        rest = graph.add("Max", graph.add("Sub", size, [least]), [0])
        self.count = graph.add("Add", graph.add("Div", rest, [hop]), [1])
        numbers = graph.add("Range", 0, graph.add("Squeeze", self.count, [0]), 1)
        starts = graph.add("Mul", graph.add("Unsqueeze", numbers, [1]), [hop])  # (window, 1)
        there = graph.add("Min", graph.add("Sub", size, starts), [length])  # samples of the clip
        places = graph.constant(np.arange(length)[None])
        inside = graph.add("Less", places, there)
        if contract.shorter == "repeat":
            fits = graph.add("GreaterOrEqual", there, [length - slack])
            inside = graph.add("Or", inside, graph.add("Not", fits))
        places = graph.add("Mod", places, there)
        cut = graph.add("Gather", samples, graph.add("Add", starts, places), axis=1)
        cut = graph.add("Where", inside, cut, np.float32(0))
        self.samples = graph.reshape(cut, -1, length)

    def of_each(self, device: str) -> str:
        """Add the device of each window (batch * window,) of clips of devices (batch,)."""
        graph = self.graph
        column = graph.add("Unsqueeze", device, [1])
        shape = graph.add("Concat", graph.size(device, 0), self.count, axis=0)
        return graph.reshape(graph.add("Expand", column, shape), -1)

    def mean(self, values: str, size: int) -> str:
        """Add the mean (batch, value) over windows of values (batch * window, value)."""
        graph = self.graph
        apart = graph.reshape(values, -1, self.count, size)
        return graph.add("ReduceMean", apart, [1], keepdims=0)
