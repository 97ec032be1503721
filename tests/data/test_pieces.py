"""Clips as rows of one length: the windows of prediction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from anymic.bundle import InputContract
from anymic.cli import main
from anymic.data.manifest import Manifest
from anymic.data.pieces import cut_rows
from anymic.errors import ConfigError, ManifestError
from anymic.features.patches import VGGISH
from anymic.inference.windowing import Window, cut
from anymic.training import load_config

SECONDS = (0.3, 0.975, 1.2, 1.5, 2.9, 5.0)


def corpus(folder: Path) -> Manifest:
    for number, seconds in enumerate(SECONDS):
        samples = np.random.default_rng(number).uniform(-0.5, 0.5, round(16000 * seconds))
        soundfile.write(folder / f"{number}.wav", samples, 16000)
    names = [f"{number}.wav" for number in range(len(SECONDS))]
    return Manifest.from_table(pd.DataFrame({"path": names, "label": "noise"}), folder)


def test_pieces_are_the_windows_of_prediction(tmp_path: Path) -> None:
    manifest = corpus(tmp_path)
    pieces, failures = cut_rows(manifest, length_s=0.975, distance_s=0.96)
    assert not failures
    contract = InputContract(16000, 0.975, shorter="repeat", hop_s=0.96)
    for path in manifest.paths():
        windows = [item for item in cut(path, contract) if isinstance(item, Window)]
        own = pieces.where(path=path.name).table
        assert own["start_s"].tolist() == pytest.approx([one.start_s for one in windows])
        assert (own["duration_s"] <= 0.975 + 1e-9).all()
        assert len(set(own["group"])) == 1
    counts = pieces.table["path"].value_counts().sort_index().tolist()
    assert counts == [1, 1, 1, 2, 3, 5]


def test_bad_files_are_listed_and_refused_if_there_are_no_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = corpus(tmp_path)
    (tmp_path / "0.wav").write_bytes(b"RIFF")
    csv = manifest.write(tmp_path / "clips.csv")
    assert main(["data", "cut", str(csv), "--out", str(tmp_path / "patches.csv")]) == 1
    assert "0.wav" in capsys.readouterr().err
    assert len(Manifest.read(tmp_path / "patches.csv")) == 12
    with pytest.raises(ConfigError, match="every 2"):
        cut_rows(manifest, length_s=1.0, distance_s=2.0)
    with pytest.raises(ManifestError, match=r"No clip can be used \(1 failed\)"):
        cut_rows(manifest.rows([0]), length_s=1.0)


def test_the_preset_has_the_features_of_vggish() -> None:
    config = load_config("xu2018")
    assert config.frontend == VGGISH
    assert config.clip_s == 0.975
    assert VGGISH.frames(round(0.975 * 16000)) == 96


@pytest.mark.parametrize(
    ("options", "every_s"),
    [
        ([], 0.96),
        (["--length", "0.975"], 0.96),
        (["--length", "0.5"], 0.5),
        (["--length", "2"], 2),
        (["--length", "2", "--every", "0.5"], 0.5),
    ],
)
def test_the_distance_follows_the_length(
    tmp_path: Path, options: list[str], every_s: float
) -> None:
    table = corpus(tmp_path).write(tmp_path / "m.csv")
    assert main(["data", "cut", str(table), "--out", str(tmp_path / "p.csv"), *options]) == 0
    starts = pd.read_csv(tmp_path / "p.csv").query("path == '5.wav'")["start_s"]
    assert np.diff(starts) == pytest.approx(every_s)
