from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from tests.inference.event_parsers import Label, read_audacity, read_raven, read_textgrid

from anymic.errors import ConfigError
from anymic.inference.event_formats import label_files, target_of, write_events
from anymic.inference.event_formats.rows import COLUMNS
from anymic.inference.events import Event
from anymic.inference.recordings import RecordingEvents

ODD = 'a "quoted"\ttab\r\nline, comma; ünïcode \udce9'
ODD_CELL = 'a "quoted" tab line, comma; ünïcode \\udce9'  # without tabs and line breaks
EVENTS = (
    Event(0.0, 2.5, "dog", 0.91234567),
    Event(1.25, 3.0, ODD, 0.5),
    Event(4.0, 7.123456, "dog", 0.75),
)
ONE = RecordingEvents(
    "in/night.flac",
    EVENTS,
    duration_s=7.123456,
    windows=8,
    device="phone",
    device_from="identified",
    device_probability=0.984,
    device_policy="profile",
    notes=("resampled from 44100 Hz", "clipped in 2 of 8 windows"),
)
NONE = RecordingEvents("in/day.flac", (), duration_s=3.0, windows=3)
WANTED: list[Label] = [(0.0, 2.5, "dog"), (1.25, 3.0, ODD_CELL), (4.0, 7.123456, "dog")]


def written(out: Path, *found: RecordingEvents, kind: str | None = None) -> list[Path]:
    paths = [one.path for one in found]
    return write_events(iter(found), target_of(out, kind), paths=paths, highest_hz=8000)


def test_audacity(tmp_path: Path) -> None:
    (path,) = written(tmp_path / "a.txt", ONE, kind="audacity")
    assert read_audacity(path) == WANTED
    (path,) = written(tmp_path / "b.txt", NONE, kind="audacity")
    assert read_audacity(path) == []


def test_raven(tmp_path: Path) -> None:
    (path,) = written(tmp_path / "a.selections.txt", ONE)
    rows = read_raven(path)
    times = [(float(row["Begin Time (s)"]), float(row["End Time (s)"])) for row in rows]
    assert times == [(round(start, 3), round(end, 3)) for start, end, _ in WANTED]
    assert [row["Label"] for row in rows] == [label for _, _, label in WANTED]
    assert rows[0]["High Freq (Hz)"] == "8000.000"
    assert rows[0]["Begin Path"] == "in/night.flac"
    assert rows[0]["Device From"] == "identified (0.98)"
    assert rows[0]["Notes"] == "resampled from 44100 Hz; clipped in 2 of 8 windows"


def test_textgrid(tmp_path: Path) -> None:
    (path,) = written(tmp_path / "a.TextGrid", ONE)
    begin_s, end_s, tiers = read_textgrid(path)
    assert (begin_s, end_s) == (0, 7.123456)
    named = [one for tier in tiers.values() for one in tier if one[2]]
    assert sorted(named) == WANTED
    assert list(tiers) == ["dog", ODD_CELL]
    (path,) = written(tmp_path / "b.TextGrid", NONE)
    assert read_textgrid(path)[2] == {"events": [(0.0, 3.0, "")]}


def test_csv_and_jsonl_have_the_same_rows(tmp_path: Path) -> None:
    written(tmp_path / "a.csv", ONE, NONE)
    written(tmp_path / "a.jsonl", ONE, NONE)
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    assert tuple(header) == COLUMNS
    assert rows[0] == [
        *("in/night.flac", "0.0", "2.5", "dog", "0.9123", "phone", "identified (0.98)"),
        *("profile", "resampled from 44100 Hz; clipped in 2 of 8 windows"),
    ]
    assert rows[1][3] == ODD.replace("\udce9", "\\udce9")
    lines = (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()
    mappings = [json.loads(line) for line in lines]
    assert [[str(cell) for cell in one.values()] for one in mappings] == rows
    assert all(tuple(one) == COLUMNS for one in mappings)


def test_parquet(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra parquet")
    written(tmp_path / "a.parquet", ONE, NONE)
    written(tmp_path / "a.jsonl", ONE, NONE)
    lines = (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()
    assert parquet.read_table(tmp_path / "a.parquet").to_pylist() == list(map(json.loads, lines))
    written(tmp_path / "none.parquet", NONE)
    assert parquet.read_table(tmp_path / "none.parquet").column_names == list(COLUMNS)


def test_crowsetta_reads_the_label_files(tmp_path: Path) -> None:
    crowsetta = pytest.importorskip("crowsetta", reason="crowsetta is not installed")
    (path,) = written(tmp_path / "a.TextGrid", ONE)
    sequences = crowsetta.formats.seq.TextGrid.from_file(path).to_seq()
    assert [
        (one.onset_s, one.offset_s, one.label) for seq in sequences for one in seq.segments
    ] == [WANTED[0], WANTED[2], WANTED[1]]
    (path,) = written(tmp_path / "a.txt", ONE, kind="audacity")
    labels = crowsetta.formats.seq.AudSeq.from_file(path)
    found = zip(labels.start_times, labels.end_times, labels.labels, strict=True)
    assert [tuple(one) for one in found] == WANTED
    (path,) = written(tmp_path / "a.selections.txt", ONE)
    boxes = crowsetta.formats.bbox.Raven.from_file(path, annot_col="Label").to_bbox()
    assert [(one.onset, one.offset, one.label) for one in boxes] == [
        (round(start, 3), round(end, 3), label) for start, end, label in WANTED
    ]


def test_a_folder_has_a_label_file_for_each_recording(tmp_path: Path) -> None:
    paths = ["in/may/a.wav", "in/june/a.wav", "in/june/a.flac", "in/june/A.wav", "in/june/a.ogg"]
    found = label_files(paths, Path("out"), ".txt")
    assert [one.as_posix() for one in found.values()] == [
        "out/may/a.txt",
        "out/june/a.txt",
        "out/june/a.flac.txt",
        "out/june/A.wav.txt",
        "out/june/a.ogg.txt",
    ]
    for kind, count in {"audacity": 2, "raven": 2, "textgrid": 2}.items():
        files = written(tmp_path / kind, ONE, NONE, kind=kind)
        assert len(set(files)) == count
        assert all(path.is_file() for path in files)


def test_tables_in_a_folder_are_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anymic.inference.event_formats.writing.SHARD_ROWS", 4)
    files = written(tmp_path / "out", *[ONE] * 5, kind="csv")
    assert [path.name for path in files] == [f"events-0000{number}.csv" for number in range(5)]
    (tmp_path / "out" / "events-mine.csv").write_text("kept")
    files = written(tmp_path / "out", ONE, NONE, kind="csv")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["events-00000.csv", "events-mine.csv"]


@pytest.mark.parametrize(
    ("name", "wanted", "expected"),
    [
        ("a.csv", None, "csv"),
        ("a.JSONL", None, "jsonl"),
        ("a.parquet", None, "parquet"),
        ("a.selections.txt", None, "raven"),
        ("a.Table.1.selections.txt", "raven", "raven"),
        ("a.textgrid", None, "textgrid"),
        ("a.txt", "audacity", "audacity"),
        ("a.txt", "raven", "raven"),
        ("folder", "raven", "raven"),
    ],
)
def test_formats(tmp_path: Path, name: str, wanted: str | None, expected: str) -> None:
    target = target_of(tmp_path / name, wanted)
    assert target.format == expected
    assert target.is_folder == (name == "folder")


@pytest.mark.parametrize(
    ("name", "wanted", "said"),
    [
        ("a.txt", None, "does not state a format"),
        ("folder", None, "does not state a format"),
        ("a.csv", "jsonl", "not that of a file of the format jsonl"),
        ("a.csv", "audacity", "Expected a name that ends in .txt"),
        ("a.csv", "ravn", "did you mean 'raven'"),
    ],
)
def test_a_format_that_the_ending_contradicts_is_refused(
    tmp_path: Path, name: str, wanted: str | None, said: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        target_of(tmp_path / name, wanted)


@pytest.mark.parametrize("kind", ["audacity", "raven", "textgrid"])
def test_one_label_file_of_several_recordings_is_refused(tmp_path: Path, kind: str) -> None:
    ending = {"audacity": "txt", "raven": "selections.txt"}.get(kind, kind)
    with pytest.raises(ConfigError, match="Expected a folder"):
        written(tmp_path / f"a.{ending}", ONE, NONE, kind=kind)
