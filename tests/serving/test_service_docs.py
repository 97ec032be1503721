"""The commands of docs/service.md run as they are written."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.serving.service import Running

PAGE = Path(__file__).parents[2] / "docs" / "service.md"
BLOCKS = re.findall(
    r"^```sh\n# needs the service and clip.wav\n(.*?)^```$",
    PAGE.read_text(),
    re.MULTILINE | re.DOTALL,
)


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_every_call_of_curl(service: Running, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 16000)
    soundfile.write(tmp_path / "clip.wav", noise, 16000)
    assert len(BLOCKS) == 4
    for block in BLOCKS:
        script = block.replace("http://127.0.0.1:8000", service.url)
        command = ["bash", "-euo", "pipefail", "-c", script]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{block}\n{done.stderr}"
    _, rate_hz = soundfile.read(tmp_path / "corrected.wav")
    assert rate_hz == 16000
