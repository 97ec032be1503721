"""Members of an ensemble one after another, in grouped convolutions, and in one `vmap`.

    python benchmarks/grouped.py

computes the logits of twelve `basic1` for the same log-mel features (four clips of 128 x 216 and
one of 256 x 862) in float32 and bfloat16, by turns: one fused network after another, grouped
convolutions of the fused networks, and `torch.func.vmap` over the networks. All three have the same
answers, which is checked.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from formats import FORMATS, Size, by_turns, features  # type: ignore[import-not-found]
from torch import Tensor, nn

from anymic import models
from anymic._internal import machine
from anymic.models.basic import Basic
from anymic.models.batched import Batched
from anymic.models.fusion import FusedBasic

SIZES: tuple[Size, ...] = ((4, 128, 216), (1, 256, 862))
TOLERANCE = {"float32": 1e-4, "bfloat16": 0.1}


class Grouped(nn.Module):
    """Fused members whose layers are one convolution each: a group for each member.

    They share the input, so that the first layer is one convolution with the channels of all.
    """

    def __init__(self, networks: Sequence[Basic], dtype: torch.dtype) -> None:
        super().__init__()
        members = [FusedBasic(one, dtype=dtype, paired=False) for one in networks]
        self.members, self.strides, self.dtype = members, members[0].strides, dtype
        self.layers = [
            tuple(
                torch.cat([one.get_buffer(f"{part}_{number}") for one in members])
                for part in ("weight", "bias")
            )
            for number in range(len(self.strides))
        ]
        self.layers = [
            (weight.contiguous(memory_format=torch.channels_last), bias)
            for weight, bias in self.layers
        ]

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits (member, clip, class) of features (clip, 1, band, frame)."""
        maps = inputs.transpose(2, 3).to(self.dtype)
        if self.dtype != torch.float32:
            maps = maps.repeat(1, 2, 1, 1)
        maps = maps.contiguous(memory_format=torch.channels_last)
        for number, ((weight, bias), stride) in enumerate(
            zip(self.layers, self.strides, strict=True)
        ):
            groups = len(self.members) if number else 1
            maps = torch.ops.mkldnn._convolution_pointwise(
                maps, weight, bias, [0, 0], stride, [1, 1], groups, "relu", [], ""
            )
        pooled = maps.mean(dim=(2, 3), dtype=torch.float32)
        logits = [
            one.classifier(own * one.scale + one.shift)
            for one, own in zip(self.members, pooled.chunk(len(self.members), dim=1), strict=True)
        ]
        return torch.stack(logits)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--members", type=int, default=12, help="default 12")
    parser.add_argument("--rounds", type=int, default=5, help="of each; default 5")
    parser.add_argument("--threads", type=int, default=1, help="default 1")
    parser.add_argument("--quick", action="store_true", help="small sizes, for a test")
    parser.add_argument("--json", type=Path, help="also write the times to this file")
    options = parser.parse_args(arguments)
    before = torch.get_num_threads()
    torch.set_num_threads(options.threads)
    machine.keep_memory()
    networks = []
    for seed in range(options.members):
        torch.manual_seed(seed)
        networks.append(cast("Basic", models.build("basic1", classes=10).eval()))
    rows = []
    print(f"{options.members} members, {options.threads} threads, load {os.getloadavg()[0]:.1f}")
    try:
        for size in ((1, 32, 64),) if options.quick else SIZES:
            for kind, dtype in FORMATS.items():
                for row in _compared(networks, size, kind, dtype, options.rounds):
                    rows.append(row)
                    print(
                        f"  {row['name']:36} {row['way']:24} {1e3 * row['processor_s']:8.0f} ms of"
                        f" processor time, {row['relative']:5.2f} of one after another",
                        flush=True,
                    )
    finally:
        torch.set_num_threads(before)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


@torch.inference_mode()
def _compared(
    networks: Sequence[Basic], size: Size, kind: str, dtype: torch.dtype, rounds: int
) -> list[dict[str, Any]]:
    """Return the time of each way for one size and format; refuse answers that differ."""
    inputs, bands = features(size), size[1]
    shared = [inputs[:, 0]] * len(networks)
    plain = [(torch.zeros(bands), torch.ones(bands))] * len(networks)
    one_by_one, grouped = Batched(networks, plain, dtype=dtype), Grouped(networks, dtype)
    weights, constants = torch.func.stack_module_state(list(networks))
    skeleton = copy.deepcopy(networks[0]).to("meta")

    def call(own: dict[str, Tensor], fixed: dict[str, Tensor], maps: Tensor) -> Tensor:
        found: Tensor = torch.func.functional_call(skeleton, (own, fixed), (maps,))
        return found

    def together() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=kind == "bfloat16"):
            return torch.func.vmap(call, in_dims=(0, 0, None))(weights, constants, inputs).float()

    works = {
        "one after another": lambda: one_by_one(shared),
        "grouped convolutions": lambda: grouped(inputs),
        "vmap": together,
    }
    for work in works.values():
        torch.testing.assert_close(
            work(), one_by_one(shared), rtol=TOLERANCE[kind], atol=TOLERANCE[kind]
        )
    found = by_turns(list(works.values()), rounds)
    name = f"{' x '.join(map(str, size))}, {kind}"
    return [
        {
            "name": name,
            "way": way,
            "clock_s": clock,
            "processor_s": processor,
            "relative": processor / found[0][1],
        }
        for way, (clock, processor) in zip(works, found, strict=True)
    ]


if __name__ == "__main__":
    main()
