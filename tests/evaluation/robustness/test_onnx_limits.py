"""ONNX models that are valid and ask for any amount of time or memory: refused within limits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anymic.errors import ClassifierError, ConfigError
from anymic.inference.onnx_model import OnnxModel

CLIP = Path(__file__).parents[2] / "golden" / "clip.flac"
MOST_BYTES = 3_000_000 << 10


@pytest.fixture
def onnx() -> Any:
    """Return the module, or skip where it or onnxruntime is not installed."""
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    return pytest.importorskip("onnx", reason="onnx, of the extra dev, is not installed")


def write(onnx: Any, path: Path, what: str, size: int) -> Path:
    """Write x + 0, where the 0 is a sum over so many zeros; or x after so many turns of a loop."""
    helper, number = onnx.helper, onnx.TensorProto
    x, y = (helper.make_tensor_value_info(name, number.FLOAT, ("b", "s")) for name in "xy")
    constants = {"size": np.array(size if what == "loop" else [size]), "true": np.array(True)}
    if what == "loop":
        inner = [
            helper.make_tensor_value_info("turn", number.INT64, ()),
            helper.make_tensor_value_info("go", number.BOOL, ()),
            helper.make_tensor_value_info("v", number.FLOAT, ("b", "s")),
            helper.make_tensor_value_info("on", number.BOOL, ()),
            helper.make_tensor_value_info("w", number.FLOAT, ("b", "s")),
        ]
        steps = [
            helper.make_node("Identity", ["go"], ["on"]),
            helper.make_node("Sin", ["v"], ["w"]),
        ]
        body = helper.make_graph(steps, "body", inner[:3], inner[3:])
        nodes = [helper.make_node("Loop", ["size", "true", "x"], ["y"], body=body)]
    else:
        # A constant is computed while the model is loaded, a multiple of the samples when it runs.
        shape = "many" if what == "samples" else "size"
        nodes = [
            helper.make_node("Shape", ["x"], ["samples"]),
            helper.make_node("Mul", ["samples", "size"], ["many"]),
            helper.make_node("ConstantOfShape", [shape], ["zeros"]),
            helper.make_node("ReduceSum", ["zeros"], ["zero"]),
            helper.make_node("Add", ["x", "zero"], ["y"]),
        ]
    arrays = [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "bomb", [x], [y], initializer=arrays)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {"labels": "a,b,c", "rate_hz": "8000"})
    onnx.save(model, path)
    return path


BOMBS = [("constant", 1 << 30), ("constant", 1 << 40), ("samples", 1 << 14), ("samples", 1 << 20)]


@pytest.mark.parametrize(("what", "size"), BOMBS)
def test_too_much_memory_is_refused(onnx: Any, tmp_path: Path, what: str, size: int) -> None:
    path = write(onnx, tmp_path / "bomb.onnx", what, size)
    with pytest.raises(ClassifierError, match=r"memory; .*ANYMIC_ONNX_MEMORY_MB") as caught:
        OnnxModel(path)
    assert "\n" not in str(caught.value)


def test_a_long_run_is_refused_in_one_line_by_the_verbs(onnx: Any, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="Windows has no limits for a process")
    path = write(onnx, tmp_path / "bomb.onnx", "loop", 1 << 50)
    (tmp_path / "clips.csv").write_text(f"path,label\n{CLIP},a\n{CLIP},b\n")
    here = ["--data", tmp_path / "clips.csv", "--out", tmp_path / "out"]
    for command in (["predict", CLIP], ["robustness", *here]):
        done = subprocess.run(
            [sys.executable, "-m", "anymic", *map(str, command), "--model", str(path)],
            env={**os.environ, "ANYMIC_ONNX_CPU_S": "1"},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES)),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 2, done.stderr
        assert "s of a processor; ANYMIC_ONNX_CPU_S" in done.stderr
        assert done.stderr.count("\n") == 1


def test_small_work_of_the_same_kind_runs_and_a_limit_can_be_set(
    onnx: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for what in ("constant", "samples", "loop"):
        assert OnnxModel(write(onnx, tmp_path / f"{what}.onnx", what, 100)).rate_hz == 8000
    path = write(onnx, tmp_path / "larger.onnx", "constant", 1 << 27)  # 512 MB
    assert OnnxModel(path).rate_hz == 8000
    monkeypatch.setenv("ANYMIC_ONNX_MEMORY_MB", "600")
    with pytest.raises(ClassifierError, match="more than 600 MB"):
        OnnxModel(path)
    monkeypatch.setenv("ANYMIC_ONNX_MEMORY_MB", "lots")
    with pytest.raises((ClassifierError, ConfigError), match="ANYMIC_ONNX_MEMORY_MB is 'lots'"):
        OnnxModel(path)
