"""Predict recordings, and sound that arrives, with a file that anymic exported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anymic.audio import Clip, DecodedFile
from anymic.errors import AnymicError, ClassifierError, ConfigError, kept_error
from anymic.inference.onnx_model import OnnxModel
from anymic.inference.onnx_predictor import (
    device_notes,
    policy_for,
    predict_one,
    require_finite,
)
from anymic.inference.prediction import Prediction, require_share
from anymic.inference.requests import ClipRequest
from anymic.inference.windowing import End, Window, cut


class ExportedPredictor:
    """Answers as the `Predictor` of the model that was exported does, for services and streams.

    Parameters
    ----------
    model : OnnxModel
        Of a file that `anymic.export` wrote.
    min_confidence : float
        As for `Predictor`.
    accelerator : str
        "auto" or "cpu": ONNX Runtime computes on the processor.

    Raises
    ------
    ClassifierError
        If the file has no contract: another program wrote it.
    ConfigError
        If `accelerator` is another one, or `min_confidence` no probability.

    Examples
    --------
    >>> from anymic.inference.onnx_model import OnnxModel
    >>> predictor = ExportedPredictor(OnnxModel("model.onnx"))  # doctest: +SKIP
    >>> ((path, answer),) = predictor.outcomes(["clip.wav"], devices=["phone"])  # doctest: +SKIP
    """

    def __init__(
        self, model: OnnxModel, *, min_confidence: float = 0.0, accelerator: str = "auto"
    ) -> None:
        if model.exported is None:
            raise ClassifierError(
                f"the file {model.path} states no contract: rate, length and channels of its clips",
                expected="a file that `anymic export` wrote",
                fix="classify files with it by `anymic predict`",
            )
        if accelerator not in ("auto", "cpu"):
            raise ConfigError(
                f"an ONNX file cannot be computed on {accelerator!r}",
                expected="auto or cpu",
                fix="use the model that was exported",
            )
        self.bundle, self.contract = model, model.exported.contract
        self.min_confidence = require_share(min_confidence, "min_confidence")

    def outcomes(
        self, sources: Iterable[Path | DecodedFile], *, devices: Sequence[str | None]
    ) -> Iterator[tuple[str, Prediction | AnymicError]]:
        """Yield the path and the result of each recording, or its error, in order."""
        for source, device in zip(sources, devices, strict=True):
            found: Prediction | AnymicError
            try:
                found = predict_one(self.bundle, source, device, self.min_confidence)
            except Exception as error:
                found = kept_error(error)
            yield source.path if isinstance(source, DecodedFile) else str(source), found

    def windows(self, request: ClipRequest) -> Iterator[Window | End]:
        """Return the windows of a source; DeviceError if the contract refuses its device."""
        exported = self.bundle.exported
        assert exported is not None
        self.bundle.number(request.device)
        request.policy = policy_for(self.bundle, request.device)
        return cut(request.source, self.contract, least_samples=exported.shortest_samples)

    def of_window(self, window: Window, device: str | None) -> NDArray[np.float64]:
        """Return the probabilities (label,) of a window; ClassifierError if they are not finite."""
        exported = self.bundle.exported
        assert exported is not None
        clip = Clip(window.samples, self.contract.rate_hz, start_s=window.start_s)
        each = self.bundle.windows([clip], device)
        require_finite(each, "a window")
        return np.asarray(exported.of_windows(each, device)[0])

    def notes(self, device: str | None) -> tuple[str, ...]:
        """Return what is noted of a device, and of what the file does not do for it."""
        return device_notes(self.bundle, device)
