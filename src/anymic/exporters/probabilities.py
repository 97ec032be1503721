"""From logits to probabilities as nodes of a graph: `anymic.inference.answers` in ONNX."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anymic.bundle import Bundle, Ensemble
from anymic.calibration import IsotonicCalibrator, TemperatureCalibrator
from anymic.calibration.temperature import FLOOR
from anymic.exporters.graph import Graph

LEAST_LOGARITHM = float(np.log(np.finfo(np.float64).tiny))


class ProbabilityNodes:
    """Adds temperatures, the vote and calibrators.

    They are computed in float64 where there are step functions, which a rounding error may cross,
    else in float32.
    """

    def __init__(self, graph: Graph, bundle: Bundle | Ensemble) -> None:
        self.graph, self.bundle = graph, bundle
        self.members = bundle.members
        self.voting = bundle.voting if isinstance(bundle, Ensemble) else "soft"
        self.member_calibrators = bundle.calibrators if isinstance(bundle, Ensemble) else ()
        own = bundle.calibration
        steps = bool(self.member_calibrators) or (own is not None and own.method == "isotonic")
        self.dtype: type[np.floating] = np.float64 if steps else np.float32

    def vote(self, logits: Sequence[str]) -> str:
        """Add the probabilities (batch, label) of logits (batch, label) of each member."""
        graph = self.graph
        scaled = [
            graph.add("Div", self._cast(own), self.dtype(member.temperature))
            for own, member in zip(logits, self.members, strict=True)
        ]
        if self.bundle.targets == "several":
            return self._mean([graph.add("Sigmoid", one) for one in scaled])
        if self.voting == "geometric":
            each = [graph.add("LogSoftmax", one, axis=-1) for one in scaled]
            least = self.dtype(LEAST_LOGARITHM)
            return graph.add(
                "Softmax", self._mean([graph.add("Max", one, least) for one in each]), axis=-1
            )
        each = [graph.add("Softmax", one, axis=-1) for one in scaled]
        if self.voting == "calibrated":
            each = [
                self._isotonic(own, [calibrator])
                for own, calibrator in zip(each, self.member_calibrators, strict=True)
            ]
        return self._mean(each)

    def calibrate(self, probabilities: str, device: str, devices: Sequence[str]) -> str:
        """Add the calibrated probabilities of clips of devices (batch,)."""
        own = self.bundle.calibration
        if own is None:
            return probabilities
        each = [own.general_, *(own.devices_.get(name, own.general_) for name in devices)]
        if all(isinstance(one, IsotonicCalibrator) for one in each):
            steps = [one for one in each if isinstance(one, IsotonicCalibrator)]
            return self._isotonic(probabilities, steps, device)
        rows = [one.temperature_ for one in each if isinstance(one, TemperatureCalibrator)]
        table = np.array(rows, dtype=self.dtype)[:, None]
        temperature = self.graph.add("Gather", table, device, axis=0)
        logarithm = self.graph.add("Log", self.graph.add("Max", probabilities, self.dtype(FLOOR)))
        return self.graph.add("Softmax", self.graph.add("Div", logarithm, temperature), axis=-1)

    def single(self, probabilities: str) -> str:
        """Add the probabilities in float32."""
        return self._to(probabilities, np.float32)

    def _isotonic(
        self, probabilities: str, calibrators: Sequence[IsotonicCalibrator], device: str = ""
    ) -> str:
        """Add the steps of each label, interpolated, and divide by their sum.

        y(p) = y[0] + the sum over steps j of slope[j] * min(max(p - x[j], 0), x[j + 1] - x[j]).
        """
        graph = self.graph
        tables = [_table(one) for one in calibrators]
        most = max(one.shape[2] for one in tables)
        stacked = np.zeros((len(tables), 4, tables[0].shape[1], most))
        for row, one in enumerate(tables):
            stacked[row, :, :, : one.shape[2]] = one
        parts: list[str] = []
        for place in range(4):
            rows = stacked[:, place].astype(self.dtype)
            parts.append(
                graph.add("Gather", rows, device, axis=0) if device else graph.constant(rows)
            )
        starts, widths, slopes, firsts = parts
        beyond = graph.add("Sub", graph.add("Unsqueeze", probabilities, [2]), starts)
        within = graph.add("Min", graph.add("Max", beyond, self.dtype(0)), widths)
        rises = graph.add("Add", graph.add("Mul", within, slopes), firsts)
        values = graph.add("ReduceSum", rises, [2], keepdims=0)
        total = graph.add("ReduceSum", values, [1], keepdims=1)
        known = graph.add("Greater", total, self.dtype(0))
        shares = graph.add("Div", values, graph.add("Where", known, total, self.dtype(1)))
        equal = self.dtype(1 / len(self.bundle.labels))
        return graph.add("Where", known, shares, equal)

    def _mean(self, each: Sequence[str]) -> str:
        if len(each) == 1:
            return each[0]
        total = each[0]
        for one in each[1:]:
            total = self.graph.add("Add", total, one)
        return self.graph.add("Div", total, self.dtype(len(each)))

    def _cast(self, value: str) -> str:
        return value if self.dtype == np.float32 else self._to(value, self.dtype)

    def _to(self, value: str, dtype: type[np.floating]) -> str:
        from onnx import helper

        return self.graph.add("Cast", value, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def _table(calibrator: IsotonicCalibrator) -> NDArray[np.float64]:
    """Return starts, widths and slopes of the steps and the first output: (4, label, step)."""
    most = max(len(one) for one in calibrator.inputs_)
    table = np.zeros((4, len(calibrator.inputs_), most))
    for label, (x, y) in enumerate(zip(calibrator.inputs_, calibrator.outputs_, strict=True)):
        steps = len(x) - 1
        table[0, label, :steps] = x[:-1]
        table[1, label, :steps] = np.diff(x)
        table[2, label, :steps] = np.diff(y) / np.diff(x)
        table[3, label, 0] = y[0]
    return table
