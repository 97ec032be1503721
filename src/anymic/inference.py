"""A bundle's front-end and network, ready to compute: samples to features to probabilities."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from anymic import machine
from anymic.bundle import Bundle
from anymic.errors import BundleError
from anymic.frontend import Frontend
from anymic.models.fusion import FusedBasic, fuse

Precision = Literal["auto", "float32", "bfloat16"]
Module = TypeVar("Module", bound=nn.Module)

# For each distinct front-end: what a clip's magnitudes are multiplied by, (bin,) amplitude
# factors, or None where it is heard as it is.
Treatment = tuple[torch.Tensor | None, ...]

# For each distinct front-end: log-mel features (batch, band, frame) before standardization.
Features = tuple[torch.Tensor, ...]


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
        self.labels = bundle.labels
        self.temperature = bundle.temperature
        self.frontends: tuple[Frontend, ...] = (_at(self.place, bundle.frontend),)
        self.network = _at(self.place, fuse(bundle.network, dtype=self.dtype))
        _check_size(bundle)

    def profile_treatment(self, device: str | None) -> Treatment:
        """Return the gains that each front-end has for a device; None where it knows none."""
        return tuple(
            frontend.gains[1 + frontend.device_names.index(device)]
            if device in frontend.device_names
            else None
            for frontend in self.frontends
        )

    @torch.inference_mode()
    def features(
        self, samples: torch.Tensor, treatments: Sequence[Treatment] | None = None
    ) -> Features:
        """Return log-mel features (batch, band, frame) for each front-end.

        Parameters
        ----------
        samples : Tensor, (batch, sample), float32
        treatments : sequence of Treatment, optional
            One a clip; None hears every clip as it is.
        """
        samples = samples.to(self.place)
        return tuple(
            frontend.log_mel(
                samples, gains=_stack([treatment[number] for treatment in treatments or ()])
            )
            for number, frontend in enumerate(self.frontends)
        )

    def finite(self, features: Features) -> list[bool]:
        """Say for each clip whether its features are numbers.

        Ask here, not its probabilities: ReLU turns NaN into 0 in some of oneDNN's kernels.
        """
        total = sum(one.sum(dim=(1, 2)) for one in features)
        assert isinstance(total, torch.Tensor)
        found: list[bool] = total.isfinite().tolist()
        return found

    @torch.inference_mode()
    def classify(self, features: Features) -> NDArray[np.float64]:
        """Return probabilities (batch, label) of what `features` returned."""
        standardized = self.frontends[0].standardize(features[0].to(self.place)).unsqueeze(1)
        fused = isinstance(self.network, FusedBasic)
        with torch.autocast(
            self.place.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16 and not fused
        ):
            logits = self.network(standardized)
        probabilities = torch.softmax(logits.double() / self.temperature, dim=1)
        result: NDArray[np.float64] = probabilities.cpu().numpy()
        return result


def _stack(gains: Sequence[torch.Tensor | None]) -> torch.Tensor | None:
    """Return the clips' gains (batch, bin); None where every clip is heard as it is."""
    known = next((one for one in gains if one is not None), None)
    if known is None:
        return None
    return torch.stack([torch.ones_like(known) if one is None else one for one in gains])


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
