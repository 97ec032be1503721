"""A cluster that was started by `ray start` has a token: with it a command computes there."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.refusals import one_line

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

GOLDEN = Path(__file__).parents[1] / "golden"
PREDICT = ["predict", str(GOLDEN / "clip.flac"), "--model", str(GOLDEN / "basic1"), "--device", "B"]
START_S = 120


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """Return the address of a cluster of two processors, and the environment of its user."""
    pytest.importorskip("ray", reason="needs the extra ray")
    home = tmp_path_factory.mktemp("home")
    (home / ".ray").mkdir()
    (home / ".ray" / "auth_token").write_text(secrets.token_hex(32))
    own = {"RAY_raylet_start_wait_time_s": "300", "RAY_worker_niceness": "0", "HOME": str(home)}
    environment = {**os.environ, **own}
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        environment.pop(name, None)
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
    folder = Path(f"/tmp/ray-{secrets.token_hex(4)}")  # the paths of sockets must be short
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block"]
    command += ["--port", str(port), "--num-cpus", "2", "--include-dashboard", "false"]
    command += ["--object-store-memory", "200000000", "--temp-dir", str(folder)]
    with subprocess.Popen(
        command,
        env=environment,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as head:
        try:
            assert head.stdout is not None
            begun = time.monotonic()
            for line in head.stdout:
                if "runtime started" in line:
                    break
                assert time.monotonic() - begun < START_S, line
            yield f"127.0.0.1:{port}", environment
        finally:
            os.killpg(head.pid, signal.SIGTERM)
            time.sleep(1)
            os.killpg(head.pid, signal.SIGKILL)
            shutil.rmtree(folder, ignore_errors=True)


def predict(address: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "anymic", *PREDICT, f"--ray={address}"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_with_the_token_it_computes(started: tuple[str, dict[str, str]]) -> None:
    address, environment = started
    done = predict(address, {**environment, "RAY_AUTH_MODE": "token"})
    assert done.returncode == 0, done.stderr
    assert "street_traffic" in done.stdout
    assert done.stderr == ""


def test_without_it_one_line_says_how_to_use_it(started: tuple[str, dict[str, str]]) -> None:
    address, environment = started
    done = predict(address, environment)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert f"The Ray cluster {address} cannot be used" in one_line(line)
    assert "RAY_AUTH_MODE=token" in line
