"""The same clips through every way of answering: the probabilities are the same to 1e-6.

The clips are built-in scenes as three simulated devices record them: one window long, longer and
shorter. The model has gains for two of the devices, a temperature other than 1, and a calibrator
for each device. Everything is computed in float32, except where a test states otherwise.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

import anymic
from anymic import models
from anymic.audio import read
from anymic.bundle import Bundle, Ensemble, InputContract
from anymic.calibration import DeviceCalibrator
from anymic.data.corpora.scenes import Settings, scenes
from anymic.data.embeddings import Vectors
from anymic.data.manifest import Manifest
from anymic.devices.correction.noise import factors_with_noise
from anymic.devices.simulation.device_set import DeviceSet
from anymic.devices.simulation.simulate import simulate
from anymic.features import Frontend, FrontendConfig
from anymic.inference.embedder import SequenceEmbedder
from anymic.inference.embedding_head import VectorHead
from anymic.inference.prediction import Prediction
from anymic.inference.predictor import Predictor
from anymic.models.tagger import Tagger
from anymic.training import TrainingConfig, finetune
from anymic.training.heads import untrained

RATE_HZ, CLIP_S, TEMPERATURE = 16_000, 0.5, 2.5
LABELS, DEVICES = ("bus", "metro", "park"), ("A", "B", "C")
SECONDS = (0.5, 1.3, 0.3)  # one window; two and a rest that counts; shorter than a window
TOLERANCE = 1e-6


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Write nine clips, three of each device, of the three lengths, and return their manifest."""
    folder = tmp_path_factory.mktemp("clips")
    clean = scenes(
        folder / "scenes",
        Settings(train_locations=1, test_locations=1, takes=1, clip_s=SECONDS[1], rate_hz=RATE_HZ),
        progress=False,
    ).where(label=list(LABELS))
    recorded_shares: dict[str, dict[str, int | float | Literal["all"]]] = {
        "train": {"A": "all"},
        "test": dict.fromkeys(DEVICES, "all"),
    }
    recorders = replace(DeviceSet.read("scenes"), recorded=recorded_shares)
    recorded = simulate(clean, recorders, folder / "devices", progress=False).manifest
    rows = []
    for number, (label, device) in enumerate(product(LABELS, DEVICES)):
        source = recorded.where(label=label, device=device, split="test").paths()[0]
        samples = read(source).samples
        seconds = SECONDS[(number + number // 3) % 3]
        name = f"{label}-{device}.wav"
        soundfile.write(
            folder / name, samples[: round(seconds * RATE_HZ)], RATE_HZ, subtype="FLOAT"
        )
        rows.append((name, label, device, seconds))
    columns = ["path", "label", "device", "seconds"]
    return Manifest.from_table(pd.DataFrame(rows, columns=columns), folder)


@pytest.fixture(scope="module")
def calibration() -> DeviceCalibrator:
    """Return temperatures for all clips and for A and B, far from 1 and from each other."""
    generator = np.random.default_rng(3)
    targets = np.arange(120) % 3
    sharp = np.where(np.arange(120) % 2 == 0, 0.5, 8.0)[:, None]
    p = np.exp(sharp * (np.eye(3)[targets] + generator.normal(0, 0.7, (120, 3))))
    return DeviceCalibrator().fit(
        p / p.sum(axis=1, keepdims=True),
        targets,
        ["A" if number % 2 else "B" for number in range(120)],
        per_device=True,
    )


@pytest.fixture(scope="module")
def model(calibration: DeviceCalibrator) -> Bundle:
    """Return a model with random weights."""
    config = FrontendConfig(rate_hz=RATE_HZ, fft_size=256, hop_samples=160, bands=24)
    generator = np.random.default_rng(1)
    gains = {name: generator.uniform(0.2, 5.0, config.bins) for name in ("A", "B")}
    gains["B"] = factors_with_noise(gains["B"], np.full((2, config.bins), [[0.02], [0.005]]))
    frontend = Frontend(config, device_gains=gains)
    frontend.mean.fill_(-5.0)
    frontend.scale.fill_(2.0)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network: Any = models.build("basic1", classes=3, width=0.1)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):  # as if it had been trained
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(0.2, 0.1)
                module.running_var.uniform_(0.3, 1.0)
        network.classifier.weight.data.normal_(0, 8)
    return Bundle(
        network=network,
        frontend=frontend,
        labels=LABELS,
        contract=InputContract(rate_hz=RATE_HZ, clip_s=CLIP_S),
        network_name="basic1",
        network_arguments={"width": 0.1},
        temperature=TEMPERATURE,
        calibration=calibration,
    )


@pytest.fixture(scope="module")
def wanted(model: Bundle, clips: Manifest) -> np.ndarray:
    """Return what `predict` returns for each clip (clip, label)."""
    return predicted(Predictor(model, precision="float32", accelerator="cpu"), clips)


def predicted(predictor: Predictor, clips: Manifest) -> np.ndarray:
    """Return the probabilities (clip, label) of each clip by itself."""
    devices = clips.table["device"]
    each = [
        predictor.predict(path, device=device or None)
        for path, device in zip(clips.paths(), devices, strict=True)
    ]
    return np.array([shares(one) for one in each])


def rows_of_one_window(clips: Manifest) -> list[int]:
    """Return the clips that a cache can keep and fine-tuning can measure: no longer than one."""
    seconds = clips.table["seconds"].astype(float).tolist()
    return [row for row, length in enumerate(seconds) if length <= CLIP_S]


def shares(prediction: object) -> list[float]:
    assert isinstance(prediction, Prediction), prediction
    return list(prediction.probabilities.values())


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def windows_of(samples: np.ndarray) -> np.ndarray:
    """Cut samples as the contract states: the rest is padded if it is half a window or more."""
    length = round(CLIP_S * RATE_HZ)
    count = max(1, round(len(samples) / length))
    padded = np.zeros(count * length, np.float32)
    padded[: len(samples)] = samples[: count * length]
    return padded.reshape(count, length)


def test_predict_is_the_chain_by_hand(model: Bundle, clips: Manifest, wanted: np.ndarray) -> None:
    """Temperature, softmax, mean over windows, then the calibrator of the clip's device."""
    assert model.calibration is not None
    found = []
    for path, device in zip(clips.paths(), clips.table["device"], strict=True):
        windows = torch.from_numpy(windows_of(soundfile.read(path, dtype="float32")[0]))
        rows = model.frontend.device_index([device] * len(windows))
        with torch.inference_mode():
            logits = model.network(model.frontend(windows, rows)).double().numpy()
        mean = softmax(logits / TEMPERATURE).mean(axis=0)
        calibrator = model.calibration.devices_.get(device, model.calibration.general_)
        found.append(softmax(np.log(mean) / calibrator.temperature_))  # type: ignore[attr-defined]
    np.testing.assert_allclose(wanted, found, atol=1e-5)
    assert (wanted.max(axis=0) - wanted.min(axis=0)).min() > 0.05  # the clips differ


def test_many_and_manifests(
    model: Bundle, clips: Manifest, wanted: np.ndarray, tmp_path: Path
) -> None:
    predictor = Predictor(model, precision="float32", accelerator="cpu", batch_size=2)
    devices = clips.table["device"].tolist()
    many = predictor.predict_many(clips.paths(), devices=devices)
    np.testing.assert_allclose([shares(one) for one in many], wanted, atol=TOLERANCE)
    arrays = [soundfile.read(path, dtype="float32")[0] for path in clips.paths()]
    many = predictor.predict_many(arrays, rate_hz=RATE_HZ, devices=devices)
    np.testing.assert_allclose([shares(one) for one in many], wanted, atol=TOLERANCE)
    whole = predictor.predict_manifest(clips)
    np.testing.assert_allclose(whole.probabilities, wanted, atol=TOLERANCE)
    for _ in range(2):  # features are computed, then read
        kept = predictor.predict_manifest(clips, cache=tmp_path)
        assert kept.rows.tolist() == rows_of_one_window(clips)
        np.testing.assert_allclose(kept.probabilities, wanted[kept.rows], atol=TOLERANCE)


def test_evaluate(model: Bundle, clips: Manifest, wanted: np.ndarray, tmp_path: Path) -> None:
    predictor = Predictor(model, precision="float32", accelerator="cpu")
    found = anymic.evaluate(predictor, clips, reference="A")
    assert found.facts["number format"] == "float32"  # the predictor's
    np.testing.assert_allclose(found.probabilities, wanted, atol=TOLERANCE)
    one_window = clips.rows(rows_of_one_window(clips))
    kept = anymic.evaluate(predictor, one_window, cache=tmp_path)
    np.testing.assert_allclose(
        kept.probabilities, wanted[rows_of_one_window(clips)], atol=TOLERANCE
    )


def test_a_cache_of_half_the_size_is_asked_for_by_name(
    model: Bundle, clips: Manifest, wanted: np.ndarray, tmp_path: Path
) -> None:
    predictor = Predictor(model, precision="float32", accelerator="cpu")
    kept = predictor.predict_manifest(clips, cache=tmp_path, cache_dtype="float16")
    difference = np.abs(kept.probabilities - wanted[kept.rows]).max()
    assert TOLERANCE < difference < 3e-3
    full = predictor.predict_manifest(clips, cache=tmp_path)  # not answered from the other cache
    np.testing.assert_allclose(full.probabilities, wanted[full.rows], atol=TOLERANCE)
    half, whole = sorted(path.stat().st_size for path in tmp_path.iterdir())
    assert half < 0.6 * whole


@pytest.mark.parametrize("voting", ["soft", "geometric"])
def test_an_ensemble_of_one(
    model: Bundle,
    calibration: DeviceCalibrator,
    clips: Manifest,
    wanted: np.ndarray,
    tmp_path: Path,
    voting: str,
) -> None:
    alone = Ensemble((model,), voting, calibration=calibration)  # type: ignore[arg-type]
    predictor = Predictor(alone, precision="float32", accelerator="cpu")
    np.testing.assert_allclose(predicted(predictor, clips), wanted, atol=TOLERANCE)
    kept = predictor.predict_manifest(clips, cache=tmp_path)
    np.testing.assert_allclose(kept.probabilities, wanted[kept.rows], atol=TOLERANCE)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_finetuning_measures_what_predict_answers(
    model: Bundle, clips: Manifest, tmp_path: Path, precision: str
) -> None:
    """Before the first epoch and after the last; a calibrator is left out, as its weights change.

    In bfloat16 the sums of a batch depend on its size, so the tolerance is wider there; float32
    differs by more.
    """
    one_window = clips.rows(rows_of_one_window(clips))
    manifest = one_window.with_columns(split=["train", "test"] * 3)
    test = manifest.where(split="test")
    config = TrainingConfig(
        epochs=1,
        batch_size=3,
        validation_share=0.0,
        shorter="pad",
        precision=precision,  # type: ignore[arg-type]
        learning_rate=0.1,
    )
    tuned = finetune(model, manifest, tmp_path, config=config, progress=False, report_epochs=())
    with np.load(tmp_path / "measured.npz") as measured:
        answers, ids = measured["probabilities"], measured["ids"].tolist()
    order = [ids.index(clip) for clip in test.clip_ids()]
    for epoch, bundle in ((0, model.uncalibrated()), (1, tuned)):
        predictor = Predictor(bundle, precision=precision, accelerator="cpu")  # type: ignore[arg-type]
        expected = predictor.predict_manifest(test).probabilities
        tolerance = TOLERANCE if precision == "float32" else 2e-4
        np.testing.assert_allclose(answers[epoch][order], expected, atol=tolerance)


@pytest.fixture(scope="module")
def tagger(model: Bundle, clips: Manifest) -> Bundle:
    """Return a head with random weights on the model, for windows of two segments."""
    wide = replace(model, contract=replace(model.contract, clip_s=1.0))
    bundle = untrained(wide, list(LABELS), "attention_head", segments=2, hidden=6, seed=2)
    network = bundle.network
    assert isinstance(network, Tagger)
    embedded = SequenceEmbedder(bundle, precision="float32", accelerator="cpu")
    features = embedded.embed_manifest(clips).features
    segments = torch.from_numpy(features.reshape(-1, len(network.standardization.mean)))
    network.standardization.mean.copy_(segments.mean(dim=0))
    network.standardization.scale.copy_(segments.std(dim=0) + 1e-3)
    generator = torch.Generator().manual_seed(2)
    head: Any = network.head
    head.classifier.weight.data.normal_(0, 8, generator=generator)
    return replace(bundle, temperature=TEMPERATURE)


def test_a_head_answers_the_same_on_sounds_and_on_their_embeddings(
    tagger: Bundle, clips: Manifest, calibration: DeviceCalibrator
) -> None:
    """A tagger on the clips, and its head on the vectors that its embedder gives for them."""
    predictor = Predictor(tagger, precision="float32", accelerator="cpu")
    expected = predictor.predict_manifest(clips).probabilities
    network = tagger.network
    assert isinstance(network, Tagger)
    embedder = SequenceEmbedder(tagger, precision="float32", accelerator="cpu")
    embedded = embedder.embed_manifest(clips)
    width = len(network.standardization.mean)
    sequences = embedded.features.reshape(len(embedded.rows), -1, width)
    head = VectorHead(
        network=network.head,
        name="attention_head",
        arguments={"inputs": width, "hidden": 6},
        labels=LABELS,
        segments=2,
        mean=network.standardization.mean.numpy(),
        scale=network.standardization.scale.numpy(),
        training={"settings": {"temperature": TEMPERATURE}},
    )
    vectors = Vectors(
        clips,
        tuple(np.concatenate(sequences[embedded.rows == row]) for row in range(len(clips))),
    )
    np.testing.assert_allclose(head.predict(vectors), expected, atol=TOLERANCE)
    kept = head.predict_manifest(vectors, clips.rows([2, 0]))
    np.testing.assert_allclose(kept.probabilities, expected[[2, 0]], atol=TOLERANCE)
    answers = head.answers(vectors)
    np.testing.assert_allclose([shares(one) for one in answers], expected, atol=TOLERANCE)
    measured = anymic.evaluate(head, vectors)
    np.testing.assert_allclose(measured.probabilities, expected, atol=TOLERANCE)
    without = replace(head, training={})  # without a record it is 1
    assert np.abs(without.predict(vectors) - expected).max() > 0.03
