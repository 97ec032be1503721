"""An exported file gives the answers of its model, for any number of clips of any length."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import anymic
from anymic import models
from anymic.bundle import Bundle, InputContract, load
from anymic.cli import main
from anymic.errors import BundleError, ConfigError
from anymic.exporters import Exported
from anymic.exporters.graph import OPSET
from anymic.exporters.parity import generated
from anymic.exporters.transforms import TRANSFORMS, fitting
from anymic.features import Frontend, FrontendConfig
from anymic.inference.engine import Engine
from anymic.models.network import Network

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
CLOSE = 1e-5  # of a probability: float32


def session(path: Path) -> Any:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def answers(
    path: Path, samples: NDArray[np.float32], device: int = 0, output: str = "probabilities"
) -> NDArray[np.float32]:
    inputs = {"samples": samples, "device": np.full(len(samples), device, np.int64)}
    found: NDArray[np.float32] = session(path).run([output], inputs)[0]
    return found


def expected(
    bundle: Any, samples: NDArray[np.float32], device: str | None = None
) -> NDArray[np.float64]:
    """Return the probabilities of the model with each clip as one window, not calibrated."""
    engine = Engine(bundle, precision="float32", accelerator="cpu")
    gains = [engine.profile_gains(device)] * len(samples)
    return engine.classify(engine.features(torch.from_numpy(samples), gains))


@pytest.fixture
def basic(small_bundle: Bundle, tmp_path: Path) -> Path:
    return anymic.export(small_bundle, tmp_path / "model.onnx").path


def test_any_number_of_clips_of_any_length(small_bundle: Bundle, basic: Path) -> None:
    for clips, length, device in product((1, 4), (5600, 8000, 26_400), (None, "A", "B")):
        samples = np.resize(generated(length, 8000), (clips, length))
        number = 0 if device is None else 1 + small_bundle.devices.index(device)
        found = answers(basic, samples, number)
        assert found.shape == (clips, 3)
        np.testing.assert_allclose(found, expected(small_bundle, samples, device), atol=CLOSE)


def test_every_clip_has_its_own_device(small_bundle: Bundle, basic: Path) -> None:
    samples = generated(8000, 8000)
    inputs = {"samples": samples, "device": np.array([2, 0, 1])}
    (found,) = session(basic).run(["probabilities"], inputs)
    for row, device in enumerate(["B", None, "A"]):
        own = expected(small_bundle, samples[row : row + 1], device)
        np.testing.assert_allclose(found[row], own[0], atol=CLOSE)
    assert np.abs(found[0] - expected(small_bundle, samples[:1])[0]).max() > 0.01  # gains matter


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_every_way_to_write_the_transform(
    small_bundle: Bundle, tmp_path: Path, transform: str
) -> None:
    out = anymic.export(small_bundle, tmp_path / "m.onnx", transform=transform)
    assert out.transform == transform
    assert out.difference < CLOSE


def config_of(**changes: Any) -> FrontendConfig:
    given = {"rate_hz": 8000, "fft_size": 256, "hop_samples": 128, "bands": 32, **changes}
    return FrontendConfig(**given)


@pytest.mark.parametrize(
    "changes",
    [
        {"fft_size": 250, "hop_samples": 77},
        {"fft_size": 254, "bands": 24},  # twice a prime number
        {"power": 2, "scaling": "clip"},
        {"deltas": 2},
        {"relaxed_normalization": 0.5},
        {"relaxed_normalization": 0.2, "deltas": 1},
        {"window_samples": 200, "centred": False, "hop_samples": 80},
        {"mel_scale": "htk", "mel_norm": None, "mel_triangles": "mel", "bands": 24},
    ],
)
def test_every_setting_of_the_front_end(
    small_bundle: Bundle, tmp_path: Path, changes: dict[str, Any]
) -> None:
    config = config_of(**changes)
    frontend = Frontend(config)
    frontend.mean.fill_(-3.0)
    frontend.scale.uniform_(0.5, 2.0, generator=torch.Generator().manual_seed(1))
    name = "basic1"
    network = network_of(name, channels=1 + config.deltas)
    bundle = made(small_bundle, network, name, frontend)
    samples = generated(20_001, 8000)[:2]
    wanted = expected(bundle, samples)
    for transform in fitting(config):
        out = anymic.export(bundle, tmp_path / "m.onnx", transform=transform)
        np.testing.assert_allclose(answers(out.path, samples), wanted, atol=CLOSE)


def network_of(name: str, **arguments: Any) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = models.build(name, classes=3, **arguments)
        for module in network.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(0.2, 0.1)
                module.running_var.uniform_(0.3, 1.0)
        return network.eval()


def made(
    like: Bundle, network: Any, name: str, frontend: Frontend, *, clip_s: float = 1.0, **more: Any
) -> Bundle:
    contract = InputContract(rate_hz=frontend.config.rate_hz, clip_s=clip_s)
    return replace(
        like,
        network=network,
        frontend=frontend,
        network_name=name,
        contract=contract,
        profile=None,
        **more,
    )


@pytest.mark.parametrize("name", ["basic1", "basic2", "fcnn"])
def test_convolutional_networks(small_bundle: Bundle, tmp_path: Path, name: str) -> None:
    frontend = Frontend(config_of(hop_samples=64, bands=48))
    bundle = made(small_bundle, network_of(name, width=0.25), name, frontend)
    out = anymic.export(bundle, tmp_path / "m.onnx", embeddings=True)
    samples = generated(19_000, 8000)
    np.testing.assert_allclose(answers(out.path, samples), expected(bundle, samples), atol=CLOSE)
    maps = frontend(torch.from_numpy(samples))
    with torch.inference_mode():
        embedding = cast("Network", bundle.network).embed(maps).numpy()
    found = answers(out.path, samples, output="embeddings")
    np.testing.assert_allclose(found, embedding, atol=1e-4 * np.abs(embedding).max())


PATCHES = FrontendConfig(
    rate_hz=16_000, fft_size=512, hop_samples=160, bands=64, window_samples=400, centred=False
)


@pytest.mark.parametrize("name", ["vggish", "yamnet"])
def test_networks_of_patches(small_bundle: Bundle, tmp_path: Path, name: str) -> None:
    bundle = made(
        small_bundle, network_of(name, width=0.125), name, Frontend(PATCHES), clip_s=0.975
    )
    out = anymic.export(bundle, tmp_path / "m.onnx")
    assert out.difference < CLOSE
    samples = generated(16_000 * 4, 16_000)  # four whole windows and a rest
    predictor = anymic.Predictor(bundle, precision="float32")
    for row, own in zip(answers(out.path, samples), samples, strict=True):
        wanted = predictor.predict(own, rate_hz=16_000).probabilities
        np.testing.assert_allclose(row, list(wanted.values()), atol=CLOSE)


HEADS = ["linear_head", "dense_head", "attention_head", "lstm_head"]


@pytest.mark.parametrize(
    ("embedder", "head"), [*(("yamnet", head) for head in HEADS), ("vggish", "linear_head")]
)
def test_heads_on_extractors(
    small_bundle: Bundle, tmp_path: Path, head: str, embedder: str
) -> None:
    small = {} if head == "linear_head" else {"hidden": 12}
    network = network_of(
        "tagger",
        embedder={"name": embedder, "width": 0.125},
        head={"name": head, **small},
        segment_frames=96,
        segment_hop_frames=48,
    )
    bundle = made(small_bundle, network, "tagger", Frontend(PATCHES), clip_s=3.0)
    out = anymic.export(bundle, tmp_path / "m.onnx")
    for length in (16_000, 61_000):
        samples = generated(length, 16_000)
        wanted = expected(bundle, samples)
        np.testing.assert_allclose(answers(out.path, samples), wanted, atol=CLOSE)


class Own(torch.nn.Module):
    """A network of a user, whose number of clips would be fixed by a trace of `len`."""

    def __init__(self, *, classes: int) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(1, 4, 3)
        self.classifier = torch.nn.Linear(4, classes)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        maps = self.convolution(features).relu()
        logits: torch.Tensor = self.classifier(maps.reshape(len(maps), 4, -1).mean(dim=2))
        return logits


class Unknown(Own):
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        flat = features.flatten(1)[:, :4]
        values = torch.linalg.svdvals(flat[:, :, None] * flat[:, None, :])
        logits: torch.Tensor = self.classifier(values)
        return logits


def own_bundle(like: Bundle, kind: type[Own]) -> Bundle:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        network = models.registry.as_network(kind(classes=3))
    return made(like, network, kind.__name__, Frontend(config_of()))


def test_a_network_of_a_user(small_bundle: Bundle, tmp_path: Path) -> None:
    bundle = own_bundle(small_bundle, Own)
    out = anymic.export(bundle, tmp_path / "m.onnx")
    samples = np.resize(generated(9000, 8000), (5, 9000))
    np.testing.assert_allclose(answers(out.path, samples), expected(bundle, samples), atol=CLOSE)


def test_a_network_that_torch_cannot_export(small_bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="network Unknown cannot be exported") as found:
        anymic.export(own_bundle(small_bundle, Unknown), tmp_path / "m.onnx")
    assert "\n" not in str(found.value)
    assert not (tmp_path / "m.onnx").exists()


@pytest.mark.parametrize("name", ["basic1", "fcnn", "tagger", "ensemble"])
def test_golden_models(name: str, exported: Callable[..., Exported]) -> None:
    out = exported(name)
    assert out.difference < CLOSE
    assert out.devices == load(GOLDEN / name).devices
    onnx.checker.check_model(str(out.path), full_check=True)


def test_metadata(exported: Callable[..., Exported]) -> None:
    out = exported("fcnn")
    model = onnx.load(out.path)
    stated = {one.key: one.value for one in model.metadata_props}
    bundle = load(GOLDEN / "fcnn")
    assert tuple(json.loads(stated["labels"])) == bundle.labels
    assert int(stated["rate_hz"]) == bundle.contract.rate_hz
    assert float(stated["clip_s"]) == bundle.contract.clip_s
    assert tuple(json.loads(stated["devices"])) == bundle.devices
    assert InputContract(**json.loads(stated["contract"])) == bundle.contract
    assert json.loads(stated["parity"])["largest_difference"] == out.difference
    assert stated["anymic"] == anymic.__version__
    assert [one.version for one in model.opset_import] == [OPSET] == [int(stated["opset"])]
    assert "blind" in stated["notes"]
    assert "identif" in stated["notes"]
    axes = [[one.dim_param or one.dim_value for one in each.type.tensor_type.shape.dim]
            for each in model.graph.input]  # fmt: skip
    assert axes == [["batch", "sample"], ["batch"]]


def test_refusals(small_bundle: Bundle, tmp_path: Path) -> None:
    network = models.build("vggish", classes=0, width=0.125)
    bundle = made(small_bundle, network, "vggish", Frontend(PATCHES), clip_s=0.975, labels=())
    with pytest.raises(BundleError, match="no labels"):
        anymic.export(bundle, tmp_path / "m.onnx")
    with pytest.raises(ConfigError, match=r"no \.onnx file"):
        anymic.export(small_bundle, tmp_path / "m.tflite")
    with pytest.raises(ConfigError, match="transform"):
        anymic.export(small_bundle, tmp_path / "m.onnx", transform="fast")
    with pytest.raises(BundleError, match="ensemble"):
        anymic.export(GOLDEN / "ensemble", tmp_path / "m.onnx", embeddings=True)


def test_refusals_on_the_command_line(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "bundle" in refused("export", tmp_path / "empty", "--out", tmp_path / "m.onnx")
    assert "embeddings" in refused("export", GOLDEN / "head", "--out", tmp_path / "m.onnx")


def test_given_clips(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    arguments = ["export", str(GOLDEN / "basic1"), "--out", str(tmp_path / "m.onnx"), "--json"]
    arguments += ["--clips", str(GOLDEN / "clip.flac"), "--clips", str(tmp_path / "bad.wav")]
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["difference"] < CLOSE
    assert [one["path"] for one in found["failures"]] == [str(tmp_path / "bad.wav")]
    assert "bad.wav" in err
