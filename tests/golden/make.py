"""Make the golden files: small models of every kind, two clips, and the answers of the day.

It ran once, with anymic 0.1.0 at commit 99b014b (format versions: bundle 1, device profile 1,
device identifier 2; heads on vectors had no version then). It is kept as a record of how the files
were made. It need not run with later code, and the files are not to be made again: they prove
that later code gives the same answers.

    OMP_NUM_THREADS=1 python tests/golden/make.py FOLDER SCRATCH

FOLDER receives what is committed: the models, the clips, the vectors and `answers.json`. SCRATCH
receives the training corpus and the runs. Everything follows from fixed seeds, on one thread of a
CPU in float32.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from anymic.bundle.routes import route
from anymic.calibrating import calibrate
from anymic.datasets.synthetic import scenes
from anymic.devices.apply import apply_to_waveform
from anymic.devices.descriptions import describe_manifest
from anymic.devices.device_set import DeviceSet
from anymic.devices.identify import DeviceIdentifier
from anymic.devices.profile import DeviceProfile
from anymic.devices.simulate import simulate
from anymic.embedding import Embedder
from anymic.ensemble import Builder
from anymic.frontend import FrontendConfig
from anymic.manifest import Manifest, concatenate
from anymic.predict import Predictor
from anymic.tagging import fit_head
from anymic.vectors import fit_vectors, load_head, read_vectors

from anymic import audio
from anymic.bundle import Bundle, Ensemble
from anymic.bundle import load as load_bundle
from anymic.devices.correction import SpectrumCorrection
from anymic.training import CorrectionConfig, TrainingConfig, fit

RATE_HZ, LABELS = 16000, ("bus", "park", "street_traffic")
LOCATIONS, VALIDATION_LOCATIONS = 10, 5
SHORT, LONG, VECTORS = "clip.flac", "long.flac", "vectors.npz"
CORRECTED_EVERY = 320  # samples: 50 of the second that is corrected
TRAINING = TrainingConfig(
    clip_s=1.0, batch_size=20, schedule="cosine", precision="float32", loss="cross_entropy"
)


def corpus(scratch: Path) -> Manifest:
    """Make the clips: A records all that train, B and C nine each; all three record the others."""
    clean = scenes(
        scratch / "scenes",
        seed=7,
        train_locations=LOCATIONS,
        test_locations=1,
        clip_s=1.0,
        rate_hz=RATE_HZ,
        workers=1,
        progress=False,
    )
    clean = clean.where(label=list(LABELS))
    # The last locations of each label validate: 30 clips of each device suffice to calibrate it.
    number = clean.table.groupby("label")["group"].transform(lambda own: own.factorize()[0])
    held = (number >= LOCATIONS - VALIDATION_LOCATIONS) & (clean.table["split"] == "train")
    clean = clean.with_columns(split=clean.table["split"].mask(held, "validation").tolist())
    everything = {"A": "all", "B": "all", "C": "all"}
    few = {"A": "all", "B": 9, "C": 9}
    return _recorded(
        clean, {"train": few, "validation": everything, "test": everything}, scratch / "devices"
    )


def long_clip(scratch: Path) -> Path:
    """Make a clip of 2.5 s, of device C: two windows of a second, and half of one."""
    clean = scenes(
        scratch / "long-scenes",
        seed=8,
        train_locations=1,
        test_locations=1,
        takes=1,
        clip_s=2.5,
        rate_hz=RATE_HZ,
        workers=1,
        progress=False,
    )
    clean = clean.where(label="park", split="test")
    return _recorded(clean, {"test": {"C": "all"}}, scratch / "long").paths()[0]


def _recorded(clean: Manifest, shares: dict[str, Any], out: Path) -> Manifest:
    devices = replace(DeviceSet.read("scenes"), recorded=shares)
    return simulate(clean, devices, out, workers=1, progress=False).manifest


def trained(clips: Manifest, out: Path, frontend: dict[str, Any], **settings: Any) -> Bundle:
    """Train one model in a folder of its own."""
    config = replace(TRAINING, frontend=FrontendConfig(rate_hz=RATE_HZ, **frontend), **settings)
    # Dropout, in fcnn, draws from the generator of torch, which `fit` leaves unseeded.
    torch.manual_seed(config.seed)
    return fit(
        clips,
        config,
        out,
        progress=False,
        trainer={"accelerator": "cpu"},
    )


def make(folder: Path, scratch: Path) -> None:
    """Train every model and write what is kept of it."""
    clips = corpus(scratch)
    training = clips.where(split="train")
    # The index of a bundle lists every clip; where A alone validates, it is half as long.
    fitting = concatenate([training, clips.where(split="validation", device="A")])
    test = clips.where(split="test", device="B", label="bus")
    shutil.copyfile(test.paths()[0], folder / SHORT)
    shutil.copyfile(long_clip(scratch), folder / LONG)

    profile = SpectrumCorrection(reference="A", estimator="geometric", fft_size=160, hop_samples=80)
    profile.fit(training).profile_.write(folder / "profile.json")
    # Its own default of 128 bands and an FFT size of 2048 would be 1 MB of filters.
    analysis = {"bands": 8, "fft_size": 128, "hop_samples": 64}
    identifier = DeviceIdentifier(bands=8)
    identifier.fit_descriptions(describe_manifest(training, **analysis), seed=1)
    identifier.save(folder / "identifier")

    every_device = clips.where(split=["train", "validation"])
    basic = trained(
        every_device,
        scratch / "basic1",
        {"fft_size": 160, "hop_samples": 80, "bands": 24},
        width=0.2,
        epochs=40,
        correction=CorrectionConfig(reference=("A", "B", "C")),
    )
    calibrated = calibrate(basic, every_device, method="temperature", per_device=True)
    calibrated.model.save(folder / "basic1")

    # A front-end as those of Peters 2022 and VGGish: every setting differs from basic1's.
    fcnn = trained(
        fitting,
        scratch / "fcnn",
        {
            "fft_size": 144,
            "hop_samples": 72,
            "window_samples": 128,
            "centred": False,
            "bands": 20,
            "low_hz": 60.0,
            "high_hz": 7600.0,
            "mel_scale": "htk",
            "mel_norm": None,
            "mel_triangles": "mel",
            "power": 2,
            "log_offset": 1e-4,
            "scaling": "clip",
            "deltas": 2,
        },
        network="fcnn",
        width=0.015,
        epochs=40,
        standardize=False,
        temperature=0.5,
        correction=CorrectionConfig(reference=("A",), estimator="geometric"),
    )
    # It identifies the device of a clip, and estimates the gains of unknown ones.
    routed = route(fcnn, unknown="blind", identifier=identifier, training=training)
    routed.save(folder / "fcnn")

    members = {
        "corrected": trained(
            fitting,
            scratch / "member0",
            {"fft_size": 128, "hop_samples": 64, "bands": 21},
            width=0.15,
            epochs=40,
            seed=1,
            correction=CorrectionConfig(reference=("A", "B", "C")),
        ),
        "plain": trained(
            fitting,
            scratch / "member1",
            {"fft_size": 192, "hop_samples": 96, "bands": 22, "power": 2},
            width=0.15,
            epochs=40,
            seed=2,
        ),
        "bands": trained(
            fitting,
            scratch / "member2",
            {"fft_size": 160, "hop_samples": 80, "bands": 20},
            network="fcnn",
            width=0.04,
            epochs=40,
            seed=3,
            correction=CorrectionConfig(reference=("A",), domain="log_mel"),
        ),
    }
    builder = Builder(fitting)
    builder.build(builder.candidates(members), voting="calibrated").save(folder / "ensemble")

    tagger = fit_head(
        fitting,
        members["corrected"],
        replace(TRAINING, network="attention_head", epochs=100, seed=4),
        scratch / "tagger",
        segments=2,
        hidden=12,
        trainer={"accelerator": "cpu"},
    )
    tagger.save(folder / "tagger")

    embedder = Embedder(members["plain"], precision="float32", accelerator="cpu")
    found = embedder.embed_manifest(fitting)
    every = scratch / VECTORS
    names = np.array([Path(path).relative_to(fitting.root).as_posix() for path in found.paths])
    np.savez(
        every,
        features=found.features,
        paths=names,
        labels=np.array(found.labels),
        splits=np.array(found.splits),
        starts_s=found.starts_s,
    )
    fit_vectors(
        read_vectors(every),
        replace(TRAINING, network="lstm_head", epochs=100, seed=5, temperature=1.0),
        scratch / "head",
        segments=2,
        hidden=8,
    ).save(folder / "head")
    own = embedder.embed([folder / SHORT, folder / LONG])
    np.savez(
        folder / VECTORS,
        features=own.features,
        paths=np.array([Path(path).name for path in own.paths]),
        starts_s=own.starts_s,
    )


def answers(folder: Path) -> dict[str, Any]:
    """Load everything again, as a user does, and return what it answers."""
    short, long = folder / SHORT, folder / LONG
    found: dict[str, Any] = {}
    for name in ("basic1", "fcnn", "ensemble", "tagger"):
        model = load_bundle(folder / name)
        assert isinstance(model, Ensemble) == (name == "ensemble")
        predictor = Predictor(model, precision="float32", accelerator="cpu")
        found[name] = {
            "labels": list(model.labels),
            "clip": {
                device or "unknown": _answer(predictor, short, device)
                for device in ("A", "B", "C", "Q", None)
            },
            "long": {
                device or "unknown": _answer(predictor, long, device) for device in ("C", None)
            },
        }
    vectors = read_vectors(folder / VECTORS, labelled=False)
    head = load_head(folder / "head")
    found["head"] = {
        "labels": list(head.labels),
        "paths": vectors.clips.table["path"].tolist(),
        "probabilities": head.predict(vectors).tolist(),
    }
    identifier = DeviceIdentifier.load(folder / "identifier")
    clips = {SHORT: audio.read(short), LONG: audio.read(long)}
    found["identifier"] = {
        "devices": list(identifier.devices),
        **{name: vars(identifier.identify(clip)) for name, clip in clips.items()},
        "together": vars(identifier.identify_together(list(clips.values()))),
    }
    profile = DeviceProfile.read(folder / "profile.json")
    gains = profile.gains_for("C")
    corrected = apply_to_waveform(
        clips[SHORT], gains, fft_size=profile.fft_size, hop_samples=profile.hop_samples
    )
    found["profile"] = {
        "device": "C",
        "gains": gains[::4].tolist(),
        "corrected": corrected.samples[::CORRECTED_EVERY].astype(np.float64).tolist(),
    }
    return found


def _answer(predictor: Predictor, path: Path, device: str | None) -> dict[str, Any]:
    one = predictor.predict(path, device=device)
    return {
        "device": one.device,
        "device_from": one.device_from,
        "device_policy": one.device_policy,
        "device_probability": one.device_probability,
        "starts_s": list(one.window_starts_s),
        "probabilities": list(one.probabilities.values()),
        "windows": one.window_probabilities.tolist(),
    }


def main() -> None:
    """Make everything in two folders that the command line names."""
    folder, scratch = map(Path, sys.argv[1:])
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    make(folder, scratch)
    text = json.dumps(answers(folder), indent=1, allow_nan=False) + "\n"
    (folder / "answers.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
