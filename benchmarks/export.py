"""Clip to answer: an exported file in onnxruntime beside the model in anymic, float32, one thread.

    python benchmarks/export.py

prints the processor time of both (the least of the rounds, which take turns), their ratio, and the
time of each way to write the Fourier transform. Weights are random.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import anymic
from anymic import models
from anymic._internal.onnx_session import load_session
from anymic.bundle import Bundle, InputContract
from anymic.exporters.transforms import fitting
from anymic.features import Frontend, FrontendConfig
from anymic.features.patches import YAMNET
from anymic.inference.engine import Engine

LABELS = tuple(f"label {number}" for number in range(10))
TAGGER = {
    "embedder": {"name": "yamnet"},
    "head": {"name": "linear_head"},
    "segment_frames": 96,
    "segment_hop_frames": 48,
}


def bundle(name: str, config: FrontendConfig, clip_s: float, **arguments: object) -> Bundle:
    torch.manual_seed(0)
    return Bundle(
        network=models.build(name, classes=len(LABELS), **arguments),
        frontend=Frontend(config, device_gains={"A": np.linspace(0.5, 2, config.bins)}),
        labels=LABELS,
        contract=InputContract(config.rate_hz, clip_s),
        network_name=name,
        network_arguments=dict(arguments),
    )


def least(works: list[Callable[[], object]], rounds: int) -> list[float]:
    """Return the least processor time of each, in seconds; they take turns."""
    taken: list[list[float]] = [[] for _ in works]
    for turn in range(rounds + 2):
        for work, times in zip(works, taken, strict=True):
            start = time.process_time()
            work()
            if turn >= 2:
                times.append(time.process_time() - start)
    return [min(times) for times in taken]


def compare(title: str, model: Bundle, folder: Path, rounds: int) -> None:
    samples = np.random.default_rng(0).normal(scale=0.1, size=(1, model.contract.clip_samples))
    inputs = {"samples": samples.astype(np.float32), "device": np.ones(1, np.int64)}
    engine = Engine(model, precision="float32", accelerator="cpu")
    gains, wave = [engine.profile_gains("A")], torch.from_numpy(inputs["samples"])
    works: list[Callable[[], object]] = [lambda: engine.classify(engine.features(wave, gains))]
    names = fitting(model.frontend.config)
    for name in names:
        path = anymic.export(model, folder / f"{name}.onnx", transform=name).path
        session = load_session(path, threads=1)
        works.append(lambda session=session: session.run(None, inputs))  # type: ignore[misc]
    ours, *theirs = least(works, rounds)
    print(f"{title}\n  anymic            {1e3 * ours:7.1f} ms")
    for name, seconds in zip(names, theirs, strict=True):
        ratio = f"{seconds / ours:.2f} x"
        print(f"  ONNX, {name:10}  {1e3 * seconds:7.1f} ms  {ratio}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        compare("basic1, 10 s at 44.1 kHz", bundle("basic1", FrontendConfig(), 10.0), place, rounds)
        tagger = bundle("tagger", YAMNET, 5.0, **TAGGER)
        compare("YAMNet and a linear head, 5 s at 16 kHz", tagger, place, rounds)


if __name__ == "__main__":
    main()
