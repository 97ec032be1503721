"""What the core can do without the packages of any extra, and what it says when one is missing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest

from anymic._internal.optional import extra
from anymic.errors import DependencyError

GOLDEN = Path(__file__).parent / "golden"

# Distributions, and the modules that they are imported as where the names differ.
MODULES = {"pytorch-lightning": "pytorch_lightning"}

WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
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


def test_a_missing_package_is_one_line_with_the_extra(tmp_path: Path) -> None:
    done = without_extras("demo", "--quick", "--out", str(tmp_path))
    assert done.returncode == 2
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
    assert set(named[1].split(",")) == set(_extras()) - {"all", "dev"}
