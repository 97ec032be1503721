"""A program that calls every function of the front door and says what it changed in the process.

It prints JSON: for each function what its process-wide settings were before and after, where they
differ, and a hash of its result. With an argument, such as `odd`, it first makes settings as other
programs may have them. `tests/test_good_citizen.py` compares.
"""

from __future__ import annotations

import gc
import hashlib
import json
import logging
import logging.handlers
import multiprocessing
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
import torch

RATE_HZ = 8000
ODD: dict[str, Callable[[], object]] = {
    "float64": lambda: torch.set_default_dtype(torch.float64),
    "meta": lambda: torch.set_default_device("meta"),
    "no_grad": lambda: torch.set_grad_enabled(False),
    "inference": torch.inference_mode().__enter__,
    "deterministic": lambda: torch.use_deterministic_algorithms(True),
    "autocast": torch.autocast("cpu", torch.bfloat16).__enter__,
}


def state() -> dict[str, str]:
    """Return what a library must leave as it is, as text."""
    loggers = {name: logging.getLogger(name) for name in ("", *USED)}
    found: dict[str, Any] = {
        "torch generator": torch.default_generator.get_state().numpy().tobytes(),
        "numpy generator": repr(np.random.get_state()),  # noqa: NPY002
        "python generator": random.getstate(),
        "warning filters": warnings.filters,
        "start method": multiprocessing.get_start_method(allow_none=True),
        "threads": torch.get_num_threads(),
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "grad": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "autocast": torch.is_autocast_enabled("cpu"),
        "algorithms": torch.are_deterministic_algorithms_enabled(),
        "precision": torch.get_float32_matmul_precision(),
        "cudnn": (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
        "mkldnn": torch.backends.mkldnn.enabled,
        "loggers": {k: (v.level, v.handlers, v.propagate, v.disabled) for k, v in loggers.items()},
        "environment": sorted(os.environ.items()),
        "signals": [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)],
        "hooks": (sys.excepthook, sys.unraisablehook, threading.excepthook, warnings.showwarning),
        "numpy": (np.geterr(), np.get_printoptions()),
        "pandas": {one: pd.get_option(one) for one in PANDAS},
        "folder": Path.cwd(),
        "standard streams": (sys.stdout, sys.stderr),
        "recursion": sys.getrecursionlimit(),
        "garbage": (gc.isenabled(), gc.get_threshold()),
    }
    if mpl := sys.modules.get("matplotlib"):
        found["matplotlib"] = sorted(dict.items(mpl.rcParams), key=lambda one: one[0])
    return {name: str(value) for name, value in found.items()}


BY_DESIGN = ("models", "torch generator")  # new weights are drawn from it, as torch does
PANDAS = ("display.max_rows", "display.width", "display.precision")
USED = {"pytorch_lightning", "lightning_fabric", "lightning", "pooch", "matplotlib", "anymic"}


def digest(result: Any) -> str:
    """Return a hash of what a function gave: exact numbers, in any nesting."""
    seen = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, torch.Tensor):
            value = value.detach().cpu().numpy()
        if isinstance(value, np.ndarray):
            seen.update(f"{value.dtype}{value.shape}".encode() + value.tobytes())
        elif isinstance(value, dict):
            for key in sorted(set(value) - {"created"}, key=str):
                seen.update(str(key).encode())
                add(value[key])
        elif isinstance(value, list | tuple):
            for one in value:
                add(one)
        elif isinstance(value, torch.nn.Module):
            add(dict(value.state_dict()))
        elif isinstance(value, str | int | float | None):
            seen.update(repr(value).encode())
        else:
            add(vars(value) if hasattr(value, "__dict__") else repr(value))

    add(result)
    return seen.hexdigest()[:16]


def make_clips(folder: Path) -> Path:
    """Write 16 takes of two labels by two devices, 0.5 s each; return the manifest."""
    generator = np.random.default_rng(3)
    rows = []
    for take in range(16):
        noise = generator.normal(0, 0.05, RATE_HZ // 2 + 1)
        sound = noise[1:] + (0.9, -0.9)[take % 2] * noise[:-1]
        for device, taps in (("A", [1.0]), ("B", [0.6, 0.3])):
            name = f"{device}{take}.wav"
            samples = np.convolve(sound, taps, mode="same")
            soundfile.write(folder / name, samples, RATE_HZ, subtype="FLOAT")
            split = "test" if take >= 12 else "train"
            rows.append((name, "ab"[take % 2], device, f"t{take}", f"t{take}", split))
    table = pd.DataFrame(rows, columns=["path", "label", "device", "take", "group", "split"])
    table.to_csv(folder / "clips.csv", index=False)
    return folder / "clips.csv"


def calls(folder: Path) -> dict[str, Callable[[], Any]]:
    """Return every function to call, by name; later ones use what earlier ones wrote."""
    import matplotlib as mpl

    import anymic
    from anymic.bundle import Bundle

    mpl.rcParams["lines.linewidth"] = 3.0
    from anymic.codecs.coded_corpus import encode
    from anymic.data.embeddings import Vectors
    from anymic.devices.correction.spectrum_gains import SpectrumGains
    from anymic.devices.simulation.simulate import simulate
    from anymic.importers.vggish import import_vggish
    from anymic.inference.embedder import Embedder
    from anymic.training import CorrectionConfig
    from anymic.training.embedding_heads import fit_vectors
    from anymic.training.heads import fit_head
    from anymic.training.loop.augmentation import SpecAugment, TimeWarp
    from anymic.training.members import fit_members

    os.chdir(folder)
    folder = Path()  # relative, so that results do not depend on the place
    clips = make_clips(folder)
    manifest = anymic.Manifest.read(clips)
    others = manifest.where(split="test").with_columns(split="more")
    others = others.with_columns(label=["b", "a", *others.table["label"][2:]])
    run, first = folder / "run", folder / "A1.wav"
    config = anymic.TrainingConfig(
        frontend=anymic.FrontendConfig(rate_hz=RATE_HZ, fft_size=256, hop_samples=128, bands=32),
        correction=CorrectionConfig(("A",)),
        time_warp=TimeWarp(width=4),
        spec_augment=SpecAugment(frames=4, bands=4),
        epochs=2,
        batch_size=8,
        validation_share=0.25,
        precision="float32",
        seed=3,
    )
    quiet: dict[str, Any] = {"progress": False}
    (folder / "codecs.yaml").write_text("codecs: {mu-law: [64]}\n")
    (folder / "devices.yaml").write_text(
        "seed: 1\ndevices: {B: {gain_db: -6}}\nrecorded: {train: {B: all}, test: {B: all}}\n"
    )

    class Own(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = torch.nn.Linear(32, 2)
            with torch.no_grad():
                self.last.weight.fill_(0.1)
                self.last.bias.fill_(0.0)

        def forward(self, features: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.last(features.mean(dim=(1, 3)))
            return logits

    def own() -> Any:
        with torch.random.fork_rng(), torch.device("cpu"), torch.inference_mode(False):
            network = Own()
        return anymic.train(clips, config, folder / "own", network=network, **quiet)

    def load() -> Any:
        return anymic.load(run, precision="float32")

    def identifier() -> Any:
        return anymic.DeviceIdentifier().fit(manifest)

    def vectors() -> Vectors:
        generator = np.random.default_rng(0)
        sizes = [(1 + row % 2, 5) for row in range(len(manifest))]
        arrays = [generator.normal(size=size).astype(np.float32) for size in sizes]
        return Vectors(manifest, tuple(arrays))

    return {
        "profile": lambda: anymic.profile(clips, reference="A", fft_size=256, hop_samples=128),
        "train": lambda: anymic.train(clips, config, run, **quiet).network,
        "train an own network": lambda: own().network,
        "load": lambda: load().bundle.network,
        "predict": lambda: load().predict(first, device="B"),
        "predict_many": lambda: list(load().predict_many([first, folder / "B2.wav"] * 9)),
        "predict_manifest": lambda: load().predict_manifest(manifest),
        "evaluate": lambda: anymic.evaluate(load(), clips).rows,
        "report": lambda: sorted(anymic.evaluate(load(), clips).write(folder / "report")),
        "calibrate": lambda: anymic.calibrate(load().bundle, others, split="all").model.calibration,
        "robustness": lambda: (
            anymic.robustness(
                load(), clips, devices=folder / "devices.yaml", codecs=folder / "codecs.yaml"
            ).probabilities
        ),
        "finetune": lambda: (
            anymic.finetune(
                run, clips, folder / "tuned", config=config, report_epochs=[1], **quiet
            ).network
        ),
        "identifier": lambda: identifier().save(folder / "identifier").name,
        "identify": lambda: list(anymic.identify(folder / "identifier", [first])),
        "members": lambda: [
            Bundle.load(one).network
            for one in fit_members(manifest, config, folder / "m", members=2, workers=1, **quiet)
        ],
        "vggish": lambda: import_vggish(width=1 / 64, seed=1).save(folder / "vggish").name,
        "head": lambda: (
            fit_head(
                manifest,
                Bundle.load(folder / "vggish"),
                anymic.TrainingConfig(
                    network="attention_head", epochs=1, batch_size=4, precision="float32"
                ),
                folder / "head",
                segments=1,
                hidden=4,
            ).network
        ),
        "head on vectors": lambda: (
            fit_vectors(
                vectors(),
                anymic.TrainingConfig(network="lstm_head", epochs=1, precision="float32"),
                folder / "vectors",
                segments=2,
                hidden=4,
            ).network
        ),
        "embed": lambda: Embedder(load().bundle).embed_manifest(manifest).features,
        "simulate": lambda: (
            simulate(manifest.where(device="A"), folder / "devices.yaml", folder / "sim").written
        ),
        "encode": lambda: encode(manifest, folder / "codecs.yaml", folder / "enc").written,
        "standardizer": lambda: (
            anymic.Standardizer().fit([np.random.default_rng(1).normal(size=(32, 9))]).mean_
        ),
        "gains": lambda: SpectrumGains(load().bundle.profile)(
            torch.full((1, 129, 1), 2.0, dtype=torch.float32, device="cpu"), ["B"]
        ),
        "models": lambda: [anymic.models.build(name, classes=2) for name in ("basic1", "fcnn")],
    }


def main(folder: Path, odd: list[str]) -> None:
    """Call every function and print what it changed, and the hash of its result."""
    torch.manual_seed(7)
    for name in odd:
        ODD[name]()
    logging.basicConfig(level=logging.INFO)
    warnings.simplefilter("once", FutureWarning)
    found = {}
    for name, call in calls(folder).items():
        before = state()
        try:
            result = digest(call())
        except Exception as error:
            result = f"{type(error).__name__}: {error}"[:500]
            if "-v" in sys.argv:
                raise
        after = state()
        changed = {
            one: (before.get(one, ""), after[one])
            for one in after
            if before.get(one, after[one]) != after[one] and (name, one) != BY_DESIGN
        }
        found[name] = {"changed": changed, "result": result}
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), [name for name in sys.argv[2:] if name in ODD])
