"""The recipe on a miniature corpus: what is trained, shared, kept and refused."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from anymic import models
from anymic.cli import main
from anymic.data.manifest import Manifest
from anymic.errors import AnymicError, ConfigError, ManifestError
from anymic.evaluation.report import read_json
from anymic.evaluation.report.rows import Row
from anymic.importers.vggish import import_vggish
from anymic.importers.yamnet import import_yamnet
from anymic_experiments.commands import ROOT, Scale
from anymic_experiments.experiment import Experiment, Paper
from anymic_experiments.findings import Findings
from anymic_experiments.page import Page
from anymic_experiments.xu2018 import analysis
from anymic_experiments.xu2018.analysis import folds, prepare
from anymic_experiments.xu2018.settings import LSTM, Settings, Size
from anymic_experiments.xu2018.tasks import parted

pytestmark = pytest.mark.usefixtures("one_thread")
TINY = Size(
    width=1 / 64,
    extractor_epochs=1,
    head_epochs=1,
    batch_size=64,
    hidden=4,
    segments=2,
    lengths=(1, 2),
    shifted=2,
    order="drawn",
)
LABELS = ("hiss", "hum", "tick")
FOLDER = ROOT / "xu2018"
WHOLE = Settings.read(FOLDER)
LISTED = replace(TINY, order="listed")
GRID = replace(WHOLE, seeds=1, sizes={"paper": LISTED, "small": TINY, "pretrained": TINY})
FOUR = [one for one in GRID.extractors.values() if one.sampling]


def experiment(
    data: Path,
    out: Path,
    *,
    scale: Scale = "small",
    weights: Path | None = None,
    extractor: Path | None = None,
    workers: int = 1,
    asked: tuple[str, ...] = (),
) -> Experiment[Settings]:
    """Return one of the smallest size and of one seed."""
    return Experiment(
        GRID,
        out=out,
        data=(data,),
        scale=scale,
        workers=workers,
        progress=False,
        asked=asked,
        options={"weights": weights, "extractor": extractor},
    )


def run(ours: Experiment[Settings], *, page_folder: Path | None = None) -> tuple[list[Path], str]:
    """Return what `anymic reproduce xu2018` writes."""
    command = "anymic reproduce xu2018"
    return Paper.read("xu2018").run(ours, page_folder=page_folder, command=command)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Three labels of four clips at 16 kHz, from 0.4 s to 2.5 s, one in each of four folds."""
    generator = np.random.default_rng(0)
    rows = []
    for label in LABELS:
        for fold, seconds in enumerate((0.4, 1.0, 2.0, 2.5), start=1):
            time = np.arange(round(seconds * 16000)) / 16000
            sound = {
                "hiss": generator.normal(size=len(time)),
                "hum": np.sin(2 * np.pi * 440 * time),
                "tick": np.sin(2 * np.pi * 2000 * time) * (time % 0.25 < 0.02),
            }[label]
            name = f"{label}{fold}.wav"
            soundfile.write(tmp_path / name, 0.1 * sound, 16000)
            rows.append((name, label, fold))
    table = pd.DataFrame(rows, columns=["path", "label", "fold"])
    return Manifest.from_table(table, tmp_path).write(tmp_path / "clips.csv")


def one_fold(corpus: Path) -> Path:
    manifest = Manifest.read(corpus)
    split = np.where(manifest.table["fold"] == 4, "test", "train")
    kept = manifest.with_columns(split=split)
    return kept.write(corpus.with_name("split.csv"))


def test_table_2_of_a_miniature_corpus(corpus: Path, tmp_path: Path) -> None:
    ours = experiment(one_fold(corpus), tmp_path / "out", asked=("table 2",))
    written, text = run(ours)
    rows, _ = read_json(next(path for path in written if path.name == "report.json"))
    lines = GRID.lines("2", "small")
    assert [row.condition["line"] for row in rows] == [line.name for line in lines if line.head]
    assert {row.n for row in rows} == {3}
    assert all(1 / 3 <= row.value <= 1 for row in rows)  # of three labels the worst rank is 3
    assert "| all four |" in text
    assert "0.903" in text
    assert "| the challenge's baseline | not run | 0.704 |" in text
    extractors = sorted(path.name for path in (tmp_path / "out" / "extractors").iterdir())
    assert len(extractors) == 5
    # Embeddings of five extractors; the heads share them.
    assert len(list((tmp_path / "out" / "segments").iterdir())) == 5
    heads = tmp_path / "out" / "heads"
    stamps = {path: path.stat().st_mtime_ns for path in heads.iterdir()}
    assert len(stamps) == 5
    again, _ = run(ours)
    assert read_json(next(path for path in again if path.name == "report.json"))[0] == rows
    assert stamps == {path: path.stat().st_mtime_ns for path in heads.iterdir()}
    with pytest.raises(ConfigError, match="has another manifest"):
        prepare(experiment(corpus, tmp_path / "out"))


def test_table_3_of_a_miniature_corpus(corpus: Path, tmp_path: Path) -> None:
    ours = experiment(one_fold(corpus), tmp_path / "out", asked=("table 3",))
    _, text = run(ours, page_folder=tmp_path / "pages")
    assert all(line.name in text for line in GRID.lines("3", "small"))
    assert "| with mixup 0.2 | with pitch shift | 3 |" in text
    assert (tmp_path / "pages" / "xu2018.md").read_text() == text


def test_table_4_by_folds_in_two_processes_goes_on_after_an_interruption(
    corpus: Path, tmp_path: Path
) -> None:
    manifest = Manifest.read(corpus)
    data = manifest.with_columns(
        fold=(manifest.table["fold"] + 1) // 2, group=manifest.table["path"].to_numpy(dtype=str)
    ).write(corpus.with_name("two.csv"))
    ours = experiment(data, tmp_path / "out", workers=2, asked=("table 4",))
    for shifted in (False, True):  # in this process: two others would each import librosa
        analysis.prepare_clips(prepare(replace(ours, workers=1)), shifted=shifted)
    _, text = run(ours)
    assert "2 folds, each in turn the test set" in text
    assert "| all | 1 | 4 |" in text
    heads = sorted((tmp_path / "out" / "heads").iterdir())
    assert len(heads) == 2 * 4 * 2
    lines = GRID.lines("4", "small")
    made = prepare(ours)
    before = [analysis.answers(made, line).probabilities for line in lines]
    # All models of the row: of every number of segments, on every extractor.
    names = [
        [path for path in heads if path.name.startswith(fold) and "mixup0.2" in path.name]
        for fold in ("fold1", "fold2")
    ]
    for fold, expected in zip(names, np.array_split(before[-1], 2), strict=True):
        assert len(fold) == 8
        every = np.log(np.stack([np.load(path)["probabilities"] for path in fold])).mean(axis=0)
        np.testing.assert_allclose(
            expected, np.exp(every) / np.exp(every).sum(axis=1, keepdims=True), rtol=1e-6
        )
    assert lines[-1].name == "all"
    # What an interruption leaves: no bundle of an extractor, a head half-way, some not begun.
    for path in heads[:3]:
        path.unlink()
    heads[0].with_suffix("").mkdir()
    (heads[0].with_suffix("") / "training.json").write_text("{")
    (tmp_path / "out" / "extractors" / "fold1-balanced-first-seed0" / "bundle.json").unlink()
    run(replace(ours, workers=1))  # in this process: the same
    assert sorted((tmp_path / "out" / "heads").iterdir()) == heads
    for line, known in zip(lines, before, strict=True):
        np.testing.assert_allclose(analysis.answers(made, line).probabilities, known, atol=1e-6)


def test_weights_are_fine_tuned(corpus: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    given = models.build("vggish", classes=0, width=1 / 64)
    torch.save(given.state_dict(), tmp_path / "weights.pth")
    weights = tmp_path / "weights.pth"
    ours = prepare(experiment(one_fold(corpus), tmp_path / "out", scale="paper", weights=weights))
    analysis.prepare_clips(ours, shifted=False)
    jobs = {job.extractor: job for job in analysis.jobs(ours, GRID.lines("2", "paper"))}
    original, tuned = (jobs[name].trained(ours.out) for name in ("original", "balanced-first"))
    assert original.labels == ()
    assert tuned.labels == LABELS
    name = "embeddings.2.weight"
    first, second = (one.network.state_dict()[name].flatten() for one in (original, tuned))
    assert not torch.equal(first, second)
    assert torch.cosine_similarity(first, second, dim=0) > 0.9  # fresh weights have about 0


def test_the_last_blocks_of_another_pretrained_network_are_fine_tuned(
    corpus: Path, tmp_path: Path
) -> None:
    given = import_yamnet(width=0.125, seed=2)
    extractor, out = given.save(tmp_path / "yamnet"), tmp_path / "out"
    data = one_fold(corpus)
    ours = experiment(data, out, scale="pretrained", extractor=extractor, asked=("table 2",))
    written, text = run(ours, page_folder=tmp_path / "pages")
    assert (tmp_path / "pages" / "xu2018_pretrained.md").read_text() == text
    rows, _ = read_json(next(path for path in written if path.name == "report.json"))
    assert [row.condition["line"] for row in rows[:2]] == ["original extractor", "balanced, first"]
    assert re.search(r"\| original extractor \| .* \| 0\.606 \|", text)
    assert "| balanced, first | original extractor | 2 |" in text
    assert "Of 6 changes" in text
    jobs = {job.extractor: job for job in analysis.jobs(prepare(ours), GRID.lines("2", ours.scale))}
    before = given.network.state_dict()
    for name, fine_tuned in (("original", False), ("balanced-first", True), ("files-last", True)):
        bundle = jobs[name].trained(out)
        after = bundle.network.state_dict()
        changed = {key.split(".")[1] for key in before if "layers" in key
                   and not torch.equal(before[key], after[key])}  # fmt: skip
        assert changed == ({"12", "13"} if fine_tuned else set())  # from 0: the last two
        assert bundle.labels == (LABELS if fine_tuned else given.labels)
    other = import_yamnet(width=0.125, seed=3).save(tmp_path / "other")
    with pytest.raises(ConfigError, match="has another weights"):
        prepare(experiment(data, out, scale="pretrained", extractor=other))


def test_an_extractor_is_refused_before_clips_are_touched(corpus: Path, tmp_path: Path) -> None:
    extractor, out = import_yamnet(width=0.125).save(tmp_path / "yamnet"), tmp_path / "out"
    without = experiment(corpus, out, scale="pretrained")
    both = replace(without, options={"extractor": extractor, "weights": tmp_path / "w.pth"})
    for ours in (without, both):
        with pytest.raises(ConfigError, match="needs a model, and no weights of VGGish"):
            prepare(ours)
    narrow = import_vggish(width=1 / 64).save(tmp_path / "vggish")  # has 10 segments with labels
    with pytest.raises(ConfigError, match=r"vggish is vggish\. Expected a YAMNet"):
        prepare(experiment(corpus, out, scale="pretrained", extractor=narrow))
    assert not out.exists()


def test_the_scale_of_an_extractor(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert WHOLE.command.scale({"extractor": "yamnet", "scale": "small"}) == "pretrained"
    assert WHOLE.command.scale({"extractor": None, "scale": "small"}) == "small"
    command = ["reproduce", "xu2018", "--data", str(corpus), "--out", str(corpus.parent / "out")]
    assert main([*command, "--extractor", "nowhere"]) != 0  # and not a narrow VGGish
    assert "nowhere" in capsys.readouterr().err
    assert main([*command, "--extractor", "yamnet", "--scale", "paper"]) != 0
    assert "--scale is paper with --extractor" in capsys.readouterr().err


def test_parts_divide_recordings_and_shifted_clips_train_only(corpus: Path) -> None:
    manifest = Manifest.read(one_fold(corpus))
    table = pd.concat([manifest.table.assign(semitones=shift) for shift in ("0", "3")])
    table["group"] = table["path"]
    table["path"] = table["path"] + table["semitones"]
    both = Manifest.from_table(table.reset_index(drop=True))
    groups, shifted = both.table["group"].to_numpy(), both.table["semitones"].to_numpy() != "0"
    asides = []
    for extractor in FOUR[:2]:  # the first clips train, and the last
        parts = parted(both, extractor, GRID.validation, seed=1)
        aside = set(groups[parts == "validation"])
        assert aside
        assert not aside & set(groups[parts == "train"])
        assert set(parts[shifted]) == {"train", ""}
        asides.append(aside)
    assert asides[0].isdisjoint(asides[1])


def test_the_paper_takes_the_first_clips_of_the_list(corpus: Path) -> None:
    assert {name: size.order for name, size in WHOLE.sizes.items()} == {
        "paper": "listed",
        "small": "drawn",
        "pretrained": "drawn",
    }
    manifest = Manifest.read(one_fold(corpus))
    manifest = manifest.rows(np.random.default_rng(0).permutation(len(manifest)))
    training = np.flatnonzero(manifest.table["split"] == "train")
    first, last = (parted(manifest, one, (1, 3), seed=None) for one in FOUR[:2])
    np.testing.assert_array_equal(np.flatnonzero(first == "train"), training[:6])
    np.testing.assert_array_equal(np.flatnonzero(first == "validation"), training[6:])
    np.testing.assert_array_equal(np.flatnonzero(last == "train"), training[3:])
    drawn = [parted(manifest, FOUR[0], (1, 3), seed=seed) for seed in (1, 2)]
    assert (drawn[0] != drawn[1]).any()


def test_the_papers_grid() -> None:
    def papers(table: str) -> list[float | None]:
        return [analysis.published(table, line) for line in WHOLE.lines(table, "paper")]

    assert papers("4") == [0.917, 0.919, 0.931, 0.936, 0.929, 0.931, 0.931]
    best = [
        line.heads
        for table in ("3", "4")
        for line, paper in zip(WHOLE.lines(table, "paper"), papers(table), strict=True)
        if paper == 0.936
    ]
    assert len(best) == 2
    assert best[0] == best[1]
    last = WHOLE.lines("2", "paper")[-1]
    assert [WHOLE.extractors[name] for name in last.extractors] == FOUR
    assert WHOLE.nonlinearity == "softmax"  # section 4.1: of the levels too
    heads = [head for line in WHOLE.lines("3", "paper") for head in line.heads]
    assert {head.segments for head in heads if head.network == LSTM} == {"whole"}
    assert "whole" not in {head.segments for head in heads if head.network != LSTM}


def test_a_page_states_the_extractors_and_the_nonlinearity_of_its_settings() -> None:
    whole, one = WHOLE, Settings.read(FOLDER, changes={"members": 1, "nonlinearity": "sigmoid"})
    table, plain = "heads, pitch shift and mixup, on", "The classifiers of all levels use a"
    for grid, extractors, nonlinearity in (
        (whole, "all four extractors", "softmax, as in the paper"),
        (one, "1 of 4 extractors", "sigmoid, where the paper's use a softmax"),
    ):
        page = Page(FOLDER, grid=grid, scale="small", seeds=1)
        counts = {"used": len(grid.used), "trained": len(grid.trained)}
        rows = Findings([Row({"line": "LSTM"}, analysis.METRIC, 0.5, 0.4, 0.6, 9)])
        text = page.text("table", found=rows, table="3", lines=[], **counts)
        assert f"{table} {extractors}\n" in text
        decisions = page.text("decisions")
        assert f"segments, on {extractors}.\n" in decisions
        assert f"{plain} {nonlinearity} (section 4.1);" in decisions
    cut = {line.name: one.cut(line) for line in one.lines("2", "small")}
    assert cut["all four"] == "1 of 4 extractors"
    assert cut["balanced, both"] == "1 of 2 extractors"
    assert cut["balanced, first"] == cut["the challenge's baseline"] == ""
    assert not any(whole.cut(line) for number in "234" for line in whole.lines(number, "small"))


def test_rejections(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs the weights of VGGish"):
        prepare(experiment(corpus, tmp_path, scale="paper"))
    manifest = Manifest.read(corpus)
    with pytest.raises(ManifestError, match="2 labels for MAP@3"):
        folds(manifest.where(label=list(LABELS[:2])))
    assert list(folds(manifest)) == ["fold1", "fold2", "fold3", "fold4"]
    untested = manifest.with_columns(split=["train"] * len(manifest))
    with pytest.raises(ManifestError, match="No clip has the split 'test'"):
        folds(untested)
    torch.save(models.build("basic1", classes=3).state_dict(), tmp_path / "w.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "w.pth").read_bytes()[:1000])
    for weights in ("w.pth", "cut.pth", "nowhere.pth"):
        other = experiment(
            corpus, tmp_path / "o", scale="paper", weights=tmp_path / weights, asked=("table 2",)
        )
        with pytest.raises(AnymicError) as error:  # before a clip is touched
            run(other)
        assert "\n" not in str(error.value)
        assert not (tmp_path / "o" / "clips").exists()
