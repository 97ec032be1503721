"""What the core can do without the packages of any extra, and what it says when one is missing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import numpy as np
import pytest
import soundfile

from anymic._internal.optional import extra
from anymic.errors import DependencyError

GOLDEN = Path(__file__).parent / "golden"

# Distributions, and the modules that they are imported as where the names differ.
MODULES = {"pytorch-lightning": "pytorch_lightning"}

WITHOUT = """
import sys
from importlib.machinery import PathFinder

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            return None
        return super().find_spec(name, path, target)

    @classmethod
    def find_distributions(cls, context):
        if (context.name or "").replace("-", "_") in {blocked!r}:
            return []
        return super().find_distributions(context)

sys.meta_path = [Without if one is PathFinder else one for one in sys.meta_path]
from anymic.cli import main
sys.exit(main({arguments!r}))
"""


def _extras() -> dict[str, list[str]]:
    """Return the packages of each extra, as the installed anymic states them."""
    found: dict[str, list[str]] = {}
    for line in requires("anymic") or ():
        if named := re.search(r"extra == ['\"](\w+)['\"]", line):
            package = re.match(r"[\w-]+", line)
            assert package is not None
            found.setdefault(named[1], []).append(package[0].lower())
    return found


def _blocked() -> list[str]:
    names = {one for name, ones in _extras().items() if name != "dev" for one in ones}
    return ["lightning_fabric", *sorted(MODULES.get(one, one) for one in names - {"anymic"})]


def without_extras(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process where no package of an extra can be imported."""
    code = WITHOUT.format(blocked=_blocked(), arguments=list(arguments))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_the_core_predicts() -> None:
    clip, model = str(GOLDEN / "clip.flac"), str(GOLDEN / "basic1")
    done = without_extras("predict", clip, "--model", model, "--device", "B", "--json")
    assert done.returncode == 0, done.stderr
    answers = json.loads((GOLDEN / "answers.json").read_text("utf-8"))
    assert answers  # the golden answers themselves are compared in test_golden
    assert json.loads(done.stdout)


@pytest.mark.parametrize("model", ["fcnn", "ensemble", "tagger"])
def test_the_core_predicts_with_every_kind_of_model(model: str) -> None:
    done = without_extras("predict", str(GOLDEN / "clip.flac"), "--model", str(GOLDEN / model))
    assert done.returncode == 0, done.stderr


def _labelled(folder: Path) -> Path:
    """Write a manifest of short noises, 4 of each label of the golden model."""
    generator, rows = np.random.default_rng(0), ["path,label,device"]
    for number in range(12):
        name, label = f"{number}.wav", ("bus", "park", "street_traffic")[number % 3]
        soundfile.write(folder / name, generator.normal(0.0, 0.05, 16000), 16000)
        rows.append(f"{name},{label},B")
    path = folder / "manifest.csv"
    path.write_text("\n".join(rows))
    return path


def test_the_core_calibrates_and_a_report_names_its_extra(tmp_path: Path) -> None:
    data, out = str(_labelled(tmp_path)), str(tmp_path / "calibrated")
    arguments = [str(GOLDEN / "basic1"), "--data", data, "--split", "all", "--method", "isotonic"]
    done = without_extras("calibrate", *arguments, "--out", out)
    assert done.returncode == 0, done.stderr
    done = without_extras("evaluate", out, "--data", data)
    assert done.returncode == 2, done.stderr
    assert "pip install 'anymic[report]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_core_builds_an_ensemble(tmp_path: Path) -> None:
    members = [str(place) for place in sorted((GOLDEN / "ensemble" / "members").iterdir())]
    done = without_extras("ensemble", *members, "--out", str(tmp_path / "ensemble"))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("verb", ["train", "finetune"])
def test_training_without_its_packages_is_one_line(verb: str, tmp_path: Path) -> None:
    data, out = str(_labelled(tmp_path)), str(tmp_path / "run")
    model = [str(GOLDEN / "basic1")] if verb == "finetune" else []
    done = without_extras(verb, *model, "--data", data, "--out", out)
    assert done.returncode == 2, done.stderr
    (error,) = (line for line in done.stderr.splitlines() if not line.startswith("note: "))
    assert "pip install 'anymic[train]'" in error
    assert not Path(out).exists()


def test_a_missing_package_is_one_line_with_the_extra(tmp_path: Path) -> None:
    done = without_extras("demo", "--quick", "--out", str(tmp_path / "demo"))
    assert done.returncode == 2
    assert not (tmp_path / "demo" / "scenes").exists()  # nothing is made in vain
    assert "pip install 'anymic[train]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_extra_is_named() -> None:
    with pytest.raises(DependencyError, match=r"pip install 'anymic\[report\]'"), extra("report"):
        import a_package_that_is_not_there  # type: ignore[import-not-found]  # noqa: F401


def test_a_module_of_our_own_that_is_missing_is_no_missing_package() -> None:
    with pytest.raises(ModuleNotFoundError), extra("report"):
        import anymic.a_module_that_is_not_there  # type: ignore[import-not-found]  # noqa: F401


def test_all_is_every_extra() -> None:
    """Pip resolves `anymic[all]` through the extras that it names."""
    (line,) = (one for one in requires("anymic") or () if re.search(r"extra == .all\b", one))
    named = re.match(r"anymic\[([\w,-]+)\]", line)
    assert named is not None
    assert set(named[1].split(",")) == set(_extras()) - {
        "all",
        "dev",
        "docs",
        "parquet",
        "ray",
    }  # pyarrow changes how pandas keeps text


def test_a_url_without_fsspec_is_a_failed_row() -> None:
    """The extra is named for the URL, and the other file has its answer."""
    places = ["https://localhost/a.wav", str(GOLDEN / "clip.flac")]
    done = without_extras(
        "predict", *places, "--model", str(GOLDEN / "basic1"), "--device", "B", "--json"
    )
    assert done.returncode == 1, done.stderr
    failed, answered = json.loads(done.stdout)
    assert "pip install 'anymic[remote]'" in failed["failed"]
    assert answered["label"]
