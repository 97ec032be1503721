"""The Python program of docs/deploy.md has the answer of the library."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
