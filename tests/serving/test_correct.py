"""A corrected recording is that of `anymic correct`."""

from __future__ import annotations

import io
import json
from pathlib import Path

import httpx
import numpy as np
import soundfile

from anymic.cli import main


def test_it_is_what_the_command_writes(client: httpx.Client, golden: Path, tmp_path: Path) -> None:
    profile, out = golden / "basic1" / "profile.json", tmp_path / "out.wav"
    command = ["correct", str(golden / "clip.flac"), "--profile", str(profile), "--device", "B"]
    assert main([*command, "--out", str(out), "--gain-db", "-6"]) == 0
    with (golden / "clip.flac").open("rb") as file:
        answer = client.post(
            "/v1/correct", files={"file": file}, data={"device": "B", "gain_db": "-6"}
        )
    assert answer.status_code == 200, answer.text
    found, rate_hz = soundfile.read(io.BytesIO(answer.content), dtype="float32")
    wanted, wanted_hz = soundfile.read(out, dtype="float32")
    assert rate_hz == wanted_hz
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_another_rate_is_noted(client: httpx.Client) -> None:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).normal(0, 0.1, 44100)
    soundfile.write(buffer, noise, 44100, format="WAV")
    answer = client.post(
        "/v1/correct",
        content=buffer.getvalue(),
        params={"device": "B"},
        headers={"Content-Type": "audio/wav"},
    )
    assert "resampled from 44100 Hz" in json.loads(answer.headers["Anymic-Notes"])
    _, rate_hz = soundfile.read(io.BytesIO(answer.content))
    assert rate_hz == 16000


def test_an_unknown_device_is_refused(client: httpx.Client, golden: Path) -> None:
    with (golden / "clip.flac").open("rb") as file:
        answer = client.post("/v1/correct", files={"file": file}, data={"device": "Z"})
    assert answer.status_code == 422
    assert "no device 'Z'" in answer.json()["problem"]
    with (golden / "clip.flac").open("rb") as file:
        assert client.post("/v1/correct", files={"file": file}).status_code == 422
