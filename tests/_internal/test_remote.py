"""Files at URLs are read as files are, and whatever cannot be read is one line without secrets."""

from __future__ import annotations

import gc
import importlib.util
import os
import pickle
import tempfile
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest
import soundfile
from tests.refusals import one_line
from tests.servers import Server, serving

from anymic import audio
from anymic._internal.files import file_state
from anymic._internal.remote import (
    LocalCopy,
    RemotePath,
    as_path,
    files_at,
    is_url,
    local_copy,
    without_secrets,
)
from anymic.errors import AnymicError, AudioError, DependencyError

SIGNATURE = "X-Amz-Signature=0a1b2c3d"


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    """Return the file system memory://, which is empty again after the test."""
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Return a server of a folder with a FLAC file, a WAV file below it, and others."""
    folder = tmp_path / "served"
    samples = np.random.default_rng(3).uniform(-0.5, 0.5, 16000)
    for name in ("a.flac", "deep/b.wav"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, samples, 8000)
    (folder / "notes.txt").write_text("text")
    with serving(folder) as found:
        yield found


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("s3://bucket/a.wav", True),
        ("memory://a", True),
        ("https://h/a?b=c", True),
        ("a.wav", False),
        ("/a/b.wav", False),
        ("C://a.wav", False),
        ("./s3://a", False),
    ],
)
def test_what_is_a_url(text: str, url: bool) -> None:
    assert is_url(text) == url
    assert isinstance(as_path(text), RemotePath) == url
    assert str(as_path(text)) == (text if url else str(Path(text)))


def test_a_url_is_a_path() -> None:
    path = RemotePath("s3://bucket/2024//deep/clip.FLAC")
    assert (path.name, path.stem, path.suffix) == ("clip.FLAC", "clip", ".FLAC")
    assert os.fspath(path) == str(path) == "s3://bucket/2024//deep/clip.FLAC"
    assert path != RemotePath("s3://bucket/2024/deep/clip.FLAC")
    assert pickle.loads(pickle.dumps(path)) == path
    assert len({path, as_path(str(path))}) == 1


def test_a_query_is_no_part_of_a_name_and_its_signature_is_not_shown() -> None:
    path = RemotePath(f"https://host/a.wav?id=7&{SIGNATURE}&X-Amz-Security-Token=t")
    assert (path.name, path.suffix) == ("a.wav", ".wav")
    assert str(path) == "https://host/a.wav?id=7&X-Amz-Signature=***&X-Amz-Security-Token=***"
    assert SIGNATURE in os.fspath(path)
    assert "0a1b" not in repr(path)
    assert RemotePath("https://host/a.wav?id=7") != RemotePath("https://host/a.wav?id=8")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:pass@host/a", "https://user:***@host/a"),
        ("ftp://:pass@host/a", "ftp://:***@host/a"),
        ("sftp://user@host/a:b", "sftp://user@host/a:b"),
        ("https://h/a?sig=x%2F&se=2", "https://h/a?sig=***&se=2"),
        ("https://h/a?access_token=x", "https://h/a?access_token=***"),
    ],
)
def test_secrets_are_not_shown(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


def test_a_file_is_read_as_one_of_this_machine(server: Server, tmp_path: Path) -> None:
    for name in ("a.flac", "deep/b.wav"):
        wanted, found = audio.read(tmp_path / "served" / name), audio.read(server.url + name)
        np.testing.assert_array_equal(found.samples, wanted.samples)
        assert found.path == server.url + name
        assert audio.probe(server.url + name).duration_s == 2.0
        parts = [one.samples for one in audio.stream(server.url + name, window_s=0.3)]
        np.testing.assert_array_equal(np.concatenate(parts), wanted.samples)


def test_a_file_that_is_opened_several_times_is_sent_once_unless_it_changes(
    server: Server, tmp_path: Path
) -> None:
    path = tmp_path / "served" / "a.flac"
    audio.probe(server.url + "a.flac")
    audio.read(server.url + "a.flac")
    assert server.asked.count("/a.flac") == 1
    soundfile.write(path, np.full(800, 0.25), 8000)
    os.utime(path, (1, 1))
    assert audio.read(server.url + "a.flac").duration_s == 0.1


def test_a_copy_is_in_no_folder_and_ends_with_its_use(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    copy = LocalCopy(RemotePath(server.url + "a.flac"))
    assert Path(copy.place).read_bytes() == (tmp_path / "served" / "a.flac").read_bytes()
    assert not list((tmp_path / "temporary").iterdir())
    place = copy.place
    del copy
    gc.collect()
    assert not Path(place).exists()


def test_each_thread_keeps_one_copy(memory: fsspec.AbstractFileSystem) -> None:
    memory.pipe({"/a": b"1", "/b": b"2"})
    first = local_copy(RemotePath("memory://a"))
    assert local_copy(RemotePath("memory://a")) is first
    local_copy(RemotePath("memory://b"))
    assert local_copy(RemotePath("memory://a")) is not first


def test_folders_and_patterns(memory: fsspec.AbstractFileSystem, server: Server) -> None:
    names = ["/rec/a.wav", "/rec/deep/b.wav", "/rec/deep/c.txt", "/other/d.wav"]
    memory.pipe(dict.fromkeys(names, b"x"))

    def below(url: str, *, is_file: bool = False) -> list[str] | None:
        found = files_at(RemotePath(url), is_file=is_file)
        return None if found is None else [str(one) for one in found]

    inside = ["memory://rec/a.wav", "memory://rec/deep/b.wav", "memory://rec/deep/c.txt"]
    assert below("memory://rec") == below("memory://rec/") == inside
    assert below("memory://rec/*/*.wav") == ["memory://rec/deep/b.wav"]
    assert below("memory://*/?.wav") == ["memory://other/d.wav", "memory://rec/a.wav"]
    assert below("memory://rec/a.wav", is_file=True) is None
    assert below("memory://rec/a.wav") is None
    links = [server.url + name for name in ("a.flac", "deep/b.wav", "notes.txt")]
    assert below(server.url) == links
    assert below(server.url + "a.flac") is None


def test_the_state_shows_a_change(memory: fsspec.AbstractFileSystem, server: Server) -> None:
    memory.pipe("/a.wav", b"123")
    before = file_state(RemotePath("memory://a.wav"))
    assert before[0] == 3
    assert before == file_state(RemotePath("memory://a.wav"))
    listed = (files_at(RemotePath("memory://"), is_file=False) or [])[0]
    assert file_state(listed) == before
    memory.pipe("/a.wav", b"321")
    assert file_state(RemotePath("memory://a.wav")) != before
    assert file_state(RemotePath("memory://b.wav")) == ()
    size, changed = file_state(RemotePath(server.url + "a.flac"))
    assert size > 1000
    assert changed


def test_what_is_there(memory: fsspec.AbstractFileSystem) -> None:
    memory.pipe("/rec/a.wav", b"1")
    path = RemotePath("memory://rec/a.wav")
    assert (path.exists(), path.is_file(), path.is_dir()) == (True, True, False)
    folder = RemotePath("memory://rec")
    assert (folder.exists(), folder.is_file(), folder.is_dir()) == (True, False, True)
    assert not RemotePath("memory://rec/b.wav").exists()


def refusal(url: str, error: type[AnymicError] = AudioError) -> str:
    with pytest.raises(error) as raised:
        audio.read(url)
    return one_line(str(raised.value))


def test_a_driver_that_is_not_installed_is_named() -> None:
    if importlib.util.find_spec("gcsfs"):
        pytest.skip("the driver of gs:// is installed")
    line = refusal("gs://bucket/a.wav", DependencyError)
    assert line == (
        "gs://bucket/a.wav cannot be read: the package gcsfs is not installed. "
        "Expected the driver of gs:// for fsspec. Run pip install gcsfs."
    )


def test_what_is_not_there_is_one_line(memory: fsspec.AbstractFileSystem, server: Server) -> None:
    assert refusal("memory://nothing.wav").startswith("Nothing is at memory://nothing.wav.")
    assert "no-such://" in refusal("no-such://a/b.wav")
    assert "404" in refusal(server.url + "nothing.wav") or "Nothing is" in refusal(
        server.url + "nothing.wav"
    )
    memory.pipe("/text.wav", b"this is no sound")
    assert "memory://text.wav contains text" in refusal("memory://text.wav")
    memory.pipe("/empty.wav", b"")
    assert "memory://empty.wav has 0 bytes" in refusal("memory://empty.wav")


def test_a_transfer_that_ends_too_early_is_one_line(server: Server) -> None:
    assert "half.wav cannot be read" in refusal(server.url + "half.wav")


def test_a_server_that_is_not_there_is_one_line(server: Server) -> None:
    server.shutdown()
    server.server_close()
    assert "cannot be read" in refusal(server.url + "a.flac")


def test_no_secret_is_in_a_refusal(server: Server) -> None:
    line = refusal(f"{server.url}secret.wav?{SIGNATURE}&id=3")
    assert "403" in line
    assert "0a1b" not in line
    assert "id=3" in line
    line = refusal("https://user:pass@127.0.0.1/a.wav")
    assert "has a password" in line
    assert "pass@" not in line
