"""One of each kind from another package: the module of CONTRIBUTING.md, installed and used.

A second process, which never imports that module itself, finds all of it by name through the
public functions and the command line.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

PAGE = Path(__file__).resolve().parents[1] / "CONTRIBUTING.md"
pytestmark = pytest.mark.slow
HEADING = "## Add a codec, estimator, network, metric, corpus or verb"
RATE_HZ = 8000

PROGRAM = """
import contextlib, io, json, sys
from pathlib import Path
import numpy as np
import anymic
from anymic.cli import main
from anymic.codecs import Codec
from anymic.features import FrontendConfig

here, found = Path(sys.argv[1]), {}

def printed(*arguments):
    with contextlib.redirect_stdout(io.StringIO()) as text:
        main(arguments)
    return text.getvalue()

clip = anymic.Clip(np.linspace(-0.5, 0.5, 8000, dtype=np.float32), 8000)
coded = Codec("eight-bits").apply(clip)
found["codec"] = [coded.kbps, float(np.abs(coded.clip.samples - clip.samples).max())]

takes = anymic.Manifest.read(here / "takes.csv")
correction = anymic.SpectrumCorrection(estimator="median_of_ratios").fit(takes)
found["estimator"] = float(np.median(correction.profile_.gains_for("B")))

main(["data", "prepare", "tones", "--root", str(here / "tones"), "--out", str(here / "tones.csv")])
manifest = anymic.Manifest.read(here / "tones.csv")
found["corpus"] = manifest.labels

config = anymic.TrainingConfig(
    network="one_layer",
    frontend=FrontendConfig(rate_hz=8000, fft_size=256, hop_samples=128, bands=16),
    epochs=2, batch_size=8, mixup=None, precision="float32",
)
anymic.train(manifest, config, here / "model", progress=False)
found["network"] = anymic.load(here / "model").predict(manifest.paths()[0]).label

table, report = str(here / "tones.csv"), str(here / "report")
found["status"] = main(["evaluate", str(here / "model"), "--data", table, "--out", report])
found["verbs"], found["verb"] = printed("--help"), printed("greet", "Ada")
found["corpora"] = printed("data", "prepare")
found["codecs"] = json.loads(printed("codec", "list", "--json"))
(here / "found.json").write_text(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, anymic_program: Path) -> dict[str, Any]:
    """Install the page's module beside some clips, use all of it, and return what came out."""
    folder = tmp_path_factory.mktemp("extending")
    _install(folder)
    _write_clips(folder)
    (folder / "program.py").write_text(PROGRAM)
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [str(anymic_program.with_name("python")), "program.py", str(folder)],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results: dict[str, Any] = json.loads((folder / "found.json").read_text())
    rows = json.loads((folder / "report" / "report.json").read_text())["rows"]
    results["metric"] = [row for row in rows if row["metric"] == "top_two"]
    results["page"] = (folder / "report" / "report.html").read_text()
    return results


def test_a_codec(found: dict[str, Any]) -> None:
    kbps, error = found["codec"]
    assert kbps == pytest.approx(64, rel=0.01)
    assert error < 1 / 127
    assert "eight-bits" in [row["codec"] for row in found["codecs"]]


def test_an_estimator(found: dict[str, Any]) -> None:
    assert found["estimator"] == pytest.approx(2, rel=1e-3)  # B records at half the level


def test_a_corpus(found: dict[str, Any]) -> None:
    assert found["corpus"] == ["high", "low"]
    assert "WAV files named label-number.wav" in found["corpora"]


def test_a_network(found: dict[str, Any]) -> None:
    assert found["network"] in ("high", "low")


def test_a_metric(found: dict[str, Any]) -> None:
    assert found["status"] == 0
    (row,) = found["metric"]
    assert row["value"] == 1.0  # of two labels
    assert 0 < row["low"] < row["high"] <= 1.0
    assert "top 2" in found["page"]


def test_a_verb(found: dict[str, Any]) -> None:
    assert "Print a greeting" in found["verbs"]
    assert found["verb"] == "hello Ada\n"


def _blocks(kind: str) -> list[str]:
    text = PAGE.read_text(encoding="utf-8")
    section = text[text.index(HEADING) + len(HEADING) :].split("\n## ")[0]
    return re.findall(rf"```{kind}\n(.*?)```", section, flags=re.DOTALL)


def _install(folder: Path) -> None:
    """Write the page's module, and what pip writes for its entry points."""
    (folder / "my_package.py").write_text("\n\n".join(_blocks("python")))
    info = folder / "my_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (toml,) = _blocks("toml")
    points = re.sub(r'\[project\.entry-points\."(.*?)"\]', r"[\1]", toml).replace('"', "")
    (info / "entry_points.txt").write_text(points)


def _write_clips(folder: Path) -> None:
    """Write tones of two heights, and takes of noise that B records at half the level of A."""
    generator = np.random.default_rng(0)
    (folder / "tones").mkdir()
    seconds = np.arange(RATE_HZ // 2) / RATE_HZ
    for number in range(16):
        for label, hz in (("low", 300), ("high", 2000)):
            tone = 0.1 * np.sin(2 * np.pi * hz * seconds) + generator.normal(0, 0.01, len(seconds))
            soundfile.write(folder / "tones" / f"{label}-{number}.wav", tone, RATE_HZ)
    rows = []
    for take in range(6):
        noise = generator.normal(0, 0.05, RATE_HZ)
        for device, level in (("A", 1.0), ("B", 0.5)):
            name = f"{device}{take}.wav"
            soundfile.write(folder / name, level * noise, RATE_HZ, subtype="FLOAT")
            rows.append((name, "noise", device, f"t{take}"))
    table = pd.DataFrame(rows, columns=["path", "label", "device", "take"])
    table.to_csv(folder / "takes.csv", index=False)
