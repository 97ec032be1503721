"""Folders are searched by one rule, whatever searches them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import av
import pytest
from tests.odd_files import writing as odd_files

from anymic import audio
from anymic.audio.endings import AUDIO_ENDINGS, ENDINGS_BY_FORMAT
from anymic.cli import main
from anymic.data.corpora.folder import folder
from anymic.data.files import find_files, search
from anymic.data.manifest import Manifest
from anymic.errors import AnymicWarning, Failure


@pytest.fixture
def sounds(tmp_path: Path, wav: Callable[..., Path]) -> Path:
    """Return a folder of audio, other files, hidden ones, and links that lead back."""
    root = tmp_path / "sounds"
    for name in ("dog/a.wav", "dog/deep/b.WAV", "dog/.c.wav", "dog/.d/e.wav", "rain/f.aifc"):
        wav(root / "x.wav", samples=22050).rename(root / "kept")
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "kept").rename(root / name)
    for name in ("notes.txt", "dog/list.TXT", "dog/cover.jpg", "rain/README"):
        (root / name).write_text("text")
    wav(tmp_path / "elsewhere" / "g.wav", samples=22050)
    (root / "dog" / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (root / "rain" / "h.wav").symlink_to(root / "dog" / "a.wav")
    for number, target in enumerate((root, root / "dog", tmp_path, Path("/"))):
        (root / "dog" / f"loop{number}").symlink_to(target, target_is_directory=True)
    return root


FOUND = ["dog/a.wav", "dog/deep/b.WAV", "dog/linked/g.wav", "rain/f.aifc", "rain/h.wav"]
SKIPPED = "6 files skipped: 2 hidden, 2 .txt, 1 .jpg, 1 without an ending"


def kinds(text: str) -> list[str]:
    return sorted(text.partition(": ")[2].split(", "))


def test_every_search_finds_the_same(sounds: Path) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = find_files([sounds])
        manifest = folder(sounds)
        below = find_files([str(sounds / "*")])
    assert [os.path.relpath(str(path), sounds) for path in found] == FOUND
    assert manifest.table["path"].tolist() == FOUND
    assert below[0] == sounds / "dog" / "a.wav"
    notes = [str(one.message) for one in caught if one.category is AnymicWarning]
    assert [kinds(note) for note in notes[:2]] == [kinds(SKIPPED)] * 2


@pytest.mark.parametrize("verb", ["predict", "embed", "prepare"])
def test_a_note_says_what_was_skipped(
    verb: str,
    sounds: Path,
    bundle_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "found"
    commands = {
        "predict": ["predict", sounds, "--model", bundle_folder, "--json"],
        "embed": ["embed", sounds, "--model", bundle_folder, "--out", f"{out}.csv"],
        "prepare": ["data", "prepare", "folder", "--root", sounds, "--out", out, "--no-check"],
    }
    assert main([str(argument) for argument in commands[verb]]) == 0
    shown, notes = capsys.readouterr()
    (note,) = (line for line in notes.splitlines() if "skipped" in line)
    assert note.startswith("note: 6 files skipped: ")
    assert kinds(note.removeprefix("note: ")) == kinds(SKIPPED)
    if verb == "predict":
        assert [row["path"] for row in json.loads(shown)] == [str(sounds / one) for one in FOUND]
    if verb == "prepare":
        assert Manifest.read(out).paths() == [sounds / one for one in FOUND]


def test_nothing_is_said_where_nothing_was_skipped(
    tmp_path: Path, wav: Callable[..., Path]
) -> None:
    wav(tmp_path / "dog" / "a.wav")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert find_files([tmp_path]) == [tmp_path / "dog" / "a.wav"]


@pytest.mark.parametrize(
    "ending", [".webm", ".caf", ".aifc", ".w64", ".mov", ".3gp", ".mka", ".au"]
)
def test_what_is_read_is_found(ending: str, tmp_path: Path) -> None:
    """Each of these is in a container that holds what its ending says."""
    containers = {".webm": "webm", ".mov": "mov", ".3gp": "3gp", ".mka": "matroska"}
    codecs = {".webm": "libopus", ".mka": "flac"}
    samples = odd_files.noise(1.0)
    if ending in containers:
        data = odd_files.coded(containers[ending], codecs.get(ending, "aac"), samples)
    else:
        forms = {".caf": "CAF", ".aifc": "AIFF", ".w64": "W64", ".au": "AU"}
        data = odd_files.sound_file(forms[ending], "PCM_16", samples)
    path = odd_files.saved(tmp_path, f"x{ending.upper()}", data)
    assert find_files([tmp_path]) == [path]
    assert audio.read(path).duration_s == pytest.approx(1.0, abs=0.1)


# Pictures, subtitles and descriptions of streams, which are in the same containers.
NO_AUDIO = {"avif", "heic", "heif", "mj2", "mks", "ism", "isma", "ismv", "psp"}


@pytest.mark.parametrize("form", ENDINGS_BY_FORMAT)
def test_the_endings_are_those_of_ffmpeg(form: str) -> None:
    known = {form}
    for mode in ("r", "w"):
        with contextlib.suppress(ValueError):  # of a format that it only reads
            known |= av.format.ContainerFormat(form, mode).extensions - NO_AUDIO
    assert {f".{ending}" for ending in known} - {".matroska"} <= AUDIO_ENDINGS


def test_a_link_to_nothing_is_a_failure_and_not_skipped(
    tmp_path: Path, wav: Callable[..., Path]
) -> None:
    wav(tmp_path / "a.wav")
    (tmp_path / "gone.wav").symlink_to(tmp_path / "nothing.wav")
    (tmp_path / "self.wav").symlink_to(tmp_path / "self.wav")
    assert search(tmp_path)[0] == [tmp_path / name for name in ("a.wav", "gone.wav", "self.wav")]


def test_links_in_a_circle_end(tmp_path: Path, wav: Callable[..., Path]) -> None:
    for here, there in (("a", "b"), ("b", "a")):
        wav(tmp_path / here / f"{here}.wav")
        (tmp_path / here / "other").symlink_to(tmp_path / there, target_is_directory=True)
    found, skipped = search(tmp_path / "a")
    assert [path.name for path in found] == ["a.wav", "b.wav"]
    assert not skipped


def test_a_folder_without_audio_says_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("")
    with pytest.warns(AnymicWarning, match=r"^1 file skipped: 1 \.txt$"):
        (failure,) = find_files([tmp_path])
    assert isinstance(failure, Failure)
    assert "no audio" in failure.reason


def test_an_empty_name_is_no_folder(sounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script whose variable is not set would classify whatever lies in its folder."""
    monkeypatch.chdir(sounds)
    (failure,) = find_files([""])
    assert isinstance(failure, Failure)
    assert "path is empty" in failure.reason


def test_a_name_that_is_not_utf8_is_found_written_and_read(
    tmp_path: Path, wav: Callable[..., Path]
) -> None:
    good = wav(tmp_path / "dog" / "a.wav")
    odd = Path(os.fsdecode(os.fsencode(tmp_path / "dog") + b"/caf\xe9.wav"))
    shutil.copy(good, odd)
    manifest = folder(tmp_path)
    again = Manifest.read(manifest.write(tmp_path / "m.csv"))
    assert sorted(again.paths()) == sorted([good, odd])
    assert again.clip_ids() == manifest.clip_ids()
