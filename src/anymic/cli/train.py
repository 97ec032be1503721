"""``anymic train``: train a classifier."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anymic.cli.inputs import note_replaced, require_both
from anymic.cli.printing import Outcome, failures_of
from anymic.cli.settings import read_config, read_trainer
from anymic.errors import ConfigError


def train(
    *,
    data: Path,
    out: Path,
    preset: str | None = None,
    config_file: Path | None = None,
    changes: list[str] | None = None,
    seed: int | None = None,
    resume: bool = False,
    cache: Path | None = None,
    trainer: list[str] | None = None,
    members: int | None = None,
    workers: int | None = None,
    as_json: bool = False,
) -> Outcome | None:
    """Train a classifier on labelled clips.

    The result is a model (a bundle) for `anymic predict` and `anymic evaluate`.

    A manifest has the columns path and label, and where known device, group and split. Clips of the
    split train are trained on; those of validation choose the epoch that is kept. Where there is no
    such split, some groups are set aside for it. With --set correction.reference=[A] the spectra of
    all devices are corrected towards those of A; this needs the column device, and take for clips
    that were recorded side by side.

    The folder holds the model (bundle.json, weights.safetensors), checkpoints/, and logs/ for
    TensorBoard. The exit status is 1 if some files could not be used; they are listed.

    With --members 36 it holds as many models, in members/00 and so on, for `anymic ensemble`. Each
    sets its own validation clips aside, by whole groups, from those of the splits train and
    validation. Members that are finished are not trained again.

    Example: anymic train --data sounds/ --out run --set epochs=40 --seed 1
    """
    from anymic.data.reading import as_manifest
    from anymic.training import fit

    note_replaced(out, resume=resume)
    config = read_config(preset, config_file, changes, seed)
    arguments = read_trainer(trainer)
    _check_members(members, workers, arguments)
    manifest = as_manifest(data)
    progress = not as_json
    if members is not None:
        from anymic.training.members import fit_members

        places = fit_members(
            manifest,
            config,
            out,
            members=members,
            workers=workers,
            progress=progress,
            cache=cache,
            trainer=arguments,
        )
        return _members_outcome(places, out, data)
    bundle = fit(
        manifest, config, out, resume=resume, progress=progress, cache=cache, trainer=arguments
    )
    if bundle.training.get("rank", 0):
        return None  # another process of this run prints it
    record = bundle.training
    plain = {
        "model": str(out),
        "labels": list(bundle.labels),
        "devices": list(bundle.devices),
        **{key: value for key, value in record.items() if key not in ("settings", "rank")},
    }
    lines = [
        f"{out}: {len(bundle.labels)} labels, {record['clips']} clips,"
        f" epoch {record['kept_epoch']} of {record['epochs']}{_measured(record)}",
        f"next: anymic evaluate {out} --data MANIFEST, anymic predict FILES --model {out}",
    ]
    return Outcome(plain, lines, failures_of(bundle))


def _check_members(members: int | None, workers: int | None, trainer: Mapping[str, Any]) -> None:
    """Refuse arguments that divide the work in another way than --members does."""
    require_both(f"--workers {workers}", workers, "--members", members)
    given = [name for name in ("devices", "num_nodes", "strategy") if name in trainer]
    if members is not None and given:
        raise ConfigError(
            f"--trainer {given[0]}={trainer[given[0]]} is given with --members",
            expected="one process for each member",
            fix="set the number of members trained at a time with --workers",
        )


def _members_outcome(places: list[Path], out: Path, data: Path) -> Outcome:
    from anymic.bundle import Bundle

    members = {str(place): Bundle.load(place) for place in places}
    failures = failures_of(*members.values())
    keys = ("monitor", "best", "kept_epoch", "epochs")
    plain = {
        "members": [
            {"model": place, **{key: one.training[key] for key in keys}}
            for place, one in members.items()
        ],
        "failures": {failure.path: failure.reason for failure in failures},
    }
    calibrated = all(bundle.fitted_on.get("validation") for bundle in members.values())
    how = f"calibrated --data {shlex.quote(str(data))}" if calibrated else "soft"
    lines = [
        *(f"{place}{_measured(one.training)}" for place, one in members.items()),
        f"next: anymic ensemble {out}/members/* --voting {how} --out {out}/ensemble",
    ]
    return Outcome(plain, lines, failures)


def _measured(record: dict[str, Any]) -> str:
    """Return the quantity that chose the epoch: validation accuracy if the last one was kept."""
    watched = record["monitor"].replace("_", " ").replace("last epoch", "validation accuracy")
    return "" if record["best"] is None else f" ({watched} {record['best']:.3f})"
