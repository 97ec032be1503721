"""Labels balanced: counts, pitch and silence of real files; what is kept and what refused."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from anymic import audio
from anymic.audio import Clip
from anymic.cli import main
from anymic.data.balancing import balance, draw_shifts, prepare
from anymic.data.manifest import Manifest
from anymic.errors import AudioError, ConfigError, ManifestError

RATE = 8000


def tone(hertz: float, seconds: float = 0.6) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return (0.2 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def pitch(samples: np.ndarray) -> float:
    window = np.hanning(len(samples))
    spectrum = np.abs(np.fft.rfft(samples * window, 1 << 16))
    return float(spectrum.argmax()) * RATE / (1 << 16)


@pytest.fixture
def corpus(tmp_path: Path) -> Manifest:
    """Five clips of one label, two of another, one test clip; silence around each."""
    rows = []
    names = [("bell", "train")] * 5 + [("horn", "train")] * 2 + [("horn", "test")]
    for number, (label, split) in enumerate(names):
        silence = np.zeros(RATE // 2, dtype=np.float32)
        samples = np.concatenate([silence, tone(300 + 40 * number), silence])
        soundfile.write(tmp_path / f"{number}.wav", samples, RATE)
        rows.append((f"{number}.wav", label, split))
    table = pd.DataFrame(rows, columns=["path", "label", "split"])
    return Manifest.from_table(table, tmp_path, name="tones")


def test_labels_are_balanced_and_shifts_change_the_pitch(corpus: Manifest, tmp_path: Path) -> None:
    result = balance(corpus, tmp_path / "out", seed=3, workers=1, progress=False)
    table = result.manifest.table
    training = table[table["split"] == "train"]
    assert Counter(training["label"]) == {"bell": 5, "horn": 5}
    assert result.added == {"horn": 3}
    assert (table[table["split"] == "test"]["semitones"] == "0").all()
    for path, row in zip(result.manifest.paths(), table.to_dict("records"), strict=True):
        samples = audio.read(path).samples
        assert np.abs(samples).max() == pytest.approx(1.0, abs=1e-4)
        assert 0.5 * RATE < len(samples) < 1.2 * RATE  # 1.6 s with the silence
        own = 300 + 40 * int(row["source"].removesuffix(".wav"))
        shift = int(row["semitones"])
        assert -12 < shift < 12
        assert pitch(samples) == pytest.approx(own * 2 ** (shift / 12), rel=0.02)
        assert row["group"].endswith(row["source"])
    again = balance(corpus, tmp_path / "out", seed=3, workers=1, progress=False)
    assert (again.written, again.kept) == (0, len(table))
    assert again.manifest.table.equals(table)


def test_draws_are_seeded_whole_semitones_of_each_clip_alike(corpus: Manifest) -> None:
    first, again = draw_shifts(corpus, seed=1), draw_shifts(corpus, seed=1)
    assert first == again
    assert first != draw_shifts(corpus, seed=2)
    rows = [("a.wav", "a"), ("b.wav", "a"), *((f"{n}.wav", "z") for n in range(30))]
    drawn = draw_shifts(
        Manifest.from_table(pd.DataFrame(rows, columns=["path", "label"])), seed=0, semitones=12
    )
    assert len(drawn) == len(set(drawn)) == 28  # no clip by one shift twice
    assert Counter(row for row, _ in drawn) == {0: 14, 1: 14}
    assert {shift for _, shift in drawn} <= set(range(-11, 12)) - {0}


def test_silence_is_one_line_and_the_rest_goes_on(
    corpus: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(AudioError) as error:
        prepare(Clip(np.zeros(RATE, dtype=np.float32), RATE, path="quiet.wav"))
    assert "quiet.wav" in str(error.value)
    soundfile.write(tmp_path / "0.wav", np.zeros(RATE), RATE)
    csv = corpus.write(tmp_path / "clips.csv")
    arguments = ["data", "balance", str(csv), "--out", str(tmp_path / "out"), "--workers", "1"]
    assert main([*arguments, "--json"]) == 1
    outcome = json.loads(capsys.readouterr().out)
    assert [Path(one["path"]).name for one in outcome["failures"]] == ["0.wav"]
    assert outcome["rows"] == 7 + 2  # four bells can be used, so two horns become four
    training = Manifest.read(tmp_path / "out" / "manifest.csv").where(split="train")
    assert Counter(training.table["label"]) == {"bell": 4, "horn": 4}


def test_rejections(corpus: Manifest, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Expected 2 or more"):
        balance(corpus, tmp_path / "out", semitones=1)
    with pytest.raises(ManifestError, match="No clip has the split 'train'"):
        draw_shifts(corpus.where(split="test"), seed=0)
    (tmp_path / "manifest.csv").write_text("path,label\n")
    with pytest.raises(ManifestError, match="from elsewhere"):
        balance(corpus, tmp_path)
