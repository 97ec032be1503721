"""A corpus through codecs: the table, what is kept, what is made again, and what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from anymic import audio
from anymic.audio import Clip
from anymic.cli import app, main
from anymic.codecs import Codec, CodecSet, table
from anymic.codecs.coded_corpus import encode
from anymic.data.manifest import Manifest
from anymic.data.splits import check_splits, split_groups
from anymic.errors import DependencyError, ManifestError

CODECS = CodecSet.from_mapping({"codecs": {"wav": None, "mp3": [32, 64], "g722": None}})


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Return a manifest of four clips, two of them with one file name."""
    generator = np.random.default_rng(0)
    rows = ["path,label,split"]
    for name, split in (("a/x", "train"), ("b/x", "train"), ("b/y", "test"), ("b/z", "test")):
        file = tmp_path / f"{name}.wav"
        file.parent.mkdir(exist_ok=True)
        samples = 0.1 * generator.standard_normal(8000).astype(np.float32)
        audio.write(file, Clip(samples, 16000))
        rows.append(f"{name}.wav,{file.stem},{split}")
    csv = tmp_path / "corpus.csv"
    csv.write_text("\n".join(rows) + "\n")
    return csv


def test_each_clip_through_each_codec(corpus: Path, tmp_path: Path) -> None:
    manifest = Manifest.read(corpus)
    result = encode(manifest, CODECS, tmp_path / "coded", progress=False)
    assert (result.written, result.kept, result.failures) == (12, 0, ())
    found = Manifest.read(tmp_path / "coded" / "manifest.csv")
    assert found.digest() == result.manifest.digest()
    assert len(found) == 16
    assert found.table["codec"].tolist() == ["wav", "mp3", "mp3", "g722"] * 4
    assert np.isnan(found.where(codec="wav").table["kbps"]).all()
    assert [path.resolve() for path in found.where(codec="wav").paths()] == manifest.paths()
    for codec in CODECS:
        rows = found.where(codec=codec.name)
        rows = rows if codec.kbps is None else rows.where(kbps=codec.kbps)
        assert rows.table["split"].tolist() == manifest.table["split"].tolist()
        for path, original in zip(rows.paths(), manifest.paths(), strict=True):
            expected = codec.apply(audio.read(original)).clip.samples
            decoded = audio.read(path)
            assert decoded.rate_hz == 16000
            np.testing.assert_allclose(decoded.samples, expected, atol=2**-22)


def test_existing_files_are_not_made_again(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "coded"
    first = encode(Manifest.read(corpus), CODECS, out, progress=False)
    table = (out / "manifest.csv").read_bytes()
    mp3, g722 = out / "audio" / "mp3-32" / "y.flac", out / "audio" / "g722-64" / "y.flac"
    mp3.write_bytes(mp3.read_bytes()[:-7])  # cut short
    g722.unlink()
    source = tmp_path / "b" / "z.wav"
    audio.write(source, Clip(audio.read(source).samples[::-1].copy(), 16000))  # another sound
    os.utime(source, (1, 1))
    again = encode(Manifest.read(corpus), CODECS, out, progress=False, workers=1)
    assert (again.written, again.kept) == (5, 7)
    assert first.written == 12
    lines = table.decode().splitlines()
    now = (out / "manifest.csv").read_text().splitlines()
    assert [line for line in now if "z." not in line] == [one for one in lines if "z." not in one]


def test_folds_become_tables_to_train_on(corpus: Path, tmp_path: Path) -> None:
    manifest = Manifest.read(corpus)
    assert encode(manifest, CODECS, tmp_path / "split", progress=False).folds == {}
    table = manifest.table.drop(columns="split").assign(fold=[1, 1, 2, 2])
    folded = Manifest.from_table(table, manifest.root)
    result = encode(folded, CODECS, tmp_path / "coded", progress=False)
    assert result.folds == {fold: tmp_path / "coded" / f"fold{fold}.csv" for fold in (1, 2)}
    for fold, path in result.folds.items():
        found = Manifest.read(path)
        check_splits(found)
        assert [one.resolve() for one in found.paths()] == [
            one.resolve() for one in result.manifest.paths()
        ]
        wanted = ["test" if own == fold else "train" for own in found.table["fold"]]
        assert found.table["split"].tolist() == wanted


def test_versions_of_a_recording_stay_on_one_side(corpus: Path, tmp_path: Path) -> None:
    coded = encode(Manifest.read(corpus), CODECS, tmp_path / "coded", progress=False).manifest
    check_splits(coded)
    rest, part = split_groups(coded, share=0.5, seed=0)
    assert not set(rest.table["source"]) & set(part.table["source"])


def test_a_bad_clip_is_a_failure_and_the_rest_goes_on(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "b" / "y.wav").write_bytes(b"no sound")
    out = str(tmp_path / "coded")
    (tmp_path / "mine.yaml").write_text("codecs: {g722: , mu-law: }\n")
    codecs = str(tmp_path / "mine.yaml")
    assert main(["data", "encode", str(corpus), "--codecs", codecs, "--out", out, "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert len(said["failures"]) == 1
    assert "y.wav" in said["failures"][0]["path"]
    assert said["files_written"] == 6
    assert [one["codec"] for one in said["codecs"]] == ["g722", "mu-law"]


def test_corpora_that_cannot_be_encoded_are_refused(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = Manifest.read(corpus)
    with pytest.raises(ManifestError, match=r"here are coded clips already: 4 \(mp3\)"):
        encode(manifest.with_columns(codec="mp3"), CODECS, tmp_path / "coded", progress=False)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "manifest.csv").write_text("path,label\n")
    with pytest.raises(ManifestError, match="another folder"):
        encode(manifest, CODECS, foreign, progress=False)
    monkeypatch.setenv("PATH", "/nowhere")
    table.problem.cache_clear()
    try:
        codecs = CodecSet.from_mapping({"codecs": {"mp3": 32, "he-aac": 32}})
        with pytest.raises(DependencyError, match="Codec he-aac is not available"):
            encode(manifest, codecs, tmp_path / "new", progress=False)
    finally:
        table.problem.cache_clear()
    assert not (tmp_path / "new").exists()


def test_the_list_names_every_codec_and_what_it_offers() -> None:
    said = CliRunner().invoke(app, ["codec", "list", "--json"])
    rows = {row["codec"]: row for row in json.loads(said.stdout)}
    assert {"aac", "he-aac", "mp3", "opus", "sbc", "vorbis", "g722", "amr-nb", "mu-law"} < set(rows)
    for name, row in rows.items():
        assert row["available"] == Codec(name, kbps=(row["kbps"] or [None])[0]).available
        assert bool(row["reason"]) == bool(row["remedy"]) == (not row["available"])
    shown = CliRunner().invoke(app, ["codec", "list"], env={"COLUMNS": "80"}).stdout
    assert all(f" {name} " in shown for name in rows)  # none is broken at the end of a line
    piped = CliRunner().invoke(app, ["codec", "list"], env={"COLUMNS": None}).stdout.splitlines()
    for row in rows.values():  # and into a pipe each row is one line
        (line,) = [one for one in piped if f" {row['codec']} " in one.split(" │ ")[0] + " "]
        assert row["title"] in line


def test_one_recording_through_a_codec(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out, kept = tmp_path / "a" / "x.wav", tmp_path / "out.wav", tmp_path / "out.mp3"
    command = ["codec", "apply", str(source), "--codec", "mp3", "--kbps", "32", "--out", str(out)]
    assert main([*command, "--keep", str(kept), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    expected = Codec("mp3", kbps=32).apply(audio.read(source))
    assert np.array_equal(audio.read(out).samples, expected.clip.samples)
    assert said["bytes"] == kept.stat().st_size == len(expected.data)
    assert said["measured_kbps"] == pytest.approx(expected.kbps)
    assert audio.probe(kept).format == "mp3 mp3float"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--codec", "mp4", "--kbps", "32"], "Unknown codec 'mp4'"),
        (["--codec", "mp3", "--kbps", "33"], "mp3 does not support 33 kbps"),
        (["--codec", "mp3", "--kbps", "32", "--rate", "8000"], "mp3 32 does not support 8000 Hz"),
        (["--codec", "opus"], "opus has no default bitrate"),
    ],
)
def test_errors_are_one_line(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    source = str(tmp_path / "a" / "x.wav")
    assert main(["codec", "apply", source, *options, "--out", str(tmp_path / "out.wav")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert words in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "keep", "words"),
    [
        (["--codec", "mp3", "--kbps", "32"], "out.wav", "is both --keep and --out"),
        (["--codec", "mp3", "--kbps", "32"], "a/x.wav", "is both input and output"),
        (
            ["--codec", "mp3", "--kbps", "32"],
            "nowhere/x.mp3",
            "nowhere is missing. Expected an existing one",
        ),
        (["--codec", "wav"], "x.mp3", "--keep is given for the original"),
    ],
)
def test_an_unusable_kept_file_is_refused(
    corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    keep: str,
    words: str,
) -> None:
    """It is refused before anything is written, so no file is lost."""
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    source, out = str(tmp_path / "a" / "x.wav"), str(tmp_path / "out.wav")
    command = ["codec", "apply", source, *options, "--out", out, "--keep", str(tmp_path / keep)]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert words in said
    assert said.count("\n") == 1
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
