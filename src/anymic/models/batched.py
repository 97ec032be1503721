"""Many networks of one architecture in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from anymic.models.fusion import Maps, can_fuse, fuse

MOST_MAPS = 256  # members times clips of one `vmap`: gigabytes of a GPU, at the papers' sizes


class Batched(nn.Module):
    """Networks of one architecture, called together: log-mel features to logits of every member.

    On a CPU the members are called one after the other, each fused (`FusedBasic`): one member on a
    few clips already uses all of a core's matrix units, and its maps stay in the cache. Grouped
    convolutions over the stacked weights of all members take a tenth to a half longer, and
    `torch.func.vmap` over the networks two to three times as long, with AMX up to twelve times
    (`benchmarks/grouped.py`: twelve `basic1` on one core). On a GPU, where
    the launch of a kernel takes longer than the work of a small network, the fused members run as
    one `vmap` over stacked weights.

    Parameters
    ----------
    networks, standardizations, dtype, maps
        As for `fuse`; of each network a mean and scale (band,), and the maps. None in place of a
        mean and scale where the maps do more than standardize.
    stacked : bool
        Whether to stack the weights for one `vmap`; only networks that can be fused are.
    """

    def __init__(
        self,
        networks: Sequence[nn.Module],
        standardizations: Sequence[tuple[Tensor, Tensor] | None],
        *,
        dtype: torch.dtype = torch.float32,
        stacked: bool = False,
        maps: Sequence[Maps] | None = None,
    ) -> None:
        super().__init__()
        enters: Sequence[Maps | None] = maps or [None] * len(networks)
        standardized = all(one is not None for one in standardizations)
        self.stacked = stacked and standardized and all(map(can_fuse, networks))
        settings: dict[str, Any] = {"dtype": dtype, "paired": not self.stacked}
        members = []
        for network, own, enter in zip(networks, standardizations, enters, strict=True):
            mean, scale = own or (None, None)
            members.append(fuse(network, mean=mean, scale=scale, maps=enter, **settings))
        if self.stacked:
            self.weights, self.constants = torch.func.stack_module_state(members)
            self.skeleton = members[0].to("meta")
        else:
            self.members = nn.ModuleList(members)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Return logits (member, batch, class) of each member's log-mel features.

        Members that share features (batch, band, frame) share the tensor.
        """
        if not self.stacked:
            turns = zip(self.members, features, strict=True)
            return torch.stack([member(own.unsqueeze(1)) for member, own in turns])
        shared = all(own is features[0] for own in features)
        together = features[0] if shared else torch.stack(list(features))
        call = torch.func.vmap(self._call, in_dims=(0, 0, None if shared else 0))
        pieces = torch.split(together, max(1, MOST_MAPS // len(features)), dim=-3)
        logits = [call(self.weights, self.constants, piece.unsqueeze(-3)) for piece in pieces]
        return torch.cat(logits, dim=1)

    def _call(
        self, parameters: dict[str, Tensor], buffers: dict[str, Tensor], features: Tensor
    ) -> Tensor:
        logits: Tensor = torch.func.functional_call(
            self.skeleton, (parameters, buffers), (features,)
        )
        return logits
