from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.known_sounds import TONES_HZ, joined_recording, tone_model

from anymic.bundle import Bundle
from anymic.cli import main
from anymic.errors import AnymicError
from anymic.evaluation.events import evaluate_events
from anymic.inference.events import Event
from anymic.inference.predictor import Predictor
from anymic.metrics.events import event_counts, f1, segment_counts

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tone_model().save(tmp_path / "model")


@pytest.fixture
def annotated(tmp_path: Path) -> Path:
    """Return annotations of four recordings, as they were joined."""
    lines = ["file,onset,offset,event_label"]
    for number in range(4):
        spans = joined_recording(tmp_path / f"{number}.wav", length_s=40, seed=number)
        lines += [f"{number}.wav,{a},{b},{label}" for label, a, b in spans]
    (tmp_path / "annotations.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "annotations.csv"


def test_numbers_are_those_of_the_events(model: Path, annotated: Path) -> None:
    found = evaluate_events(model, annotated, collar_s=0.6)
    predictor = Predictor(Bundle.load(model))
    labels = list(TONES_HZ)
    segments, pairs = np.zeros((3, 3)), np.zeros((3, 3))
    for number in range(4):
        path = annotated.parent / f"{number}.wav"
        spans = joined_recording(path, length_s=40, seed=number)
        table = predictor.events(path).to_dict("records")
        events = [Event(**{str(key): value for key, value in one.items()}) for one in table]
        segments += segment_counts(spans, events, labels)
        pairs += event_counts(spans, events, labels, collar_s=0.6)
    values = {row.metric: row for row in found.rows if not row.condition}
    assert values["segment_f1"].value == pytest.approx(float(f1(segments.sum(axis=0))))
    assert values["event_f1"].value == pytest.approx(float(f1(pairs.sum(axis=0))))
    for row in values.values():
        assert row.low is not None
        assert row.high is not None
        assert row.low <= row.value <= row.high
    assert values["segment_f1"].value > 0.85
    named = {row.condition["label"] for row in found.rows if row.condition}
    assert named == {"mean of labels", *TONES_HZ}


def test_command(
    model: Path, annotated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with annotated.open("a") as file:
        file.write("missing.wav,1,2,low\n0.wav,900,901,low\n")
    command = ["evaluate", str(model), "--events", str(annotated), "--out", str(tmp_path / "r")]
    assert main([*command, "--hop", "0.5", "--collar", "0.6"]) == 1
    said = capsys.readouterr()
    assert "segment F1" in said.out
    assert "end after it, the last at 901.000 s" in said.err.replace("1 annotation of", "")
    assert said.err.splitlines()[-1] == "2 of 5 files failed"
    report = json.loads((tmp_path / "r" / "events.json").read_text())
    assert report["recordings"] == 3
    assert report["settings"]["collar_s"] == 0.6


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("file,start,label\n0.wav,1,low\n", "no column end_s"),
        ("file,start,end,label\n0.wav,2,1,low\n", "ends at 1.0 s and starts at 2.0 s in row 2"),
        ("file,start,end,label\n0.wav,x,1,low\n", "a time that is no number"),
        ("file,start,end,label\n0.wav,-1,1,low\n", "a start of -1.0 s"),
        ("file,start,end,label\n0.wav,1,2,\n", "empty label"),
        (
            "file,start,end,label\n0.wav,1,3,low\n0.wav,2,4,low\n",
            "two events of 'low' overlap in row 2 and row 3",
        ),
        ("file,start,end,label\n", "there are no rows"),
        ("file,start,end,label\n0.wav,1,2,lwo\n", "did you mean 'low'"),
    ],
)
def test_annotations_that_cannot_be_used_are_one_line(
    model: Path, tmp_path: Path, rows: str, said: str
) -> None:
    (tmp_path / "wrong.csv").write_text(rows)
    with pytest.raises(AnymicError) as refused:
        evaluate_events(model, tmp_path / "wrong.csv")
    assert said in str(refused.value)
    assert "Expected" in str(refused.value)


def test_a_file_alone_is_a_recording_without_events(model: Path, tmp_path: Path) -> None:
    joined_recording(tmp_path / "a.wav", length_s=10)
    (tmp_path / "quiet.csv").write_text("file,start_s,end_s,label\na.wav,,,\n")
    found = evaluate_events(model, tmp_path / "quiet.csv")
    assert {row.value for row in found.rows} == {0.0}


def test_wrong_use_is_one_line(refused: Callable[..., str], bundle_folder: Path) -> None:
    assert "--data" in refused("evaluate", bundle_folder)
    both = ("--data", "a.csv", "--events", "b.csv")
    assert "--events" in refused("evaluate", bundle_folder, *both)
    assert "--split" in refused("evaluate", bundle_folder, "--events", "b.csv", "--split", "test")
    assert "--hop" in refused("evaluate", bundle_folder, "--data", "a.csv", "--hop", "0.5")
    assert "No file b.csv" in refused("evaluate", bundle_folder, "--events", "b.csv")
