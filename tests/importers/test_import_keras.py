"""Keras 2 checkpoints: written here in their layout, and computed here by their description.

The forward pass below follows `model_config` layer by layer, in Keras's own axes (batch, frequency,
time, channel), so it shares nothing with the reader but the file. In `test_keras_itself.py` Keras
itself writes and computes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from torch.nn import functional

from anymic import load
from anymic.audio import Clip, write
from anymic.bundle import Bundle
from anymic.cli import main
from anymic.errors import BundleError
from anymic.importers.keras import import_keras
from anymic.training import load_config

Arrays = dict[str, np.ndarray]
Paddings = list[list[list[int]]]  # of each ZeroPadding2D: [[top, bottom], [left, right]]

ONE, TWO, UNEVEN = [[1, 1], [1, 1]], [[2, 2], [2, 2]], [[2, 0], [1, 0]]


def _source(name: str | tuple[str, int]) -> list[Any]:
    """Return how Keras names the input of a layer: the layer before, and which of its calls."""
    layer, call = (name, 0) if isinstance(name, str) else name
    return [layer, call, 0, {}]


class Writer:
    """Notes layers as Keras describes them, with random weights."""

    def __init__(self, shape: tuple[int, int | None, int], seed: int) -> None:
        self.generator = np.random.default_rng(seed)
        self.layers: list[dict[str, Any]] = []
        self.weights: dict[str, Arrays] = {}
        self.at = self.add("InputLayer", None, batch_input_shape=[None, *shape], dtype="float32")
        self.width = shape[2]

    def add(
        self, kind: str, *sources: Any, nodes: list[list[Any]] | None = None, **config: Any
    ) -> str:
        name = f"{kind.lower()}_{len(self.layers) + 1}"
        chosen = sources[0] if sources and isinstance(sources[0], list) else list(sources)
        inputs = nodes or [[source for source in chosen if source]]
        self.layers.append(
            {
                "class_name": kind,
                "name": name,
                "config": {"name": name, **config},
                "inbound_nodes": [[_source(each) for each in node] for node in inputs if node],
            }
        )
        return name

    def normalize(self, learned: bool, epsilon: float) -> None:
        size, draw = self.width, self.generator
        settings: dict[str, Any] = {"axis": -1, "momentum": 0.99, "epsilon": epsilon}
        self.at = self.add("BatchNormalization", self.at, center=learned, scale=learned, **settings)
        arrays = {
            "moving_mean": draw.normal(size=size),
            "moving_variance": draw.uniform(0.5, 2, size),
        }
        if learned:
            arrays |= {"gamma": draw.normal(1, 0.2, size), "beta": draw.normal(0, 0.2, size)}
        self.weights[self.at] = arrays

    def convolve(
        self,
        width: int,
        size: int,
        stride: int,
        learned: bool,
        epsilon: float,
        function: str = "relu",
        paddings: Paddings | None = None,
    ) -> None:
        usual = [[[size // 2] * 2] * 2] if size > 1 else []
        for padding in usual if paddings is None else paddings:
            self.at = self.add(
                "ZeroPadding2D", self.at, padding=padding, data_format="channels_last"
            )
        settings: dict[str, Any] = {"padding": "valid", "data_format": "channels_last"}
        settings |= {"dilation_rate": [1, 1]}
        settings |= {"activation": "linear", "use_bias": False, "kernel_size": [size, size]}
        self.at = self.add("Conv2D", self.at, filters=width, strides=[stride] * 2, **settings)
        shape = (size, size, self.width, width)
        spread = np.sqrt(2 / (size * size * self.width))
        self.weights[self.at] = {"kernel": self.generator.normal(scale=spread, size=shape)}
        self.width = width
        self.normalize(learned, epsilon)
        self.at = self.add("Activation", self.at, activation=function)

    def pool(self) -> None:
        settings: dict[str, Any] = {"pool_size": [2, 2], "strides": [2, 2], "padding": "valid"}
        self.at = self.add("MaxPooling2D", self.at, data_format="channels_last", **settings)

    def attend(self, hidden: int, bias: bool) -> None:
        maps, classes, draw = self.at, self.width, self.generator
        pooled = []
        for kind in ("GlobalAveragePooling2D", "GlobalMaxPooling2D"):
            flat = self.add(kind, maps, data_format="channels_last")
            pooled.append(self.add("Reshape", flat, target_shape=[1, 1, classes]))
        first = self.add(
            "Dense", nodes=[[one] for one in pooled], units=hidden, activation="relu", use_bias=bias
        )
        second = self.add(
            "Dense",
            nodes=[[first], [(first, 1)]],
            units=classes,
            activation="linear",
            use_bias=bias,
        )
        for name, shape in ((first, (classes, hidden)), (second, (hidden, classes))):
            self.weights[name] = {"kernel": draw.normal(size=shape)}
            if bias:
                self.weights[name]["bias"] = draw.normal(size=shape[1])
        total = self.add("Add", [second, (second, 1)])
        gate = self.add("Activation", total, activation="sigmoid")
        product = self.add("Multiply", [maps, gate])
        mean = self.add("GlobalAveragePooling2D", product, data_format="channels_last")
        self.at = self.add("Activation", mean, activation="softmax")

    def write(self, path: Path) -> Path:
        first, last = self.layers[0]["name"], self.layers[-1]["name"]
        config: dict[str, Any] = {"name": "model_1", "layers": self.layers}
        config |= {"input_layers": [[first, 0, 0]], "output_layers": [[last, 0, 0]]}
        with h5py.File(path, "w") as file:
            file.attrs["keras_version"], file.attrs["backend"] = b"2.2.4", b"tensorflow"
            file.attrs["model_config"] = json.dumps(
                {"class_name": "Model", "config": config}
            ).encode()
            group = file.create_group("model_weights")
            group.attrs["layer_names"] = [each["name"].encode() for each in self.layers]
            for each in self.layers:
                own = group.create_group(each["name"])
                arrays = self.weights.get(each["name"], {})
                own.attrs["weight_names"] = [f"{each['name']}/{key}:0".encode() for key in arrays]
                for key, values in arrays.items():
                    own[f"{each['name']}/{key}:0"] = values.astype(np.float32)
        return path


def family(
    path: Path,
    *,
    blocks: tuple[tuple[int, int], ...] = ((6, 2), (8, 2), (12, 4)),
    classes: int = 10,
    channels: int = 3,
    bands: int = 64,
    learned: bool = True,
    bias: bool = True,
    epsilon: float = 1e-3,
    function: str = "relu",
    attended: bool = True,
    paddings: Paddings | None = None,
    seed: int = 0,
) -> Writer:
    """Write a member of the family: blocks of (width, convolutions), each with a pool.

    `paddings` stand in front of each convolution but the one to the classes.
    """
    writer = Writer((bands, None, channels), seed)
    writer.normalize(learned, epsilon)
    for number, (width, convolutions) in enumerate(blocks):
        for place in range(convolutions):
            entry = number == place == 0
            size, stride = (5, 2) if entry else (3, 1)
            writer.convolve(width, size, stride, learned, epsilon, function, paddings)
            if convolutions == 4 and place < 3:
                writer.at = writer.add("Dropout", writer.at, rate=0.3)
        writer.pool()
    writer.convolve(classes, 1, 1, False, epsilon)
    writer.normalize(False, epsilon)
    if attended:
        writer.attend(max(1, classes // 2), bias)
    writer.write(path)
    return writer


def forward(writer: Writer, maps: np.ndarray) -> np.ndarray:
    """Compute what Keras would, from the description: (batch, frequency, time, channel) in."""
    values: dict[str, list[torch.Tensor]] = {}  # an answer for each time the layer is called
    for layer in writer.layers:
        kind, name, config = layer["class_name"], layer["name"], layer["config"]
        nodes = [[values[s[0]][s[1]] for s in node] for node in layer["inbound_nodes"]]
        arrays = {k: torch.from_numpy(v).double() for k, v in writer.weights.get(name, {}).items()}
        outputs = [_layer(kind, config, arrays, node) for node in nodes]
        if kind == "InputLayer":
            outputs = [torch.from_numpy(maps).double()]
        values[name] = outputs
    return values[writer.at][0].numpy()


def _layer(kind: str, config: Any, arrays: Any, inputs: list[torch.Tensor]) -> torch.Tensor:
    x = inputs[0]
    if kind == "ZeroPadding2D":
        (top, bottom), (left, right) = config["padding"]
        return functional.pad(x, (0, 0, left, right, top, bottom))
    if kind == "Conv2D":
        size, stride = config["kernel_size"][0], config["strides"][0]
        windows = x.unfold(1, size, stride).unfold(2, size, stride)  # (b, f, t, in, row, column)
        return torch.einsum("bftirc,rcio->bfto", windows, arrays["kernel"])
    if kind == "BatchNormalization":
        scaled: torch.Tensor = (x - arrays["moving_mean"]) / (
            arrays["moving_variance"] + config["epsilon"]
        ).sqrt()
        scaled = scaled * arrays.get("gamma", 1) + arrays.get("beta", 0)
        return scaled
    if kind == "MaxPooling2D":
        return x.unfold(1, 2, 2).unfold(2, 2, 2).amax(dim=(4, 5))
    if kind == "Dense":
        y: torch.Tensor = x @ arrays["kernel"] + arrays.get("bias", 0)
        return _activated(config["activation"], y)
    if kind == "Activation":
        return _activated(config["activation"], x)
    if kind in ("GlobalAveragePooling2D", "GlobalMaxPooling2D"):
        return x.mean(dim=(1, 2)) if "Average" in kind else x.amax(dim=(1, 2))
    if kind == "Reshape":
        return x.reshape(len(x), *config["target_shape"])
    if kind in ("Add", "Multiply"):
        return x + inputs[1] if kind == "Add" else x * inputs[1]
    return x  # Dropout


def _activated(name: str, x: torch.Tensor) -> torch.Tensor:
    if name == "linear":
        return x
    if name == "softmax":
        return torch.softmax(x, dim=-1)
    return {"relu": torch.relu, "sigmoid": torch.sigmoid}[name](x)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"channels": 1, "classes": 3, "blocks": ((5, 2), (7, 2)), "bands": 40},
        {"learned": False, "bias": False, "epsilon": 1e-5, "seed": 2},
        {"blocks": ((4, 1), (6, 3)), "classes": 4},
        {"blocks": ((4, 1), (6, 2)), "paddings": [ONE, ONE], "seed": 3},
        {"blocks": ((4, 1), (6, 2)), "paddings": [], "seed": 4},
        {"blocks": ((4, 2), (6, 1)), "paddings": [UNEVEN, ONE], "seed": 5},
    ],
    ids=[
        "the papers' shape",
        "one channel",
        "nothing learned",
        "other depth",
        "two paddings",
        "no padding",
        "uneven paddings",
    ],
)
def test_the_probabilities_are_keras(options: dict[str, Any], tmp_path: Path) -> None:
    writer = family(tmp_path / "model.hdf5", **options)
    labels = None if writer.width == 10 else [f"class {n}" for n in range(writer.width)]
    bundle = import_keras(tmp_path / "model.hdf5", labels=labels)
    _, bands, _, channels = writer.layers[0]["config"]["batch_input_shape"]
    maps = np.random.default_rng(1).normal(size=(3, bands, 50, channels))
    wanted = forward(writer, maps)
    features = torch.from_numpy(maps.transpose(0, 3, 1, 2)).float()
    with torch.inference_mode():
        got = bundle.network(features).softmax(dim=1).numpy()
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    assert wanted.std(axis=1).min() > 1e-3  # they do say something
    assert (bundle.frontend.config.bands, bundle.frontend.config.deltas) == (bands, channels - 1)
    bundle.save(tmp_path / "bundle")
    again = Bundle.load(tmp_path / "bundle")
    with torch.inference_mode():
        assert torch.equal(again.network(features), bundle.network(features))


def test_the_front_end_is_the_papers(tmp_path: Path) -> None:
    family(tmp_path / "model.hdf5", bands=128)
    bundle = import_keras(tmp_path / "model.hdf5")
    assert bundle.frontend.config == load_config("peters2022").frontend
    assert bundle.labels[:3] == ("airport", "bus", "metro")
    assert bundle.contract.clip_s == 10


def refused(path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["import", "keras", str(path), "--out", str(path.parent / "no"), *options]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert not (path.parent / "no").exists()
    return said


def test_other_files_are_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.hdf5"
    assert "No file" in refused(path, capsys)
    path.write_bytes(b"RIFF....WAVEfmt ")
    assert "not an HDF5 file" in refused(path, capsys)
    family(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "cannot be read (" in refused(path, capsys)
    with h5py.File(path, "w") as file:
        file["weights"] = np.zeros(3)
    assert "model_config" in refused(path, capsys)
    family(path, function="tanh")
    assert "another network (tanh after conv2d" in refused(path, capsys)
    family(path, attended=False)
    assert "another network (no attention" in refused(path, capsys)
    family(path, channels=4)
    assert "4 channels" in refused(path, capsys)
    family(path, paddings=[[[1], [1, 1]]])
    assert "another network" in refused(path, capsys)
    family(path)
    assert "2 labels for the 10 classes" in refused(path, capsys, "--labels", "a,b")


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    writer = family(tmp_path / "model.hdf5")
    name = next(each["name"] for each in writer.layers if each["class_name"] == "Conv2D")
    writer.weights[name]["kernel"] = np.zeros((5, 5, 3, 7))
    writer.write(tmp_path / "model.hdf5")
    with pytest.raises(
        BundleError, match=r"weights have shape \(7, 3, 5, 5\)\. Expected \(6, 3, 5, 5\)"
    ):
        import_keras(tmp_path / "model.hdf5")


def test_the_command_makes_a_model_that_predicts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = family(tmp_path / "model.hdf5", classes=3)
    command = ["import", "keras", str(tmp_path / "model.hdf5"), "--out", str(tmp_path / "model")]
    assert main([*command, "--labels", "a,b,c", "--clip-s", "1"]) == 0
    said = capsys.readouterr().out
    assert "3 labels: a, b, c" in said
    kept = sum(array.size for arrays in writer.weights.values() for array in arrays.values())
    assert f": {kept:,} parameters" in said  # every number in the file, as Keras counts
    noise = np.random.default_rng(0).normal(scale=0.1, size=44100).astype(np.float32)
    predicted = load(tmp_path / "model", precision="float32").predict(Clip(noise, 44100))
    assert sum(predicted.probabilities.values()) == pytest.approx(1)


PUBLISHED: dict[str, Any] = {  # `3class-fcnn`: the features of two microphones
    "channels": 6,
    "blocks": ((36, 2), (72, 2), (96, 2)),
    "classes": 3,
    "bands": 128,
    "paddings": [ONE, TWO],
}
SHARE = ["--set", "validation_share=0.3"]
SCENES = ["indoor", "outdoor", "transportation"]


def test_a_network_for_two_microphones_classifies_arrays(tmp_path: Path) -> None:
    writer = family(tmp_path / "model.hdf5", **PUBLISHED)
    bundle = import_keras(tmp_path / "model.hdf5", labels=SCENES)
    kernels = [module for module in bundle.network.modules() if isinstance(module, torch.nn.Conv2d)]
    assert [kernel.out_channels for kernel in kernels] == [36, 36, 72, 72, 96, 96, 3]
    maps = np.random.default_rng(2).normal(size=(2, 128, 60, 6))
    features = torch.from_numpy(maps.transpose(0, 3, 1, 2)).float()
    again = Bundle.load(bundle.save(tmp_path / "bundle"))
    with torch.inference_mode():
        got = again.network(features).softmax(dim=1).numpy()
    np.testing.assert_allclose(got, forward(writer, maps), atol=1e-5)


def test_files_for_a_network_of_two_microphones_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    family(tmp_path / "model.hdf5", **PUBLISHED)
    bundle = str(tmp_path / "bundle")
    command = ["import", "keras", str(tmp_path / "model.hdf5"), "--out", bundle]
    assert main([*command, "--labels", ",".join(SCENES)]) == 0
    assert "anymic predict" not in capsys.readouterr().out
    sounds = tmp_path / "sounds"
    for label in SCENES:
        (sounds / label).mkdir(parents=True)
        for number in range(4):
            tone = np.sin(np.arange(44100) * 0.1 * (number + 1)).astype(np.float32)
            write(sounds / label / f"{number}.wav", Clip(tone, 44100))
    for verb in (
        ["predict", str(sounds), "--model", bundle],
        ["evaluate", bundle, "--data", str(sounds)],
        ["finetune", bundle, "--data", str(sounds), "--out", str(tmp_path / "tuned"), *SHARE],
        ["embed", str(sounds), "--model", bundle, "--out", str(tmp_path / "embedded")],
    ):
        assert main(verb) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert "features of 3 channels" in said
        assert "6 channels, as of 2 microphones" in said
