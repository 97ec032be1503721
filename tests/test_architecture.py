"""Imports go one way: every part of the package knows only the parts below it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import anymic

SOURCE = Path(anymic.__file__).parent

# From the ground up. A package imports only from the layers below its own, its neighbours excluded.
LAYERS = (
    {"_version"},
    {"errors"},
    {"_internal"},
    {"audio", "calibration", "metrics", "models"},
    {"data"},
    {"codecs", "devices", "features"},
    {"bundle"},
    {"importers", "inference"},
    {"evaluation", "exporters"},
    {"training", "serving", "sharing"},
    {"__init__", "cli"},
)

# What a package may import from elsewhere, where little is the point of it.
ARRAYS = {"__future__", "collections", "dataclasses", "math", "numpy", "scipy", "typing"}
ARRAYS |= {"anymic.errors"}
NETWORKS = ARRAYS | {"abc", "copy", "functools", "inspect", "itertools", "torch"}
NETWORKS |= {"anymic._internal.registry", "anymic._internal.process_state"}
NETWORKS |= {"anymic._internal.onnx_session", "anymic._internal.onnx_chain", "pathlib"}
CALIBRATORS = ARRAYS | {"sklearn", "anymic._internal.reading"}
ONLY = {"metrics": NETWORKS | {"sklearn"}, "models": NETWORKS, "calibration": CALIBRATORS}
# What one module does for all of the package, and who may therefore import these.
ONE_RULE = {
    "concurrent.futures": {"anymic._internal.threads", "anymic._internal.processes"},
    "multiprocessing": {
        "anymic._internal.copied_process",
        "anymic._internal.processes",
        "anymic._internal.workers",
        "anymic._internal.process_state",
    },
    "tempfile": {"anymic._internal.files"},
    "rich.progress": {"anymic._internal.progress", "anymic.data.download"},
}
MATHS = {"numpy", "scipy", "torch", "pandas", "sklearn", "librosa", "soundfile"}


@dataclass(frozen=True)
class Import:
    """One name imported somewhere in a file: at its top, in a function, or for types only."""

    module: str  # anymic.devices.correction.profile
    target: str  # anymic.errors, numpy.typing
    line: int

    @property
    def part(self) -> str:
        return _part(self.module)

    @property
    def target_part(self) -> str:
        return _part(self.target) if self.own else ""

    @property
    def own(self) -> bool:
        return self.top == "anymic"

    @property
    def top(self) -> str:
        return self.target.split(".")[0]

    def __str__(self) -> str:
        return f"{self.module}, line {self.line}, imports {self.target}"


def _part(module: str) -> str:
    """Return the entry at the top of the package; `python -m anymic` is the command line."""
    top = module.split(".")[1]
    return "cli" if top == "__main__" else top


def _module(file: Path) -> str:
    """Return the name of a module; a package is its __init__."""
    name = ".".join(("anymic", *file.relative_to(SOURCE).with_suffix("").parts))
    return name if name == "anymic.__init__" else name.removesuffix(".__init__")


MODULES = {_module(file): file for file in sorted(SOURCE.rglob("*.py"))}


def imports_of(module: str) -> Iterator[Import]:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield Import(module, _home(name.name), node.lineno)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}, line {node.lineno}: imports are absolute here"
            for name in node.names:
                yield Import(module, _home(f"{node.module}.{name.name}"), node.lineno)


def _home(name: str) -> str:
    """Return the module that a name comes from: anymic.audio for anymic.audio.Clip."""
    if name.split(".")[0] != "anymic":
        return name
    while name != "anymic" and name not in MODULES:
        name = name.rpartition(".")[0]
    return "anymic.__init__" if name == "anymic" else name


@cache
def imports() -> tuple[Import, ...]:
    return tuple(one for module in MODULES for one in imports_of(module))


def refuse(wrong: Iterable[Import]) -> None:
    lines = [str(one) for one in wrong]
    assert not lines, "\n".join(lines)


def test_every_part_has_its_place_in_one_layer() -> None:
    placed = [part for layer in LAYERS for part in layer]
    assert sorted(placed) == sorted({_part(module) for module in MODULES})


def test_imports_point_down() -> None:
    level = {part: number for number, layer in enumerate(LAYERS) for part in layer}
    across = (one for one in imports() if one.own and one.part != one.target_part)
    refuse(one for one in across if level[one.target_part] >= level[one.part])


def test_no_circle_among_modules() -> None:
    below = {module: set[str]() for module in MODULES}
    for one in imports():
        if one.own and one.target != one.module:
            below[one.module].add(one.target)
    while free := [module for module, targets in below.items() if not targets]:
        for module in free:
            del below[module]
        for targets in below.values():
            targets.difference_update(free)
    assert not below, f"in a circle, or above one: {', '.join(below)}"


def test_arrays_and_networks_know_nothing_of_files() -> None:
    across = (one for one in imports() if one.part in ONLY and one.part != one.target_part)
    refuse(one for one in across if not {one.target, one.top} & ONLY[one.part])


def test_pools_temporary_files_and_bars_have_one_home() -> None:
    for rule, homes in ONE_RULE.items():
        named = [one for one in imports() if f"{one.target}.".startswith(f"{rule}.")]
        refuse(one for one in named if one.module not in homes)


def test_features_never_reach_models() -> None:
    assert "models" not in _reached("features")
    assert "features" not in _reached("models")


def test_command_line_has_no_maths() -> None:
    refuse(one for one in imports() if one.part == "cli" and one.top in MATHS)


def test_a_forbidden_import_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader of imports finds those in functions, behind TYPE_CHECKING, and of the package."""
    file = tmp_path / "bad.py"
    file.write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from anymic.cli import main\n"
        "def late():\n    from anymic import training\n    import anymic.training.demo as w\n"
        "    from anymic import load\n"
    )
    monkeypatch.setitem(MODULES, "anymic.audio.bad", file)
    targets = {one.target for one in imports_of("anymic.audio.bad") if one.own}
    assert targets == {"anymic.cli", "anymic.training", "anymic.training.demo", "anymic.__init__"}


def _reached(part: str) -> set[str]:
    """Return a part and every one that it imports, directly or not."""
    reached = {part}
    while (
        more := {one.target_part for one in imports() if one.own and one.part in reached} - reached
    ):
        reached |= more
    return reached
