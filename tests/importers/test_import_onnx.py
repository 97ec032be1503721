"""Embedding networks as ONNX files, made with onnx: embedded, trained on, corrected, refused."""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml
from tests.evaluation.robustness.test_onnx_limits import write as write_bomb

import anymic
from anymic.audio import Clip
from anymic.bundle import Bundle
from anymic.cli import main
from anymic.devices.correction.apply import apply_to_samples
from anymic.devices.correction.profile import DeviceGains, DeviceProfile
from anymic.errors import AnymicError, BundleError, DependencyError
from anymic.features import Frontend, FrontendConfig
from anymic.importers.onnx import OnnxSettings, import_onnx
from anymic.inference.embedder import Embedder
from anymic.inference.onnx_model import OnnxModel
from anymic.models.onnx_network import OnnxNetwork

GOLDEN = Path(__file__).parents[1] / "golden"
RATE_HZ = 8000
SETTINGS = OnnxSettings(rate_hz=RATE_HZ, window_s=0.5, hop_s=0.25)
KERNELS = np.random.default_rng(0).normal(size=(6, 1, 40)).astype(np.float32)
KERNELS *= np.hanning(40) * np.cos(np.outer(np.arange(6) * 0.4 + 0.2, np.arange(40)))[:, None]


@pytest.fixture
def onnx() -> Any:
    """Return the module, or skip where it or onnxruntime is not installed."""
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    return pytest.importorskip("onnx", reason="onnx, of the extra dev, is not installed")


def write(
    onnx: Any, path: Path, *, shape: tuple[Any, ...] = ("batch", "sample"), inputs: int = 1
) -> Path:
    """Write log(0.01 + mean |kernels * x|), an embedding of 6 numbers, and the maps before it."""
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["waves"]),
        helper.make_node("Conv", ["waves", "kernels"], ["maps"], strides=[20]),
        helper.make_node("Abs", ["maps"], ["magnitudes"]),
        helper.make_node("ReduceMean", ["magnitudes", "axes"], ["means"], keepdims=0),
        helper.make_node("Add", ["means", "offset"], ["shifted"]),
        helper.make_node("Log", ["shifted"], ["embedding"]),
    ]
    batch = -1 if len(shape) > 1 else 1
    constants = {
        "shape": np.array([batch, 1, -1] if batch == 1 else [0, 1, -1]),
        "kernels": KERNELS,
        "axes": np.array([2]),
        "offset": np.array([0.01], np.float32),
    }
    names = ["x", "other"][:inputs]
    graph = helper.make_graph(
        nodes,
        "embedding",
        [helper.make_tensor_value_info(name, number, shape) for name in names],
        [helper.make_tensor_value_info(name, number, None) for name in ("embedding", "maps")],
        initializer=[onnx.numpy_helper.from_array(v, name) for name, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, path)
    return path


def write_classifier(onnx: Any, path: Path, *, last: str = "Sigmoid") -> Path:
    """Write the network with two labels behind the embedding: scores of low and high noise."""
    model, helper = onnx.load(write(onnx, path)), onnx.helper
    weights = np.array([[2.0, -1.0]] * 3 + [[-2.0, 1.0]] * 3, np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "weights"))
    model.graph.node.append(helper.make_node("MatMul", ["embedding", "weights"], ["logits"]))
    model.graph.node.append(helper.make_node(last, ["logits"], ["scores"]))
    for name in ("logits", "scores"):
        model.graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    for name, text in (("labels", '["low", "high"]'), ("rate_hz", str(RATE_HZ))):
        model.metadata_props.add(key=name, value=text)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(("last", "targets"), [("Sigmoid", "several"), ("Softmax", "one")])
def test_with_its_labels_it_classifies_by_itself_and_its_embedding_trains_a_head(
    onnx: Any,
    tmp_path: Path,
    last: str,
    targets: str,
    soundfiles: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    import onnxruntime

    path = write_classifier(onnx, tmp_path / "m.onnx", last=last)
    settings = {"rate_hz": RATE_HZ, "window_s": 0.5, "labels": ["low", "high"]}
    settings |= {"scores": "scores", "targets": targets}
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(settings))
    command = ["import", "onnx", path, "--settings", tmp_path / "m.yaml", "--out", tmp_path / "o"]
    assert main([str(one) for one in command]) == 0
    assert f"anymic predict FILES --model {tmp_path / 'o'}" in capsys.readouterr().out
    model = anymic.load(tmp_path / "o")
    assert model.bundle.targets == targets
    folder = soundfiles(tmp_path / "sounds")
    clip = next(folder.rglob("0.wav"))
    samples, _ = soundfile.read(clip, dtype="float32")
    found = model.predict(clip)
    starts = [round(start_s * RATE_HZ) for start_s in found.window_starts_s]
    assert starts[:2] == [0, 4000]
    windows = np.stack([np.pad(samples, (0, 4000))[start : start + 4000] for start in starts])
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    expected = session.run(["scores"], {"x": windows})[0].mean(axis=0)
    assert list(found.probabilities) == ["low", "high"]
    np.testing.assert_allclose(list(found.probabilities.values()), expected, atol=2e-3)
    head = anymic.train(
        folder, out=tmp_path / "run", extractor=tmp_path / "o", cache=tmp_path / "c", progress=False
    )
    assert head.labels == ("high", "low")
    assert head.training["best"] > 0.9
    for kind in ("o", "run"):
        with pytest.raises(BundleError, match="is an ONNX file of its own"):
            anymic.export(tmp_path / kind, tmp_path / "exported.onnx")


@pytest.mark.parametrize(
    ("message", "settings"),
    [
        ("nknown key 'label' .*did you mean 'labels'", {"label": ["low", "high"]}),
        ("abels and scores are not given together", {"labels": ["low", "high"]}),
        ("no output 'p'. Expected one of embedding", {"labels": ["low", "high"], "scores": "p"}),
        ("he labels are 'a', 'a'.*different", {"labels": ["a", "a"], "scores": "s"}),
        ("for each label .3 labels", {"labels": ["a", "b", "c"], "scores": "scores"}),
        ("sigmoid or softmax", {"labels": ["low", "high"], "scores": "logits"}),
        ("which sum to 1", {"labels": ["a", "b"], "scores": "scores", "targets": "one"}),
    ],
)  # fmt: skip
def test_labels_that_do_not_fit_its_scores_are_refused(
    onnx: Any, tmp_path: Path, refused: Callable[..., str], message: str, settings: dict[str, Any]
) -> None:
    path = write_classifier(onnx, tmp_path / "m.onnx")
    text = yaml.safe_dump({"rate_hz": RATE_HZ, "window_s": 0.5, **settings})
    (tmp_path / "m.yaml").write_text(text)
    line = refused(
        "import", "onnx", path, "--settings", tmp_path / "m.yaml", "--out", tmp_path / "o"
    )
    assert re.search(message, line), line


def test_a_profile_is_added_to_an_onnx_file(
    onnx: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_classifier(onnx, tmp_path / "m.onnx")
    bins = 2048 // 2 + 1
    gains = {"flat": np.ones(bins), "phone": np.linspace(0.5, 2, bins)}
    profile = DeviceProfile(
        rate_hz=RATE_HZ,
        fft_size=2048,
        hop_samples=512,
        reference=("flat",),
        estimator="ratio_of_means",
        devices={name: DeviceGains(own, 1, np.zeros(bins)) for name, own in gains.items()},
    )
    command = ["devices", "add", path, "--profile", profile.write(tmp_path / "p.json")]
    assert main([str(one) for one in command]) == 0
    assert f"anymic predict FILES --model {path} --device" in capsys.readouterr().out
    model = OnnxModel(path)
    assert model.profile is not None
    np.testing.assert_allclose(model.profile.gains_for("phone"), gains["phone"])
    assert main([str(one) for one in command]) == 2  # the device is there
    assert "phone" in capsys.readouterr().err
    assert main([*map(str, command), "--replace"]) == 0
    with pytest.raises(BundleError, match=r"no mean spectrum .*Record takes with the reference\.$"):
        anymic.add_device(model, "other", recordings=tmp_path)  # no command measures it for a file


def its_own(path: Path, samples: np.ndarray) -> np.ndarray:
    """Return onnxruntime's embedding of one window."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    shape = [1] * (len(session.get_inputs()[0].shape) - 1)
    found = session.run(["embedding"], {"x": samples.reshape(*shape, -1)})[0]
    return np.asarray(found).reshape(-1)


def noises(count: int, *, seconds: float = 1.0, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return (0.1 * generator.normal(size=(count, int(seconds * RATE_HZ)))).astype(np.float32)


SHAPES: list[tuple[Any, ...]] = [
    ("batch", "sample"), (1, "sample"), ("batch", 4000), ("batch", 1, "sample"), ("sample",),
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_embeddings_are_those_of_onnxruntime(
    onnx: Any, tmp_path: Path, shape: tuple[Any, ...]
) -> None:
    path = write(onnx, tmp_path / "m.onnx", shape=shape)
    bundle = import_onnx(path, SETTINGS)
    again = Bundle.load(bundle.save(tmp_path / "model"))
    path_of_copy = tmp_path / "copy.onnx"
    assert isinstance(again.network, OnnxNetwork)
    path_of_copy.write_bytes(again.network.file.content.numpy().tobytes())
    assert path_of_copy.read_bytes() == path.read_bytes()
    clips = [Clip(samples, RATE_HZ) for samples in noises(3)]
    for model in (bundle, again, copy.deepcopy(again)):
        found = Embedder(model, precision="float32").embed(clips)
        starts = [0.0, 0.25, 0.5, 0.75]  # the last window ends with zeros
        assert found.starts_s.tolist() == starts * 3
        padded = np.pad(noises(3), ((0, 0), (0, 2000)))
        first = [int(start * RATE_HZ) for start in starts]
        expected = [its_own(path, clip[at : at + 4000]) for clip in padded for at in first]
        np.testing.assert_allclose(found.features, np.stack(expected), rtol=1e-5)


def test_a_head_on_it_is_trained_saved_and_predicts(
    onnx: Any, tmp_path: Path, soundfiles: Callable[..., Any]
) -> None:
    path = write(onnx, tmp_path / "m.onnx")
    settings = tmp_path / "m.yaml"
    settings.write_text(yaml.safe_dump({"rate_hz": RATE_HZ, "window_s": 0.5}))
    extractor = import_onnx(path, settings).save(tmp_path / "model")
    folder = soundfiles(tmp_path / "sounds")
    path.unlink()
    anymic.train(
        folder,
        out=tmp_path / "run",
        extractor=extractor,
        changes={"random_devices.copies": 0},  # so that the answers depend on the gains
        cache=tmp_path / "cache",
        progress=False,
    )
    model = anymic.load(tmp_path / "run")
    right = [
        model.predict(clip).label == clip.parent.name for clip in sorted(folder.rglob("*.wav"))
    ]
    assert np.mean(right) > 0.9
    clips = sorted((folder / "low").rglob("*.wav"))[:6]
    for clip in clips:
        quiet, rate_hz = soundfile.read(clip)
        (tmp_path / "phone").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "phone" / clip.name, np.convolve(quiet, [0.1, 0.7]), rate_hz)
    added = anymic.add_device(
        model.bundle, "phone", takes=tmp_path / "phone", reference_takes=folder / "low"
    ).model
    assert isinstance(added, Bundle)
    profile = added.profile
    assert profile is not None
    hz = profile.frequencies_hz()
    response = np.abs(0.1 + 0.7 * np.exp(-2j * np.pi * hz / RATE_HZ))
    used = (hz > 100) & (hz < 3600)
    assert np.abs(20 * np.log10(profile.gains_for("phone") * response))[used].max() < 0.5
    added = Bundle.load(added.save(tmp_path / "added"))
    found = anymic.Predictor(added).predict(tmp_path / "phone" / clip.name, device="phone")
    plain, other = model.predict(clip), model.predict(tmp_path / "phone" / clip.name)
    high = [np.log(one.probabilities["high"]) for one in (plain, found, other)]
    assert abs(high[1] - high[0]) < 0.1 * abs(high[2] - high[0])
    assert model.bundle.training["embedder"]["imported"]["weights"] == "m.onnx"


@pytest.fixture
def soundfiles() -> Callable[..., Path]:
    """Return a function that writes clips of low and high noise into a folder for each label."""

    def make(folder: Path) -> Path:
        for number, samples in enumerate(noises(24, seconds=1.2)):
            label = ("low", "high")[number % 2]
            spectrum = np.fft.rfft(samples)
            middle = len(spectrum) // 3
            spectrum[middle:] *= 0.1 if label == "low" else 1
            spectrum[:middle] *= 1 if label == "low" else 0.1
            (folder / label).mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / label / f"{number}.wav", np.fft.irfft(spectrum), RATE_HZ)
        return folder

    return make


def test_gains_act_on_the_waveform_before_it(onnx: Any, tmp_path: Path) -> None:
    path = write(onnx, tmp_path / "m.onnx")
    bundle = import_onnx(path, SETTINGS)
    config = bundle.frontend.config
    gains = np.exp(np.sin(np.arange(config.bins) / 60))
    frontend = Frontend(config, device_gains={"phone": gains})
    samples = noises(2, seconds=0.5)
    features = frontend(torch.from_numpy(samples), frontend.device_index(["phone", None]))
    corrected = apply_to_samples(samples[0], gains)
    np.testing.assert_allclose(features[0, 0, 0], corrected, atol=1e-5)
    np.testing.assert_allclose(features[1, 0, 0], samples[1], atol=1e-6)
    known = Bundle(bundle.network, frontend, (), bundle.contract, "onnx", bundle.network_arguments)
    known = Bundle.load(known.save(tmp_path / "model"))
    found = Embedder(known).embed([Clip(samples[0], RATE_HZ)], device="phone").features
    np.testing.assert_allclose(found[0], its_own(path, corrected), rtol=1e-3)
    assert np.abs(found[0] - its_own(path, samples[0])).max() > 0.1


def test_a_bundle_with_a_model_that_asks_for_too_much_is_refused_when_it_is_loaded(
    onnx: Any, tmp_path: Path
) -> None:
    bomb = write_bomb(onnx, tmp_path / "bomb.onnx", "samples", 1 << 20)
    with pytest.raises(AnymicError, match=r"bomb\.onnx cannot be read .*memory"):
        import_onnx(bomb, SETTINGS)
    bundle = import_onnx(write(onnx, tmp_path / "m.onnx"), SETTINGS)
    assert isinstance(bundle.network, OnnxNetwork)
    content = torch.frombuffer(bytearray(bomb.read_bytes()), dtype=torch.uint8)
    bundle.network.file.content = content
    bundle.network_arguments["size"] = len(content)
    with pytest.raises(AnymicError, match="memory; ANYMIC_ONNX_CPU_S") as caught:
        Bundle.load(bundle.save(tmp_path / "model"))
    assert "\n" not in str(caught.value)


def test_a_model_that_mixes_the_windows_of_a_batch_is_refused(onnx: Any, tmp_path: Path) -> None:
    path = write(onnx, tmp_path / "m.onnx")
    model = onnx.load(path)
    del model.graph.initializer[2:3]
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0, 2]), "axes"))
    onnx.save(model, path)
    with pytest.raises(AnymicError, match=r"m\.onnx: the output embedding .* is \(6,\) for 2"):
        import_onnx(path, SETTINGS)


def test_a_waveform_has_no_mel_bands() -> None:
    for wrong in ({}, {"bands": 1, "deltas": 1}, {"bands": 1, "scaling": "clip"}):
        with pytest.raises(AnymicError, match="the waveform has bands"):
            FrontendConfig(features="waveform", **wrong)


@pytest.mark.parametrize(
    ("message", "shape", "inputs", "settings"),
    [
        ("has the input x", ("batch", 2, "sample"), 1, {}),
        ("has the input x", (4, "sample"), 1, {}),
        ("has the input x", ("batch", "sample"), 2, {}),
        (r"output maps of .* is \(1, 6, 199\) .* \(of embedding, maps\)", ("b", "s"), 1,
         {"output": "maps"}),
        ("has no output 'logits'. Expected one of embedding, maps", ("b", "s"), 1,
         {"output": "logits"}),
        ("takes 5000 samples, .* window_s of 0.625", ("b", 5000), 1, {}),
        ("cannot be read", ("b", "s"), 1, {"window_s": 0.001}),
    ],
)  # fmt: skip
def test_what_is_no_embedding_is_refused_in_one_line(
    onnx: Any,
    tmp_path: Path,
    refused: Callable[..., str],
    message: str,
    shape: tuple[Any, ...],
    inputs: int,
    settings: dict[str, Any],
) -> None:
    path = write(onnx, tmp_path / "m.onnx", shape=shape, inputs=inputs)
    text = yaml.safe_dump({"rate_hz": RATE_HZ, "window_s": 0.5, **settings})
    (tmp_path / "m.yaml").write_text(text)
    line = refused(
        "import", "onnx", path, "--settings", tmp_path / "m.yaml", "--out", tmp_path / "o"
    )
    assert re.search(message, line), line
    assert not (tmp_path / "o").exists()


def test_without_onnxruntime_it_says_what_to_install(
    onnx: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(onnx, tmp_path / "m.onnx")
    place = import_onnx(path, SETTINGS).save(tmp_path / "model")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for use in (partial(import_onnx, path, SETTINGS), partial(Bundle.load, place)):
        with pytest.raises(DependencyError, match=r"anymic\[onnx\]"):
            use()
