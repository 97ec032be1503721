"""How a paper is asked for: the part of its grid file that the command line is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from anymic._internal.settings import from_mapping, of_file, read_yaml, with_changes
from anymic.errors import ConfigError

GRID = "grid.yaml"
ROOT = Path(__file__).parent
Scale = Literal["paper", "small", "pretrained"]
Settings = TypeVar("Settings")
KINDS = ("table", "figure", "experiment")


@dataclass(frozen=True)
class Part:
    """One part of an experiment; what no option asks for belongs to every choice."""

    name: str
    table: int | None = None  # the number in the paper: `--table 2`, `--figure 2`
    figure: int | None = None
    experiment: str | None = None  # its letter in the paper: `--experiment A`
    flag: str | None = None  # its own flag: `--scalings`
    help: str = ""  # what the flag does

    @property
    def always(self) -> bool:
        """Whether it belongs to every choice of parts."""
        return not (self.flag or any(getattr(self, kind) for kind in KINDS))


@dataclass(frozen=True)
class Option:
    """An option of the command line."""

    help: str
    kind: Literal["path", "paths", "number", "text", "texts", "flag"] = "path"
    default: int | str | None = None
    required: bool = False
    scale: Scale | None = None  # that it implies


@dataclass(frozen=True)
class Command:
    """What the command line of a paper says."""

    about: str  # the text of `--help`
    # devices: manifests of several devices, one a fold, or multi-microphone ESC-10. clips: one
    # manifest. simulated: multi-microphone ESC-10
    corpus: Literal["devices", "clips", "simulated"]
    parts: tuple[Part, ...]
    # the help of each scale; empty where there is one alone
    scales: dict[Scale, str] = field(default_factory=dict)
    options: dict[str, Option] = field(default_factory=dict)  # that this paper alone has

    def numbered(self, kind: str) -> dict[str, str]:
        """Return the names of the parts that are a table, figure or experiment, by its number."""
        numbers = {part.name: getattr(part, kind) for part in self.parts}
        return {str(number): name for name, number in numbers.items() if number}

    def scale(self, given: Mapping[str, Any]) -> Scale:
        """Return the scale that the command line asks for, or that one of its options implies.

        Raises ConfigError if there is no such scale, or an option implies another.
        """
        scale: Scale = given.get("scale", "small")
        if scale not in (self.scales or ("small",)):
            raise ConfigError(f"--scale is {scale}", expected=" or ".join(self.scales))
        for name, option in self.options.items():
            if option.scale is None or given.get(name) is None:
                continue
            if scale not in ("small", option.scale):
                raise ConfigError(
                    f"--scale is {scale} with --{name}", expected=f"--scale {option.scale}"
                )
            scale = option.scale
        return scale

    def all_options(self) -> dict[str, Option]:
        """Return the options of the paper by name, in the order of `--help`."""
        shared = _shared_options()
        found = {**shared[self.corpus], **shared["before"]}
        if self.scales:
            text = " ".join(f"{name}: {about}" for name, about in self.scales.items())
            found["scale"] = Option(text, "text", "small")
        for kind in KINDS:
            if known := self.numbered(kind):
                text = f"Only this {kind}: {' or '.join(known)}; may be repeated."
                found[kind] = Option(text, "texts")
        found |= {part.flag: Option(part.help, "flag") for part in self.parts if part.flag}
        return {**found, **self.options, **shared["after"]}

    def chosen(self, asked: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the parts that options ask for, as in {"table": [3], "ensembles": True}.

        Raises ConfigError if there is no such table, figure or experiment.
        """
        names = [part.name for part in self.parts if part.flag and asked.get(part.flag)]
        for kind in KINDS:
            known = self.numbered(kind)
            for value in asked.get(kind) or ():
                if str(value).upper() not in known:
                    raise ConfigError(
                        f"--{kind} is {value}",
                        expected=" or ".join(f"--{kind} {name}" for name in known),
                    )
                names.append(known[str(value).upper()])
        return tuple(part.name for part in self.parts if part.name in names)


@cache
def _shared_options() -> dict[str, dict[str, Option]]:
    """Return the options that several papers have, by where they stand in `--help`."""
    return {
        place: {name: Option(**about) for name, about in options.items()}
        for place, options in read_yaml(ROOT / "options.yaml").items()
    }


def papers() -> dict[str, Path]:
    """Return the folder of every paper by the name of its command."""
    found = sorted(path.parent for path in ROOT.glob(f"*/{GRID}"))
    return {folder.name.replace("_", "-"): folder for folder in found}


def read_settings(
    kind: type[Settings], folder: Path, *, key: str = "", changes: Mapping[str, Any] | None = None
) -> Settings:
    """Read the grid file of a paper, or what it has under one key, with some settings changed.

    Raises ConfigError in one line, with the file and the key or the line that is wrong; without
    the file where it is a change that is wrong.
    """
    stored = read_yaml(folder / GRID)

    def changed(changes: Mapping[str, Any]) -> Settings:
        values: Any = with_changes(stored, changes)
        return from_mapping(kind, values.get(key) if key else values, where=key)

    try:
        return changed(changes or {})
    except ConfigError:
        with of_file(folder / GRID):  # which it names where the file alone is wrong
            changed({})
        raise
