"""``anymic finetune``: train a model on other clips, in whole or in part."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anymic.cli import options
from anymic.cli.inputs import note_replaced, require_folders
from anymic.cli.printing import failures_of, finish, note, print_json
from anymic.cli.settings import read_config, read_trainer
from anymic.errors import ConfigError

if TYPE_CHECKING:
    from anymic.bundle import Bundle


def finetune(
    model: options.Model,
    data: options.Clips,
    out: Annotated[Path, typer.Option(help="Folder for the new model, checkpoints and logs.")],
    segments: Annotated[
        str, typer.Option(help="What is trained: all, or numbers and ranges: 7, 5-7, 1,9-10.")
    ] = "all",
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Number of epochs. [default: that of the preset, 40]")
    ] = None,
    report_epochs: Annotated[
        str, typer.Option(help="Epochs at which accuracy is measured; the last one always is.")
    ] = "0,1,10,20,40",
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Start from random weights: full retraining.")
    ] = False,
    preset: Annotated[
        str | None, typer.Option(help="Settings by name. [default: finetuning]")
    ] = None,
    config_file: options.Config = None,
    changes: options.Changes = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of order, augmentation and random weights.")
    ] = None,
    resume: options.Resume = False,
    cache: options.TrainingCache = None,
    trainer: options.Trainer = None,
    as_json: options.Outcome = False,
) -> None:
    """Train a model on other clips, such as coded ones, and measure what changes.

    Clips of the split train are trained on; accuracy is measured on those of test (else of
    validation), for each codec in the column codec, with its kbps, and each device. Clips whose
    codec is empty or wav are clean; some are required, because the difference on clean clips is
    always shown. Segments that are not named keep their weights and their running statistics; a
    number that does not exist lists them. Labels, front-end, device gains and standardization stay
    those of the model.

    With --from-scratch the same network is trained on the same clips from random weights.

    The exit status is 1 if some files could not be used; they are listed.

    Example: anymic finetune run --data coded.csv --segments 5-7 --epochs 10 --out tuned
    """
    from anymic.training import finetuning

    require_folders(out, cache)
    note_replaced(out, resume=resume)
    config = read_config(preset, config_file, changes, seed, default=finetuning.PRESET)
    if epochs is not None:
        config = finetuning.lasting(config, epochs)
    bundle = finetuning.finetune(
        model,
        data,
        out,
        config=config,
        segments=segments,
        from_scratch=from_scratch,
        report_epochs=_numbers(report_epochs),
        resume=resume,
        progress=not as_json and sys.stderr.isatty(),
        cache=cache,
        trainer=read_trainer(trainer),
    )
    _show(bundle, out, as_json=as_json)
    finish(failures_of(bundle))


def _numbers(text: str) -> list[int]:
    parts = text.replace(" ", "").split(",")
    if not all(part.isdecimal() for part in parts):
        raise ConfigError(
            f"--report-epochs is {text}", expected="whole numbers", fix="write 0,1,10, for example"
        )
    return [int(part) for part in parts]


def _show(bundle: Bundle, out: Path, *, as_json: bool) -> None:
    from rich.console import Console

    from anymic.evaluation.report import Row
    from anymic.evaluation.report.cells import describe
    from anymic.evaluation.report.tables import comparison_table, rich_table
    from anymic.metrics import ACCURACY

    record = bundle.training
    tuned: dict[str, Any] = record["finetuned"]
    note(tuned.get("warning", ""))
    if as_json:
        shown = ("segments", "from_scratch", "weights_sha256", "measured_known")
        print_json(
            {
                "model": str(out),
                **{key: tuned[key] for key in shown},
                **{key: record[key] for key in ("epochs", "kept_epoch", "clips", "failures")},
                "rows": tuned["measured"],
            }
        )
        return
    rows = [Row(**row) for row in tuned["measured"]]
    table = comparison_table([row for row in rows if row.metric == ACCURACY.name], column="epoch")
    Console().print(rich_table(table))
    forgotten = [row for row in rows if row.metric == ACCURACY.difference]
    if forgotten:
        print(
            f"clean audio, epoch {forgotten[-1].condition['epoch']} against the model as it was:"
            f" {describe(forgotten[-1])}"
        )
    trained = ", ".join(tuned["segments"])
    how = "from random weights" if tuned["from_scratch"] else f"trained: {trained}"
    print(
        f"{out}: {record['clips']} clips, epoch {record['kept_epoch']} of {record['epochs']}, {how}"
    )
