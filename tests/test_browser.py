"""The browser of the tests: it runs ONNX Runtime, and its errors are seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from playwright.sync_api import Browser
from tests.browser import copy_runtime, opened, served

RUN = """async (samples) => {
  const ort = await import("/ort.wasm.min.mjs");
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create("/model.onnx");
  const input = new ort.Tensor("float32", Float32Array.from(samples), [1, samples.length]);
  return Array.from((await session.run({samples: input})).power.data);
}"""


def spectra(place: Path) -> None:
    """Write a model that computes an STFT, by the operators that a front-end needs."""
    frames = 64
    nodes = [
        helper.make_node("Constant", [], ["hop"], value_int=frames // 2),
        helper.make_node("Constant", [], ["size"], value_int=frames),
        helper.make_node("HannWindow", ["size"], ["window"]),
        helper.make_node("Unsqueeze", ["samples", "last"], ["signal"]),
        helper.make_node("STFT", ["signal", "hop", "window"], ["complex"]),
        helper.make_node("ReduceSumSquare", ["complex", "last"], ["power"], keepdims=0),
    ]
    last = numpy_helper.from_array(np.array([-1]), "last")
    graph = helper.make_graph(
        nodes,
        "spectra",
        [helper.make_tensor_value_info("samples", TensorProto.FLOAT, ["batch", "sample"])],
        [helper.make_tensor_value_info("power", TensorProto.FLOAT, ["batch", "frame", "bin"])],
        [last],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, place)


def test_onnx_runtime_in_the_browser_equals_python(browser: Browser, tmp_path: Path) -> None:
    spectra(tmp_path / "model.onnx")
    copy_runtime(tmp_path)
    (tmp_path / "index.html").write_text("<!doctype html><link rel=icon href=data:,>")
    samples = np.random.default_rng(0).uniform(-1, 1, 256).astype(np.float32)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (power,) = session.run(None, {"samples": samples[None]})
    frame = np.hanning(65)[:64] * samples[32:96]
    np.testing.assert_allclose(power[0, 1], np.abs(np.fft.rfft(frame)) ** 2, rtol=1e-3, atol=1e-3)
    with served(tmp_path) as address, opened(browser) as (page, errors):
        page.goto(f"{address}/index.html")
        found = page.evaluate(RUN, samples.tolist())
    assert errors == []
    np.testing.assert_allclose(found, power.ravel(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("fault", ["throw new Error('wrong')", "fetch('absent')"])
def test_errors_of_a_page_are_seen(browser: Browser, tmp_path: Path, fault: str) -> None:
    text = f"<!doctype html><link rel=icon href=data:,><script>{fault}</script>"
    (tmp_path / "index.html").write_text(text)
    with served(tmp_path) as address, opened(browser) as (page, errors):
        page.goto(f"{address}/index.html", wait_until="networkidle")
    assert len(errors) == 1
