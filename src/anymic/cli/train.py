"""``anymic train``: from a manifest to a model."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anymic.cli import options

if TYPE_CHECKING:
    from anymic.bundle import Bundle
    from anymic.training import TrainingConfig

DEFAULT_PRESET = "small"


def train(
    data: options.Clips,
    out: Annotated[Path, typer.Option(help="Folder for the model, its checkpoints and logs.")],
    preset: Annotated[
        str | None,
        typer.Option(
            help="Settings by name: small, scenes, kosmider2019, kosmider2019-small, nguyen2020, "
            "nguyen2020-small, peters2022, peters2022-small, xu2018, finetuning. [default: small]"
        ),
    ] = None,
    config: options.Config = None,
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
    resume: options.Resume = False,
    cache: options.TrainingCache = None,
    accelerator: options.Accelerator = None,
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
    members: Annotated[
        int | None,
        typer.Option(
            min=1, help="Train so many, with seeds from --seed on, each on its own random split."
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Members trained at a time. [default: one a GPU, else one a core]"
        ),
    ] = None,
    as_json: options.Outcome = False,
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

    With --members 36 it holds as many models, in members/00 and so on, for `anymic ensemble`. Each
    sets its own validation clips aside, by whole groups, from those of the splits train and
    validation. Members that are found finished are not trained again.

    Example: anymic train --data sounds/ --out run --set epochs=40 --seed 1
    """
    from anymic.cli.inputs import note_replaced, read_manifest, require_folders
    from anymic.training import fit

    require_folders(out, cache)
    note_replaced(out, resume=resume)
    settings = read_settings(preset, config, changes or [], seed)
    flags = {
        "accelerator": accelerator,
        "devices": int(devices) if devices and devices.isdecimal() else devices,
        "num_nodes": num_nodes,
        "strategy": strategy,
        "precision": precision,
    }
    chosen = {name: value for name, value in flags.items() if value is not None}
    _check_members(members, workers, flags)
    manifest = read_manifest(data)
    check_trainer(chosen)
    quiet = as_json or not sys.stderr.isatty()
    if members is not None:
        from anymic.training.members import fit_members

        places = fit_members(
            manifest,
            settings,
            out,
            members=members,
            workers=workers,
            progress=not quiet,
            cache=cache,
            trainer=chosen,
        )
        _show_members(places, out, data, as_json=as_json)
        return
    bundle = fit(
        manifest, settings, out, resume=resume, progress=not quiet, cache=cache, trainer=chosen
    )
    if bundle.training.get("rank", 0):
        return  # another process of this run says it
    _show(bundle, out, as_json=as_json)
    if bundle.training["failures"]:
        raise typer.Exit(1)


def read_settings(
    preset: str | None,
    config: Path | None,
    changes: list[str],
    seed: int | None,
    *,
    default: str = DEFAULT_PRESET,
) -> TrainingConfig:
    """Read the settings that --preset, --config, --set and --seed say together."""
    import yaml

    from anymic.errors import ConfigError
    from anymic.training import load_config

    if preset is not None and config is not None:
        raise ConfigError(
            f"both --preset {preset} and --config {config}",
            expected="one of them",
            fix="leave one out; --set changes single settings of either",
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
                f"--set {change}", expected="KEY=VALUE", fix="write e.g. --set epochs=50"
            )
    if seed is not None:
        values["seed"] = seed
    if config is not None and config.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"--config {config}", expected="a .yaml file", fix="check the name")
    source = preset or default if config is None else str(config)
    return load_config(source, changes=values)


def _check_members(members: int | None, workers: int | None, flags: dict[str, Any]) -> None:
    """Refuse flags that say something else about how work is divided than --members does."""
    from anymic.errors import ConfigError

    if members is None and workers is not None:
        raise ConfigError(
            f"--workers {workers} without --members", expected="both", fix="leave it out"
        )
    given = [name for name in ("devices", "num_nodes", "strategy") if flags[name] is not None]
    if members is not None and given:
        raise ConfigError(
            f"--{given[0].replace('_', '-')} {flags[given[0]]} with --members",
            expected="a device for each member",
            fix="say how many are trained at a time with --workers",
        )


def check_trainer(flags: dict[str, Any]) -> None:
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
    except (MisconfigurationException, ImportError, ValueError, TypeError, RuntimeError) as error:
        given = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in flags.items())
        raise ConfigError(
            f"{given}, which the trainer refuses ({error})",
            expected="what this machine has, as PyTorch Lightning names it",
            fix="leave the flags out to let it choose",
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


def _show_members(places: list[Path], out: Path, data: Path, *, as_json: bool) -> None:
    from anymic.bundle import Bundle

    bundles = [Bundle.load(place) for place in places]
    failed = {
        failure["path"]: failure["reason"]
        for bundle in bundles
        for failure in bundle.training["failures"]
    }
    for path, reason in failed.items():
        print(f"failed: {path}: {reason}", file=sys.stderr)
    if as_json:
        records = [
            {
                "model": str(place),
                **{key: one.training[key] for key in ("monitor", "best", "kept_epoch", "epochs")},
            }
            for place, one in zip(places, bundles, strict=True)
        ]
        print(json.dumps({"members": records, "failures": failed}, indent=2, allow_nan=False))
    else:
        for place, bundle in zip(places, bundles, strict=True):
            print(f"{place}{_measured(bundle.training)}")
        calibrated = all(bundle.fitted_on.get("validation") for bundle in bundles)
        how = f"calibrated --data {shlex.quote(str(data))}" if calibrated else "soft"
        print(f"next: anymic ensemble {out}/members/* --voting {how} --out {out}/ensemble")
    if failed:
        raise typer.Exit(1)


def _measured(record: dict[str, Any]) -> str:
    watched = str(record["monitor"]).replace("_", " ")
    if watched == "last epoch":  # which is kept whatever it is worth
        watched = "validation accuracy"
    return "" if record["best"] is None else f" ({watched} {record['best']:.3f})"
