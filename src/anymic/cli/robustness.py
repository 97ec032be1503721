"""`anymic robustness`: accuracy by microphone, codec and bitrate."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anymic.cli import options
from anymic.cli.evaluate import as_mapping
from anymic.cli.inputs import require_folders
from anymic.cli.printing import command_line, finish, note, print_json
from anymic.errors import ConfigError

if TYPE_CHECKING:
    from anymic.evaluation.robustness import Classifier, Robustness


def robustness(
    bundle: Annotated[
        Path | None,
        typer.Argument(metavar="MODEL", help="The folder of a model or an ensemble."),
    ] = None,
    *,
    data: options.Clips,
    out: Annotated[Path, typer.Option(help="Folder for the report.")],
    devices: Annotated[str | None, options.DEVICES] = None,
    codecs: Annotated[str | None, options.CODECS] = None,
    responses: options.Responses = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Test this instead of a MODEL of anymic: module:function, where the function "
            "takes samples and rate_hz, or an .onnx file."
        ),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Labels of --model, separated by commas, in its order.")
    ] = None,
    rate_hz: Annotated[
        int | None, typer.Option(min=1, help="The sampling rate of an .onnx file's input.")
    ] = None,
    split: options.Split = None,
    fold: Annotated[
        int | None, typer.Option(help="Clips of this fold only, of a manifest with folds.")
    ] = None,
    clips: Annotated[
        int | None,
        typer.Option(
            min=2, help="Use only this number of clips, drawn in proportion to the labels."
        ),
    ] = None,
    fail_under: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT=SHARE",
            help="Exit status 1 if accuracy is below: worst=0.60 (of the worst condition), mean=, "
            "clean=. May be repeated.",
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Keep encoded clips in this folder: a run that was interrupted, or one of another "
            "model with the same clips, does not encode them again."
        ),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(help="Write the report as Markdown, with its picture, into this folder too."),
    ] = None,
    about: Annotated[
        str, typer.Option(help="A description of the model and its origin, for the page.")
    ] = "",
    workers: options.Workers = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the resamples, and of --clips.")] = 0,
    as_json: options.Rows = False,
) -> None:
    """Measure a classifier through each microphone, codec and bitrate.

    Every clip is classified as it is, and through every virtual device, every codec at every
    bitrate, and every pair of them, which are made on the fly. For each condition: accuracy with
    its 95 % interval, the difference to the clean clips, calibration error, the share of answers
    that change, and the class with the lowest accuracy; as a table here, and as report.html (with a
    heat map) and report.json in OUT.

    The exit status is 1 if accuracy is below --fail-under, or if some files failed; those are
    listed, and left out of all numbers.

    Example: anymic robustness run --data manifest.csv --devices microphones --responses micirp
    --codecs codecs --out robustness --fail-under worst=0.60
    """
    from anymic.evaluation.robustness import Floor, missed_floors
    from anymic.evaluation.robustness import robustness as measure
    from anymic.evaluation.robustness.page import write_page

    if about and page is None:
        raise ConfigError("--about is given without --page", expected="both", fix="add --page")
    require_folders(out, cache, page)
    floors = [Floor.read(text) for text in fail_under or ()]
    found = measure(
        _classifier(bundle, model, labels, rate_hz),
        data,
        devices=devices,
        codecs=codecs,
        responses=responses,
        split=split,
        fold=fold,
        clips=clips,
        cache=cache,
        workers=workers,
        seed=seed,
        progress=True,
    )
    note(found.warning)
    facts = {"command": command_line(), "model": str(bundle or model)}
    tested = Path(str(model)).name if bundle is None else bundle.resolve().name
    found = replace(found, model_name=tested)
    paths = found.write(out, **facts)
    if page is not None:
        paths["page"], paths["picture"] = write_page(found, page, about=about, **facts)
    _show(found, paths, as_json=as_json)
    line = missed_floors(found, floors)
    if line:
        print(line, file=sys.stderr)
    finish(found.failures)
    if line:
        raise typer.Exit(1)


def _classifier(
    bundle: Path | None, model: str | None, labels: str | None, rate_hz: int | None
) -> Classifier:
    from anymic.evaluation.robustness import as_classifier, load_classifier

    if (bundle is None) == (model is None) or (bundle is not None and (labels or rate_hz)):
        raise ConfigError(
            "neither a MODEL nor --model is given"
            if bundle is None and model is None
            else "a MODEL is given with --model, --labels or --rate-hz",
            expected="one classifier, either the folder of a MODEL or --model",
            fix="see anymic robustness --help",
        )
    if model is None:
        return as_classifier(bundle)
    named = [label.strip() for label in labels.split(",")] if labels else None
    return load_classifier(model, labels=named, rate_hz=rate_hz)


def _show(findings: Robustness, paths: dict[str, Path], *, as_json: bool) -> None:
    if as_json:
        print_json(as_mapping(findings, paths))
        return
    from rich.console import Console

    from anymic.evaluation.report.tables import rich_table

    Console().print(rich_table(findings.table()))
    print(findings)
    print(f"{paths['html']}  the report, with the heat map")
    print(f"{paths['json']}  the same in numbers")
    if "page" in paths:
        print(f"{paths['page']}  the same in Markdown")
