"""An exported file holds calibrators, windows, votes and the subtraction of noise."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.exporters.test_export import CLOSE, answers, expected, network_of

import anymic
from anymic.audio import Clip
from anymic.bundle import Bundle, Ensemble, load
from anymic.calibration import DeviceCalibrator
from anymic.devices.correction.noise import factors_with_noise
from anymic.errors import BundleError
from anymic.exporters.parity import generated
from anymic.features import Frontend
from anymic.inference.embedder import Embedder

GOLDEN = Path(__file__).resolve().parents[1] / "golden"

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def calibrator(method: Any, clips: int = 400) -> DeviceCalibrator:
    generator = np.random.default_rng(4)
    p = generator.dirichlet(np.ones(3), size=clips)
    targets = [int(generator.choice(3, p=row**0.5 / (row**0.5).sum())) for row in p]
    devices = ["A" if number % 2 else "Q" for number in range(clips)]
    return DeviceCalibrator(method).fit(p, targets, devices, per_device=True)


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
def test_calibrators_by_device(small_bundle: Bundle, tmp_path: Path, method: str) -> None:
    """Q has a calibrator of its own and no gains."""
    bundle = replace(small_bundle, calibration=calibrator(method))
    out = anymic.export(bundle, tmp_path / "m.onnx", windows=True)
    assert out.devices == ("A", "B", "Q")
    assert out.difference < CLOSE
    predictor = anymic.Predictor(bundle, precision="float32")
    samples = generated(8000 * 5 // 2, 8000)
    for number, device in enumerate((None, *out.devices)):
        for row, own in zip(answers(out.path, samples, number), samples, strict=True):
            wanted = predictor.predict(own, rate_hz=8000, device=device).probabilities
            np.testing.assert_allclose(row, list(wanted.values()), atol=CLOSE)


@pytest.mark.parametrize("shorter", ["pad", "repeat"])
@pytest.mark.parametrize("hop_s", [None, 0.4])
def test_windows_are_those_of_the_contract(
    small_bundle: Bundle, tmp_path: Path, shorter: Any, hop_s: float | None
) -> None:
    contract = replace(small_bundle.contract, shorter=shorter, hop_s=hop_s)
    bundle = replace(small_bundle, contract=contract)
    out = anymic.export(bundle, tmp_path / "m.onnx", windows=True)
    predictor = anymic.Predictor(bundle, precision="float32")
    for length in (3000, 8000, 11_999, 12_000, 27_111):
        samples = generated(length, 8000)
        for row, own in zip(answers(out.path, samples), samples, strict=True):
            wanted = predictor.predict(own, rate_hz=8000).probabilities
            np.testing.assert_allclose(row, list(wanted.values()), atol=CLOSE)


@pytest.mark.parametrize("voting", ["soft", "geometric"])
def test_votes(small_bundle: Bundle, tmp_path: Path, voting: Any) -> None:
    second = replace(small_bundle, network=network_of("basic1"), temperature=2.5)
    both = Ensemble((small_bundle, second), voting=voting)
    out = anymic.export(both, tmp_path / "m.onnx")
    samples = generated(13_000, 8000)
    np.testing.assert_allclose(answers(out.path, samples), expected(both, samples), atol=CLOSE)


def test_several_labels_a_clip(small_bundle: Bundle, tmp_path: Path) -> None:
    several = replace(small_bundle, targets="several", thresholds=(0.2, 0.5, 0.9))
    out = anymic.export(several, tmp_path / "m.onnx")
    samples = generated(8000, 8000)
    found = answers(out.path, samples)
    np.testing.assert_allclose(found, expected(several, samples), atol=CLOSE)
    stated = {one.key: one.value for one in onnx.load(out.path).metadata_props}
    assert stated["targets"] == "several"
    assert json.loads(stated["thresholds"]) == [0.2, 0.5, 0.9]


def test_noise_is_subtracted(small_bundle: Bundle, tmp_path: Path) -> None:
    config = small_bundle.frontend.config
    gains = np.linspace(0.5, 8.0, config.bins)
    noise = np.stack([np.full(config.bins, 0.05), np.full(config.bins, 0.02)])
    rows = {"A": np.ones(config.bins), "B": factors_with_noise(gains, noise)}
    bundle = replace(small_bundle, frontend=Frontend(config, device_gains=rows), profile=None)
    out = anymic.export(bundle, tmp_path / "m.onnx")
    samples = generated(12_345, 8000)
    for number, device in enumerate((None, "A", "B")):
        wanted = expected(bundle, samples, device)
        np.testing.assert_allclose(answers(out.path, samples, number), wanted, atol=CLOSE)


@pytest.mark.parametrize("name", ["basic1", "fcnn", "tagger"])
def test_embeddings_are_those_of_the_embedder(name: str, tmp_path: Path) -> None:
    """With windows they are the mean over these, as the probabilities are."""
    bundle = Bundle.load(GOLDEN / name)
    out = anymic.export(bundle, tmp_path / "m.onnx", windows=True, embeddings=True)
    contract = bundle.contract
    samples = generated(round(2.2 * contract.clip_samples), contract.rate_hz)
    clips = [Clip(one, contract.rate_hz) for one in samples]
    features = Embedder(bundle, precision="float32").embed(clips, device="B").clips()[0]
    found = answers(out.path, samples, 1 + out.devices.index("B"), "embeddings")
    assert found.shape == features.shape
    np.testing.assert_allclose(found, features, atol=1e-4 * np.abs(features).max())


def test_an_ensemble_has_no_embeddings_here_and_in_embed(tmp_path: Path) -> None:
    ensemble = load(GOLDEN / "ensemble")
    expected_text = r"an ensemble of 3 models with different \w+\. Expected a single model"
    with pytest.raises(BundleError, match=expected_text):
        Embedder(ensemble)
    with pytest.raises(BundleError, match=expected_text):
        anymic.export(ensemble, tmp_path / "m.onnx", embeddings=True)


def test_a_head_on_vectors_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is a head on embeddings, which takes no samples"):
        anymic.export(GOLDEN / "head", tmp_path / "m.onnx")
