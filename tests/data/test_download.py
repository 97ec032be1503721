from __future__ import annotations

import hashlib
import http.server
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from anymic.data.corpora import CORPORA, download
from anymic.data.download import Archive, fetch, unpack
from anymic.errors import AnymicError, ConfigError


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        assert isinstance(self.server, CountingServer)
        self.server.asked += 1


class CountingServer(http.server.ThreadingHTTPServer):
    asked = 0


Served = tuple[str, str, CountingServer]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Serve one ZIP file of two members; give its URL, its MD5 and the server."""
    folder = tmp_path / "served"
    folder.mkdir()
    with zipfile.ZipFile(folder / "corpus.zip", "w") as archive:
        archive.writestr("corpus/meta.csv", "path,label\n")
        archive.writestr("corpus/audio/a.wav", b"x" * 5000)
    server = CountingServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    md5 = hashlib.md5((folder / "corpus.zip").read_bytes()).hexdigest()
    yield f"http://127.0.0.1:{server.server_port}/corpus.zip", md5, server
    server.shutdown()
    server.server_close()


def test_fetched_checked_and_unpacked_once(
    tmp_path: Path, served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    url, md5, server = served
    for _ in range(2):
        fetch([Archive(url, "corpus.zip", md5)], tmp_path / "root")
    assert server.asked == 1
    assert (tmp_path / "root" / "corpus" / "audio" / "a.wav").read_bytes() == b"x" * 5000
    assert "verified" not in capsys.readouterr().err


def test_a_half_unpacked_file_is_unpacked_again(tmp_path: Path, served: Served) -> None:
    url, md5, _ = served
    fetch([Archive(url, "corpus.zip", md5)], tmp_path)
    clip = tmp_path / "corpus" / "audio" / "a.wav"
    clip.write_bytes(b"x")
    fetch([Archive(url, "corpus.zip", md5)], tmp_path)
    assert clip.stat().st_size == 5000


def test_another_checksum_is_refused(tmp_path: Path, served: Served) -> None:
    url, _, _ = served
    with pytest.raises(AnymicError, match=r"another checksum\. Expected md5 000"):
        fetch([Archive(url, "corpus.zip", "0" * 32)], tmp_path)
    assert not (tmp_path / "corpus").exists()


def test_without_a_published_checksum_it_says_so(
    tmp_path: Path, served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    url, md5, _ = served
    fetch([Archive(url, "corpus.zip", None, seen_md5="1" * 32)], tmp_path)
    said = capsys.readouterr().err
    assert "was not verified" in said
    assert f"received md5 {md5}, not the same as the {'1' * 32}" in said


def test_no_answer_is_one_line(tmp_path: Path, served: Served) -> None:
    url, md5, server = served
    server.shutdown()
    server.server_close()
    with pytest.raises(AnymicError) as caught:
        fetch([Archive(url, "corpus.zip", md5)], tmp_path)
    line = str(caught.value)
    assert "\n" not in line
    assert "Connection refused" in line
    assert "save the file in" in line


def test_a_page_that_is_gone_is_one_line(tmp_path: Path, served: Served) -> None:
    url, md5, _ = served
    with pytest.raises(AnymicError, match="404"):
        fetch([Archive(f"{url}.gone", "corpus.zip", md5)], tmp_path)


def test_members_outside_the_folder_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("../outside.txt", "x")
    with pytest.raises(AnymicError, match=r"member \.\./outside"):
        unpack(tmp_path / "bad.zip", tmp_path / "root")
    (tmp_path / "torn.zip").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(AnymicError, match="cannot be read"):
        unpack(tmp_path / "torn.zip", tmp_path / "root")


def test_every_archive_is_verified_or_says_why() -> None:
    archives = {archive for corpus in CORPORA.specs() for archive in corpus.archives}
    assert all(len(archive.md5 or archive.seen_md5) == 32 for archive in archives)
    assert len({archive.md5 for archive in archives if archive.md5}) == 12 + 17 + 3


def test_what_is_not_public(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'folder' cannot be downloaded"):
        download("folder", tmp_path)
