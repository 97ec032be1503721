"""A thousand hostile requests: no crash, bounded memory, and other clients keep their answers."""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import struct
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from tests.odd_files import wrong
from tests.serving.clients import Client
from tests.serving.service import running

REQUESTS, AT_ONCE = 1000, 50
MOST_MB = 800  # resident: the service, about 350 MB with PyTorch, and what its limits allow
OPTIONS = ("--most-mb", "2", "--most-s", "60", "--body-s", "3", "--concurrent", "100")

Attack = Callable[[int], "int | None"]  # a port to the status, or None without an answer


def sent(port: int, data: bytes, *, wait: bool = True) -> int | None:
    """Send bytes; return the status of the answer."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(data)
            if not wait:
                return None
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            return answer.status
    except OSError:
        return None


def request(
    body: bytes, *, kind: str = "application/octet-stream", path: str = "/v1/predict", **more: str
) -> bytes:
    headers = {
        "Host": "localhost",
        "Content-Type": kind,
        "Content-Length": str(len(body)),
        "Connection": "close",
        **{key.replace("_", "-"): value for key, value in more.items()},
    }
    lines = "".join(f"{key}: {value}\r\n" for key, value in headers.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body


def form(body: bytes, name: str) -> bytes:
    data = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="'
        + name.encode("utf-8", "surrogateescape")
        + b'"\r\n\r\n'
        + body
        + b"\r\n--x--\r\n"
    )
    return request(data, kind="multipart/form-data; boundary=x")


def silence_of_hours() -> bytes:
    buffer = io.BytesIO()
    soundfile.write(
        buffer, np.zeros(10 * 3600 * 8000, np.int8).astype(np.int16), 8000, format="FLAC"
    )
    return buffer.getvalue()


def half_closed(port: int) -> int | None:
    """Promise more than is sent, then close one direction, or break the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        whole = request(bytes(1000))
        connection.sendall(whole[: len(whole) - 500])
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(5)
        with contextlib.suppress(OSError):
            connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return None


def slow(port: int) -> int | None:
    """Send a byte now and then."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            whole = request(bytes(1000))
            connection.sendall(whole[:-900])
            for _ in range(12):
                time.sleep(0.5)
                connection.sendall(b"x")
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            return answer.status
    except OSError:
        return None


def attacks() -> dict[str, tuple[Attack, set[int | None]]]:
    """Return each attack with the statuses that are right for it."""
    bombs = {name: make() for name, (make, *_) in wrong.bombs().items()}
    found: dict[str, tuple[Attack, set[int | None]]] = {
        "half closed": (half_closed, {None}),
        "slow": (slow, {408, None}),
    }

    def add(name: str, data: bytes, *statuses: int | None) -> None:
        found[name] = (lambda port: sent(port, data), set(statuses))

    for name, data in bombs.items():
        if len(data) < 1_900_000:
            add(name, request(data), 200, 413, 422)
    for name, data in wrong.undecodable().items():
        add(name, request(data), 422)
    add("silence of hours", request(silence_of_hours()), 413)
    add("compressed body", request(zlib.compress(bytes(10**8)), Content_Encoding="deflate"), 422)
    add("huge claim", request(b"x").replace(b"Length: 1\r", b"Length: 99999999999\r"), 413)
    add("negative claim", request(b"x").replace(b"Length: 1\r", b"Length: -1\r"), 400)
    add("endless head", b"GET / HTTP/1.1\r\nA: " + b"a" * 200_000, 400, None)
    add("no http", bytes(range(256)) * 4 + b"\r\n\r\n", 400)
    add("too large", request(bytes(3_000_000)), 413, None)
    add("text", request(b"{}", kind="application/json"), 415)
    add("no boundary", request(b"{}", kind="multipart/form-data"), 400)
    parts = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="%d"\r\n\r\n1\r\n' % n for n in range(999)
    )
    add("many fields", request(parts + b"--x--", kind="multipart/form-data; boundary=x"), 400)
    for name in (
        "../../etc/passwd",
        "/etc/passwd",
        "a\x1b[31m.wav",
        "%2e%2e%2fx",
        "\udcff",
        "a" * 9999,
    ):
        add(f"name {name[:20]!r}", form(b"no sound", name), 400, 422)
    add(
        "path",
        b"GET /page/../../../../etc/passwd HTTP/1.0\r\nHost: localhost\r\n\r\n",
        404,
    )
    add(
        "raw",
        request(b"abc" * 999, kind="audio/pcm", path="/v1/predict?rate_hz=1&channels=64"),
        422,
    )
    add(
        "deep field",
        request(b"x", path="/v1/predict?" + "&".join(f"a{n}=1" for n in range(900))),
        422,
    )
    add("other host", request(b"x", Host="evil.example"), 421)
    add("other site", request(b"x", Origin="https://evil.example"), 403)
    return found


def resident_mb(process: int) -> float:
    """Return the highest resident memory of a process so far."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmHWM")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_a_thousand_hostile_requests(golden: Path) -> None:
    kinds = attacks()
    names = [list(kinds)[number % len(kinds)] for number in range(REQUESTS)]
    np.random.default_rng(0).shuffle(names)
    # Slow ones take seconds each: a few of them at any time.
    names = [name for number, name in enumerate(names) if name != "slow" or number < 500]
    names += ["no http"] * (REQUESTS - len(names))
    statuses: Counter[tuple[str, int | None]] = Counter()
    lock, left = threading.Lock(), list(names)
    data = (golden / "clip.flac").read_bytes()
    with running(golden / "basic1", options=OPTIONS, fresh=True) as service:
        clients = [Client(service, data, "street_traffic") for _ in range(2)]

        def attack() -> None:
            while True:
                with lock:
                    if not left:
                        return
                    name = left.pop()
                status = kinds[name][0](service.port)
                with lock:
                    statuses[name, status] += 1

        threads = [threading.Thread(target=attack) for _ in range(AT_ONCE)]
        for thread in (*clients, *threads):
            thread.start()
        for thread in threads:
            thread.join()
        for client in clients:
            client.ended.set()
            client.join()
        assert service.process.poll() is None
        assert httpx.get(f"{service.url}/healthz").json()["decoders"] == 2
        peak_mb = resident_mb(service.pid)
        status, errors = service.end()
    assert sum(statuses.values()) == REQUESTS
    bad = [
        (name, found, count)
        for (name, found), count in statuses.items()
        if found not in kinds[name][1] | {503}
    ]
    assert not bad, bad
    for client in clients:
        assert set(client.answers) == {"right"}, client.answers
        assert client.answers["right"] >= 5
    assert peak_mb < MOST_MB
    assert status == 0
    assert "Traceback" not in errors
    assert "\x1b" not in errors
