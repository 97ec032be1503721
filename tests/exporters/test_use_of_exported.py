"""What `export` wrote is used as the model that it was made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import anymic
from anymic import audio
from anymic.audio import Clip
from anymic.bundle import Bundle, load
from anymic.errors import Failure
from anymic.exporters import Exported
from anymic.exporters.parity import generated
from anymic.inference.onnx_model import OnnxModel
from anymic.inference.onnx_predictor import predict_onnx
from anymic.inference.prediction import Prediction

pytest.importorskip("onnxruntime")

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
FILES = [GOLDEN / "clip.flac", GOLDEN / "long.flac"]


@pytest.mark.parametrize("device", [None, "A", "B", "Q"])
@pytest.mark.parametrize("name", ["basic1", "ensemble", "tagger"])
def test_predictions_are_those_of_the_model(
    name: str, device: str | None, exported: Callable[..., Exported]
) -> None:
    model = OnnxModel(exported(name, transform="factored").path)
    predictor = anymic.Predictor(load(GOLDEN / name), precision="float32")
    for found, path in zip(predict_onnx(model, FILES, device=device), FILES, strict=True):
        assert isinstance(found, Prediction)
        wanted = predictor.predict(path, device=device)
        assert (found.label, found.windows, found.device_policy, found.notes) == (
            wanted.label,
            wanted.windows,
            wanted.device_policy,
            wanted.notes,
        )
        assert found.window_starts_s == wanted.window_starts_s
        for label, probability in wanted.probabilities.items():
            assert found.probabilities[label] == pytest.approx(probability, abs=1e-4)
        np.testing.assert_allclose(
            found.window_probabilities, wanted.window_probabilities, atol=1e-4
        )


def test_robustness_of_a_file_is_that_of_the_model(exported: Callable[..., Exported]) -> None:
    from anymic.evaluation.robustness.classifiers import as_classifier
    from anymic.evaluation.robustness.loading import load_classifier

    path = exported("basic1").path
    clips = [Clip(samples, 22_050) for samples in generated(40_000, 22_050)]
    devices = ["A", None, "virtual"]
    found = load_classifier(str(path)).classify(clips, devices)
    wanted = as_classifier(load(GOLDEN / "basic1")).classify(clips, devices)
    for one, other in zip(found, wanted, strict=True):
        assert not isinstance(one, Failure)
        assert not isinstance(other, Failure)
        np.testing.assert_allclose(one, other, atol=0.02)  # the model may answer in bfloat16


def test_unknown_devices_are_refused_where_the_contract_says_so(
    small_bundle: Bundle, tmp_path: Path
) -> None:
    contract = replace(small_bundle.contract, unknown_device="refuse")
    strict = replace(small_bundle, contract=contract)
    model = OnnxModel(anymic.export(strict, tmp_path / "m.onnx").path)
    wave = tmp_path / "a.wav"
    audio.write(wave, Clip(generated(8000, 8000)[0], 8000))
    for device in (None, "Q"):
        (found,) = predict_onnx(model, [wave], device=device)
        assert isinstance(found, Failure)
        assert "A, B" in found.reason


def test_what_the_file_does_not_do_is_said(exported: Callable[..., Exported]) -> None:
    model = OnnxModel(exported("fcnn").path)
    (found,) = predict_onnx(model, FILES[:1])
    assert isinstance(found, Prediction)
    assert any("identify" in note for note in found.notes)
    assert any("blind" in note for note in found.notes)


def test_a_device_of_the_file_is_not_added_again(
    small_bundle: Bundle, tmp_path: Path, refused: Callable[..., str]
) -> None:
    path = anymic.export(small_bundle, tmp_path / "m.onnx").path
    assert small_bundle.profile is not None
    profile = small_bundle.profile.write(tmp_path / "own.json")
    line = refused("devices", "add", path, "--profile", profile)
    assert "already" in line
    gains = replace(small_bundle.profile, devices={"C": small_bundle.profile.devices["B"]})
    OnnxModel(path).with_profile(gains).save(path)
    model = OnnxModel(path)
    assert model.devices == ("A", "B", "C")
    samples = generated(8000, 8000)
    clips = [Clip(one, 8000) for one in samples]
    inside, beside, none = (
        np.array(model.classify(clips, [device] * 3)) for device in ("B", "C", None)
    )
    assert np.abs(inside - beside).max() < np.abs(inside - none).max() / 2
