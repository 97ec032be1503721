"""What is written is whole or was never there; hashes are those of the standard library."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from anymic._internal import files


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.bin"
    with files.atomic_file(path) as file:
        file.write(b"first ")
        assert not path.exists()
        file.write(b"second")
    assert path.read_bytes() == b"first second"
    assert os.listdir(path.parent) == ["a.bin"]


def _write_half(path: Path) -> None:
    with files.atomic_path(path) as unfinished:
        unfinished.write_text("half")
        raise KeyboardInterrupt


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    files.write_text(path, "old\n")
    with pytest.raises(KeyboardInterrupt):
        _write_half(path)
    assert path.read_bytes() == b"old\n"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_file_that_the_block_does_not_write_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), files.atomic_path(tmp_path / "a"):
        pass
    assert not os.listdir(tmp_path)


def test_a_missing_folder_is_made_only_where_wanted(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "a"
    with (
        pytest.raises(FileNotFoundError),
        files.atomic_path(path, make_folder=False) as unfinished,
    ):
        unfinished.write_bytes(b"")
    assert not path.parent.exists()


def test_text_is_utf_8_with_plain_line_ends(tmp_path: Path) -> None:
    files.write_text(tmp_path / "a.txt", "Größe\n")
    assert (tmp_path / "a.txt").read_bytes() == "Größe\n".encode()


def test_arrays_are_read_back(tmp_path: Path) -> None:
    values = {"rows": np.arange(3), "names": np.array(["a", "bc"])}
    files.write_arrays(tmp_path / "a.npz", **values)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as found:
        assert {name: found[name].tolist() for name in found} == {
            name: value.tolist() for name, value in values.items()
        }
    with pytest.raises(ValueError, match="objects: rows"):
        files.write_arrays(tmp_path / "b.npz", rows=np.array([{}]))
    assert os.listdir(tmp_path) == ["a.npz"]


def _write_folder(folder: Path, text: str, *parts: str) -> None:
    with files.atomic_folder(folder, index="index", optional=("part",)) as new:
        (new / "index").write_text(text)
        (new / "members" / text).mkdir(parents=True)
        for part in parts:
            (new / part).write_text(text)


def test_a_folder_is_replaced_and_other_files_stay(tmp_path: Path) -> None:
    _write_folder(tmp_path, "old", "part")
    (tmp_path / "notes").write_text("mine")
    _write_folder(tmp_path, "new")
    assert sorted(os.listdir(tmp_path)) == ["index", "members", "notes"]
    assert (tmp_path / "index").read_text() == "new"
    assert os.listdir(tmp_path / "members") == ["new"]


def _write_half_a_folder(folder: Path) -> None:
    with files.atomic_folder(folder, index="index") as new:
        (new / "index").write_text("new")
        raise KeyboardInterrupt


def test_an_error_leaves_the_old_folder(tmp_path: Path) -> None:
    _write_folder(tmp_path, "old", "part")
    with pytest.raises(KeyboardInterrupt):
        _write_half_a_folder(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["index", "members", "part"]
    assert (tmp_path / "index").read_text() == "old"


def test_a_file_digest_is_the_hash_of_its_content(tmp_path: Path) -> None:
    content = bytes(range(256)) * (files.BLOCK_BYTES // 128)
    (tmp_path / "a").write_bytes(content)
    assert files.file_digest(tmp_path / "a") == hashlib.sha256(content).hexdigest()
    assert files.file_digest(tmp_path / "a", "md5") == hashlib.md5(content).hexdigest()


def test_a_key_depends_on_every_part_but_not_on_the_order_of_keys() -> None:
    key = files.key_of({"a": 1, "b": [2.5, None]}, "text", b"\x00")
    assert key == files.key_of({"b": [2.5, None], "a": 1}, "text", b"\x00")
    others = (
        files.key_of({"a": 2, "b": [2.5, None]}, "text", b"\x00"),
        files.key_of({"a": 1, "b": [2.5, None]}, "texts", b"\x00"),
        files.key_of({"a": 1, "b": [2.5, None]}, "text", b"\x01"),
    )
    assert len(key) == 32
    assert len({key, *others}) == 4
    names = {
        files.key_of({}, f"caf{byte}.wav") for byte in "\xe9\udce9\udce8"
    }  # some are not UTF-8
    assert len(names) == 3


def test_a_changed_file_has_another_state(tmp_path: Path) -> None:
    file = tmp_path / "a"
    assert files.file_state(file) == ()
    file.write_bytes(b"a")
    before = files.file_state(file)
    file.write_bytes(b"ab")
    assert files.file_state(file) != before


def _killed_while_writing(folder: Path, call: str, *, signal_number: int = signal.SIGKILL) -> None:
    """Let a process begin to write in a folder, and kill it."""
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom anymic._internal import files\n"
        f"with {call} as place:\n"
        "    (place if place.suffix else place / 'x.txt').write_text('half')\n"
        "    print('ready', flush=True)\n    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", program, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        writer.send_signal(signal_number)


@pytest.mark.skipif(sys.platform == "win32", reason="no locks on this system")
@pytest.mark.parametrize(
    "call",
    [
        "files.atomic_path(Path(sys.argv[1], 'a.txt'))",
        "files.atomic_folder(Path(sys.argv[1]), index='index')",
    ],
)
def test_what_a_killed_process_left_is_gone_after_the_next_write(call: str, tmp_path: Path) -> None:
    _killed_while_writing(tmp_path, call)
    (tmp_path / "mine.part").write_text("of another program")
    (left,) = tmp_path.glob(".*.part")
    with files.atomic_path(tmp_path / "b.txt") as unfinished:
        unfinished.write_text("whole")
        assert not left.exists()
    assert sorted(os.listdir(tmp_path)) == ["b.txt", "mine.part"]


@pytest.mark.skipif(sys.platform == "win32", reason="no locks on this system")
def test_what_is_still_being_written_stays(tmp_path: Path) -> None:
    with files.atomic_path(tmp_path / "a.txt") as unfinished:
        unfinished.write_text("first")
        program = "import sys; from anymic._internal import files; files.write_text(*sys.argv[1:])"
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "a.txt"), "second"], check=True
        )
        files.remove_unfinished(tmp_path.parent, below=True)
        assert unfinished.read_text() == "first"
    assert (tmp_path / "a.txt").read_text() == "first"
    assert os.listdir(tmp_path) == ["a.txt"]


def _fail_as_libraries_do(path: Path) -> None:
    path.write_bytes(bytes(900_000))
    raise RuntimeError("write failed")


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(bytes(2_000_000)),
        lambda path: np.zeros(250_000).tofile(path),
        _fail_as_libraries_do,
    ],
    ids=["file", "array", "error of a library"],
)
def test_a_full_disk_names_the_file(write: Callable[[Path], object], small_disk: Path) -> None:
    with (
        pytest.raises(OSError, match="No space left on device") as caught,
        files.atomic_path(small_disk / "a.bin") as unfinished,
    ):
        write(unfinished)
    assert (caught.value.errno, caught.value.filename) == (28, str(small_disk / "a.bin"))
    assert os.listdir(small_disk) == []


def test_an_error_of_the_system_names_the_file_that_was_wanted(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        files.write_text(tmp_path / "folder", "text")
    assert caught.value.filename == str(tmp_path / "folder")
    with pytest.raises(FileExistsError):
        files.write_text(Path(__file__) / "a.txt", "text")


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="no devices on this system")
def test_a_device_is_written_to_and_not_replaced() -> None:
    files.write_text("/dev/null", "text")
    assert Path("/dev/null").is_char_device()
