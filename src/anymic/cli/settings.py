"""Settings of a training from the command line: presets, files, and KEY=VALUE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anymic.errors import ConfigError

if TYPE_CHECKING:
    from anymic.training import TrainingConfig


def read_config(
    preset: str | None,
    file: Path | None,
    changes: Sequence[str] | None,
    seed: int | None,
    *,
    default: str,
    codecs: str | None = None,
) -> TrainingConfig:
    """Return the settings that --preset, --config, --set, --seed and --codecs give together."""
    from anymic.training import load_config

    values = with_codecs(read_changes(changes), codecs) | ({} if seed is None else {"seed": seed})
    return load_config(named_settings(preset, file) or default, changes=values)


def named_settings(preset: str | None, file: Path | None) -> str | None:
    """Return the name of the preset or the path of the file, if one is given."""
    if preset is not None and file is not None:
        raise ConfigError(
            f"both --preset {preset} and --config {file} are given",
            expected="one of them",
            fix="leave one out, and change single settings with --set",
        )
    if file is not None and file.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"--config is {file}", expected="a .yaml file", fix="check the name")
    return preset if file is None else str(file)


def read_changes(pairs: Sequence[str] | None) -> dict[str, Any]:
    """Return the settings that --set gives."""
    return _read_pairs("--set", pairs, example="epochs=50")


def with_codecs(changes: Mapping[str, Any], codecs: str | None) -> dict[str, Any]:
    """Return the settings of --set, after those that --codecs stands for.

    --set may change them: codecs.share=0.3.
    """
    from anymic.codecs.random_codec import Codecs

    if codecs is None:
        return dict(changes)
    if "codecs" in changes:
        raise ConfigError(
            f"both --codecs {codecs} and --set codecs are given",
            expected="one of them",
            fix="change single settings with --set, such as codecs.share=0.3",
        )
    return {"codecs": Codecs.from_text(codecs), **changes}


def read_trainer(pairs: Sequence[str] | None) -> dict[str, Any]:
    """Return the arguments of PyTorch Lightning's trainer that --trainer gives."""
    return _read_pairs("--trainer", pairs, example="devices=2")


def _read_pairs(option: str, pairs: Sequence[str] | None, *, example: str) -> dict[str, Any]:
    """Read KEY=VALUE, each value as YAML."""
    from anymic._internal.reading import parse_yaml, reason_of

    values: dict[str, Any] = {}
    for pair in pairs or ():
        key, separator, text = pair.partition("=")
        try:
            values[key] = parse_yaml(text)
        except Exception as error:
            raise ConfigError(
                f"{option} {key} is {text} ({reason_of(error)})",
                expected="a number, a text, a list or a mapping, as in YAML",
                fix=f"write {option} {example}, for example",
            ) from error
        if not separator or not key:
            raise ConfigError(
                f"{option} {pair} is not a setting",
                expected="KEY=VALUE",
                fix=f"write {option} {example}, for example",
            )
    return values
