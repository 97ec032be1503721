"""What the core can do without the packages of any extra, and what it says when one is missing."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tests.prepared_program import fresh_program, program

from anymic._internal.optional import extra
from anymic.errors import DependencyError

GOLDEN = Path(__file__).parent / "golden"

# Distributions whose modules are named otherwise, dashes apart.
MODULES = {"lc3py": "lc3"}


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
    names = {one.replace("-", "_") for one in names - {"anymic"}}
    return sorted({"lightning_fabric", *names, *MODULES.values()})


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def core() -> Iterator[Path]:
    """Return the path of a program `anymic` that no package of an extra can be imported in."""
    with program(without=_blocked()) as found:
        yield found


@pytest.fixture
def without_extras(core: Path) -> Run:
    """Return a function that runs it."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([core, *arguments], capture_output=True, text=True, check=False)

    return run


MISSING = """
import importlib, sys
assert "torch" in sys.modules or importlib.import_module("torch")
for name in sys.argv[1:]:
    assert name not in sys.modules
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        continue
    sys.exit(f"{name} is there")
"""


@pytest.mark.parametrize("start", [program, fresh_program])
def test_no_package_of_an_extra_is_there(start: Any) -> None:
    with start(without=_blocked()) as found:
        command = [found.with_name("python"), "-c", MISSING, *_blocked()]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_core_predicts(without_extras: Run) -> None:
    clip, model = str(GOLDEN / "clip.flac"), str(GOLDEN / "basic1")
    done = without_extras("predict", clip, "--model", model, "--device", "B", "--json")
    assert done.returncode == 0, done.stderr
    answers = json.loads((GOLDEN / "answers.json").read_text("utf-8"))
    assert answers  # the golden answers themselves are compared in test_golden
    assert json.loads(done.stdout)


@pytest.mark.parametrize("model", ["fcnn", "ensemble", "tagger"])
def test_the_core_predicts_with_every_kind_of_model(without_extras: Run, model: str) -> None:
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


def test_the_core_calibrates_and_a_report_names_its_extra(
    without_extras: Run, tmp_path: Path
) -> None:
    data, out = str(_labelled(tmp_path)), str(tmp_path / "calibrated")
    arguments = [str(GOLDEN / "basic1"), "--data", data, "--split", "all", "--method", "isotonic"]
    done = without_extras("calibrate", *arguments, "--out", out)
    assert done.returncode == 0, done.stderr
    done = without_extras("evaluate", out, "--data", data)
    assert done.returncode == 2, done.stderr
    assert "pip install 'anymic[report]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_core_builds_an_ensemble(without_extras: Run, tmp_path: Path) -> None:
    members = [str(place) for place in sorted((GOLDEN / "ensemble" / "members").iterdir())]
    done = without_extras("ensemble", *members, "--out", str(tmp_path / "ensemble"))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("verb", ["train", "finetune"])
def test_training_without_its_packages_is_one_line(
    without_extras: Run, verb: str, tmp_path: Path
) -> None:
    data, out = str(_labelled(tmp_path)), str(tmp_path / "run")
    model = [str(GOLDEN / "basic1")] if verb == "finetune" else []
    done = without_extras(verb, *model, "--data", data, "--out", out)
    assert done.returncode == 2, done.stderr
    (error,) = (line for line in done.stderr.splitlines() if not line.startswith("note: "))
    assert "pip install 'anymic[train]'" in error
    assert not Path(out).exists()


def test_a_missing_package_is_one_line_with_the_extra(without_extras: Run, tmp_path: Path) -> None:
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


def test_a_url_without_fsspec_is_a_failed_row(without_extras: Run) -> None:
    """The extra is named for the URL, and the other file has its answer."""
    places = ["https://localhost/a.wav", str(GOLDEN / "clip.flac")]
    done = without_extras(
        "predict", *places, "--model", str(GOLDEN / "basic1"), "--device", "B", "--json"
    )
    assert done.returncode == 1, done.stderr
    failed, answered = json.loads(done.stdout)
    assert "pip install 'anymic[remote]'" in failed["failed"]
    assert answered["label"]
