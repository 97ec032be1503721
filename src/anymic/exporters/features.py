"""The front-end as nodes of a graph: `anymic.features.Frontend` in ONNX."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anymic._internal.gain_factors import BINS, FRAMES, ROW_PARTS, TINY
from anymic.exporters.graph import Graph
from anymic.exporters.transforms import Transform, magnitudes
from anymic.features import Frontend
from anymic.features.frontend import IDENTITY, SMALLEST_SPAN, SMALLEST_VARIANCE

Array = NDArray[np.float32]


class FrontendNodes:
    """Adds the features of front-ends for the same samples; equal parts are added once.

    Parameters
    ----------
    graph : Graph
    samples, device : str
        Values (batch, sample) float32 and (batch,) int64.
    devices : sequence of str
        Numbered from 1 in `device`; 0 is no device.
    transform : Transform
    """

    def __init__(
        self,
        graph: Graph,
        samples: str,
        device: str,
        devices: Sequence[str],
        transform: Transform,
    ) -> None:
        self.graph, self.samples, self.device = graph, samples, device
        self.devices, self.transform = devices, transform
        self._magnitudes: dict[object, str] = {}
        self._log_mel: dict[object, str] = {}

    def maps(self, frontend: Frontend) -> str:
        """Add the network's input (batch, channel, frame, band)."""
        graph, config = self.graph, frontend.config
        scale = 1 / frontend.scale.double().numpy()
        shift = -frontend.mean.double().numpy() * scale
        scaled = graph.add("Mul", self.log_mel(frontend), scale.astype(np.float32))
        channels = [graph.add("Add", scaled, shift.astype(np.float32))]
        for _ in range(config.deltas):
            channels.append(_deltas(graph, channels[-1]))
        starts = range(config.lost_frames // 2, -1, -2)
        cropped = [
            graph.add("Unsqueeze", self._cropped(one, start), [1])
            for one, start in zip(channels, starts, strict=True)
        ]
        maps = graph.add("Concat", *cropped, axis=1) if len(cropped) > 1 else cropped[0]
        share = config.relaxed_normalization
        return maps if share is None else _normalized(graph, maps, share)

    def log_mel(self, frontend: Frontend) -> str:
        """Add log-mel features (batch, frame, band), before standardization."""
        table = self._table(frontend)
        key = (frontend.config, frontend.filters.numpy().tobytes(), table.tobytes())
        if key not in self._log_mel:
            self._log_mel[key] = self._new_log_mel(frontend, table)
        return self._log_mel[key]

    def _new_log_mel(self, frontend: Frontend, table: Array) -> str:
        graph, config = self.graph, frontend.config
        spectrum = self._magnitude(frontend)
        corrects, by_bin = len(table) > 1, frontend.gain_domain == "magnitude"
        gains = ""
        if corrects:
            gains = graph.add("Unsqueeze", graph.add("Gather", table, self.device, axis=0), [1])
        if corrects and by_bin:
            spectrum = graph.add("Mul", spectrum, self._factors(frontend, spectrum, gains, table))
        if config.power == 2:
            spectrum = graph.add("Mul", spectrum, spectrum)
        blocks = [
            graph.add(
                "MatMul",
                graph.slice(spectrum, [first], [last], 2),
                frontend.mel.get_buffer(f"block_{number}").numpy(),
            )
            for number, (first, last) in enumerate(frontend.mel.ranges)
        ]
        bands = graph.add("Concat", *blocks, axis=2) if len(blocks) > 1 else blocks[0]
        log_mel = graph.add("Log", graph.add("Add", bands, np.float32(config.log_offset)))
        if corrects and not by_bin:
            added = graph.add("Mul", graph.add("Log", gains), np.float32(config.power))
            log_mel = graph.add("Add", log_mel, added)
        return log_mel if config.scaling == "none" else _scaled(graph, log_mel)

    def _magnitude(self, frontend: Frontend) -> str:
        config = frontend.config
        key = (config.fft_size, config.hop_samples, config.frame_samples, config.centred)
        if key not in self._magnitudes:
            self._magnitudes[key] = magnitudes(
                self.graph, self.samples, config, frontend.window.numpy(), self.transform
            )
        return self._magnitudes[key]

    def _table(self, frontend: Frontend) -> Array:
        """Return the gains of each device as rows; one row if this front-end has none."""
        own = {name: row for row, name in enumerate(frontend.device_names, start=1)}
        rows = [own.get(name, IDENTITY) for name in self.devices]
        kept = [IDENTITY, *rows] if any(rows) else [IDENTITY]
        return np.asarray(frontend.gains.numpy()[kept])

    def _factors(self, frontend: Frontend, spectrum: str, gains: str, table: Array) -> str:
        """Add what `gain_factors` returns."""
        graph, bins = self.graph, frontend.config.bins
        if table.shape[1] == bins:
            return gains
        factors, subtracted, floor = graph.add_several(
            "Split", ROW_PARTS, gains, axis=2, num_outputs=ROW_PARTS
        )
        corrected = graph.add("Mul", spectrum, factors)
        power = graph.add("Unsqueeze", graph.add("Mul", corrected, corrected), [1])
        for kernel in ((1, BINS), (FRAMES, 1)):
            pads = [size // 2 for size in kernel] * 2
            settings = {"kernel_shape": kernel, "pads": pads, "count_include_pad": 0}
            power = graph.add("AveragePool", power, **settings)
        energy = frontend.window.square().sum().numpy()
        power = graph.add("Div", graph.add("Squeeze", power, [1]), energy)
        power = graph.add("Max", power, np.float32(TINY))
        left = graph.add("Sub", np.float32(1), graph.add("Div", subtracted, power))
        least = graph.add("Min", graph.add("Div", floor, power), np.float32(1))
        share = graph.add("Sqrt", graph.add("Max", left, least))
        some = graph.add("Greater", subtracted, np.float32(0))
        return graph.add("Where", some, graph.add("Mul", factors, share), factors)

    def _cropped(self, channel: str, start: int) -> str:
        return self.graph.slice(channel, [start], [-start], 1) if start else channel


def _deltas(graph: Graph, features: str) -> str:
    """Add what `anymic.features.frontend.deltas` returns, of (batch, frame, band)."""
    near = graph.add(
        "Sub", graph.slice(features, [3], [-1], 1), graph.slice(features, [1], [-3], 1)
    )
    far = graph.add(
        "Sub", graph.slice(features, [4], [2**31], 1), graph.slice(features, [0], [-4], 1)
    )
    return graph.add(
        "Add", graph.add("Div", near, np.float32(10)), graph.add("Div", far, np.float32(5))
    )


def _scaled(graph: Graph, log_mel: str) -> str:
    """Add what `Frontend.scale_clips` returns with the setting "clip"."""
    low = graph.add("ReduceMin", log_mel, [1, 2], keepdims=1)
    span = graph.add("Sub", graph.add("ReduceMax", log_mel, [1, 2], keepdims=1), low)
    span = graph.add("Max", span, np.float32(SMALLEST_SPAN))
    return graph.add("Div", graph.add("Sub", log_mel, low), span)


def _normalized(graph: Graph, maps: str, share: float) -> str:
    """Add what `relaxed_normalization` returns, of maps (batch, channel, frame, band)."""
    parts = []
    for axes, weight in (([1, 2, 3], share), ([1, 2], 1 - share)):
        centred = graph.add("Sub", maps, graph.add("ReduceMean", maps, axes, keepdims=1))
        variance = graph.add("ReduceMean", graph.add("Mul", centred, centred), axes, keepdims=1)
        deviation = graph.add("Sqrt", graph.add("Add", variance, np.float32(SMALLEST_VARIANCE)))
        parts.append(graph.add("Mul", graph.add("Div", centred, deviation), np.float32(weight)))
    return graph.add("Add", *parts)
