"""Every limit has its status, and a body of problem, expected and fix."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from tests.serving.service import Running, running

TOKEN = "0123456789abcdef0123"


@pytest.fixture(scope="module")
def strict(golden: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return a service with small limits and a token."""
    file = tmp_path_factory.mktemp("token") / "token"
    file.write_text(f"{TOKEN}\n")
    options = ["--token-file", str(file), "--most-mb", "0.5", "--most-s", "3"]
    options += ["--concurrent", "2", "--body-s", "2", "--host-name", "sounds.example"]
    with running(golden / "basic1", options=tuple(options)) as found:
        yield found


@pytest.fixture
def allowed(strict: Running) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=strict.url, headers=headers, timeout=30) as found:
        yield found


def refusal(answer: httpx.Response, status: int) -> dict[str, str]:
    assert answer.status_code == status, answer.text
    found: dict[str, str] = answer.json()
    assert set(found) == {"problem", "expected", "fix"}
    assert found["problem"]
    assert found["expected"]
    return found


def wav(seconds: float, *, rate_hz: int = 16000) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).normal(0, 0.1, round(seconds * rate_hz))
    soundfile.write(buffer, noise, rate_hz, format="WAV")
    return buffer.getvalue()


def post(client: httpx.Client, data: bytes, **fields: str) -> httpx.Response:
    return client.post("/v1/predict", files={"file": ("a.wav", data)}, data=fields)


@pytest.mark.parametrize("shown", [None, "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x"])
def test_token(strict: Running, shown: str | None) -> None:
    headers = {"Authorization": shown} if shown else {}
    for path in ("/v1/models", "/metrics", "/openapi.json", "/nowhere"):
        answer = httpx.get(strict.url + path, headers=headers)
        refusal(answer, 401)
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert httpx.get(f"{strict.url}/healthz").status_code == 200


def test_right_token(allowed: httpx.Client) -> None:
    assert post(allowed, wav(1)).status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
        ("localhost", 200),
        ("localhost:1", 200),
        ("[::1]:8000", 200),
        ("Sounds.Example", 200),
    ],
)
def test_host(allowed: httpx.Client, host: str, status: int) -> None:
    """A page that resolves its own name to this address is refused."""
    answer = allowed.get("/v1/models", headers={"Host": host})
    assert answer.status_code == status
    if status != 200:
        refusal(answer, status)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1"])
def test_origin(allowed: httpx.Client, origin: str) -> None:
    answer = allowed.post(
        "/v1/predict", files={"file": ("a.wav", wav(1))}, headers={"Origin": origin}
    )
    refusal(answer, 403)
    assert "access-control-allow-origin" not in answer.headers


def test_own_origin(strict: Running, allowed: httpx.Client) -> None:
    assert allowed.get("/v1/models", headers={"Origin": strict.url}).status_code == 200


def test_size(allowed: httpx.Client) -> None:
    """Stated or not: bodies are counted as they arrive."""
    assert "0.5 MB" in refusal(post(allowed, bytes(600_000)), 413)["problem"]
    blocks = (bytes(10_000) for _ in range(60))
    answer = allowed.post(
        "/v1/predict", content=blocks, headers={"Content-Type": "application/octet-stream"}
    )
    refusal(answer, 413)


def test_duration(allowed: httpx.Client) -> None:
    assert post(allowed, wav(2.9)).status_code == 200
    assert "3 s" in refusal(post(allowed, wav(3.5)), 413)["problem"]
    silence = io.BytesIO()  # an hour in a few kilobytes
    soundfile.write(silence, np.zeros(3600 * 8000, np.int16), 8000, format="FLAC")
    refusal(post(allowed, silence.getvalue()), 413)


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"model": "none"}, 404, "there is no model 'none'"),
        ({"top": "0"}, 422, "the field top is '0'"),
        ({"top": "many"}, 422, "the field top is 'many'"),
        ({"windows": "perhaps"}, 422, "the field windows"),
        ({"color": "red"}, 422, "there is no field 'color'"),
        ({"encoding": "mp3"}, 422, "encoding 'mp3'"),
        ({"rate_hz": "16000"}, 422, "raw samples"),
        ({"rate_hz": "16000", "encoding": "s16le", "channels": "0"}, 422, "channels '0'"),
        ({"rate_hz": "9" * 400, "encoding": "s16le"}, 422, "raw samples"),
    ],
)
def test_fields(allowed: httpx.Client, fields: dict[str, str], status: int, said: str) -> None:
    assert said in refusal(post(allowed, wav(1), **fields), status)["problem"]


def test_a_field_twice(allowed: httpx.Client) -> None:
    answer = allowed.post("/v1/predict?top=2", files={"file": ("a.wav", wav(1))}, data={"top": "3"})
    assert "twice" in refusal(answer, 422)["problem"]


def test_recordings(allowed: httpx.Client) -> None:
    two = [("file", ("a.wav", wav(1))), ("file", ("b.wav", wav(1)))]
    assert "2 recordings" in refusal(allowed.post("/v1/predict", files=two), 422)["problem"]
    answer = allowed.post("/v1/predict", files={"sound": ("a.wav", wav(1))})
    refusal(answer, 422)
    refusal(post(allowed, b""), 422)
    refusal(post(allowed, b"no sound"), 422)
    odd = allowed.post(
        "/v1/predict?rate_hz=8000", content=b"abc", headers={"Content-Type": "audio/pcm"}
    )
    assert "3 bytes" in refusal(odd, 422)["problem"]


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "", "a" * 300])
def test_kind(allowed: httpx.Client, kind: str) -> None:
    refusal(allowed.post("/v1/predict", content=wav(1), headers={"Content-Type": kind}), 415)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/predict", 405), ("GET", "/none", 404), ("GET", "/page/../../x", 404)],
)
def test_routes(allowed: httpx.Client, method: str, path: str, status: int) -> None:
    refusal(allowed.request(method, path), status)


def test_a_broken_form(allowed: httpx.Client) -> None:
    for kind in ("multipart/form-data", "multipart/form-data; boundary=x"):
        answer = allowed.post("/v1/predict", content=b"x" * 99, headers={"Content-Type": kind})
        refusal(answer, 400)


def head(length: int) -> bytes:
    return (
        "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: audio/wav\r\n"
        f"Authorization: Bearer {TOKEN}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def parsed(data: bytes) -> tuple[int, dict[str, Any]]:
    first, _, body = data.partition(b"\r\n\r\n")
    return int(first.split()[1]), json.loads(body)


def received(connection: socket.socket) -> bytes:
    data = b""
    while block := connection.recv(65536):
        data += block
    return data


def test_a_slow_body(strict: Running) -> None:
    with socket.create_connection(("127.0.0.1", strict.port), timeout=20) as connection:
        connection.sendall(head(1000) + b"RIFF")
        begun = time.monotonic()
        status, body = parsed(received(connection))
    assert status == 408
    assert set(body) == {"problem", "expected", "fix"}
    assert 1.5 < time.monotonic() - begun < 15


def test_what_is_not_http(strict: Running) -> None:
    with socket.create_connection(("127.0.0.1", strict.port), timeout=20) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\r\n\r\n")
        status, body = parsed(received(connection))
    assert status == 400
    assert set(body) == {"problem", "expected", "fix"}


def test_too_many_at_once(strict: Running, allowed: httpx.Client) -> None:
    """Two requests are being read; a third is refused at once, and health is still answered."""
    waiting = [socket.create_connection(("127.0.0.1", strict.port), timeout=20) for _ in range(2)]
    try:
        for connection in waiting:
            connection.sendall(head(1000))
        time.sleep(0.5)
        answer = post(allowed, wav(1))
        refusal(answer, 503)
        assert answer.headers["Retry-After"] == "1"
        assert allowed.get("/healthz").status_code == 200
    finally:
        for connection in waiting:
            connection.close()
    for _ in range(50):
        if post(allowed, wav(1)).status_code == 200:
            break
        time.sleep(0.1)
    else:
        pytest.fail("closed connections are still counted")


def test_requests_in_a_minute(golden: Path) -> None:
    with running(golden / "basic1", options=("--per-minute", "5")) as found:
        statuses = [httpx.get(f"{found.url}/v1/models") for _ in range(7)]
        assert [one.status_code for one in statuses[:5]] == [200] * 5
        refusal(statuses[-1], 429)
        assert int(statuses[-1].headers["Retry-After"]) > 1
        assert httpx.get(f"{found.url}/healthz").status_code == 200


def test_answers_of_several_clients_at_once_are_their_own(
    client: httpx.Client, golden: Path
) -> None:
    """Batches of clips of other lengths and devices, and of a clip that fails."""
    cases = [
        (wav(seconds), {"device": device, "windows": "1"})
        for seconds in (0.5, 1, 2.2)
        for device in ("A", "B", "")
    ]
    cases += [(b"no sound", {}), (wav(0.001), {})]
    alone = [post(client, data, **fields) for data, fields in cases]
    found: dict[tuple[int, int], httpx.Response] = {}

    def ask(worker: int) -> None:
        with httpx.Client(base_url=client.base_url, timeout=60) as own:
            for number in np.random.default_rng(worker).permutation(len(cases)):
                data, fields = cases[number]
                found[worker, int(number)] = post(own, data, **fields)

    threads = [threading.Thread(target=ask, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 * len(cases)
    for (_, number), answer in found.items():
        assert answer.status_code == alone[number].status_code
        assert_close(answer.json(), alone[number].json())
    text = client.get("/metrics").text
    batches = float(text.split('anymic_batch_recordings_count{model="basic1"} ')[1].split()[0])
    recordings = float(text.split('anymic_batch_recordings_sum{model="basic1"} ')[1].split()[0])
    assert recordings > batches  # some shared a batch


def assert_close(found: Any, wanted: Any) -> None:
    if isinstance(wanted, dict):
        assert set(found) == set(wanted)
        for key in wanted:
            assert_close(found[key], wanted[key])
    elif isinstance(wanted, list):
        for one, other in zip(found, wanted, strict=True):
            assert_close(one, other)
    else:
        assert found == (pytest.approx(wanted, abs=1e-4) if isinstance(wanted, float) else wanted)
