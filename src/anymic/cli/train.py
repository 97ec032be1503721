"""``anymic train``: from a manifest to a model."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from anymic.bundle import Bundle
    from anymic.training import TrainingConfig

DEFAULT_PRESET = "small"


def train(
    data: Annotated[
        Path, typer.Option(help="A manifest (CSV), or a folder of one folder per label.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the model, its checkpoints and logs.")],
    preset: Annotated[
        str | None,
        typer.Option(help="Settings by name: small, kosmider2019, nguyen2020. [default: small]"),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings from a YAML file, in place of a preset.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a setting; may be repeated: --set epochs=50 --set frontend.bands=64",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of weights, split, order and augmentation.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out after an interruption.")
    ] = False,
    cache: Annotated[
        Path | None, typer.Option(help="Keep features here; runs may share it. [default: in --out]")
    ] = None,
    accelerator: Annotated[
        str | None, typer.Option(help="Lightning's: auto, cpu, gpu, ... [default: auto]")
    ] = None,
    devices: Annotated[
        str | None, typer.Option(help="Lightning's: how many, or which. [default: 1]")
    ] = None,
    num_nodes: Annotated[
        int | None, typer.Option(min=1, help="Lightning's: how many machines. [default: 1]")
    ] = None,
    strategy: Annotated[
        str | None, typer.Option(help="Lightning's: ddp, fsdp, ... [default: auto]")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="Lightning's: 32-true, bf16-mixed, ... [default: what is fastest here]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Train a classifier on labelled clips.

    What it writes is a model (a bundle) that `anymic predict` and `anymic evaluate` take.

    A manifest has the columns path and label, and where known device, group and split. Clips of
    the split train are trained on; those of validation pick the epoch that is kept, and where
    there is no such split, some groups are set aside for that. With --set correction.reference=[A]
    the devices' spectra are corrected towards those of A; that needs the column device, and take
    for clips that were recorded side by side.

    The folder holds the model (bundle.json, weights.safetensors), checkpoints/, and logs/ for
    TensorBoard. The exit status is 1 if some files could not be used; they are listed.

    Example: anymic train --data sounds/ --out run --set epochs=40 --seed 1
    """
    from anymic.cli.inputs import read_manifest
    from anymic.training import fit

    settings = _settings(preset, config, changes or [], seed)
    flags = {
        "accelerator": accelerator,
        "devices": int(devices) if devices and devices.isdecimal() else devices,
        "num_nodes": num_nodes,
        "strategy": strategy,
        "precision": precision,
    }
    chosen = {name: value for name, value in flags.items() if value is not None}
    manifest = read_manifest(data)
    _check_trainer(chosen)
    quiet = as_json or not sys.stderr.isatty()
    bundle = fit(
        manifest, settings, out, resume=resume, progress=not quiet, cache=cache, trainer=chosen
    )
    if bundle.training.get("rank", 0):
        return  # another process of this run says it
    _show(bundle, out, as_json=as_json)
    if bundle.training["failures"]:
        raise typer.Exit(1)


def _settings(
    preset: str | None, config: Path | None, changes: list[str], seed: int | None
) -> TrainingConfig:
    import yaml

    from anymic.errors import ConfigError
    from anymic.training import load_config

    if preset is not None and config is not None:
        raise ConfigError(
            f"both --preset {preset} and --config {config}",
            wanted="one of them",
            remedy="leave one out; --set changes single settings of either",
        )
    values: dict[str, Any] = {}
    for change in changes:
        key, separator, text = change.partition("=")
        try:
            values[key] = yaml.safe_load(text)
        except yaml.YAMLError:
            separator = ""
        if not separator or not key:
            raise ConfigError(
                f"--set {change}", wanted="KEY=VALUE", remedy="write e.g. --set epochs=50"
            )
    if seed is not None:
        values["seed"] = seed
    if config is not None and config.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"--config {config}", wanted="a .yaml file", remedy="check the name")
    source = preset or DEFAULT_PRESET if config is None else str(config)
    return load_config(source, changes=values)


def _check_trainer(flags: dict[str, Any]) -> None:
    """Refuse flags that Lightning refuses, before anything is computed."""
    if not flags:
        return
    import logging

    import pytorch_lightning as lightning
    from lightning_fabric.utilities.exceptions import MisconfigurationException

    from anymic.errors import ConfigError

    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    try:
        lightning.Trainer(**flags, logger=False, enable_checkpointing=False)
    except (MisconfigurationException, ValueError, TypeError, RuntimeError) as error:
        given = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in flags.items())
        raise ConfigError(
            f"{given}, which the trainer refuses ({error})",
            wanted="what this machine has, as PyTorch Lightning names it",
            remedy="leave the flags out to let it choose",
        ) from error


def _show(bundle: Bundle, out: Path, *, as_json: bool) -> None:
    record = bundle.training
    for failure in record["failures"]:
        print(f"failed: {failure['path']}: {failure['reason']}", file=sys.stderr)
    if as_json:
        outcome = {
            "model": str(out),
            "labels": list(bundle.labels),
            "devices": list(bundle.devices),
            **{key: value for key, value in record.items() if key not in ("settings", "rank")},
        }
        print(json.dumps(outcome, indent=2, allow_nan=False))
        return
    watched = str(record["monitor"]).replace("_", " ").replace("last epoch", "validation accuracy")
    measured = "" if record["best"] is None else f" ({watched} {record['best']:.3f})"
    print(
        f"{out}: {len(bundle.labels)} labels, {record['clips']} clips,"
        f" epoch {record['kept_epoch']} of {record['epochs']}{measured}"
    )
    print(f"next: anymic evaluate {out} --data MANIFEST, anymic predict FILES --model {out}")
