"""From a folder of sounds to a tagger, its evaluation and its predictions, in one command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from anymic.bundle import load
from anymic.cli import main
from anymic.data.embeddings import read_vectors
from anymic.data.manifest import Manifest
from anymic.data.splits import set_test_aside
from anymic.errors import ManifestError
from anymic.evaluation.report import read_json
from anymic.evaluation.report.rows import select
from anymic.importers.vggish import import_vggish
from anymic.inference.embedding_head import load_head
from anymic.inference.predictor import Predictor
from anymic.metrics import mean_average_precision_at

pytestmark = pytest.mark.usefixtures("one_thread")
LABELS = ("hiss", "hum", "tick")
SECONDS = (0.3, 0.7, 1.1, 2.5, 4.0, 30.0)
SMALL = ["--segments", "2", "--hidden", "8", "--epochs", "2", "--batch", "6"]
MAP = "mean_average_precision_at_3"


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of three labels, clips from 0.3 s to 30 s, one silent and one no audio."""
    generator = np.random.default_rng(0)
    root: Path = tmp_path_factory.mktemp("corpus") / "sounds"
    for number, label in enumerate(LABELS):
        (root / label).mkdir(parents=True)
        for seconds in SECONDS:
            time = np.arange(round(seconds * 16000)) / 16000
            sound = np.sin(2 * np.pi * 300 * 3**number * time)
            sound = 0.1 * sound + generator.normal(scale=0.02, size=len(time))
            soundfile.write(root / label / f"{label}-{seconds}.wav", sound, 16000)
    return root


def test_one_command_gives_a_tagger_its_map_at_3_and_a_submission(
    sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = tmp_path / "new"
    new.mkdir()
    for number, seconds in enumerate((0.3, 3.0)):
        noise = np.random.default_rng(number).normal(scale=0.1, size=round(seconds * 22050))
        soundfile.write(new / f"{number}.wav", noise, 22050)
    soundfile.write(new / "silent.wav", np.zeros(16000), 16000)
    torch.save(import_vggish(width=1 / 64, seed=1).network.state_dict(), tmp_path / "vggish.pth")
    out, csv = tmp_path / "tagger", tmp_path / "submission.csv"
    # The public weights themselves will do for a model.
    arguments = ["--data", str(sounds), "--model", str(tmp_path / "vggish.pth"), *SMALL]
    arguments += ["--evaluate", "--test-share", "0.3", "--predict", str(new)]
    status = main(["train-head", *arguments, "--submission", str(csv), "--out", str(out), "--json"])
    assert status == 1  # what is silent is listed, the others answered
    said = capsys.readouterr()
    assert json.loads(said.out)["failures"].keys() == {str(new / "silent.wav")}
    assert "silent.wav" in said.err
    lines = csv.read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["fname", "0.wav", "1.wav"]
    assert all(sorted(line.split(",")[1].split()) == list(LABELS) for line in lines[1:])
    # The test clips trained nothing, and the numbers are those of the tagger on them.
    clips = Manifest.read(out / "clips.csv")
    test = clips.where(split="test")
    assert test.labels == list(LABELS)
    tagger = load(out)
    assert tagger.training["clips"] < len(clips) - len(test)
    rows, content = read_json(out / "report" / "report.json")
    assert "warning" not in content
    predicted = Predictor(tagger).predict_manifest(test)
    targets = [LABELS.index(label) for label in test.table["label"]]
    expected = mean_average_precision_at(predicted.probabilities, targets)
    (found,) = select(rows, MAP)
    assert found.value == pytest.approx(expected.value)
    assert found.low == pytest.approx(expected.low)
    assert found.n == len(test)
    assert {row.condition["label"] for row in select(rows, MAP, "label")} == set(LABELS)


def test_a_head_on_embeddings_is_measured_and_answers_as_in_python(
    sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The splits of the clips go along with their embeddings."""
    from anymic.data.corpora.folder import folder

    set_test_aside(folder(sounds), share=0.3, seed=0).write(tmp_path / "clips.csv")
    import_vggish(width=1 / 64, seed=1).save(tmp_path / "vggish")
    npz, out = tmp_path / "sounds.npz", tmp_path / "head"
    arguments = ["--data", str(tmp_path / "clips.csv"), "--model", str(tmp_path / "vggish")]
    assert main(["embed", *arguments, "--out", str(npz)]) == 0
    arguments = ["--embeddings", str(npz), *SMALL, "--out", str(out), "--evaluate"]
    assert main(["train-head", *arguments]) == 0
    assert main(["evaluate", str(out), "--data", str(npz), "--out", str(tmp_path / "again")]) == 0
    rows = [read_json(place / "report.json")[0] for place in (out / "report", tmp_path / "again")]
    assert rows[0] == rows[1]
    (found,) = select(rows[0], MAP)
    assert found.n == len(Manifest.read(tmp_path / "clips.csv").where(split="test"))
    capsys.readouterr()
    assert main(["predict", str(npz), "--model", str(out), "--json"]) == 0
    answers = json.loads(capsys.readouterr().out)
    vectors = read_vectors(npz)
    expected = load_head(out).predict(vectors)
    assert [one["path"] for one in answers] == vectors.clips.table["path"].tolist()
    got = [[one["probabilities"][label] for label in LABELS] for one in answers]
    np.testing.assert_allclose(got, expected)
    assert main(["evaluate", str(out), "--data", str(npz), "--split", "all"]) == 0
    assert "was fitted on" in capsys.readouterr().err
    assert main(["predict", "none.npz", str(npz), "--model", str(out)]) == 1
    assert "none.npz" in capsys.readouterr().out


def test_rejections_come_before_training(
    sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_vggish(width=1 / 64, seed=1).save(tmp_path / "vggish")
    given = ["train-head", "--data", str(sounds), "--model", str(tmp_path / "vggish")]
    given += ["--out", str(tmp_path / "out"), *SMALL]
    csv = ["--submission", str(tmp_path / "a.csv")]
    for arguments, words in (
        (["--predict", str(sounds)], "--predict is given without --submission. Expected both"),
        (csv, "--submission is given without --predict"),
        (["--evaluate", "--test-share", "0.01"], "no recording of hiss"),
        (["--evaluate", "--test-share", "1"], "The share is 1.0. Expected a share between 0 and 1"),
        (["--balanced", "--batch", "60"], "training clips of hiss. Expected at least 20 of each"),
        (
            ["--head", "atention"],
            "--head is atention. Expected one of attention, dense, logistic",
        ),
    ):
        assert main([*given, *arguments]) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1
    assert not (tmp_path / "out" / "bundle.json").exists()
    with pytest.raises(ManifestError, match="to train on"):
        set_test_aside(Manifest.read(_one_clip_of_rain(tmp_path)), share=0.9, seed=0)


def _one_clip_of_rain(folder: Path) -> Path:
    rows = [f"{number}.wav,dog" for number in range(9)]
    (folder / "few.csv").write_text("\n".join(["path,label", *rows, "r.wav,rain"]))
    return folder / "few.csv"
