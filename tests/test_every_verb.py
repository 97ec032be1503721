"""Every verb that reads many files gives the results of the good ones, and names the others."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from tests.odd_files import writing, wrong

from anymic.cli import main

RATE_HZ = 8000
TINY = [
    *("--set", "network=basic1", "--set", "width=0.25", "--set", "epochs=1"),
    *("--set", "frontend.rate_hz=8000", "--set", "frontend.fft_size=256"),
    *(
        "--set",
        "frontend.hop_samples=128",
        "--set",
        "frontend.bands=32",
        "--set",
        "clip_s=1.0",
        "--set",
        "batch_size=4",
    ),
    *("--set", "precision=float32", "--set", "mixup=null"),
]
TAKES = 9


def odd_bytes() -> dict[str, bytes]:
    """Return the files that cannot be used: one of each kind."""
    bombs = wrong.bombs()
    return {
        **wrong.undecodable(),
        **{name: bombs[name][0]() for name in ("1_hz.wav", "0_hz.wav", "two_billion.flac")},
        "empty.wav": b"",
        "enormous.wav": writing.sound_file("WAV", "FLOAT", 2e38 * writing.noise()),
        "text.mp3": b"This is no sound.",
        "caf\udce9.wav": b"no sound, and a name that is not UTF-8",
        "\x1b[31mred.wav": b"no sound, and a name that colors the terminal",
    }


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of a folder for each label, with takes of devices A and B, and odd files."""
    folder = tmp_path_factory.mktemp("corpus")
    rows = []
    generator = np.random.default_rng(1)
    for label in ("hum", "hiss"):
        (folder / "sounds" / label).mkdir(parents=True)
        for take in range(TAKES):
            time_s = np.arange(RATE_HZ) / RATE_HZ
            sound = 0.1 * generator.standard_normal(RATE_HZ)
            sound += (label == "hum") * np.sin(2 * np.pi * (200 + 20 * take) * time_s) / 2
            for device in "AB":
                own = np.convolve(sound, [1.0] if device == "A" else [0.6, 0.3])[:RATE_HZ]
                path = folder / "sounds" / label / f"{device}{take}.wav"
                soundfile.write(path, own / 4, RATE_HZ)
                split = ("train", "validation", "test")[min(take // 3, 2)]
                rows.append((path, label, device, f"{label}{take}", split, f"{label}{take}"))
    for number, (name, data) in enumerate(odd_bytes().items()):
        path = folder / "sounds" / "hum" / name
        path.write_bytes(data)
        split = ("train", "validation", "test")[number % 3]
        rows.append((path, "hum", "A", "", split, f"odd{number}"))
    columns = ["path", "label", "device", "take", "split", "group"]
    table = pd.DataFrame([(str(path), *rest) for path, *rest in rows], columns=columns)
    plain = table.drop(columns=["device", "take"])
    for name, each in (("clips.csv", table), ("plain.csv", plain)):
        (folder / name).write_bytes(os.fsencode(each.to_csv(index=False)))
    return folder


@pytest.fixture(scope="module")
def model(corpus: Path) -> Path:
    """Return a model that was trained on the good files; the verb lists the others."""
    command = ["train", "--data", str(corpus / "clips.csv"), "--out", str(corpus / "model")]
    assert main([*command, *TINY]) == 1
    return corpus / "model"


Printed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def printed(capsysbinary: pytest.CaptureFixture[bytes]) -> Printed:
    """Return what a verb prints; bytes of file names that are not UTF-8 stay as they are."""

    def run(*arguments: object) -> tuple[int, str, str]:
        status = main([str(one) for one in arguments])
        out, err = (one.decode(errors="surrogateescape") for one in capsysbinary.readouterr())
        return status, out, err

    return run


def check_failures(said: str, *, count: int | None = None) -> None:
    """Every odd file is named, on one line without control characters; no traceback."""
    assert "Traceback" not in said
    assert "\x1b[31m" not in said
    plain = [name for name in odd_bytes() if name.isascii() and name.isprintable()]
    missing = [name for name in plain if name not in said]
    assert len(missing) <= len(plain) - (count or len(plain))


def test_train_lists_the_files_that_it_could_not_use(model: Path) -> None:
    record = json.loads((model / "bundle.json").read_text())["training"]
    used = [number for number in range(len(odd_bytes())) if number % 3 < 2]  # train, validation
    assert len(record["failures"]) == len(used)


def test_predict(model: Path, corpus: Path, printed: Printed) -> None:
    status, rows, errors = printed("predict", corpus / "sounds", "--model", model)
    assert status == 1
    assert sum("\t" in line or "hum" in line for line in rows.splitlines()) >= 4 * TAKES
    check_failures(rows + errors)


def test_evaluate(model: Path, corpus: Path, printed: Printed) -> None:
    data = ["--data", corpus / "clips.csv", "--split", "all"]
    status, rows, errors = printed("evaluate", model, *data, "--out", corpus / "report")
    assert status == 1
    check_failures(rows + errors, count=1)
    report = json.loads((corpus / "report" / "report.json").read_text())
    assert report["clips"] == 4 * TAKES
    assert len(report["failures"]) == len(odd_bytes())
    assert "\x1b" not in (corpus / "report" / "report.html").read_text()


def test_robustness(model: Path, corpus: Path, printed: Printed) -> None:
    codecs = corpus / "codecs.yaml"
    codecs.write_text("codecs: {mu-law: }\n")
    command = ["robustness", model, "--data", corpus / "clips.csv", "--codecs", codecs]
    status, rows, errors = printed(*command, "--out", corpus / "robust", "--split", "all")
    assert status == 1
    check_failures(rows + errors, count=1)


def test_embed(model: Path, corpus: Path, printed: Printed) -> None:
    out = corpus / "features.npz"
    command = ["embed", "--data", corpus / "clips.csv", "--model", model, "--out", out]
    status, rows, errors = printed(*command)
    assert status == 1
    check_failures(rows + errors, count=1)
    with np.load(out) as found:
        assert len(found["features"]) == 4 * TAKES


def test_finetune(model: Path, corpus: Path, printed: Printed) -> None:
    command = ["finetune", model, "--data", corpus / "clips.csv", "--out", corpus / "tuned"]
    status, rows, errors = printed(*command, "--epochs", "1")
    assert status == 1
    check_failures(rows + errors, count=1)
    assert (corpus / "tuned" / "bundle.json").is_file()


@pytest.mark.parametrize(
    "verb",
    [
        ["data", "encode", "{table}", "--out", "{out}", "--codecs", "{codecs}"],
        ["data", "balance", "{table}", "--out", "{out}"],
        ["data", "simulate", "{plain}", "--out", "{out}", "--devices", "{devices}"],
        ["data", "cut", "{table}", "--out", "{out}.csv", "--length", "0.5", "--every", "0.5"],
    ],
    ids=lambda verb: verb[1],
)
def test_derived_corpora(verb: list[str], corpus: Path, printed: Printed) -> None:
    out = corpus / f"derived-{verb[1]}"
    devices = corpus / "devices.yaml"
    devices.write_text(
        "seed: 1\ndevices: {P: {noise_db: -60}}\n"
        "recorded: {train: {P: 1.0}, validation: {P: 1.0}, test: {P: 1.0}}\n"
    )
    (corpus / "codecs.yaml").write_text("codecs: {mu-law: }\n")
    places = {
        "table": corpus / "clips.csv",
        "plain": corpus / "plain.csv",
        "out": out,
        "devices": devices,
    }
    places["codecs"] = corpus / "codecs.yaml"
    status, rows, errors = printed(*(part.format(**places) for part in verb))
    assert status == 1, errors
    check_failures(rows + errors, count=1)
    table = pd.read_csv(f"{out}.csv" if verb[1] == "cut" else out / "manifest.csv")
    good = table["path"].str.contains(r"(?:^|/)[AB]\d", regex=True)
    assert good.sum() >= 4 * TAKES
    header_only = verb[1] == "cut"
    assert (good | (header_only & table["path"].str.contains("enormous"))).all()


def test_device_profile_and_identifier(corpus: Path, printed: Printed) -> None:
    out = corpus / "profile.json"
    status, rows, errors = printed("devices", "profile", corpus / "clips.csv", "--out", out)
    assert (status, out.is_file()) == (0, True)  # the odd files belong to no take
    status, rows, errors = printed(
        "devices", "fit", corpus / "clips.csv", "--out", corpus / "identifier"
    )
    assert status == 1
    check_failures(rows + errors, count=1)
    status, rows, errors = printed(
        "devices", "identify", corpus / "sounds", "--identifier", corpus / "identifier"
    )
    assert status == 1
    check_failures(rows + errors)
