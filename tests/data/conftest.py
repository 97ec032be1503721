"""Miniature corpora: real WAV files in exactly the published layouts."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile


@pytest.fixture
def wav() -> Callable[..., Path]:
    """Write 20 ms of noise that depends on the file's path and on nothing else."""

    def write(path: Path, *, rate_hz: int = 44100, samples: int = 882) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        generator = np.random.default_rng(zlib.crc32(path.name.encode()))
        soundfile.write(path, generator.normal(0, 0.1, samples), rate_hz, subtype="PCM_16")
        return path

    return write
