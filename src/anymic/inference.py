"""A bundle's front-end and network, ready to compute: samples to features to probabilities."""

from __future__ import annotations

import copy
from typing import Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from anymic import machine
from anymic.bundle import Bundle
from anymic.errors import BundleError
from anymic.models.fusion import FusedBasic, fuse

Precision = Literal["auto", "float32", "bfloat16"]
Module = TypeVar("Module", bound=nn.Module)


class Inference:
    """What `Predictor` computes with; a rung for those who bring their own samples or features.

    Parameters
    ----------
    bundle : Bundle
        The model; it is not changed.
    precision : {"auto", "float32", "bfloat16"}
        "auto" is bfloat16 where the processor multiplies it natively, else float32.
    accelerator : str
        A torch device such as "cpu" or "cuda"; "auto" is a GPU where there is one.

    Raises
    ------
    BundleError
        If the bundle's clips are too short for its network, or there is no such accelerator.
    """

    def __init__(
        self, bundle: Bundle, *, precision: Precision = "auto", accelerator: str = "auto"
    ) -> None:
        machine.keep_memory()
        self.place = _place(accelerator)
        kind = machine.lightning_precision(precision, self.place.type)
        self.dtype = torch.bfloat16 if kind == "bf16-mixed" else torch.float32
        self.temperature = bundle.temperature
        self.frontend = _at(self.place, bundle.frontend)
        self.network = _at(self.place, fuse(bundle.network, dtype=self.dtype))
        _check_size(bundle)

    @torch.inference_mode()
    def features(
        self, samples: torch.Tensor, device_rows: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return standardized features (batch, band, frame) of samples (batch, sample)."""
        rows = None if device_rows is None else device_rows.to(self.place)
        features: torch.Tensor = self.frontend(samples.to(self.place), rows)[:, 0]
        return features

    @torch.inference_mode()
    def classify(self, features: torch.Tensor) -> NDArray[np.float64]:
        """Return probabilities (batch, label) of standardized features (batch, band, frame)."""
        features = features.unsqueeze(1)
        fused = isinstance(self.network, FusedBasic)
        with torch.autocast(
            self.place.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16 and not fused
        ):
            logits = self.network(features)
        probabilities = torch.softmax(logits.double() / self.temperature, dim=1)
        result: NDArray[np.float64] = probabilities.cpu().numpy()
        return result


def _check_size(bundle: Bundle) -> None:
    config, contract = bundle.frontend.config, bundle.contract
    frames = config.frames(round(contract.clip_s * contract.rate_hz))
    smallest = getattr(bundle.network, "smallest_input", 1)
    if min(frames, config.bands) < smallest:
        raise BundleError(
            f"clips of {frames} frames x {config.bands} bands",
            wanted=f"at least {smallest} of each for {bundle.network_name}",
            remedy="train with longer clips, a shorter hop, or more bands",
        )


def _at(place: torch.device, module: Module) -> Module:
    """Return the module where it should compute; the bundle's own stays where it is."""
    return module if place.type == "cpu" else copy.deepcopy(module).to(place)


def _place(accelerator: str) -> torch.device:
    if accelerator == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(accelerator)
        torch.empty(1, device=place)
    except (RuntimeError, AssertionError) as error:
        raise BundleError(
            f"accelerator {accelerator!r}, which this machine does not have",
            wanted="auto, cpu or cuda",
            remedy="leave it at auto",
        ) from error
    return place
