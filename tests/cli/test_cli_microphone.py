"""A microphone gives the windows of the file that it plays.

ALSA's type `file` is a microphone whose sound is a file's, so that the real path through PortAudio
runs on machines without one.
"""

from __future__ import annotations

import ctypes.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.closeness import of_commands

from anymic.bundle import Bundle
from anymic.inference.predictor import Predictor

ALSA = Path("/usr/share/alsa/alsa.conf")
RATE_HZ, SECONDS = 8000, 6.0
pytestmark = [
    pytest.mark.skipif(ctypes.util.find_library("portaudio") is None, reason="make portaudio"),
    pytest.mark.skipif(not ALSA.exists(), reason="no ALSA"),
]


@pytest.fixture
def played(tmp_path: Path) -> Path:
    """Write a recording, as a file and as what ALSA plays."""
    generator = np.random.default_rng(3)
    time_s = np.arange(round(RATE_HZ * SECONDS)) / RATE_HZ
    samples = generator.normal(0, 0.1, len(time_s)) * 10 ** np.sin(time_s)
    samples = samples.clip(-1, 1).astype("<f4")
    soundfile.write(tmp_path / "sound.wav", samples, RATE_HZ, subtype="FLOAT")
    (tmp_path / "sound.raw").write_bytes(samples.tobytes())
    (tmp_path / "asound.conf").write_text(
        f'<{ALSA}>\npcm.recording {{\n type file\n slave.pcm {{ type null }}\n file "/dev/null"\n'
        f' infile "{tmp_path / "sound.raw"}"\n format "raw"\n}}\n'
    )
    return tmp_path / "sound.wav"


@pytest.fixture
def environment(played: Path) -> Iterator[dict[str, str]]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore it
    yield {**os.environ, "ALSA_CONFIG_PATH": str(played.with_name("asound.conf"))}
    signal.signal(signal.SIGINT, before)


@pytest.mark.alone  # a microphone does not wait: what no one reads in time is lost
def test_a_microphone_gives_the_windows_of_the_file(
    bundle_folder: Path, played: Path, environment: dict[str, str]
) -> None:
    expected = Predictor(Bundle.load(bundle_folder), batch_size=1).predict(played)
    assert expected.window_probabilities is not None
    command = [sys.executable, "-m", "anymic", "stream", str(bundle_folder)]
    command += ["--microphone", "recording", "--rate", str(RATE_HZ), "--every-window", "--json"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in expected.window_probabilities]
        process.send_signal(signal.SIGINT)
        try:
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()  # nothing where it has ended
    assert all(lines), errors
    assert process.returncode == 130
    assert "microphone recording: PCM f32le, 8000 Hz, 1 channel(s)" in errors
    rows = [json.loads(line) for line in lines]
    assert [one["start_s"] for one in rows] == pytest.approx(expected.window_starts_s)
    found = [list(one["probabilities"].values()) for one in rows]
    assert len(found) > 2
    np.testing.assert_allclose(found, expected.window_probabilities, rtol=0, atol=of_commands(0))
    assert np.ptp(found, axis=0).max() > 0.01  # the windows differ


def test_another_microphone_is_one_line(bundle_folder: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "anymic", "stream", str(bundle_folder), "--microphone", "usb"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "No microphone usb. Expected one of 0 (recording)." in done.stderr
    assert len(done.stderr.splitlines()) == 1
