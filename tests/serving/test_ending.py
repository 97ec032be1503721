"""The service ends gracefully, leaves no process, and is refused in one line."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from tests.serving.service import running

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")


def children(process: int) -> list[int]:
    """Return the processes that another one started."""
    found = Path(f"/proc/{process}/task/{process}/children")
    if not found.exists():
        pytest.skip("the children of a process are not known here")
    return [int(one) for one in found.read_text().split()]


def runs(process: int) -> bool:
    """Say whether a process runs: it is neither gone nor only waited for."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("sent", "ending"),
    [(signal.SIGTERM, (0, "")), (signal.SIGINT, (130, "interrupted\n"))],
    ids=["SIGTERM", "SIGINT"],
)
def test_a_signal_lets_requests_finish(
    golden: Path, sent: signal.Signals, ending: tuple[int, str]
) -> None:
    """A request whose body still arrives is answered; then nothing is left."""
    answers: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    def body() -> object:
        data = (golden / "clip.flac").read_bytes()
        yield data[:100]
        begun.set()
        go_on.wait(20)
        yield data[100:]

    with running(golden / "basic1", fresh=True) as found:
        own = children(found.pid)
        assert len(own) == 2

        def ask() -> None:
            kind = {"Content-Type": "audio/flac"}
            url = f"{found.url}/v1/predict"
            answers.append(httpx.post(url, content=body(), headers=kind, timeout=30).status_code)  # type: ignore[arg-type]

        thread = threading.Thread(target=ask)
        thread.start()
        assert begun.wait(20)
        end = time.monotonic() + 20
        while "anymic_requests_running 2.0" not in httpx.get(f"{found.url}/metrics").text:
            assert time.monotonic() < end  # that of the metrics is the other one
        found.process.send_signal(sent)
        time.sleep(0.5)
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"{found.url}/healthz", timeout=2)
        go_on.set()
        thread.join(30)
        _, errors = found.process.communicate(timeout=40)
        assert (found.process.returncode, errors) == ending
    assert answers == [200]
    assert not any(map(runs, own))


def test_a_killed_service_leaves_no_process(golden: Path) -> None:
    with running(golden / "basic1", fresh=True) as found:
        own = children(found.pid)
        assert own
        found.process.kill()
        found.process.wait(20)
        until = time.monotonic() + 20
        while any(map(runs, own)) and time.monotonic() < until:
            time.sleep(0.1)
        assert not any(map(runs, own))


def test_a_port_that_is_taken(refused: Callable[..., str], golden: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        line = refused("serve", golden / "basic1", "--port", taken.getsockname()[1])
    assert "is taken. Expected a free port." in line


def test_what_cannot_be_served(refused: Callable[..., str], golden: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "token").write_text("short")
    any_port = ("--port", "0")
    assert "empty" in refused("serve", tmp_path / "empty", *any_port)
    assert "cannot be served" in refused("serve", golden / "head", *any_port)
    assert "given twice" in refused("serve", golden / "basic1", golden / "basic1", *any_port)
    token = ("--token-file", tmp_path / "token")
    assert "5 characters" in refused("serve", golden / "basic1", *token, *any_port)
    assert "wait_ms is -1" in refused("serve", golden / "basic1", "--wait-ms", "-1", *any_port)
    assert "address" in refused("serve", golden / "basic1", "--host", "192.0.2.1", *any_port)


def test_a_model_without_a_contract(refused: Callable[..., str], tmp_path: Path) -> None:
    """Its bundle.json lacks the part that states the input."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "bundle.json").write_text('{"format": "anymic-bundle", "labels": ["a", "b"]}')
    assert "bundle" in refused("serve", folder, "--port", "0")
