"""``anymic train``: train a classifier."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from anymic.cli.evaluate import as_mapping, evaluation_lines
from anymic.cli.inputs import note_replaced, require_both, require_choice
from anymic.cli.printing import Outcome, command_line, failures_of, note
from anymic.cli.settings import named_settings, read_changes, read_trainer, with_codecs
from anymic.errors import ConfigError, counted


def train(
    *,
    data: Path,
    out: Path,
    preset: str | None = None,
    config_file: Path | None = None,
    changes: list[str] | None = None,
    codecs: str | None = None,
    extractor: str | None = None,
    head: str | None = None,
    seed: int | None = None,
    resume: bool = False,
    cache: Path | None = None,
    trainer: list[str] | None = None,
    members: int | None = None,
    workers: int | None = None,
    test_share: float | None = None,
    folds: int | None = None,
    group_from: str | None = None,
    ray: str | None = None,
    as_json: bool = False,
) -> Outcome | None:
    """Train a classifier on labelled clips.

    The result is a model (a bundle) for `anymic predict` and `anymic evaluate`. Without settings, a
    head is trained on the embeddings of the pretrained extractor that is installed (anymic import
    yamnet), or, where there is none, a small network from random weights; a note names it. With
    --preset, --config or --set, a network is trained from random weights with these settings, but
    for --set of targets, validation_share, random_devices, codecs or seed, which heads have, too.

    A manifest has the columns path and label, and where known device, group and split. Clips of the
    split train are trained on; those of validation choose the epoch that is kept. Where there is no
    such split, some groups are set aside for it. With --set correction.reference=[A] the spectra of
    all devices are corrected towards those of A; this needs the column device, and take for clips
    that were recorded side by side.

    With `--codecs any` the clips are also trained on through codecs drawn from the whole table,
    with `--codecs voice-message` through this one, so that coded recordings are classified better.

    The folder holds the model (bundle.json, weights.safetensors), checkpoints/, and logs/ for
    TensorBoard. The exit status is 1 if some files could not be used; they are listed.

    With --members 36 it holds as many models, in members/00 and so on, for `anymic ensemble`. Each
    sets its own validation clips aside, by whole groups, from those of the splits train and
    validation. Members that are finished are not trained again.

    With --test-share 0.2 or --folds 5 the model is measured on clips that were set aside, by whole
    recordings, beside a baseline: mean and deviation of 20 MFCCs with logistic regression on the
    same clips. With --folds every clip is set aside once, and the model is trained on all. A
    manifest's own split test, or column fold, is followed. The report is in OUT/report.

    Example: anymic train --data sounds/ --out run --test-share 0.2 --group-from '^([^-]+)-'
    """
    from anymic.training.head_settings import heads
    from anymic.training.held_out import REPORT, HeldOut
    from anymic.training.run import RECORD
    from anymic.training.starting import PRESET, FitOptions, choose_start, several_labels

    note_replaced(out, resume=resume)
    arguments = read_trainer(trainer)
    settings = named_settings(preset, config_file)
    own = with_codecs(read_changes(changes), codecs)
    held_out = HeldOut(test_share, folds, group_from, several=several_labels(settings, own))
    _check_members(members, workers, arguments, held_out.wanted)
    # Members, a trainer's arguments and a run to resume are those of a network's training.
    if members is not None or arguments or (resume and (out / RECORD).is_file()):
        _refuse_head(extractor, head)
        settings = settings or PRESET
    if head is not None:
        require_choice("--head", head, heads())
    manifest = held_out.grouped(data)
    start = choose_start(manifest, settings, extractor=extractor, head=head, changes=own, seed=seed)
    options = FitOptions(
        resume=resume,
        progress=not as_json,
        cache=cache,
        trainer=arguments,
        ray=ray,
        on_start=None if as_json else partial(note, *start.notes),
    )
    if members is not None:
        from anymic.training.members import fit_members

        places = fit_members(
            manifest,
            start.config,
            out,
            members=members,
            workers=workers,
            progress=options.progress,
            cache=cache,
            trainer=arguments,
            ray=ray,
        )
        return _members_outcome(places, out, data)
    measured = start.fit(manifest, out, options, held_out=held_out)
    bundle = measured.bundle
    if bundle.training.get("rank", 0):
        return None  # another process of this run prints it
    record = bundle.training
    note(*(one for one in record.get("notes", ()) if one not in start.notes))
    plain = {
        "model": str(out),
        "labels": list(bundle.labels),
        "devices": list(bundle.devices),
        **{key: value for key, value in record.items() if key not in ("settings", "rank")},
    }
    lines: list[Any] = [
        f"{out}: {counted(len(bundle.labels), 'label')}, {counted(record['clips'], 'clip')},"
        f" {_trained(record)}",
        f"next: anymic evaluate {out} --data MANIFEST, anymic predict FILES --model {out}",
    ]
    failures = failures_of(bundle)
    if (found := measured.evaluation) is not None:
        paths = found.write(out / REPORT, command=command_line())
        note(found.warning)
        plain["report"] = as_mapping(found, paths)
        lines[1:1] = [f"measured on {measured.how}", *evaluation_lines(found, paths)]
        failures = list({one.path: one for one in (*failures, *found.failures)}.values())
    return Outcome(plain, lines, failures)


def _refuse_head(extractor: str | None, head: str | None) -> None:
    """Refuse an extractor or a head where a network is trained from random weights."""
    from anymic.training.starting import NONE

    if head is not None or extractor not in (None, NONE):
        raise ConfigError(
            "an extractor or a head is given with --members, --trainer or --resume",
            expected="a network that is trained from random weights",
            fix="leave one of them out",
        )


def _check_members(
    members: int | None, workers: int | None, trainer: Mapping[str, Any], held_out: bool
) -> None:
    """Refuse arguments that divide the work in another way than --members does."""
    if members is not None and held_out:
        raise ConfigError(
            f"--members {members} is given with --test-share or --folds",
            expected="one model to measure",
            fix="leave them out, and measure the ensemble with anymic evaluate",
        )
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


def _trained(record: Mapping[str, Any]) -> str:
    """Return how a network or a head was trained."""
    if (chosen := record.get("regularization")) is None:
        return f"epoch {record['kept_epoch']} of {record['epochs']}{_measured(record)}"
    return f"logistic regression with C = {chosen['C']:g}{_measured(record)}"


def _measured(record: Mapping[str, Any]) -> str:
    """Return the quantity that chose the epoch: validation accuracy if the last one was kept."""
    watched = record["monitor"].replace("_", " ").replace("last epoch", "validation accuracy")
    return "" if record["best"] is None else f" ({watched} {record['best']:.3f})"
