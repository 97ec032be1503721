"""YAMNet: its weights in three layouts, its answers, and files that are refused."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import anymic
from anymic.bundle import Bundle
from anymic.bundle.installed import installed, models_folder, resolve
from anymic.errors import BundleError
from anymic.importers.yamnet import LAYERS, STATISTICS, import_yamnet, read_state
from anymic.models.yamnet import FIRST, STRIDES, WIDTHS

LITE = "yamnet_audio_classifier_with_metadata.tflite"
Arrays = dict[str, Any]  # of numbers by name


@pytest.fixture(scope="session")
def weights(shared_data: Path) -> Path:
    """Return the folder of the public weights, or skip."""
    return shared_data / "yamnet"


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    """Return random weights by layer, as in the .npz."""
    generator = np.random.default_rng(3)
    made: Arrays = {}
    inputs = FIRST
    shapes: list[tuple[int, ...]] = [(3, 3, 1, FIRST)]
    for outputs in WIDTHS:
        shapes += [(3, 3, inputs, 1), (1, 1, inputs, outputs)]
        inputs = outputs
    for layer, shape in enumerate(shapes):
        name = "depthwise_kernel" if layer % 2 else "kernel"
        channels = shape[2] if layer % 2 else shape[3]
        fan = np.prod(shape) / channels
        made[f"{2 * layer:02d}/{name}"] = generator.normal(0, np.sqrt(2 / fan), shape)
        for one in STATISTICS:
            low = 0.5 if one == "moving_variance" else -0.2
            made[f"{2 * layer + 1:02d}/{one}"] = generator.uniform(low, 1.0, channels)
    made["54/kernel"] = generator.normal(0, 0.03, (inputs, 521))
    made["54/bias"] = generator.normal(0, 0.03, 521)
    return {name: value.astype(np.float32).astype(np.float64) for name, value in made.items()}


def write_keras(arrays: Arrays, path: Path) -> Path:
    """Write what `save_weights` of the published Keras model writes."""
    names = {0: "layer1/conv", 1: "layer1/conv/bn", 54: "logits"}
    for block in range(len(STRIDES)):
        for place, kind in enumerate(("depthwise_conv", "pointwise_conv")):
            layer = 2 * (2 * block + place + 1)
            names |= {layer: f"layer{block + 2}/{kind}", layer + 1: f"layer{block + 2}/{kind}/bn"}
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in names.values()]
        for number, name in names.items():
            own = [key for key in arrays if key.startswith(f"{number:02d}/")]
            group = file.require_group(name)
            group.attrs["weight_names"] = [f"{name}/{key[3:]}:0".encode() for key in own]
            for key in own:
                group[f"{name}/{key[3:]}:0"] = arrays[key]
    return path


def test_the_layouts_hold_the_same_weights(arrays: Arrays, tmp_path: Path) -> None:
    np.savez(tmp_path / "yamnet.npz", **arrays)
    first, _ = read_state(tmp_path / "yamnet.npz")
    second, _ = read_state(write_keras(arrays, tmp_path / "yamnet.h5"))
    assert len(first) == 5 * LAYERS + 2
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_it_computes_what_is_published(arrays: Arrays, tmp_path: Path) -> None:
    """An independent computation with TensorFlow's padding, on (frame, band, channel)."""
    np.savez(tmp_path / "yamnet.npz", **arrays)
    network = anymic.models.build("yamnet", classes=521).eval()
    network.load_state_dict(read_state(tmp_path / "yamnet.npz")[0])
    patch = np.random.default_rng(1).normal(size=(96, 64)).astype(np.float32)
    maps = patch[:, :, None].astype(np.float64)
    strides = [2, *(one for stride in STRIDES for one in (stride, 1))]
    for layer, stride in enumerate(strides):
        name = "depthwise_kernel" if layer % 2 else "kernel"
        maps = same_convolution(maps, arrays[f"{2 * layer:02d}/{name}"], stride, layer % 2 == 1)
        beta, mean, variance = (arrays[f"{2 * layer + 1:02d}/{one}"] for one in STATISTICS)
        maps = np.maximum(0, (maps - mean) / np.sqrt(variance + 1e-4) + beta)
    embedding = maps.mean(axis=(0, 1))
    logits = embedding @ arrays["54/kernel"] + arrays["54/bias"]
    features = torch.from_numpy(patch.T.copy())[None, None]
    with torch.inference_mode():
        found = network.embed(features)[0].numpy()
        answered = network(features)[0].numpy()
    np.testing.assert_allclose(found, embedding, rtol=1e-3, atol=1e-4 * embedding.max())
    np.testing.assert_allclose(answered, logits, atol=1e-3 * np.abs(logits).max())


def same_convolution(
    maps: NDArray[np.float64], kernel: NDArray[np.float64], stride: int, depthwise: bool
) -> NDArray[np.float64]:
    """Convolve (row, column, channel) with zeros around as "same" in TensorFlow."""
    size = len(kernel)
    after = size - 1 if stride == 1 else size - 2
    before = after // 2
    padded = np.pad(maps, ((before, after - before), (before, after - before), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(0, 1))
    windows = windows[::stride, ::stride]  # (row, column, channel, kernel row, kernel column)
    if depthwise:
        return np.asarray(np.einsum("rcikl,kli->rci", windows, kernel[..., 0]))
    return np.asarray(np.einsum("rcikl,klio->rco", windows, kernel, optimize=True))


def test_the_public_weights_answer_the_check(weights: Path) -> None:
    for name in ("yamnet_float32.npz", LITE):
        bundle = import_yamnet(weights / name)
        assert len(bundle.labels) == 521
        assert bundle.labels[0] == "Speech"
        assert bundle.contract.hop_s == 0.48
        assert len(bundle.training["imported"]["sha256"]) == 64


def test_other_weights_are_refused_whatever_their_name(
    arrays: Arrays, tmp_path: Path, refused: Callable[..., str]
) -> None:
    np.savez(tmp_path / "yamnet.npz", **arrays)
    line = refused("import", "yamnet", tmp_path / "yamnet.npz", "--out", tmp_path / "out")
    assert "is of another network (logits of a test sound differ by" in line
    assert not (tmp_path / "out").exists()
    less = {name: arrays[name] for name in arrays if name != "12/kernel"}
    np.savez(tmp_path / "less.npz", **less)
    assert "(no 12/kernel)" in refused("import", "yamnet", tmp_path / "less.npz")
    other = {**arrays, "54/kernel": arrays["54/kernel"][:, :50]}
    np.savez(tmp_path / "other.npz", **other)
    assert "classifier.weight has shape (50, 1024)" in refused(
        "import", "yamnet", tmp_path / "other.npz"
    )
    assert "One of WEIGHTS and --download" in refused("import", "yamnet").replace(
        "one of", "One of"
    )


def test_a_cut_file_is_refused_in_one_line(
    arrays: Arrays, tmp_path: Path, refused: Callable[..., str]
) -> None:
    np.savez(tmp_path / "yamnet.npz", **arrays)
    write_keras(arrays, tmp_path / "yamnet.h5")
    for name in ("yamnet.npz", "yamnet.h5"):
        cut = tmp_path / f"cut{Path(name).suffix}"
        cut.write_bytes((tmp_path / name).read_bytes()[:100_000])
        assert "cannot be read" in refused("import", "yamnet", cut)
    (tmp_path / "cut.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(range(256)) * 9)
    assert "cannot be read" in refused("import", "yamnet", tmp_path / "cut.tflite")


def test_installed_models_are_found_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
) -> None:
    monkeypatch.setenv("ANYMIC_MODELS", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)
    assert models_folder() == tmp_path / "models"
    assert installed("yamnet") is None
    line = refused("predict", "x.wav", "--model", "yamnet")
    assert "Install it with `anymic import yamnet`" in line
    saved = import_yamnet(width=0.125, seed=1).save(models_folder() / "yamnet")
    assert installed("yamnet") == resolve("yamnet") == saved
    assert "one of the installed models: yamnet" in refused("predict", "x.wav", "--model", "yamnt")
    clip = anymic.Clip(np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32), 16_000)
    assert anymic.load("yamnet").predict(clip).label in Bundle.load("yamnet").labels
    for name in ("", ".", "..", "../models/yamnet", "models/other"):
        assert installed(name) is None
    for verb in (["devices", "policy"], ["devices", "add"], ["evaluate"], ["calibrate"]):
        own = ["--data", "x.csv"] if len(verb) == 1 else []
        own += ["--profile", "x.json"] if "add" in verb else []
        assert "in which nothing is written" in refused(*verb, "yamnet", *own)
    (tmp_path / "yamnet").mkdir()  # a path that exists goes first
    assert resolve("yamnet") == Path("yamnet")


def test_a_hostile_tflite_file_ends_in_one_error(weights: Path, tmp_path: Path) -> None:
    """Whatever bytes are changed: the weights are refused, or are read to the end, in seconds."""
    pytest.importorskip("tflite")
    content = (weights / LITE).read_bytes()
    generator = np.random.default_rng(0)
    path = tmp_path / "changed.tflite"
    for share in (0.0, 0.001, 0.3, 0.9):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(BundleError, match=r"cannot be read|of another network"):
            read_state(path)
    where = content.find(b"waveform_binary")  # the graph is described around here
    begun = time.process_time()
    for _ in range(40):
        changed = bytearray(content)
        for place in generator.integers(max(0, where - 20_000), where + 20_000, 20):
            changed[min(place, len(changed) - 1)] = generator.integers(256)
        changed[int(generator.integers(8, 200))] = 255
        path.write_bytes(changed)
        with contextlib.suppress(BundleError):
            read_state(path)
    assert time.process_time() - begun < 30
