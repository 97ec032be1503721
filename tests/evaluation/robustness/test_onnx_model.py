"""ONNX models, made with onnx and run by onnxruntime."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from anymic.audio import Clip, resample
from anymic.cli import main
from anymic.codecs import Codec
from anymic.data.manifest import Manifest
from anymic.devices.correction.profile import DeviceProfile
from anymic.errors import AnymicError, DependencyError
from anymic.evaluation.robustness import ClassifierError, load_classifier, robustness
from anymic.inference.files import load_model, predict_files
from anymic.inference.prediction import Prediction

LABELS = ["dog", "rain", "siren"]
WEIGHTS = np.array([[30.0, -20.0, 0.0]], np.float32)


@pytest.fixture
def onnx() -> Any:
    """Return the module, or skip where it or onnxruntime is not installed."""
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    return pytest.importorskip("onnx", reason="onnx, of the extra dev, is not installed")


def write(
    onnx: Any,
    path: Path,
    *,
    shape: tuple[Any, ...] = ("batch", "sample"),
    softmax: bool = True,
    **metadata: str,
) -> Path:
    """Write softmax(mean |x| times WEIGHTS) as an ONNX file."""
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("Abs", ["samples"], ["magnitude"]),
        helper.make_node("ReduceMean", ["magnitude", "axes"], ["level"], keepdims=1),
        helper.make_node("MatMul", ["level", "weights"], ["logits"]),
        helper.make_node("Softmax" if softmax else "Identity", ["logits"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "level",
        [helper.make_tensor_value_info("samples", number, shape)],
        [helper.make_tensor_value_info("out", number, ("batch", 3))],
        initializer=[
            onnx.numpy_helper.from_array(WEIGHTS, "weights"),
            onnx.numpy_helper.from_array(np.array([1], np.int64), "axes"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return path


def by_hand(samples: np.ndarray, rate_hz: int, model_hz: int = 8000) -> np.ndarray:
    resampled = resample(Clip(samples, rate_hz), model_hz).samples
    logits = float(np.abs(resampled).mean()) * WEIGHTS[0].astype(np.float64)
    return np.asarray(np.exp(logits) / np.exp(logits).sum())


@pytest.mark.parametrize("shape", [("batch", "sample"), (1, "sample"), ("batch", 8000)])
def test_it_gives_what_the_same_function_gives(
    onnx: Any, clips: Manifest, tmp_path: Path, shape: tuple[Any, ...]
) -> None:
    path = write(onnx, tmp_path / "m.onnx", shape=shape, labels='["dog", "rain", "siren"]',
                 rate_hz="8000")  # fmt: skip
    theirs = robustness(load_classifier(str(path)), clips, codecs=[Codec("mu-law")])
    same = robustness(by_hand, clips, codecs=[Codec("mu-law")], labels=LABELS)
    assert theirs.labels == ("dog", "rain", "siren")
    np.testing.assert_allclose(theirs.probabilities, same.probabilities, atol=1e-5)


def test_labels_and_rate_may_be_stated(onnx: Any, clips: Manifest, tmp_path: Path) -> None:
    path = write(onnx, tmp_path / "m.onnx", labels="a, b, c", rate_hz="8000")
    assert load_classifier(str(path)).labels == ("a", "b", "c")
    stated = load_classifier(str(path), labels=LABELS, rate_hz=4000)
    found = robustness(stated, clips, codecs=[Codec("mu-law")])
    same = robustness(
        lambda samples, rate_hz: by_hand(samples, rate_hz, 4000),
        clips,
        codecs=[Codec("mu-law")],
        labels=LABELS,
    )
    np.testing.assert_allclose(found.probabilities, same.probabilities, atol=1e-5)


def test_what_does_not_fit_is_refused(onnx: Any, clips: Manifest, tmp_path: Path) -> None:
    known: dict[str, Any] = {"labels": "dog,rain,siren", "rate_hz": "8000"}
    (tmp_path / "text.onnx").write_text("not a model")
    cases = {
        "cannot be read": tmp_path / "text.onnx",
        "No file": tmp_path / "missing.onnx",
        "has no labels": write(onnx, tmp_path / "1.onnx", rate_hz="8000"),
        "has no rate": write(onnx, tmp_path / "2.onnx", labels="dog,rain,siren"),
        "the rate 'eight'": write(onnx, tmp_path / "3.onnx", **{**known, "rate_hz": "eight"}),
        r"one input \(batch, sample\)": write(
            onnx, tmp_path / "4.onnx", shape=("batch", 1, "sample"), **known
        ),
    }
    for message, path in cases.items():
        with pytest.raises(ClassifierError, match=message) as caught:
            load_classifier(str(path))
        assert "\n" not in str(caught.value)
    for message, path in {
        r"0\.wav has 8000 samples .* Expected 4000": write(
            onnx, tmp_path / "5.onnx", shape=("batch", 4000), **known
        ),
        r"values from .* for .*0\.wav": write(onnx, tmp_path / "6.onnx", softmax=False, **known),
        r"shape \(3,\) for .*0\.wav": write(
            onnx, tmp_path / "7.onnx", **{**known, "labels": "dog,rain,siren,cat"}
        ),
        r"8\.onnx failed for .*0\.wav": write(
            onnx, tmp_path / "8.onnx", shape=(4, "sample"), **known
        ),
    }.items():
        with pytest.raises(ClassifierError, match=message) as caught:
            robustness(load_classifier(str(path)), clips, codecs=[Codec("mu-law")])
        assert "\n" not in str(caught.value)


def test_a_damaged_model_is_refused_and_nothing_is_printed(
    onnx: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = write(onnx, tmp_path / "whole.onnx", labels="dog,rain,siren", rate_hz="8000")
    data = whole.read_bytes()
    path, clip = tmp_path / "damaged.onnx", Clip(np.full(800, 0.1, np.float32), 8000)
    generator = np.random.default_rng(0)
    messages = []
    for number in range(24):
        changed = bytearray(data[: generator.integers(len(data))] if number % 3 == 0 else data)
        for at in generator.integers(len(data), size=number % 8):
            changed[at : at + 1] = generator.bytes(number % 3)
        path.write_bytes(changed)
        try:
            load_classifier(str(path)).classify([clip], [None])
        except AnymicError as error:
            messages.append(str(error))
    assert len(messages) > 16
    assert not any("\n" in message for message in messages)
    shown = capfd.readouterr()
    assert shown.out + shown.err == ""


@pytest.mark.parametrize("place", ["../secret.bin", "/etc/passwd", "missing.bin"])
def test_weights_outside_the_folder_are_refused(
    onnx: Any, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(12))
    folder = tmp_path / "model"
    folder.mkdir()
    path = write(onnx, folder / "m.onnx", labels="dog,rain,siren", rate_hz="8000")
    model = onnx.load(path)
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": place, "offset": "0", "length": "12"}.items():
        weights.external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ClassifierError, match="cannot be read") as caught:
        load_classifier(str(path))
    assert "\n" not in str(caught.value)
    if place != "missing.bin":  # onnxruntime before 1.24 reads them
        monkeypatch.setattr("onnxruntime.__version__", "1.23.2")
        with pytest.raises(ClassifierError, match="it has weights outside its folder"):
            load_classifier(str(path))


def test_without_onnxruntime_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DependencyError, match=r"anymic\[onnx\]"):
        load_classifier("model.onnx")


def test_a_device_is_added_to_it(onnx: Any, clips: Manifest, tmp_path: Path) -> None:
    """Its profile lies beside it; predict and robustness correct the waveform."""
    path = write(onnx, tmp_path / "m.onnx", labels="dog,rain,siren", rate_hz="8000")
    (tmp_path / "mic.cal").write_text("20 -6\n500 -6\n1000 0\n2000 6\n4000 6\n")
    add = ["devices", "add", str(path), "--response", str(tmp_path / "mic.cal"), "--device", "B"]
    assert main(add) == 0
    assert main(add) == 2  # it is there
    profile = DeviceProfile.read(tmp_path / "m.profile.json")

    def corrected(samples: np.ndarray, rate_hz: int) -> np.ndarray:
        return by_hand(profile.apply(samples, rate_hz, device="B"), rate_hz)

    as_b = Manifest.from_table(clips.table.assign(device="B"), clips.root)
    found = robustness(load_classifier(str(path)), as_b, codecs=[Codec("mu-law")])
    same = robustness(corrected, as_b, codecs=[Codec("mu-law")], labels=LABELS)
    np.testing.assert_allclose(found.probabilities, same.probabilities, atol=1e-5)
    file = clips.paths()[0]
    for device, policy, notes in (
        ("B", "profile", ()),
        ("C", "identity", ("device C: no profile, not corrected",)),
    ):
        count, answers = predict_files(load_model(path), [file], device=device)
        (answer,) = answers
        assert isinstance(answer, Prediction)
        assert (count, answer.device_policy, answer.notes) == (1, policy, notes)
        function = corrected if device == "B" else by_hand
        samples, rate_hz = soundfile.read(file, dtype="float32")
        wanted = function(samples, rate_hz)
        np.testing.assert_allclose(list(answer.probabilities.values()), wanted, atol=1e-5)
