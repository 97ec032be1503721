"""The Python and the C++ program of docs/deploy.md have the answer of the library."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from tests.deploy_page import blocks

import anymic
from anymic import audio
from anymic.exporters.onnx_file import export

GOLDEN = Path(__file__).parent / "golden"


def test_the_python_program_has_the_answer_of_the_library(tmp_path: Path) -> None:
    export(GOLDEN / "basic1", tmp_path / "model.onnx", windows=True)
    audio.write(tmp_path / "clip.wav", audio.read(GOLDEN / "long.flac"))
    (program,) = blocks("python")
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    label, probability = done.stdout.split()
    predictor = anymic.load(GOLDEN / "basic1", precision="float32")
    wanted = predictor.predict(tmp_path / "clip.wav", device="B")
    assert label == wanted.label
    assert float(probability) == pytest.approx(wanted.probability, abs=1e-4)


HEADERS = Path(sys.prefix) / "onnxruntime/usr/include/onnxruntime"
MAIN = """
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>
%s
int main(int count, char** words) {
  std::ifstream file(words[2], std::ios::binary | std::ios::ate);
  std::vector<float> samples(size_t(file.tellg()) / sizeof(float));
  file.seekg(0).read(reinterpret_cast<char*>(samples.data()), samples.size() * sizeof(float));
  Ort::Env env;
  Ort::Session session(env, words[1], Ort::SessionOptions{});
  for (float p : classify(session, samples, std::stoll(words[3]))) std::printf("%%.9g ", p);
}
"""


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")
@pytest.mark.skipif(not HEADERS.exists(), reason="make onnxruntime-headers")
@pytest.mark.parametrize("device", [None, "B"])
def test_the_cpp_program_has_the_answer_of_the_library(tmp_path: Path, device: str | None) -> None:
    """It is compiled with the headers of Debian, and linked with the library of the wheel."""
    bundle = anymic.load(GOLDEN / "basic1", precision="float32")
    devices = export(GOLDEN / "basic1", tmp_path / "model.onnx", windows=True).devices
    clip = audio.read(GOLDEN / "long.flac", rate_hz=bundle.bundle.contract.rate_hz)
    (tmp_path / "clip.f32").write_bytes(clip.samples.astype("<f4").tobytes())
    (program,) = blocks("cpp")
    (tmp_path / "main.cpp").write_text(MAIN % program)
    (library,) = (Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*")
    (tmp_path / "libonnxruntime.so.1").symlink_to(library)  # the name that programs look for
    command = ["g++", "-std=c++17", "-Wall", f"-I{HEADERS}", "main.cpp", str(library), "-o", "main"]
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    number = str(1 + devices.index(device)) if device else "0"
    done = subprocess.run(
        ["./main", "model.onnx", "clip.f32", number],
        cwd=tmp_path,
        env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = [float(one) for one in done.stdout.split()]
    wanted = bundle.predict(GOLDEN / "long.flac", device=device).probabilities
    np.testing.assert_allclose(found, list(wanted.values()), atol=1e-4)
