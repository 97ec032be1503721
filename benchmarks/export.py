"""Clip to answer: an exported file in ONNX Runtime beside the model in anymic, float32.

    python benchmarks/export.py [--rounds 7] [--threads 1 2] [--only YAMNet]

prints the time of both with the same number of threads (the least of the rounds, which take
turns), their ratio, and the time of each way to write the Fourier transform; * is the one that
`anymic.export` chooses on this machine. With one thread it is the time of the processor, else that
of the clock. Weights are random.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from random_models import MODELS  # type: ignore[import-not-found]

import anymic
from anymic._internal.onnx_session import load_session
from anymic.bundle import Bundle, Ensemble
from anymic.exporters.transforms import fitting
from anymic.inference.engine import Engine

REST_S = 0.05


def least(
    works: list[Callable[[], object]], rounds: int, clock: Callable[[], float]
) -> list[float]:
    """Return the least time of each, in seconds; they take turns.

    Threads of OpenMP and of onnxruntime wait actively for milliseconds after their work: without a
    rest they would take a processor from what comes next.
    """
    taken: list[list[float]] = [[] for _ in works]
    for turn in range(rounds + 2):
        for work, times in zip(works, taken, strict=True):
            time.sleep(REST_S)
            start = clock()
            work()
            if turn >= 2:
                times.append(clock() - start)
    return [min(times) for times in taken]


def written(model: Bundle | Ensemble, folder: Path) -> tuple[str, dict[str, Path]]:
    """Return the transform that is chosen here, and the files of all that fit."""
    chosen = anymic.export(model, folder / "auto.onnx").transform
    configs = [one.frontend.config for one in model.members]
    names = [one for one in fitting(configs[0]) if all(one in fitting(each) for each in configs)]
    return chosen, {
        name: anymic.export(model, folder / f"{name}.onnx", transform=name).path for name in names
    }


def compare(
    model: Bundle | Ensemble, files: dict[str, Path], threads: int, rounds: int
) -> list[float]:
    """Return the time of anymic, and that of each file."""
    samples = np.random.default_rng(0).normal(scale=0.1, size=(1, model.contract.clip_samples))
    inputs = {"samples": samples.astype(np.float32), "device": np.ones(1, np.int64)}
    torch.set_num_threads(threads)
    engine = Engine(model, precision="float32", accelerator="cpu")
    gains, wave = [engine.profile_gains("A")], torch.from_numpy(inputs["samples"])
    works: list[Callable[[], object]] = [lambda: engine.classify(engine.features(wave, gains))]
    for path in files.values():
        session = load_session(path, threads=threads)
        works.append(lambda session=session: session.run(None, inputs))  # type: ignore[misc]
    return least(works, rounds, time.process_time if threads == 1 else time.perf_counter)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", default="")
    parser.add_argument("--json", type=Path, help="also write the times to this file")
    options = parser.parse_args()
    rows: list[dict[str, object]] = []
    print("| model | threads | anymic, ms | file, ms | ratio | of each transform, ms |")
    print("|---|---|---|---|---|---|")
    for title, build in MODELS.items():
        if options.only not in title:
            continue
        model = build()
        with tempfile.TemporaryDirectory() as folder:
            chosen, files = written(model, Path(folder))
            for threads in options.threads:
                ours, *theirs = compare(model, files, threads, options.rounds)
                times = dict(zip(files, theirs, strict=True))
                each = ", ".join(
                    f"{name}{'*' * (name == chosen)} {1e3 * one:.1f}" for name, one in times.items()
                )
                named, peer = f"{title}, threads: {threads}", "ONNX Runtime"
                found = times[chosen] / ours
                kept = {"name": named, "peer": peer, "ratio": found}
                rows.append({**kept, "anymic_s": ours, "file_s": times})
                row = f"{1e3 * ours:.1f} | {1e3 * times[chosen]:.1f} | {found:.2f}"
                print(f"| {title} | {threads} | {row} | {each} |", flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
