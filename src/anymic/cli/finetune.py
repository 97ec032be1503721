"""``anymic finetune``: train a model on other clips, in whole or in part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from anymic.cli.inputs import note_replaced
from anymic.cli.printing import Outcome, failures_of, note
from anymic.cli.settings import read_config, read_trainer
from anymic.errors import ConfigError


def finetune(
    model: Path,
    *,
    data: Path,
    out: Path,
    segments: str = "all",
    epochs: int | None = None,
    report_epochs: str = "0,1,10,20,40",
    from_scratch: bool = False,
    preset: str | None = None,
    config_file: Path | None = None,
    changes: list[str] | None = None,
    codecs: str | None = None,
    seed: int | None = None,
    resume: bool = False,
    cache: Path | None = None,
    trainer: list[str] | None = None,
    ray: str | None = None,
    as_json: bool = False,
) -> Outcome:
    """Train a model on other clips, such as coded ones, and measure what changes.

    Clips of the split train are trained on; accuracy is measured on those of test (else of
    validation), for each codec in the column codec, with its kbps, and each device. Clips whose
    codec is empty or wav are clean; some are required, because the difference on clean clips is
    always shown. Without clips of test and validation, some recordings are set aside. Segments that
    are not named keep their weights and their running statistics; a number that does not exist
    lists them. Labels, front-end, device gains and standardization stay those of the model.

    With --codecs the clips are passed through codecs while they are trained on, and those that are
    measured through each codec that it names.

    With --from-scratch the same network is trained on the same clips from random weights.

    The exit status is 1 if some files could not be used; they are listed.

    Example: anymic finetune run --data clips.csv --codecs voice-message --epochs 10 --out tuned
    """
    from anymic.training import finetuning

    note_replaced(out, resume=resume)
    config = read_config(
        preset, config_file, changes, seed, default=finetuning.PRESET, codecs=codecs
    )
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
        progress=not as_json,
        cache=cache,
        trainer=read_trainer(trainer),
        ray=ray,
    )
    record = bundle.training
    tuned: dict[str, Any] = record["finetuned"]
    note(tuned.get("warning", ""), *record.get("notes", ()))
    plain = {
        "model": str(out),
        **{key: tuned[key] for key in ("segments", "from_scratch", "weights_sha256")},
        "measured_known": tuned["measured_known"],
        **{key: record[key] for key in ("epochs", "kept_epoch", "clips", "failures")},
        "rows": tuned["measured"],
    }
    how = "from random weights" if from_scratch else f"trained: {', '.join(tuned['segments'])}"
    line = f"{out}: {record['clips']} clips, epoch {record['kept_epoch']} of {record['epochs']}"
    lines = [*_measured(tuned["measured"]), f"{line}, {how}"]
    return Outcome(plain, lines, failures_of(bundle))


def _numbers(text: str) -> list[int]:
    parts = text.replace(" ", "").split(",")
    if not all(part.isdecimal() for part in parts):
        raise ConfigError(
            f"--report-epochs is {text}", expected="whole numbers", fix="write 0,1,10, for example"
        )
    return [int(part) for part in parts]


def _measured(measured: Iterable[Mapping[str, Any]]) -> list[Any]:
    """Return accuracy by epoch as a table, and what changes on clean audio."""
    from anymic.evaluation.report import Row
    from anymic.evaluation.report.cells import describe
    from anymic.evaluation.report.tables import comparison_table, rich_table
    from anymic.metrics import ACCURACY

    rows = [Row(**row) for row in measured]
    table = comparison_table([row for row in rows if row.metric == ACCURACY.name], column="epoch")
    forgotten = [
        f"clean audio, epoch {row.condition['epoch']} against the model as it was: {describe(row)}"
        for row in rows
        if row.metric == ACCURACY.difference
    ]
    return [rich_table(table), *forgotten[-1:]]
