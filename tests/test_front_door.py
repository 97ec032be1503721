"""The functions of `anymic` give what the verbs of the command line give."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

import anymic
from anymic.bundle import Bundle
from anymic.cli import main
from anymic.data.reading import as_manifest
from anymic.errors import ConfigError, ManifestError

RATE = 8000


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Eight takes by A and B, of three labels; the manifest of them."""
    generator = np.random.default_rng(3)
    rows = []
    for take in range(8):
        sound = generator.normal(0, 0.05, RATE)
        for device, samples in (("A", sound), ("B", np.convolve(sound, [0.6, 0.3], mode="same"))):
            name = f"{device}{take}.wav"
            soundfile.write(tmp_path / name, samples, RATE, subtype="FLOAT")
            rows.append((name, ("dog", "rain", "siren")[take % 3], device, f"t{take}"))
    table = pd.DataFrame(rows, columns=["path", "label", "device", "take"])
    table.to_csv(tmp_path / "clips.csv", index=False)
    return tmp_path / "clips.csv"


@pytest.fixture
def model(small_bundle: Bundle, clips: Path, tmp_path: Path) -> Path:
    seen = as_manifest(clips).clip_ids()[:5]
    return replace(small_bundle, fitted_on={"weights": tuple(seen)}).save(tmp_path / "model")


def test_evaluate_is_the_verb(
    model: Path, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    pd.concat(
        [pd.read_csv(clips), pd.DataFrame([{"path": "broken.wav", "label": "dog", "device": "A"}])]
    ).to_csv(clips, index=False)
    command = ["evaluate", str(model), "--data", str(clips), "--out", str(tmp_path / "report")]
    assert main([*command, "--json"]) == 1
    out, err = capsys.readouterr()
    found = anymic.evaluate(model, clips)
    assert json.loads(out)["rows"] == [vars(row) for row in found.rows]
    assert [one["reason"] for one in json.loads(out)["failures"]] == [found.failures[0].reason]
    assert "fitted on 5 of these 17 clips (weights)" in found.warning
    assert f"note: {found.warning}" in err
    assert found.probabilities.shape == (16, 3)
    assert (found.clips.table["path"] != "broken.wav").all()
    accuracy = (found.probabilities.argmax(axis=1) == found.targets).mean()
    assert found.rows[0].value == pytest.approx(accuracy)
    paths = found.write(tmp_path / "written", command="python")
    by_verb = json.loads((tmp_path / "report" / "report.json").read_text())
    by_python = json.loads(paths["json"].read_text())
    differ = {key for key in by_verb if by_verb[key] != by_python[key]}
    assert differ <= {"command", "created"}
    assert by_python["warning"] == found.warning


def test_evaluate_accepts_every_kind_of_model_and_table(model: Path, clips: Path) -> None:
    table = pd.read_csv(clips, dtype=str)
    table["path"] = [str(clips.parent / path) for path in table["path"]]
    bundle = Bundle.load(model)
    wanted = anymic.evaluate(model, clips).rows
    for one in (bundle, anymic.Predictor(bundle), anymic.load(model)):
        for data in (anymic.Manifest.read(clips), table, str(clips)):
            assert anymic.evaluate(one, data).rows == wanted


def test_evaluate_refuses(model: Path, clips: Path) -> None:
    with pytest.raises(ManifestError, match="No clip has the split 'test'"):
        anymic.evaluate(model, as_manifest(clips).with_columns(split="train"))
    with pytest.raises(ConfigError, match="min_confidence"):
        anymic.evaluate(model, clips, min_confidence=2.0)
    with pytest.raises(ConfigError, match="MAP@9"):
        anymic.evaluate(model, clips, map_at=9)
    with pytest.raises(ManifestError, match="The clips are a list"):
        anymic.evaluate(model, ["a.wav"])  # type: ignore[arg-type]


def test_robustness_is_the_verb(
    model: Path, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "codecs.yaml").write_text("codecs: {mu-law: [64]}\n")
    codecs = str(tmp_path / "codecs.yaml")
    command = ["robustness", str(model), "--data", str(clips), "--codecs", codecs, "--clips", "6"]
    assert main([*command, "--out", str(tmp_path / "report"), "--json"]) == 0
    out, err = capsys.readouterr()
    found = anymic.robustness(model, clips, codecs=codecs, clips=6)
    assert json.loads(out)["rows"] == [vars(row) for row in found.rows]
    assert found.warning
    assert f"note: {found.warning}" in err
    assert found.probabilities.shape == (2, 6, 3)
    paths = found.write(tmp_path / "written")
    assert paths["html"].stat().st_size > 1000


def test_calibrate_and_profile_are_the_verbs(model: Path, clips: Path, tmp_path: Path) -> None:
    fresh = replace(Bundle.load(model), fitted_on={}).save(tmp_path / "fresh")
    found = anymic.calibrate(fresh, clips, split="all")
    assert found.model.calibration is not None
    assert main(["calibrate", str(fresh), "--data", str(clips), "--split", "all"]) == 0
    by_verb, by_python = anymic.load(fresh), anymic.Predictor(found.model)
    first = clips.parent / "A1.wav"
    assert by_verb.predict(first) == by_python.predict(first)
    sizes = ["--fft", "256", "--hop", "128", "--out", str(tmp_path / "profile.json")]
    assert main(["devices", "profile", str(clips), "--reference", "A", *sizes]) == 0
    saved = anymic.DeviceProfile.read(tmp_path / "profile.json")
    gains = anymic.profile(clips, reference="A", fft_size=256, hop_samples=128)
    learned = anymic.SpectrumCorrection(reference="A", fft_size=256, hop_samples=128)
    learned.fit(anymic.Manifest.read(clips))
    np.testing.assert_array_equal(gains.gains_for("B"), learned.profile_.gains_for("B"))
    np.testing.assert_allclose(gains.gains_for("B"), saved.gains_for("B"), rtol=1e-6)


def test_identify_names_each_file_or_says_why_not(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    identifier = anymic.DeviceIdentifier().fit(anymic.Manifest.read(clips))
    place = identifier.save(tmp_path / "identifier")
    found = dict(anymic.identify(place, [clips.parent / "A1.wav", clips.parent / "none.wav"]))
    first = found[str(clips.parent / "A1.wav")]
    assert not isinstance(first, anymic.Failure)
    assert first.nearest in ("A", "B")
    assert isinstance(found[str(clips.parent / "none.wav")], anymic.Failure)
    capsys.readouterr()
    command = ["devices", "identify", str(clips.parent / "A1.wav"), "--identifier", str(place)]
    assert main([*command, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    stated = {key: value for key, value in vars(first).items() if key != "shares"}
    assert row == {"path": str(clips.parent / "A1.wav"), **stated}


def test_names_are_imported_when_they_are_used() -> None:
    script = (
        "import sys, anymic\n"
        "assert not {'torch', 'numpy', 'pandas', 'sklearn'} & set(sys.modules)\n"
        "assert set(anymic.__all__) <= set(dir(anymic))\n"
        "for name in anymic.__all__: getattr(anymic, name)\n"
        "assert anymic.train.__module__.startswith('anymic.training')\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    with pytest.raises(AttributeError, match="no attribute 'fit'"):
        anymic.fit  # noqa: B018


def test_what_reads_and_encodes_alone_begins_without_torch(clips: Path, tmp_path: Path) -> None:
    """Importing it takes most of the time of a short command."""
    commands = [
        ["data", "prepare", "csv", "--root", str(clips), "--out", "checked.csv"],
        ["data", "encode", "checked.csv", "--codecs", "opus 16", "--out", "encoded"],
    ]
    script = (
        "import sys\n"
        "from anymic.cli import main\n"
        f"assert [main(command) for command in {commands}] == [0, 0]\n"
        "assert not {'torch', 'sklearn'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path)
