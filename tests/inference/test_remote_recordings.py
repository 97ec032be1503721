"""Recordings at URLs: the same rows as of the same files on this machine."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pytest
import soundfile
from tests.servers import Server, serving

from anymic.cli import main
from anymic.errors import AnymicWarning, Failure
from anymic.inference.event_run import EventsWritten, predict_events
from anymic.inference.events import EventRules
from anymic.inference.predictor import load
from anymic.inference.recordings import EventSettings

pytestmark = pytest.mark.usefixtures("one_thread")

EVERY = EventSettings(EventRules(threshold=0.0))
URL = "memory://recordings/"


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Return a folder of six recordings of 1 to 3 seconds, one that is none, and others."""
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    generator = np.random.default_rng(1)
    for number in range(6):
        name = f"deep/{number}.wav" if number % 2 else f"{number}.flac"
        soundfile.write(folder / name, generator.uniform(-0.5, 0.5, 8000 + 3000 * number), 8000)
    (folder / "3b.wav").write_text("no sound")
    (folder / "notes.txt").write_text("text")
    (folder / ".hidden.wav").write_text("no sound")
    return folder


@pytest.fixture
def memory(recordings: Path) -> Iterator[fsspec.AbstractFileSystem]:
    """Return the file system memory:// with the same files."""
    system = fsspec.filesystem("memory")
    for file in recordings.rglob("*.*"):
        system.pipe(f"/recordings/{file.relative_to(recordings)}", file.read_bytes())
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


@pytest.fixture
def server(recordings: Path) -> Iterator[Server]:
    """Return a server of the same files."""
    with serving(recordings) as found:
        yield found


def rows(path: Path, place: str) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert all(row["file"].startswith(place) for row in found)
    return [{**row, "file": row["file"].removeprefix(place)} for row in found]


def failed(found: EventsWritten, place: str) -> dict[str, str]:
    return {one.path.removeprefix(place): one.reason.replace(place, "") for one in found.failures}


def test_a_folder_at_a_url_has_the_events_of_the_same_folder_here(
    bundle_folder: Path,
    recordings: Path,
    memory: fsspec.AbstractFileSystem,
    server: Server,
    tmp_path: Path,
) -> None:
    here, there = tmp_path / "here.csv", tmp_path / "there.csv"
    own = f"{recordings}/"
    with pytest.warns(AnymicWarning, match=r"2 files skipped: 1 hidden, 1 \.txt"):
        wanted = predict_events(bundle_folder, [recordings], here, settings=EVERY)
    for url in (URL, server.url):
        with pytest.warns(AnymicWarning, match=r"2 files skipped: 1 hidden, 1 \.txt"):
            found = predict_events(bundle_folder, [url], there, settings=EVERY)
        assert sorted(map(str, rows(there, url))) == sorted(map(str, rows(here, own)))
        assert failed(found, url) == failed(wanted, own)
        assert (found.recordings, found.events) == (wanted.recordings, wanted.events)


def test_changed_files_are_done_again_and_others_are_not(
    bundle_folder: Path, memory: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    out = tmp_path / "events.csv"
    with pytest.warns(AnymicWarning, match="skipped"):
        first = predict_events(bundle_folder, [URL], out, settings=EVERY)
    assert first.journal is not None, "3b.wav failed"
    memory.cp_file("/recordings/2.flac", "/recordings/0.flac")
    with pytest.warns(AnymicWarning, match=r"1 recording changed .* memory://recordings/0.flac"):
        second = predict_events(bundle_folder, [URL], out, settings=EVERY)
    assert (second.recordings, second.kept) == (6, 5)
    found = pd.read_csv(out).drop(columns="file")
    places = pd.read_csv(out)["file"]
    ends = [found[places == f"{URL}{name}.flac"].reset_index(drop=True) for name in (0, 2)]
    first_rows, second_rows = ends
    pd.testing.assert_frame_equal(first_rows, second_rows)


def test_one_that_is_missing_loses_no_other(
    bundle_folder: Path, server: Server, recordings: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    urls = [f"{server.url}{name}" for name in ("0.flac", "nothing.wav", "half.wav")]
    here = str(recordings / "0.flac")
    places = [*urls, here, "gs+x://bucket/a.wav"]
    assert main(["predict", *places, "--model", str(bundle_folder), "--json"]) == 1
    first, missing, half, local, unknown = json.loads(capfd.readouterr().out)
    assert {**first, "path": here} == local
    assert [missing["path"], half["path"], unknown["path"]] == [*urls[1:], places[-1]]
    assert all("Expected" in one["failed"] for one in (missing, half, unknown))


def test_a_table_of_urls_has_the_embeddings_of_the_same_files_here(
    bundle_folder: Path,
    server: Server,
    memory: fsspec.AbstractFileSystem,
    recordings: Path,
    tmp_path: Path,
) -> None:
    names = ["0.flac", "deep/1.wav", "2.flac"]
    places = [f"{server.url}0.flac", f"{URL}deep/1.wav", f"{URL}2.flac"]
    found = []
    for kind, paths in (("here", [str(recordings / name) for name in names]), ("there", places)):
        table = pd.DataFrame({"path": paths, "label": "dog", "device": ["A", "B", ""]})
        table.to_csv(tmp_path / f"{kind}.csv", index=False)
        out = tmp_path / f"{kind}.npz"
        arguments = ["--data", str(tmp_path / f"{kind}.csv"), "--model", str(bundle_folder)]
        assert main(["embed", *arguments, "--out", str(out)]) == 0
        with np.load(out) as arrays:
            found.append({name: arrays[name] for name in arrays.files})
    here, there = found
    assert dict.fromkeys(there["paths"]).keys() == dict.fromkeys(places).keys()
    for name in set(here) - {"paths"}:
        np.testing.assert_array_equal(there[name], here[name])


def test_the_library_predicts_a_url(bundle_folder: Path, server: Server, recordings: Path) -> None:
    model = load(bundle_folder)
    wanted, found = (model.predict(f"{place}0.flac") for place in (f"{recordings}/", server.url))
    assert found.probabilities == wanted.probabilities
    assert found.path == f"{server.url}0.flac"
    (failure,) = model.predict_many([f"{server.url}nothing.wav"])
    assert isinstance(failure, Failure)


def test_a_signature_is_in_no_row_and_no_journal(
    bundle_folder: Path, server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    places = [f"{server.url}{name}?id=1&token=0a1b2c" for name in ("0.flac", "secret.wav")]
    out = tmp_path / "events.csv"
    arguments = ["--model", str(bundle_folder), "--threshold", "0", "--out", str(out)]
    assert main(["predict", *places, *arguments]) == 1
    said = "".join(capfd.readouterr())
    written = [out, *(tmp_path / "events.csv.journal").iterdir()]
    texts = [said, *(file.read_text("utf-8") for file in written)]
    assert "0a1b2c" not in "".join(texts)
    assert "0.flac?id=1&token=***" in out.read_text("utf-8")
    assert any("0a1b2c" in asked for asked in server.asked)


@pytest.mark.parametrize("verb", ["correct", "codec apply"])
def test_one_recording_at_a_url(
    verb: str, bundle_folder: Path, server: Server, recordings: Path, tmp_path: Path
) -> None:
    options = ["--codec", "mu-law"]
    if verb == "correct":
        options = ["--profile", str(bundle_folder / "profile.json"), "--device", "B"]
    written = []
    for number, place in enumerate((f"{recordings}/0.flac", f"{server.url}0.flac")):
        out = tmp_path / f"{number}.wav"
        assert main([*verb.split(), place, *options, "--out", str(out)]) == 0
        written.append(out.read_bytes())
    assert written[0] == written[1]
