"""The numbers of a bundle: out of its modules, and into them again."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from anymic.bundle.format import Record
from anymic.errors import BundleError
from anymic.features import Frontend


def tensors_of(network: nn.Module, frontend: Frontend) -> dict[str, Tensor]:
    """Return every weight by its name in the file; BundleError where one is not finite."""
    parts, seen = {"network": network, "frontend": frontend}, set[int]()
    tensors = {
        f"{part}.{name}": _own(tensor, seen)
        for part, module in parts.items()
        for name, tensor in module.state_dict().items()
    }
    wrong = [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
    if wrong:
        raise BundleError(
            f"some weights are not finite ({', '.join(wrong[:3])})",
            expected="finite weights",
            fix="train again with a lower learning rate",
        )
    return tensors


def _own(tensor: Tensor, seen: set[int]) -> Tensor:
    """Return a tensor in memory of its own: safetensors refuses layers that share a weight."""
    plain = tensor.detach().cpu().contiguous()
    place = plain.untyped_storage().data_ptr()
    if place in seen:
        return plain.clone()
    seen.add(place)
    return plain


def part_of(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """Return the tensors of a part, by the names they have in it."""
    prefix = part + "."
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def build_frontend(record: Record, tensors: Mapping[str, Tensor]) -> Frontend:
    """Build the front-end from its saved filters, without librosa."""
    bands, bins = record.frontend.bands, record.frontend.bins
    filters, gains = tensors["filters"], tensors["gains"]
    devices = record.correction.devices
    known = [(1 + len(devices), size) for size in (bins, bands)]
    if filters.shape != (bands, bins) or gains.shape not in known:
        raise RuntimeError(
            f"filters {tuple(filters.shape)} and gains {tuple(gains.shape)} "
            f"for {bands} bands, {bins} bins and {len(devices)} devices"
        )
    rows = zip(devices, gains[1:].double().numpy(), strict=True)
    frontend = Frontend(record.frontend, device_gains=dict(rows), filters=filters)
    frontend.load_state_dict(tensors)
    return frontend
