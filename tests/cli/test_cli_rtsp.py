"""A camera over RTSP gives the windows of the file that it sends.

The server speaks as much of RFC 2326 as FFmpeg asks for: a description, one track of linear PCM,
and its packets in the connection itself (section 10.12).
"""

from __future__ import annotations

import json
import socketserver
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import soundfile

from anymic.bundle import Bundle
from anymic.cli import main
from anymic.inference.predictor import Predictor

RATE_HZ, SECONDS, PACKET = 8000, 6.0, 160  # samples of a packet
SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
SDP += f"m=audio 0 RTP/AVP 96\r\na=rtpmap:96 L16/{RATE_HZ}/1\r\na=control:track1\r\n"


class Camera(socketserver.ThreadingTCPServer):
    """A server on loopback that sends 16-bit samples, once."""

    daemon_threads = allow_reuse_address = True

    def __init__(self, samples: np.ndarray) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.samples = samples

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.server_address[1]}/1"


class Connection(socketserver.StreamRequestHandler):
    """Answers requests, and sends the packets after PLAY."""

    def handle(self) -> None:
        while line := self.rfile.readline().decode().strip():
            headers = dict(
                one.split(": ", 1)
                for one in iter(lambda: self.rfile.readline().decode().strip(), "")
            )
            method = line.split()[0]
            more, body = {
                "OPTIONS": ("Public: DESCRIBE, SETUP, PLAY, TEARDOWN\r\n", ""),
                "DESCRIBE": ("Content-Type: application/sdp\r\n", SDP),
                "SETUP": (
                    "Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n",
                    "",
                ),
            }.get(method, ("Session: 1\r\n", ""))
            if method == "SETUP":
                assert "RTP/AVP/TCP" in headers["Transport"]
            answer = f"RTSP/1.0 200 OK\r\nCSeq: {headers['CSeq']}\r\n{more}"
            self.wfile.write(f"{answer}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            if method == "PLAY":
                self.play()
                return

    def play(self) -> None:
        samples = cast("Camera", self.server).samples
        for number in range(len(samples) // PACKET):
            begin = number * PACKET
            payload = samples[begin : begin + PACKET].astype(">i2").tobytes()
            head = struct.pack(">BBHII", 0x80, 96, number, begin, 1)
            self.wfile.write(b"$\0" + struct.pack(">H", len(head) + len(payload)) + head + payload)
        goodbye = struct.pack(">BBHI", 0x81, 203, 1, 1)
        self.wfile.write(b"$\1" + struct.pack(">H", len(goodbye)) + goodbye)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    time_s = np.arange(round(RATE_HZ * SECONDS)) / RATE_HZ
    samples = np.random.default_rng(3).normal(0, 0.1, len(time_s)) * 10 ** np.sin(time_s)
    soundfile.write(tmp_path / "sound.wav", samples.clip(-1, 1), RATE_HZ, subtype="PCM_16")
    return tmp_path / "sound.wav"


@pytest.fixture
def camera(recording: Path) -> Iterator[Camera]:
    samples, _ = soundfile.read(recording, dtype="int16")
    with Camera(samples) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_camera_gives_the_windows_of_the_file(
    bundle_folder: Path, recording: Path, camera: Camera, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = Predictor(Bundle.load(bundle_folder), batch_size=1).predict(recording)
    assert expected.window_probabilities is not None
    options = ["--every-window", "--json", "--timeout", "60"]
    status = main(["stream", str(bundle_folder), camera.url, *options])
    out, errors = capsys.readouterr()
    assert status == 0, errors
    assert f"{camera.url}: " in errors
    rows = [json.loads(line) for line in out.splitlines()]
    found = [list(one["probabilities"].values()) for one in rows]
    assert len(found) > 2
    np.testing.assert_array_equal(found, expected.window_probabilities)
