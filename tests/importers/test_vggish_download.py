"""The download of VGGish: kept once whole, refused in one line where it is damaged."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from anymic.errors import AnymicError
from anymic.importers.vggish import fetch

WHOLE = bytes(range(256)) * 40
NAME = f"vggish-{hashlib.sha256(WHOLE).hexdigest()[:8]}.pth"
asked: list[str] = []


class Server(BaseHTTPRequestHandler):
    """Gives the file whole, cut short of what it promised, or short without a promise."""

    def do_GET(self) -> None:
        asked.append(self.path)
        body = WHOLE if self.path.startswith("/whole") else WHOLE[:5000]
        self.send_response(200)
        if not self.path.startswith("/short"):
            self.send_header("Content-Length", str(len(WHOLE)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as one:
        threading.Thread(target=one.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{one.server_port}"
        one.shutdown()


def test_a_whole_file_is_fetched_once(server: str, tmp_path: Path) -> None:
    asked.clear()
    for _ in range(2):
        path = fetch(tmp_path, url=f"{server}/whole/{NAME}")
        assert path == tmp_path / NAME
        assert path.read_bytes() == WHOLE
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("kind", "words"), [("cut", "cannot be downloaded .*5000 bytes"), ("short", "has the SHA-256")]
)
def test_a_truncated_download_gets_one_line_and_is_not_kept(
    server: str, tmp_path: Path, kind: str, words: str
) -> None:
    with pytest.raises(AnymicError, match=words) as error:
        fetch(tmp_path, url=f"{server}/{kind}/{NAME}")
    assert "\n" not in str(error.value)
    assert not (tmp_path / NAME).exists()
    assert fetch(tmp_path, url=f"{server}/whole/{NAME}").read_bytes() == WHOLE


def test_where_there_is_no_network(tmp_path: Path) -> None:
    with pytest.raises(AnymicError, match="Check the network, or download the file"):
        fetch(tmp_path, url=f"http://127.0.0.1:9/{NAME}")
