"""``anymic evaluate``: what a model is worth, device by device."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anymic.cli import options

if TYPE_CHECKING:
    from anymic.bundle import Bundle, Ensemble
    from anymic.data.manifest import Manifest
    from anymic.errors import Failure
    from anymic.evaluation.report import Row
    from anymic.inference.embedding_head import VectorHead
    from anymic.inference.prediction import ManifestPredictions


def evaluate(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="The folder that `anymic train` wrote.")
    ],
    data: options.Clips,
    split: options.Split = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the report. [default: MODEL/report]")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(help="The device to compare with. [default: the model's, else the first]"),
    ] = None,
    unstated: Annotated[
        bool,
        typer.Option(
            "--unstated",
            help="Do not tell the model what device a clip is of; report by device all the same.",
        ),
    ] = False,
    map_at: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="The k of MAP@k, mean average precision. [default: 3 for 3 labels or more]",
        ),
    ] = None,
    min_confidence: Annotated[
        float | None,
        typer.Option(help="Say how many clips are answered from this confidence on, and how well."),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Keep features in this folder, for clips that are heard again."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the resamples behind the intervals.")] = 0,
    as_json: options.Rows = False,
) -> None:
    """Measure a model on labelled clips, on each device by itself.

    Gives accuracy for each device, their mean, each class, log loss and calibration error, and for
    3 labels or more MAP@3, all with n and 95 % intervals: as a table here, and as report.html
    (one page, with figures) and report.json in the report's folder. The manifest's columns device
    and group are used where they are there: clips of one group count as one recording. A device
    that the model does not know takes its policy (`anymic devices policy`); its clips share their
    blind gains, unless --unstated leaves each by itself.

    A head on embeddings (`anymic train-head --embeddings`) is measured on embeddings: --data is an
    .npz with labels, too.

    Probabilities are those that `anymic predict` gives: calibrated, where the model is; the
    report's header says so.

    The exit status is 1 if some files failed; they are listed, and left out of all numbers.

    Example: anymic evaluate run --data manifest.csv --split test --out report
    """
    measured = measure(
        model,
        data,
        split=split,
        out=out,
        reference=reference,
        unstated=unstated,
        map_at=map_at,
        min_confidence=min_confidence,
        cache=cache,
        seed=seed,
    )
    for failure in measured.failures:
        print(f"failed: {failure.path}: {failure.reason}", file=sys.stderr)
    if as_json:
        print(json.dumps(measured.as_mapping(), indent=2, allow_nan=False))
    else:
        measured.show()
    if measured.failures:
        raise typer.Exit(1)


@dataclass(frozen=True)
class Measured:
    """What a model is worth, where that is written, and the clips that could not be used."""

    rows: list[Row]
    paths: dict[str, Path]
    failures: tuple[Failure, ...]

    def as_mapping(self) -> dict[str, Any]:
        """Return it as --json says it."""
        return {
            "rows": [asdict(row) for row in self.rows],
            "failures": [asdict(failure) for failure in self.failures],
            "paths": {name: str(path) for name, path in self.paths.items()},
        }

    def show(self) -> None:
        """Print the tables, and where the report is."""
        from rich.console import Console

        from anymic.evaluation.report import summary
        from anymic.evaluation.report.tables import (
            class_table,
            device_table,
            rich_table,
            threshold_table,
        )

        console = Console()
        for table in (device_table(self.rows), class_table(self.rows), threshold_table(self.rows)):
            if table.rows:
                console.print(rich_table(table))
        print(summary(self.rows))
        print(f"{self.paths['html']}  the report, with figures")
        print(f"{self.paths['json']}  the same in numbers")


def measure(
    model: Path,
    data: Path,
    *,
    manifest: Manifest | None = None,
    split: str | None = None,
    out: Path | None = None,
    reference: str | None = None,
    unstated: bool = False,
    map_at: int | None = None,
    min_confidence: float | None = None,
    cache: Path | None = None,
    seed: int = 0,
) -> Measured:
    """Hear the clips and write the report; the options are those of the verb.

    `manifest` is what `data` names, where it was read already.
    """
    from anymic.cli.inputs import choose_split, load_model, require_folders, trained_on
    from anymic.evaluation.report import run_header, write_evaluation
    from anymic.inference.prediction import require_share

    require_folders(out, cache)
    if min_confidence is not None:
        require_share(min_confidence, "--min-confidence")
    bundle = load_model(model)
    _refuse_few_labels(len(bundle.labels), map_at)
    clips, hear = _source(bundle, data, manifest, unstated=unstated, cache=cache)
    chosen, name = choose_split(clips, split)
    chosen.require_labels(bundle.labels)
    note = trained_on(bundle, chosen)
    if note:
        print(f"note: {note}", file=sys.stderr)
    heard = hear(chosen)
    _refuse_nothing(len(heard.rows), heard.failures)
    used = chosen.rows(heard.rows)
    if unstated:
        print(f"note: {_routes(heard, used)}", file=sys.stderr)
    devices = used.table["device"].tolist() if used.devices else None
    folder = out if out is not None else model / "report"
    rows, paths = write_evaluation(
        folder,
        heard.probabilities,
        used.targets(bundle.labels),
        labels=bundle.labels,
        devices=devices,
        groups=_recordings(used),
        reference=reference or _reference(bundle, used),
        map_at=map_at,
        seed=seed,
        title=f"{model.resolve().name} on {name}",
        header=run_header(
            command=shlex.join(["anymic", *sys.argv[1:]]),
            model=str(model),
            data=str(data),
            split=split or "",
            **({"devices": "unstated: " + _routes(heard, used)} if unstated else {}),
            probabilities=_probabilities(bundle),
            digest=chosen.digest(),
            **({"warning": note} if note else {}),
        ),
        failures=heard.failures,
        profile=bundle.profile,
        min_confidence=min_confidence,
    )
    return Measured(rows, paths, heard.failures)


def _source(
    bundle: Bundle | Ensemble | VectorHead,
    data: Path,
    manifest: Manifest | None,
    *,
    unstated: bool,
    cache: Path | None,
) -> tuple[Manifest, Callable[[Manifest], ManifestPredictions]]:
    """Return the clips, and what hears some of them."""
    from anymic._internal.progress import progress_bar
    from anymic.cli.inputs import read_manifest
    from anymic.data.embeddings import read_vectors
    from anymic.errors import ConfigError
    from anymic.inference.embedding_head import VectorHead
    from anymic.inference.predictor import Predictor

    if isinstance(bundle, VectorHead):
        if unstated or cache is not None:
            raise ConfigError(
                "--unstated" if unstated else "--cache",
                expected="neither, for a head on embeddings: no clip is heard",
                fix="leave it out",
            )
        vectors = read_vectors(data)
        return (
            vectors.clips if manifest is None else manifest,
            lambda chosen: bundle.predict_manifest(vectors, chosen),
        )

    def hear(chosen: Manifest) -> ManifestPredictions:
        with progress_bar(len(chosen), "hearing") as advance:
            told = chosen.with_columns(device="") if unstated else chosen
            return Predictor(bundle).predict_manifest(told, cache=cache, progress=advance)

    return read_manifest(data) if manifest is None else manifest, hear


def _probabilities(bundle: Bundle | Ensemble | VectorHead) -> str:
    """Say what became of the network's probabilities after training."""
    if bundle.calibration is None:
        return "not calibrated after training"
    return f"calibrated after training: {bundle.calibration.describe()}"


def _routes(heard: ManifestPredictions, used: Manifest) -> str:
    """Say what became of clips whose device was not told."""
    counts = ", ".join(
        f"{heard.policies.count(policy)} heard {how}"
        for policy, how in (
            ("profile", "with an identified device's gains"),
            ("blind", "with blind gains"),
            ("identity", "as they are"),
        )
        if policy in heard.policies
    )
    if not used.devices:
        return counts
    named = [(found, true) for found, true in zip(heard.devices, used.table["device"], strict=True)]
    right = sum(found == true for found, true in named if found)
    return f"{counts}; the device named was right for {right} of {sum(bool(f) for f, _ in named)}"


def _refuse_few_labels(labels: int, map_at: int | None) -> None:
    from anymic.errors import ConfigError

    if map_at is not None and labels < map_at:
        raise ConfigError(
            f"--map-at {map_at} for a model of {labels} labels",
            expected=f"at least {map_at} labels",
            fix="leave it out: accuracy says it all",
        )


def _refuse_nothing(heard: int, failures: tuple[Failure, ...]) -> None:
    from anymic.errors import ManifestError

    if heard:
        return
    reason = failures[0].reason if failures else "the manifest is empty"
    raise ManifestError(
        f"{len(failures)} clips, none of which can be used ({reason})",
        expected="at least one",
        fix="mend the files or the paths in the manifest",
    )


def _recordings(manifest: Manifest) -> list[str] | None:
    """Name the recording of each clip; None where the manifest knows of none."""
    known = {"group", "take"}.intersection(manifest.table.columns)
    return manifest.recordings() if known else None


def _reference(bundle: Bundle | Ensemble | VectorHead, manifest: Manifest) -> str | None:
    """Return the device that the model's gains lead to, where it is one and is here."""
    devices = bundle.profile.reference if bundle.profile else ()
    return devices[0] if len(devices) == 1 and devices[0] in manifest.devices else None
