"""`anymic robustness`, as a CI job calls it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from anymic.bundle import Bundle, Ensemble
from anymic.cli import main
from anymic.errors import ConfigError
from anymic.evaluation.robustness import Floor
from anymic.models import Network

RATE = 8000
Run = Callable[..., tuple[int, str, str]]

MODEL = """
import numpy as np

def loud(samples, rate_hz):
    up = float(np.abs(samples).max() > 0.1)
    return {"loud": up, "quiet": 1 - up}

def silly(samples, rate_hz):
    return {"loud": 2.0, "quiet": -1.0}
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs the verb beside eight clips, a device, a codec and a model."""
    monkeypatch.chdir(tmp_path)
    rows = []
    for number in range(8):
        label, gain = ("loud", 0.5) if number % 2 else ("quiet", 0.02)
        samples = gain * np.sin(np.arange(RATE) * (0.1 + 0.02 * number))
        soundfile.write(f"{number}.wav", samples.astype(np.float32), RATE, subtype="PCM_16")
        rows.append((f"{number}.wav", label, number // 4 + 1))
    pd.DataFrame(rows, columns=["path", "label", "fold"]).to_csv("clips.csv", index=False)
    (tmp_path / "far.yaml").write_text("devices: {far: {gain_db: -40}}\n")
    (tmp_path / "codecs.yaml").write_text("codecs: {wav: , mu-law: }\n")
    (tmp_path / "level_model.py").write_text(MODEL)

    def call(*arguments: object) -> tuple[int, str, str]:
        given = ["robustness", "--data", "clips.csv", "--out", "out", *map(str, arguments)]
        status = main(given)
        return (status, *capsys.readouterr())

    return call


LOUD = ("--model", "level_model:loud")
THROUGH = ("--devices", "far.yaml", "--codecs", "codecs.yaml")


def test_report_and_exit_status(run: Run) -> None:
    """Through "far" all is quiet: half is right, in 2 of 4 conditions."""
    status, out, err = run(*LOUD, *THROUGH)
    assert (status, err) == (0, "")
    assert "far, mu-law 64" in out
    assert "The worst is far" in out
    assert (Path("out") / "report.html").is_file()
    assert (Path("out") / "figures" / "heat_map.png").is_file()
    for floors, status in {
        ("worst=0.5", "clean=1", "mean=0.66"): 0,
        ("worst=0.51",): 1,
        ("mean=0.67",): 1,
        ("clean=1.0", "worst=0.2"): 0,
    }.items():
        asked = [part for floor in floors for part in ("--fail-under", floor)]
        found, _, err = run(*LOUD, *THROUGH, *asked)
        assert found == status
        assert (err.count("\n"), err[:7]) == ((1, "failed:") if status else (0, ""))
    found, _, err = run(*LOUD, *THROUGH, "--fail-under", "worst=0.6", "--fail-under", "mean=0.9")
    assert found == 1
    assert err == (
        "failed: accuracy of worst 50.0 % (far), expected 60 %; "
        "mean 66.7 % (of 3 conditions), expected 90 %\n"
    )


def test_json_folds_and_drawn_clips(run: Run) -> None:
    status, out, _ = run(*LOUD, *THROUGH, "--fold", 1, "--clips", 2, "--json", "--workers", 1)
    assert status == 0
    rows = json.loads(out)["rows"]
    assert {row["n"] for row in rows if "label" not in row["condition"]} == {2}
    assert {row["condition"].get("codec") for row in rows} == {"wav", "mu-law", None}


def test_a_bundle(run: Run, bundle_folder: Path) -> None:
    table = pd.read_csv("clips.csv").assign(label=["dog", "rain"] * 4)
    table.to_csv("clips.csv", index=False)
    status, out, err = run(bundle_folder, "--codecs", "codecs.yaml", "--clips", 4)
    assert (status, err) == (0, "")
    assert "mu-law 64" in out


def test_the_page_is_made_by_the_command_that_it_shows(
    run: Run, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run again from the cache it is the same, but for the date."""
    table = pd.read_csv("clips.csv").assign(label=["dog", "rain"] * 4)
    table.to_csv("clips.csv", index=False)
    given = [
        bundle_folder,
        *THROUGH,
        "--page",
        "pages",
        "--cache",
        "kept",
        "--about",
        "For *test*.",
    ]
    command = ["robustness", "--data", "clips.csv", "--out", "out", *map(str, given)]
    monkeypatch.setattr("sys.argv", ["anymic", *command])
    assert run(*given)[0] == 0
    name = f"robustness_{bundle_folder.name}"
    text = (Path("pages") / f"{name}.md").read_text()
    assert shlex.join(["anymic", *command]) in text
    assert "For *test*." in text
    assert f"]({name}.png)" in text
    assert (Path("pages") / f"{name}.png").stat().st_size > 1000
    (lines,) = re.findall(r"## Codecs alone\n\n(.*?)\n\n", text, re.DOTALL)
    assert [line.split(" | ")[0] for line in lines.splitlines()[2:]] == ["| clean", "| mu-law 64"]
    kept = sorted(Path("kept").rglob("*"))
    assert run(*given)[0] == 0
    again = (Path("pages") / f"{name}.md").read_text()
    assert again.splitlines()[:-1] == text.splitlines()[:-1]
    assert sorted(Path("kept").rglob("*")) == kept


def test_pages_of_ensembles_tuned_models_and_functions(
    run: Run, small_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ensemble says which of its members were fine-tuned; a function, that it gets no name."""
    monkeypatch.setattr("sys.argv", ["anymic", "robustness"])
    network = small_bundle.network
    assert isinstance(network, Network)
    names = [segment.name for segment in network.segments()]
    record = {"segments": names, "from_scratch": False}
    tuned = replace(small_bundle, training={"finetuned": record})
    voting = Ensemble((small_bundle, tuned))
    part = replace(small_bundle, training={"finetuned": {**record, "segments": names[:1]}})
    for page, model, words in (
        ("both", voting, f"Fine-tuned (1 of the 2): all of its {len(names)} segments."),
        ("part", part, f"Fine-tuned: segments {names[0]}."),
    ):
        model.save(tmp_path / page)
        table = pd.read_csv("clips.csv").assign(label=["dog", "rain"] * 4)
        table.to_csv("sounds.csv", index=False)
        given = (page, *THROUGH, "--data", "sounds.csv", "--page", "pages")
        assert run(*given)[0] == 0
        assert words in Path(f"pages/robustness_{page}.md").read_text()
    assert "2 networks, `basic1`: " in Path("pages/robustness_both.md").read_text()
    assert "before any virtual microphone" in Path("pages/robustness_both.md").read_text()
    assert run(*LOUD, "--codecs", "codecs.yaml", "--page", "pages")[0] == 0
    text = Path("pages/robustness_level_model_loud.md").read_text()
    assert text.startswith("# Accuracy of level_model:loud by microphone and codec\n")
    assert "not told the microphone" in text
    assert "before any virtual microphone" not in text
    assert Path("pages/robustness_level_model_loud.png").is_file()


@pytest.mark.parametrize("option", ["--out", "--cache", "--page"])
def test_a_file_in_place_of_a_folder_is_refused_first(run: Run, option: str) -> None:
    status, _, err = run(*LOUD, *THROUGH, option, "clips.csv")
    assert (status, err) == (
        2,
        "error: The path clips.csv is a file. Expected a folder. Choose another path.\n",
    )


def test_a_failed_file_is_listed(run: Run) -> None:
    Path("3.wav").write_bytes(b"not audio")
    status, _, err = run(*LOUD, *THROUGH)
    assert status == 1
    assert re.fullmatch(r"failed: \S*3\.wav: .*\n", err)


@pytest.mark.parametrize(
    "text",
    ["worst", "worst=", "worst=60", "worst=-0.1", "worst=nan", "best=0.5", "=0.5", "worst=0.5=0.6"],
)
def test_a_wrong_floor_is_refused(run: Run, text: str) -> None:
    with pytest.raises(ConfigError, match=r"worst=0\.60"):
        Floor.read(text)
    status, _, err = run(*LOUD, *THROUGH, "--fail-under", text)
    assert status == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*THROUGH,), "Neither a MODEL nor --model"),
        (("somewhere", *LOUD, *THROUGH), "A MODEL is given with --model"),
        (("somewhere", "--labels", "a,b", *THROUGH), "A MODEL is given with --model"),
        (("somewhere", *THROUGH), "somewhere"),
        (("level_model:silly", *THROUGH), "with --model level_model:silly"),
        (("model.onnx", *THROUGH), r"with --model model\.onnx"),
        (("--model", "level_model", *THROUGH), "is not a classifier"),
        (("--model", "level_model:silly", *THROUGH), "values from -1 to 2 for .*0.wav"),
        (LOUD, "no device and no codec"),
        ((*LOUD, *THROUGH, "--about", "words"), "--about is given without --page"),
        ((*LOUD, "--codecs", "far.yaml"), "unknown key 'devices'"),
        ((*LOUD, "--devices", "codecs.yaml"), "devices"),
        ((*LOUD, *THROUGH, "--fold", "9"), "empty|no clip"),
        ((*LOUD, *THROUGH, "--split", "test"), "split"),
    ],
)
def test_refusals_are_one_line(run: Run, arguments: tuple[str, ...], message: str) -> None:
    status, _, err = run(*arguments)
    assert status == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert re.search(message, err)
