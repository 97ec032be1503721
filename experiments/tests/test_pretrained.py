"""The page on pretrained embeddings in miniature: noise, made-up responses, random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from anymic.cli import main
from anymic.data.manifest import Manifest
from anymic.evaluation.report.rows import read_json
from anymic.importers.vggish import import_vggish
from anymic.importers.yamnet import import_yamnet
from anymic.inference.predictor import Predictor
from anymic.training.head_settings import head_config
from anymic.training.heads import fit_head
from anymic_experiments.commands import ROOT
from anymic_experiments.experiment import Experiment
from anymic_experiments.findings import Findings
from anymic_experiments.pretrained import analysis, tasks

RATE_HZ = 16_000
OTHERS = ("Altec_639", "Shure315_flat")  # of no column


def responses(folder: Path) -> Path:
    """Write a response for every device of the grid, and two others."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    files = ["GEC_bigdynamic", "IR_Shure510C", "EMI_ribbon", "IR_BeyerM500Stock", "Doremi_"]
    files += ["IR_GaumontKalee", "IR_ResloURA", "RCA_77DX_1", *OTHERS]
    for name in files:
        taps = np.concatenate([[0.5], 0.05 * generator.standard_normal(63)])
        soundfile.write(folder / f"{name}.wav", taps, RATE_HZ, subtype="PCM_24")
    return folder


def corpus(root: Path) -> Path:
    """Write two classes of noise in the layout of ESC-50: two folds of 14 clips."""
    (root / "audio").mkdir(parents=True)
    (root / "meta").mkdir()
    generator, rows = np.random.default_rng(0), []
    for number in range(28):
        target, fold = number % 2, 1 + number // 14
        name = f"{fold}-{number}-A-{target}.wav"
        sound = 0.1 * generator.standard_normal(RATE_HZ)
        if target:
            sound = np.cumsum(sound - sound.mean()) / 20
        soundfile.write(root / "audio" / name, sound, RATE_HZ)
        label = ("dog", "rooster")[target]
        rows.append((name, fold, target, label, target == 0, number, "A"))
    columns = ["filename", "fold", "target", "category", "esc10", "src_file", "take"]
    pd.DataFrame(rows, columns=columns).to_csv(root / "meta" / "esc50.csv", index=False)
    return root


def drums(root: Path) -> Path:
    """Write eight takes of two classes by the reference and another microphone."""
    generator, rows = np.random.default_rng(1), []
    root.mkdir()
    for take in range(8):
        sound = (0.02, 0.2)[take % 2] * generator.standard_normal(44_100)
        for device, level in (("Snare_top", 1.0), ("OHL", 0.3)):
            name = f"{device}-{take}.wav"
            soundfile.write(root / name, level * sound, 44_100)
            rows.append((name, ("Snare", "Tom1")[take % 2], device, str(take), str(take)))
    columns = ["path", "label", "device", "take", "group"]
    pd.DataFrame(rows, columns=columns).to_csv(root / "manifest.csv", index=False)
    return root / "manifest.csv"


@pytest.mark.usefixtures("one_thread")
def test_both_parts_from_recordings_to_the_page(tmp_path: Path) -> None:
    extractor = import_yamnet(width=0.125, seed=2).save(tmp_path / "extractor")
    out, page = tmp_path / "out", tmp_path / "docs"
    command = ["reproduce", "pretrained", "--esc50", str(corpus(tmp_path / "esc50"))]
    command += ["--responses", str(responses(tmp_path / "micirp"))]
    command += ["--drums", str(drums(tmp_path / "drums"))]
    command += ["--extractor", str(extractor), "--out", str(out), "--page", str(page)]
    command += ["--set", "folds=1", "--workers", "1"]
    assert main(command) == 0
    text = (page / "pretrained.md").read_text()
    assert "Fold 1 is the test" in text
    assert "n = 14 for each device" in text
    assert text.count("\n| blind, 80 recordings | ") == 2
    assert f"through one of {len(OTHERS)} measured responses" in text
    rows, _ = read_json(out / "pretrained" / "report.json")
    found = Findings(rows)
    for name in (
        "twelve takes",
        "twelve takes, noise subtracted",
        "blind, 80 recordings",
    ):  # A is the model's own device
        assert found.of("accuracy_difference", condition=name, device="A").value == 0
    kept = {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*.npz")}
    assert len([path for path in kept if "sequences" not in path.parts]) == 7 + 2 * 4
    assert main(command) == 0  # what is finished is used again
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    assert (page / "pretrained.md").read_text().splitlines()[:40] == text.splitlines()[:40]


def experiment(tmp_path: Path) -> Experiment[analysis.Settings]:
    grid = analysis.Settings.read(ROOT / "pretrained")
    options = {"responses": responses(tmp_path / "micirp")}
    return Experiment(grid, out=tmp_path, data=(), options=options)


def test_random_devices_are_those_of_no_column(tmp_path: Path) -> None:
    found = analysis.random_devices(experiment(tmp_path))
    assert tuple(path.stem for path in found) == OTHERS


def test_the_noise_of_a_device_is_what_it_states(tmp_path: Path) -> None:
    """The mean magnitude of white noise is sigma * sqrt(pi / 4 * sum of squared window)."""
    ours = experiment(tmp_path)
    found = analysis.noise_of(ours, "A", RATE_HZ, 512)[5:-5]
    window = np.hanning(513)[:-1]
    wanted = 1e-4 * np.sqrt(np.pi / 4 * np.sum(window**2))
    assert 20 * np.log10(found.mean() / wanted) == pytest.approx(0, abs=0.3)


def test_an_extractor_that_is_not_installed_is_refused_before_clips_are_simulated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sounds, out = corpus(tmp_path / "esc"), tmp_path / "out"
    places = [f"--esc50={sounds}", f"--responses={responses(tmp_path / 'responses')}"]
    assert main(["reproduce", "pretrained", *places, f"--out={out}", "--workers=1"]) == 2
    assert "the model yamnet is not installed" in capsys.readouterr().err.lower()
    assert not (out / "microphones").exists()


def test_more_folds_than_the_corpus_has_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extractor = import_yamnet(width=0.125, seed=2).save(tmp_path / "extractor")
    command = ["reproduce", "pretrained", f"--esc50={corpus(tmp_path / 'esc50')}"]
    command += [f"--responses={responses(tmp_path / 'micirp')}", f"--extractor={extractor}"]
    command += [f"--out={tmp_path / 'out'}", "--set=folds=9", "--workers=1"]
    assert main(command) == 2
    assert "Folds is 9, and the corpus has 2 folds" in capsys.readouterr().err


def test_gains_from_one_recording_do_not_depend_on_other_recordings(tmp_path: Path) -> None:
    root, out = corpus(tmp_path / "esc"), tmp_path / "out"
    table = pd.read_csv(root / "meta" / "esc50.csv")
    labels = np.random.default_rng(0).permutation(table["category"])  # so that no answer is sure
    table = pd.DataFrame({"path": "audio/" + table["filename"], "label": labels})
    table["device"] = ["A"] * 20 + ["B"] * 8
    table["split"] = ["train"] * 20 + ["test"] * 8
    extractor = str(import_yamnet(width=0.125, seed=2).save(tmp_path / "extractor"))
    found = {}
    for tests in (8, 2):
        path = root / f"{tests}.csv"
        Manifest.from_table(table[: 20 + tests], root).write(path)
        head = tasks.Head(path, "A", extractor, seed=0)
        head.finish(out)
        found[tests] = tasks.Answers(head, tasks.Row(blind=1)).arrays(out)["probabilities"]
    np.testing.assert_allclose(found[8][:2], found[2], rtol=1e-3)


@pytest.mark.parametrize("segments", [1, 2])
def test_kept_sequences_give_the_answers_that_the_tagger_gives(
    segments: int, tmp_path: Path
) -> None:
    root = corpus(tmp_path / "esc")
    table = pd.read_csv(root / "meta" / "esc50.csv")
    clips = Manifest.from_table(
        pd.DataFrame({"path": "audio/" + table["filename"], "label": table["category"]}), root
    )
    training, test, cache = clips.rows(range(20)), clips.rows(range(20, 28)), tmp_path / "kept"
    for network in ("dense_head", "lstm_head"):  # the second finds what the first has kept
        config = head_config(network, changes={"epochs": 1, "precision": "float32"})
        out = tmp_path / network
        extractor = import_vggish(width=1 / 64)
        tagger = fit_head(
            training, extractor, config, out, segments=segments, hidden=8, cache=cache
        )
        found = tasks.answer(tagger, test, cache)
        whole = Predictor(tagger, precision="float32").predict_manifest(test)
        # Embeddings are computed in bfloat16, where the processor has it, and kept in float16.
        np.testing.assert_allclose(found["probabilities"], whole.probabilities, atol=0.03)
