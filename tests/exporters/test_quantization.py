"""Smaller forms of exported models: what they change, and what they keep."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import numpy_helper

from anymic import audio
from anymic.audio import Clip
from anymic.bundle import Bundle
from anymic.cli import main
from anymic.errors import ConfigError
from anymic.exporters.graph_changes import copied, equalize, shorten_names, store_sparsely
from anymic.exporters.onnx_file import export
from anymic.exporters.small_file import RunsOfClips, agreement, export_small


def sounds(count: int = 6) -> list[np.ndarray]:
    """Return noise of different levels (8000,), a second at 8 kHz."""
    generator = np.random.default_rng(2)
    return [generator.normal(0, 0.02 * (1 + one), 8000).astype(np.float32) for one in range(count)]


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Return a table of training clips, and one of the split test."""
    rows = []
    for place, samples in enumerate(sounds()):
        audio.write(tmp_path / f"{place}.wav", Clip(samples.clip(-1, 1), 8000))
        device, split = "AB"[place % 2], "train" if place else "test"
        rows.append({"path": f"{place}.wav", "label": "dog", "device": device, "split": split})
    pd.DataFrame(rows).to_csv(tmp_path / "clips.csv", index=False)
    return tmp_path / "clips.csv"


@pytest.fixture
def plain(small_bundle: Bundle, tmp_path: Path) -> onnx.ModelProto:
    export(small_bundle, tmp_path / "plain.onnx", transform="dft")
    return onnx.load(tmp_path / "plain.onnx")


def runs() -> list[dict[str, np.ndarray]]:
    return [{"samples": np.stack(sounds()), "device": np.array([0, 1, 2, 0, 1, 2])}]


@pytest.mark.parametrize("change", [equalize, store_sparsely, shorten_names])
def test_these_changes_are_exact(
    plain: onnx.ModelProto, change: Callable[[onnx.GraphProto], None]
) -> None:
    changed = copied(plain)
    change(changed.graph)
    assert changed.SerializeToString() != plain.SerializeToString()
    found = agreement(plain.SerializeToString(), changed.SerializeToString(), runs(), on="noise")
    assert (found.windows, found.equal_labels) == (6, 1.0)
    assert found.largest < 1e-5


def products_of(place: Path) -> dict[str, list[np.dtype]]:
    """Return the types of the constants that products read, by operator."""
    graph = onnx.load(place).graph
    types = {one.name: numpy_helper.to_array(one).dtype for one in graph.initializer}
    found: dict[str, list[np.dtype]] = {}
    writers = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        if node.op_type in ("Conv", "MatMul", "ConvInteger", "MatMulInteger"):
            name = node.input[1]
            dequantized = writers.get(name)
            if dequantized is not None and dequantized.op_type == "DequantizeLinear":
                name = dequantized.input[0]
            found.setdefault(node.op_type, []).append(types.get(name, np.dtype(np.float32)))
    return found


@pytest.mark.parametrize(
    ("form", "difference"), [("int8", 0.1), ("dynamic", 0.1), ("float16", 0.01)]
)
def test_only_the_network_changes(
    small_bundle: Bundle, clips: Path, tmp_path: Path, form: str, difference: float
) -> None:
    out = tmp_path / "small.onnx"
    data = clips if form == "int8" else None
    small = export_small(small_bundle, out, form, data=data)  # type: ignore[arg-type]
    assert small.agreement.largest < difference
    assert small.exported.size_bytes == out.stat().st_size < 0.6 * small.float32_bytes
    stated = {one.key: one.value for one in onnx.load(out).metadata_props}
    assert {"labels", "devices", "contract"} <= set(stated)
    types = products_of(out)
    if form == "float16":
        assert types["Conv"] == [np.dtype(np.float16)] * 5
    elif form == "int8":  # the first convolution has few weights
        assert types["Conv"] == [np.dtype(np.float32), *[np.dtype(np.int8)] * 4]
    else:
        # the only ones that every onnxruntime multiplies
        assert types["ConvInteger"] == [np.dtype(np.uint8)] * 4
    assert np.dtype(np.float32) in types["MatMul"]  # mel filters


def test_ranges_are_not_taken_from_test_clips(small_bundle: Bundle, clips: Path) -> None:
    from anymic.data.manifest import Manifest

    found = list(RunsOfClips(small_bundle, Manifest.read(clips), ("A", "B")))
    assert [int(one["device"][0]) for one in found] == [2, 1, 2, 1, 2]
    only_test = Manifest.read(clips).where(split="test")
    with pytest.raises(ConfigError, match="very clip is of the split test"):
        RunsOfClips(small_bundle, only_test, ("A", "B"))


def test_the_command(
    bundle_folder: Path, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A clip that cannot be read is listed, and the file is written from the others."""
    (clips.parent / "1.wav").write_bytes(b"")
    out = tmp_path / "small.onnx"
    arguments = ["export", bundle_folder, "--out", out, "--quantize", "int8", "--data", clips]
    assert main([str(one) for one in arguments]) == 1
    text = capsys.readouterr()
    assert "int8" in text.out
    assert "equal labels" in text.out
    assert "1.wav" in text.err + text.out
    assert out.stat().st_size > 1000


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--quantize", "int8"], "--data"),
        (["--quantize", "int4"], "int8"),
        (["--quantize", "dynamic", "--float16"], "--float16"),
        (["--float16", "--data", "clips.csv"], "--data"),
        (["--data", "clips.csv"], "--data"),
    ],
)
def test_combinations_are_refused(
    refused: Callable[..., str], bundle_folder: Path, tmp_path: Path, options: list[str], named: str
) -> None:
    out = tmp_path / "small.onnx"
    assert named in refused("export", bundle_folder, "--out", out, *options)
    assert not out.exists()
