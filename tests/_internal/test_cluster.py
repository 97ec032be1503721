"""An address at which no Ray cluster answers is one line, quickly."""

from __future__ import annotations

import socket
import time

import pytest

from anymic._internal.cluster import require_address
from anymic.cli import main
from anymic.cli.options import with_address
from anymic.errors import ConfigError

PREDICT = ["predict", "tests/golden/clip.flac", "--model", "tests/golden/basic1", "--device", "B"]


@pytest.mark.cluster
@pytest.mark.parametrize("listens", [False, True], ids=["closed", "silent"])
def test_an_address_that_does_not_answer_is_one_line(
    listens: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray", reason="needs the extra ray")
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        if listens:  # and says nothing
            place.listen()
        begun = time.monotonic()
        assert main([*PREDICT, f"--ray=127.0.0.1:{place.getsockname()[1]}"]) == 2
    assert time.monotonic() - begun < 60
    (line,) = capfd.readouterr().err.splitlines()
    assert "No Ray cluster answers at" in line
    assert "Expected" in line


@pytest.mark.parametrize("text", ["x", "host", ":80", "host:port", "s3://here", "host:123456"])
def test_what_is_no_address_is_one_line(text: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*PREDICT, f"--ray={text}"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "no address of a Ray cluster" in line
    assert "Expected" in line


def test_workers_and_a_cluster_are_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*PREDICT, "--workers", "2", "--ray", "local"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "Both workers and a cluster" in line


@pytest.mark.parametrize("text", ["", "auto", "local", "10.0.0.5:6379", "head:6379", "[::1]:6379"])
def test_addresses(text: str) -> None:
    require_address(text)


@pytest.mark.parametrize("text", ["10.0.0.5", "a b:1", "local:"])
def test_no_addresses(text: str) -> None:
    with pytest.raises(ConfigError, match="no address"):
        require_address(text)


def test_the_address_may_be_left_out() -> None:
    assert with_address(["predict", "--ray", "a.wav"]) == ["predict", "--ray=", "a.wav"]
    assert with_address(["predict", "a.wav", "--ray"]) == ["predict", "a.wav", "--ray="]
    for address in ("auto", "local", "10.0.0.5:6379"):
        assert with_address(["--ray", address]) == ["--ray", address]
    assert with_address(["predict", "--", "--ray"]) == ["predict", "--", "--ray"]
    assert with_address([]) == []
