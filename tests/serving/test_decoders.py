"""Hostile recordings end their decoder, and only their own request; others are answered meanwhile.

Silence compresses a thousand times: a FLAC file of a megabyte is a gigabyte of samples.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from tests.serving.clients import Client
from tests.serving.service import Running, running

pytestmark = pytest.mark.skipif(
    not Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").exists(),
    reason="the decoders are found in /proc",
)
LONG = ("--most-s", "1000000")


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """Return a FLAC file of six hours: less than a megabyte, 700 MB of samples."""
    samples = np.zeros(6 * 3600 * 8000, np.int16)
    samples[0] = 100
    written = io.BytesIO()
    soundfile.write(written, samples, 8000, format="FLAC")
    assert len(written.getvalue()) < 1e6
    return written.getvalue()


def without_length(flac: bytes) -> bytes:
    """Return a FLAC file whose header does not state how long it is: 36 bits of STREAMINFO."""
    assert flac[:4] == b"fLaC"
    place = 8 + 13
    return flac[:place] + bytes([flac[place] & 0xF0]) + bytes(4) + flac[place + 5 :]


def decoders_of(service: Running) -> set[int]:
    """Return the processes that the threads of the service have started."""
    threads = Path(f"/proc/{service.pid}/task").glob("*/children")
    return {int(one) for path in threads for one in path.read_text().split()}


def has_open(process: int, size: int) -> bool:
    """Say whether a process has a file of so many bytes open."""
    for one in Path(f"/proc/{process}/fd").iterdir():
        with suppress(OSError):
            if one.stat().st_size == size:
                return True
    return False


@contextmanager
def others(service: Running, golden: Path) -> Iterator[Client]:
    """Let another client send requests; each is answered, and some while the block runs."""
    client = Client(service, (golden / "clip.flac").read_bytes(), "street_traffic")
    client.start()
    while not client.answers:
        time.sleep(0.01)
    before = client.answers["right"]
    try:
        yield client
        meanwhile = client.answers["right"] - before
    finally:
        client.ended.set()
        client.join()
    assert set(client.answers) == {"right"}, client.answers
    assert meanwhile >= 3


def refused(
    service: Running, data: bytes, meanwhile: Callable[[], object] = lambda: None
) -> httpx.Response:
    """Send a recording; return the answer. `meanwhile` is called while it is decoded."""
    found: list[httpx.Response] = []

    def send() -> None:
        files = {"file": ("bomb.flac", data)}
        found.append(httpx.post(f"{service.url}/v1/predict", files=files, timeout=300))

    thread = threading.Thread(target=send)
    thread.start()
    meanwhile()
    thread.join()
    return found[0]


@pytest.mark.parametrize(
    ("options", "problem", "reason"),
    [
        (("--decoding-mb", "500", "--decoding-s", "300"), "more than 500 MB of memory", "memory"),
        (("--decoding-mb", "4096", "--decoding-s", "1"), "more than 1 s", "time"),
    ],
    ids=["memory", "time"],
)
def test_a_decompression_bomb(
    options: tuple[str, ...], problem: str, reason: str, golden: Path, bomb: bytes
) -> None:
    with running(golden / "basic1", options=(*options, *LONG)) as service:
        before = decoders_of(service)
        with others(service, golden):
            answer = refused(service, bomb)
        assert answer.status_code == 422, answer.text
        assert answer.json()["problem"] == f"the file bomb.flac needs {problem} to decode"
        after = decoders_of(service)
        assert len(after) == len(before) == 2
        assert len(after - before) == 1  # it was replaced
        text = httpx.get(f"{service.url}/metrics").text
        assert f'anymic_decoder_restarts_total{{reason="{reason}"}} 1.0' in text


def test_hours_that_the_header_does_not_state(golden: Path, bomb: bytes) -> None:
    """It is decoded until the limit of length, and the decoder goes on."""
    with running(golden / "basic1") as service:
        before = decoders_of(service)
        with others(service, golden):
            answer = refused(service, without_length(bomb))
        assert answer.status_code == 413, answer.text
        assert "more than 600 s" in answer.json()["problem"]
        assert decoders_of(service) == before


def test_a_decoder_that_hangs(golden: Path, bomb: bytes) -> None:
    """A stopped process uses no processor, so that only the clock can end it."""

    def stop_it() -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            for one in decoders_of(service):
                if has_open(one, len(bomb)):
                    os.kill(one, signal.SIGSTOP)
                    return
        raise AssertionError("no decoder has the file open")

    options = ("--decoding-mb", "4096", "--decoding-s", "2", *LONG)
    with running(golden / "basic1", options=options) as service:
        before = decoders_of(service)
        with others(service, golden):
            begun = time.monotonic()
            answer = refused(service, bomb, stop_it)
            took_s = time.monotonic() - begun
        assert answer.status_code == 422, answer.text
        assert "needs more than 2 s to decode" in answer.json()["problem"]
        assert took_s >= 2
        assert len(decoders_of(service) - before) == 1


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files have no path here")
def test_a_decoder_that_is_killed_while_it_begins_leaves_nothing(tmp_path: Path) -> None:
    """What it decodes first is a file without a name."""
    seen: list[str] = []
    command = [sys.executable, "-m", "anymic.serving.decoder", str(1 << 40)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as decoder:
        assert decoder.stdin is not None
        decoder.stdin.close()  # it ends as soon as it has begun
        while decoder.poll() is None:
            seen += [name for name in os.listdir(tmp_path) if name.startswith("anymic-")]
    assert decoder.returncode == 0
    assert seen == []
