"""The page on codecs in miniature: noise, random weights, and the statistics by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from anymic.cli import main
from anymic.codecs import CODECS, Codec
from anymic.codecs.conditions import CLEAN
from anymic.data.corpora.esc50 import esc50
from anymic.evaluation.report.rows import read_json
from anymic.importers.yamnet import import_yamnet
from anymic_experiments.codecs import analysis
from anymic_experiments.commands import ROOT
from anymic_experiments.findings import Findings
from anymic_experiments.page import Page
from anymic_experiments.pooling import Pooled

GRID = analysis.Settings.read(ROOT / "codecs")
FOLDER = ROOT / "codecs"


@pytest.mark.usefixtures("one_thread")
def test_all_parts_from_recordings_to_the_page(
    tmp_path: Path, esc50_at_two_rates: tuple[Path, Path]
) -> None:
    high, low = esc50_at_two_rates
    extractor = import_yamnet(width=0.125, seed=2).save(tmp_path / "extractor")
    out, page = tmp_path / "out", tmp_path / "docs"
    esc50(high).write(tmp_path / "clips.csv")
    one_recording_in_two_folds(low / "meta" / "esc50.csv")  # as in ESC-50
    command = ["reproduce", "codecs", "--data", str(tmp_path / "clips.csv")]
    command += ["--esc50-16k", str(low), "--extractor", str(extractor)]
    command += ["--out", str(out), "--page", str(page), "--workers", "1"]
    command += ["--leave-out", "fcnn: *any*", "--leave-out", "left_out: without [aos]*"]
    changes = ["folds=1", "seeds=1", "epochs=1", "batch_size=8", "width=0.1", "copies=1"]
    changes += ["several=[mp3 32, sbc 64]", "single=[mu-law 64]", "paper=[mp3 64]", "loses=-1.0"]
    for change in changes:
        command += ["--set", change]
    assert main(command) == 0
    text = (page / "codecs.md").read_text()
    names = ["none", "codecs: any, no consistency", "codecs: any", "codecs: any, no masks"]
    names += ["as in the paper", "fine-tuned with codecs: any", "retrained"]
    assert f"| | {' | '.join(names)} |" in text
    assert text.count("\n| mu-law 64 | ") >= 6
    assert "n = 8 for each codec" in text
    for name in ("without mp3", "without bluetooth", "without the bitrates"):
        assert f"\n| {name} | " in text
    rows, _ = read_json(out / "codecs" / "report.json")
    found = Findings(rows)
    assert found.of("accuracy", condition="retrained", codec=CLEAN).n == 8
    kept = {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*.npz")}
    assert main(command) == 0  # what is finished is used again
    assert kept == {path: path.stat().st_mtime_ns for path in kept}


def one_recording_in_two_folds(meta: Path) -> None:
    """Let the first clip of the second fold be of the recording of the first clip."""
    table = pd.read_csv(meta, dtype=str)
    second = table.index[table["fold"] != table["fold"][0]][0]
    table.loc[second, "src_file"] = table["src_file"][0]
    table.to_csv(meta, index=False)


def test_every_codec_of_the_table_is_tested_at_one_bitrate() -> None:
    names = [Codec.parse(text).name for text in (*GRID.several, *GRID.single)]
    encoded = {spec.name for spec in CODECS.specs() if spec.bitrates} - {"speex"}
    assert sorted(names) == sorted(encoded)
    for text in GRID.single:
        assert len(Codec.parse(text).spec.kbps) == 1
    for text in GRID.several:
        assert len(Codec.parse(text).spec.kbps) > 1


def test_what_is_left_out_is_what_is_tested() -> None:
    families = set(GRID.factors["left_out"]) - {"bitrates"}
    assert families == {"mp3", "aac", "opus", "bluetooth", "speech"}
    (level,) = [one for name, one in GRID.factors["left_out"].items() if name == "bitrates"]
    assert tuple(level.settings["codecs"]["without"]) == GRID.several


def pooled() -> Pooled:
    """Return answers to ten recordings, clean and through three codecs."""
    right = {
        "none": {CLEAN: 9, "mp3 32": 3, "opus 16": 5, "a-law 64": 9},
        "codecs: any": {CLEAN: 8, "mp3 32": 6, "opus 16": 9, "a-law 64": 9},
    }
    codecs = np.repeat(list(right["none"]), 10)
    groups = np.tile([f"recording {number}" for number in range(10)], 4)
    answers = {}
    for name, own in right.items():
        good = np.concatenate([np.arange(10) < count for count in own.values()])
        answers[name] = np.stack([good, ~good], axis=1).astype(float)
    return Pooled(answers, np.zeros(40, dtype=int), codecs, groups)


def test_the_recovered_share_by_hand() -> None:
    ours, codecs = pooled(), ("mp3 32", "opus 16", "a-law 64")
    assert analysis.losing(ours, codecs, 0.05) == ("mp3 32", "opus 16")
    groups: dict[str, tuple[str, ...]] = {one: (one,) for one in codecs}
    groups[analysis.LOSING] = ("mp3 32", "opus 16")
    found = Findings(
        [one for name in ours.conditions for one in analysis.compared(ours, name, groups)]
    )
    where = {"condition": "codecs: any", "codec": analysis.LOSING}
    assert found.of("recovered_share", **where).value == pytest.approx((3 + 4) / (6 + 4))
    lost = found.of("accuracy_difference", codec="mp3 32", condition="none", against_codec=CLEAN)
    assert lost.value == pytest.approx(-0.6)
    clean = found.of("accuracy_difference", condition="codecs: any", codec=CLEAN)
    assert clean.value == pytest.approx(-0.1)
    assert found.maybe("recovered_share", condition="codecs: any", codec="a-law 64") is None


def test_an_aim_that_is_missed_is_said() -> None:
    ours = pooled()
    groups: dict[str, tuple[str, ...]] = {one: (one,) for one in ("mp3 32", "opus 16", "a-law 64")}
    groups[analysis.LOSING] = ("mp3 32", "opus 16")
    rows = [one for name in ours.conditions for one in analysis.compared(ours, name, groups)]
    grid = analysis.Settings.read(FOLDER, changes={"several": ["mp3 32", "opus 16"]})
    text = Page(FOLDER, grid=grid).text(
        "aims", found=Findings(rows), rows=list(ours.conditions), losing=["mp3 32", "opus 16"]
    )
    assert "recovers 80 % of the loss, with a lower end of 60 %: 70.0 [" in text
    assert "clean clips lose 1 point at most: -10.0 [" in text
    assert text.count("**no**") == 2
