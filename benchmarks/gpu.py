"""Training and prediction on a GPU at the papers' size, beside the limit of its memory.

    python benchmarks/gpu.py                       # on a GPU, under six minutes
    python benchmarks/gpu.py --small --accelerator cpu

trains `basic1` on made-up features of the size of TAU Urban Acoustic Scenes 2019 Mobile (10,265
clips of 256 x 862 values), classifies clips, and compares the answers with those of the processor.
It prints the time of an epoch, how busy the GPU was, the memory that it used, and the time that the
memory traffic alone would need: each activation is written and read in the forward and the backward
pass, at the bandwidth that a large copy reaches. Answers are computed in float32 without
TensorFloat-32, whose factors have 10 bits. The exit status is 1 where they differ by more than
0.001.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from anymic import models

CLASSES = 10
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Size:
    """How much is trained and classified."""

    clips: int = 10_265
    bands: int = 256
    frames: int = 862
    epochs: int = 5
    batch: int = 64
    answers: int = 1_000


SMALL = Size(clips=24, bands=64, frames=64, epochs=2, batch=8, answers=8)


def made_up(size: Size, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return features (clip, 1, band, frame) in half precision, and labels (clip,)."""
    generator = torch.Generator(device).manual_seed(0)
    shape = (size.clips, 1, size.bands, size.frames)
    features = torch.empty(shape, dtype=torch.float16, device=device).normal_(generator=generator)
    return features, torch.arange(size.clips, device=device) % CLASSES


def wait(device: torch.device) -> None:
    """Wait for what the device still computes."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def train(
    network: nn.Module, features: torch.Tensor, labels: torch.Tensor, size: Size
) -> tuple[list[float], list[int]]:
    """Train, and return the seconds of each epoch and how busy the GPU was after it, in percent."""
    device = features.device
    loss, seconds, busy = nn.CrossEntropyLoss(), list[float](), list[int]()
    optimizer = torch.optim.Adadelta(network.parameters(), lr=0.5)
    network.train()
    for _ in range(size.epochs):
        wait(device)
        start = time.perf_counter()
        for chosen in torch.split(torch.randperm(size.clips), size.batch):
            batch = features[chosen.to(device)].to(memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                value = loss(network(batch.float()), labels[chosen.to(device)])
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            optimizer.step()
        busy.append(utilization(device))
        wait(device)
        seconds.append(time.perf_counter() - start)
    return seconds, busy


def utilization(device: torch.device) -> int:
    """Return how busy the GPU is, in percent; -1 where the driver does not say."""
    if device.type != "cuda":
        return -1
    query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True)
        return int(done.stdout.split()[0])
    except (OSError, ValueError, IndexError, subprocess.SubprocessError):
        return -1


@contextmanager
def full_float32() -> Iterator[None]:
    """Compute products of float32 values in float32: convolutions on a GPU use TF32 by default."""
    backends: tuple[Any, ...] = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [backend.allow_tf32 for backend in backends]
    try:
        for backend in backends:
            backend.allow_tf32 = False
        yield
    finally:
        for backend, allowed in zip(backends, before, strict=True):
            backend.allow_tf32 = allowed


@torch.inference_mode()
def probabilities(network: nn.Module, features: torch.Tensor, batch: int) -> torch.Tensor:
    """Return the probabilities (clip, label) in float32, on the processor."""
    network.eval()
    found = [network(part.float()).softmax(dim=1).cpu() for part in torch.split(features, batch)]
    return torch.cat(found)


def bandwidth(device: torch.device, megabytes: int) -> float:
    """Return the bytes in a second that a copy within the device's memory reads and writes."""
    source = torch.empty(megabytes << 20, dtype=torch.uint8, device=device)
    target, best = torch.empty_like(source), float("inf")
    for _ in range(5):
        wait(device)
        start = time.perf_counter()
        target.copy_(source)
        wait(device)
        best = min(best, time.perf_counter() - start)
    return 2 * source.numel() / best


@torch.inference_mode()
def traffic(network: nn.Module, one: torch.Tensor, value_bytes: int) -> int:
    """Return the bytes of activations that a training step of one clip moves at the least.

    The output of each layer without parts is written and read once in the forward pass, and its
    gradient in the backward pass.
    """
    values = 0

    def count(_: nn.Module, __: object, output: torch.Tensor) -> None:
        nonlocal values
        values += output.numel()

    layers = [layer for layer in network.modules() if not list(layer.children())]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    network.eval()(one.float())
    for hook in hooks:
        hook.remove()
    return 4 * values * value_bytes


def measure(size: Size, device: torch.device) -> dict[str, object]:
    """Train, classify and compare; return the figures."""
    torch.manual_seed(0)
    features, labels = made_up(size, device)
    network: nn.Module = models.build("basic1", classes=CLASSES)
    network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    seconds, busy = train(network, features, labels, size)
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    moved = traffic(network, features[:1], 2 if device.type == "cuda" else 4) * size.clips
    rate = bandwidth(device, 1024 if device.type == "cuda" else 16)
    chosen = features[: size.answers]
    start = time.perf_counter()
    with full_float32():
        there = probabilities(network, chosen, size.batch)
    wait(device)
    answering_s = time.perf_counter() - start
    here = probabilities(network.cpu(), chosen.cpu(), size.batch)
    return {
        "epoch_s": seconds,
        "busy_percent": busy,
        "memory_bytes": peak,
        "limit_s": moved / rate,
        "bandwidth": rate,
        "answering_s": answering_s,
        "difference": float((there - here).abs().max()),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--small", action="store_true", help="a few small clips, for a test")
    parser.add_argument("--accelerator", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args(arguments)
    if options.accelerator == "cuda" and not torch.cuda.is_available():
        print(
            "gpu: PyTorch finds no GPU: nothing was measured (--accelerator cpu --small tries it)"
        )
        return 2
    size, device = SMALL if options.small else Size(), torch.device(options.accelerator)
    found = measure(size, device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "the processor"
    seconds = found["epoch_s"]
    assert isinstance(seconds, list)
    print(f"basic1 on {name}, {size.clips} clips of {size.bands} x {size.frames}")
    print(f"  an epoch            {statistics.median(seconds):.3f} s, the first {seconds[0]:.3f} s")
    print(
        f"  memory traffic      {found['limit_s']:.3f} s at least, at {found['bandwidth']:.3g} B/s"
    )
    print(f"  busy                {found['busy_percent']} %")
    print(f"  memory              {found['memory_bytes']} bytes at most")
    print(f"  {size.answers} answers in {found['answering_s']:.3f} s")
    print(f"  largest difference from the processor: {found['difference']:.2g}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return int(not float(str(found["difference"])) <= TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
