"""A file that another program wrote has no contract, and is no model of a service."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from anymic.errors import ClassifierError, ConfigError
from anymic.inference.exported_predictor import ExportedPredictor
from anymic.inference.files import predictor_of, recordings_model
from anymic.inference.onnx_model import OnnxModel


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Write a classifier of waveforms, with labels and a rate, and nothing else of anymic."""
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["samples"], ["mean"], axes=[1], keepdims=1),
            helper.make_node("Concat", ["mean", "mean"], ["both"], axis=1),
            helper.make_node("Softmax", ["both"], ["probabilities"], axis=1),
        ],
        "foreign",
        [helper.make_tensor_value_info("samples", TensorProto.FLOAT, ["batch", "sample"])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {"labels": json.dumps(["cat", "dog"]), "rate_hz": "16000"})
    onnx.save(model, tmp_path / "foreign.onnx")
    return tmp_path / "foreign.onnx"


def test_a_file_without_a_contract_is_refused(foreign: Path) -> None:
    assert OnnxModel(foreign).labels == ("cat", "dog")  # `anymic predict` takes it
    with pytest.raises(ClassifierError, match=r"states no contract.*anymic export"):
        predictor_of(recordings_model(foreign, purpose="served"))
    with pytest.raises(ClassifierError, match=r"states no contract.*anymic export"):
        OnnxModel(foreign).with_hop(0.5)


def test_another_accelerator_is_refused(tmp_path: Path, foreign: Path) -> None:
    import anymic

    golden = Path(__file__).parents[1] / "golden" / "basic1"
    model = OnnxModel(anymic.export(golden, tmp_path / "m.onnx", transform="factored").path)
    assert ExportedPredictor(model, accelerator="cpu").contract.rate_hz == model.rate_hz
    with pytest.raises(ConfigError, match="cannot be computed on 'cuda'"):
        ExportedPredictor(model, accelerator="cuda")
