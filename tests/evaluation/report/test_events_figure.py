from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.known_sounds import TONES_HZ, joined_recording, tone_model

from anymic import audio
from anymic.cli import main
from anymic.evaluation.report.events import events_figure, log_mel_picture
from anymic.inference.events import Event
from anymic.inference.predictor import Predictor

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_picture_is_brightest_where_the_tones_are(tmp_path: Path) -> None:
    spans = joined_recording(tmp_path / "a.flac", length_s=100, seed=2)
    predictor = Predictor(tone_model())
    picture, length_s = log_mel_picture(predictor, tmp_path / "a.flac", columns=200)
    assert length_s == 100
    assert picture.shape == (30, 200)
    for label, start_s, end_s in spans:
        third = list(TONES_HZ).index(label)
        for column in range(int(2 * start_s) + 2, int(2 * end_s) - 2):
            assert np.argmax(picture[:, column]) // 10 == third


@pytest.mark.parametrize("length_s", [1, 3, 7, 100])
def test_no_part_of_the_picture_is_empty(tmp_path: Path, length_s: int) -> None:
    """Also where a recording has fewer frames than the picture could have columns."""
    path = tmp_path / "a.flac"
    generator = np.random.default_rng(4)
    samples = generator.normal(0, 0.1, 8000 * length_s).clip(-1, 1)
    audio.write(path, audio.Clip(samples.astype(np.float32), 8000))
    picture, _ = log_mel_picture(Predictor(tone_model()), path)
    assert np.isfinite(picture).all()


def test_each_event_is_a_bar() -> None:
    events = [Event(0, 2, "dog", 0.9), Event(1, 3, "rain", 0.8), Event(5, 9, "dog", 0.7)]
    figure = events_figure(np.zeros((4, 10)), 10.0, events, title="a.wav")
    _, below = figure.axes
    assert [one.get_text() for one in below.get_yticklabels()] == ["dog", "rain"]
    boxes = [path.get_extents() for bars in below.collections for path in bars.get_paths()]
    assert sorted((box.x0, box.x1) for box in boxes) == [(0, 2), (1, 3), (5, 9)]
    assert below.get_xlabel() == "time (s)"
    assert figure.axes[0].get_xlim() == (0, 10)


def test_no_events_and_many_labels() -> None:
    events_figure(np.zeros((4, 10)), 400.0, [], title="a.wav")
    many = [Event(0, 1 + number, f"label {number}", 0.9) for number in range(30)]
    figure = events_figure(np.zeros((4, 10)), 400.0, many, title="a.wav")
    assert len(figure.axes[1].get_yticks()) == 20
    assert figure.axes[0].get_title(loc="left") == "a.wav (20 of 30 labels)"
    assert figure.axes[1].get_xlabel() == "time (min)"


def test_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], refused: Callable[..., str]
) -> None:
    model = tone_model().save(tmp_path / "model")
    joined_recording(tmp_path / "a.flac", length_s=30)
    out = tmp_path / "events.png"
    command = ["plot", "events", str(tmp_path / "a.flac"), "--model", str(model)]
    assert main([*command, "--hop", "0.5", "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert out.read_bytes()[:4] == b"\x89PNG"
    assert ".png" in refused(*command, "--out", tmp_path / "events.pdf")
    missing = ("plot", "events", "missing.wav", "--model", model)
    assert "No file" in refused(*missing, "--out", out)
