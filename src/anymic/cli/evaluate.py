"""``anymic evaluate``: measure a model on labelled clips, on each device by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anymic._internal.progress import growing_bar
from anymic.cli.event_options import event_settings, refuse_event_options
from anymic.cli.inputs import place_of, require_both
from anymic.cli.printing import Outcome, command_line, failures_as_json, note
from anymic.errors import ConfigError

if TYPE_CHECKING:
    from anymic.evaluation.result import Evaluation
    from anymic.evaluation.robustness import Robustness
    from anymic.inference.recordings import EventSettings


def evaluate(
    model: Path,
    *,
    data: Path | None = None,
    events: Path | None = None,
    split: str | None = None,
    out: Path | None = None,
    reference: str | None = None,
    unstated: bool = False,
    map_at: int | None = None,
    min_confidence: float | None = None,
    cache: Path | None = None,
    seed: int = 0,
    threshold: float | None = None,
    hysteresis: float = 0.2,
    shortest: float = 0.0,
    longest_gap: float = 1.0,
    overlap: str = "mean",
    hop: float | None = None,
    segment: float = 1.0,
    collar: float = 0.25,
    device: str | None = None,
) -> Outcome:
    """Measure a model on labelled clips, for each device.

    Accuracy for each device, their mean, accuracy for each class, log loss and calibration error,
    and for 3 labels or more MAP@3, all with n and 95 % intervals, are printed as a table and
    written as report.html (one page, with figures) and report.json. The manifest's columns device
    and group are used where they are there: clips of one group count as one recording. Clips of an
    unknown device are treated by the model's policy (`anymic devices policy`); they share their
    blind gains, unless --unstated leaves each by itself.

    A head on embeddings (`anymic train-head --embeddings`) is measured on embeddings: --data is
    then an .npz with labels.

    For a model of several labels a clip it is mean average precision, and for each label average
    precision and F1 at the model's threshold.

    Probabilities are those of `anymic predict`: calibrated, where the model is. The report's header
    states it.

    With --events instead of --data, the events that the model finds in recordings (those of
    `anymic predict --out`) are compared with annotated ones: a table with the columns file,
    start_s, end_s and label; a row with a file alone is a recording without events. Segment-based
    F1 compares segments of --segment seconds; event-based F1 counts an event as found if its start
    is within --collar seconds, and its end too, or within half its length. The definitions are
    those of sed_eval. events.json has the numbers.

    The exit status is 1 if some files failed; they are listed, and left out of all numbers.

    Example: anymic evaluate run --data manifest.csv --split test --out report

    Example: anymic evaluate run --events annotations.csv --hop 0.5
    """
    from anymic.evaluation import evaluate as evaluation

    if (data is None) == (events is None):
        raise ConfigError(
            "neither --data nor --events is given" if data is None else "--data and --events",
            expected="one of them",
            fix="pass labelled clips as --data, or annotated events as --events",
        )
    settings = event_settings(threshold, hysteresis, shortest, longest_gap, overlap)
    if events is not None:
        given: dict[str, object] = {
            "split": split,
            "reference": reference,
            "unstated": unstated,
            "map-at": map_at,
        }
        given |= {"min-confidence": min_confidence, "cache": cache}
        for name, value in given.items():
            require_both(f"--{name}", value, "--data", data)
        place = place_of(model, out, "report")
        return _evaluate_events(model, events, place, settings, hop, segment, collar, device, seed)
    assert data is not None
    changed = {"hop": hop, "device": device, "segment": segment != 1.0, "collar": collar != 0.25}
    refuse_event_options(settings, "--events", **changed)
    target = place_of(model, out, "report")
    found = evaluation.evaluate(
        model,
        data,
        split=split,
        reference=reference,
        unstated=unstated,
        map_at=map_at,
        min_confidence=min_confidence,
        cache=cache,
        seed=seed,
        progress=True,
    )
    paths = found.write(target, command=command_line())
    note(found.warning, found.device_policies)
    return Outcome(as_mapping(found, paths), evaluation_lines(found, paths), found.failures)


def _evaluate_events(
    model: Path,
    annotations: Path,
    folder: Path,
    settings: EventSettings,
    hop_s: float | None,
    segment_s: float,
    collar_s: float,
    device: str | None,
    seed: int,
) -> Outcome:
    from anymic.evaluation.events import evaluate_events
    from anymic.evaluation.report.tables import rich_table

    with growing_bar("predicting") as progress:
        found = evaluate_events(
            model,
            annotations,
            settings=settings,
            hop_s=hop_s,
            segment_s=segment_s,
            collar_s=collar_s,
            device=device,
            seed=seed,
            progress=progress,
        )
    path = found.write(folder, command=command_line())
    plain = {
        "rows": [asdict(row) for row in found.rows],
        "failures": failures_as_json(found.failures),
        "paths": {"json": str(path)},
    }
    lines = [rich_table(found.table()), f"{path}  the same in numbers"]
    files = found.recordings + len(found.failures)
    return Outcome(plain, lines, found.failures, files=files)


def as_mapping(found: Evaluation | Robustness, paths: Mapping[str, Path]) -> dict[str, Any]:
    """Return what was measured as --json prints it."""
    baseline = getattr(found, "baseline", None)
    rows = found.rows if baseline is None else (*found.rows, *baseline.rows)
    return {
        "rows": [asdict(row) for row in rows],
        "failures": failures_as_json(found.failures),
        "paths": {name: str(path) for name, path in paths.items()},
    }


def evaluation_lines(found: Evaluation, paths: Mapping[str, Path]) -> list[Any]:
    """Return the tables, and where the report is."""
    from anymic.evaluation.report import tables
    from anymic.evaluation.report.label_rows import label_device_table, label_table

    kinds = [tables.device_table, tables.class_table, tables.threshold_table]
    kinds += [label_device_table, label_table]
    shown = [table for kind in kinds if (table := kind(found.rows)).rows]
    if found.baseline is not None:
        shown.append(found.baseline.table())
    return [
        *map(tables.rich_table, shown),
        str(found),
        f"{paths['html']}  the report, with figures",
        f"{paths['json']}  the same in numbers",
    ]
