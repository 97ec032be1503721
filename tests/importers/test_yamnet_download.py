"""The published file of YAMNet from a server: installed, and refused where it is another."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copyfile

import pytest

from anymic.cli import main
from anymic.importers import yamnet

PUBLISHED = Path(__file__).parents[3] / "shared/data/yamnet"
NAME = "yamnet_audio_classifier_with_metadata.tflite"


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a folder that a server publishes at the address of the quantized model."""
    folder = tmp_path / "published"
    folder.mkdir()
    monkeypatch.setenv("ANYMIC_MODELS", str(tmp_path / "models"))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        _, sha256 = yamnet.QUANTIZED
        url = f"http://127.0.0.1:{server.server_port}/{NAME}"
        monkeypatch.setattr(yamnet, "QUANTIZED", (url, sha256))
        yield folder
        server.shutdown()


def test_the_published_file_is_downloaded_checked_and_installed(
    served: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not (PUBLISHED / NAME).is_file():
        pytest.skip("the published weights (shared/data: yamnet) are not on this machine")
    pytest.importorskip("tflite")
    copyfile(PUBLISHED / NAME, served / NAME)
    assert main(["import", "yamnet", "--download", "--quantized"]) == 0
    assert "521 labels" in capsys.readouterr().out
    assert (tmp_path / "models/yamnet/bundle.json").is_file()


def test_another_file_is_refused_in_one_line_and_not_installed(
    served: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (served / NAME).write_bytes(b"another model")
    assert main(["import", "yamnet", "--download", "--quantized"]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "has the SHA-256" in line
    assert not (tmp_path / "models/yamnet").exists()


def test_without_a_network_the_refusal_says_what_to_do(
    served: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", "yamnet", "--download", "--quantized"]) == 2  # it has no such file
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "download the file and pass its path" in line
