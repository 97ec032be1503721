"""`anymic robustness`: what each microphone, codec and bitrate costs a classifier."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anymic.cli import options

if TYPE_CHECKING:
    from anymic.data.manifest import Manifest
    from anymic.evaluation.robustness import Classifier, Findings


def robustness(
    bundle: Annotated[
        Path | None,
        typer.Argument(metavar="MODEL", help="The folder of a model or an ensemble."),
    ] = None,
    *,
    data: options.Clips,
    out: Annotated[Path, typer.Option(help="Folder for the report.")],
    devices: Annotated[
        str | None,
        typer.Option(help="YAML of virtual devices, or a preset: microphones, scenes."),
    ] = None,
    codecs: Annotated[
        str | None,
        typer.Option(help="YAML of codecs and bitrates, or the name of a preset: codecs."),
    ] = None,
    responses: Annotated[
        Path | None,
        typer.Option(help="Folder of the impulse responses. [default: that of the devices' YAML]"),
    ] = None,
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
        int | None, typer.Option(min=1, help="The rate that an .onnx file hears.")
    ] = None,
    split: options.Split = None,
    fold: Annotated[
        int | None, typer.Option(help="Clips of this fold only, of a manifest with folds.")
    ] = None,
    clips: Annotated[
        int | None,
        typer.Option(min=2, help="Hear only so many clips, drawn evenly over the labels."),
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
        str, typer.Option(help="What the model is and where it is from, in words, for the page.")
    ] = "",
    workers: options.Workers = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the resamples, and of --clips.")] = 0,
    as_json: options.Rows = False,
) -> None:
    """Measure what each microphone, codec and bitrate costs a classifier.

    Every clip is heard as it is, and through every virtual device, every codec at every bitrate,
    and every pair of them, made on the fly. For each: accuracy with its 95 % interval, what it
    loses against the clean clips, calibration error, how many answers become other ones, and the
    hardest class; as a table here, and as report.html (with a heat map) and report.json in OUT.

    The exit status is 1 if accuracy falls under --fail-under, or if some files failed; those are
    listed, and left out of all numbers.

    Example: anymic robustness run --data manifest.csv --devices microphones --responses micirp
    --codecs codecs --out robustness --fail-under worst=0.60
    """
    from anymic._internal.progress import progress_bar
    from anymic.cli.inputs import require_folders, trained_on
    from anymic.errors import ConfigError
    from anymic.evaluation.report import run_header
    from anymic.evaluation.robustness import Floor, fallen, grid, read_conditions, write_findings
    from anymic.evaluation.robustness import robustness as run
    from anymic.evaluation.robustness.page import write_page

    if about and page is None:
        raise ConfigError(
            "--about without --page", expected="the page that it goes into", fix="add --page"
        )
    require_folders(out, cache, page)
    floors = [Floor.read(text) for text in fail_under or ()]
    classifier = _classifier(bundle, model, labels, rate_hz)
    chosen, name = _choose(data, split, fold, clips, seed)
    own = getattr(classifier, "predictor", None)
    note = trained_on(own.bundle, chosen) if own else ""
    if note:
        print(f"note: {note}", file=sys.stderr)
    heard = read_conditions(devices, codecs, responses=responses)
    with progress_bar(len(chosen) * len(grid(*heard)), "hearing") as advance:
        findings = run(
            classifier,
            chosen,
            devices=heard[0],
            codecs=heard[1],
            cache=cache,
            workers=workers,
            seed=seed,
            progress=advance,
        )
    tested = Path(str(model)).name if bundle is None else bundle.resolve().name
    header = run_header(
        command=shlex.join(["anymic", *sys.argv[1:]]),
        model=str(bundle or model),
        data=str(data),
        devices=devices or "",
        codecs=codecs or "",
        digest=chosen.digest(),
        **({"warning": note} if note else {}),
    )
    paths = write_findings(findings, out, title=f"Robustness of {tested} on {name}", header=header)
    if page is not None:
        paths["page"], paths["picture"] = write_page(
            findings,
            page,
            model=tested,
            data=name,
            header=header,
            bundle=own.bundle if own else None,
            about=about,
        )
    _show(findings, paths, as_json=as_json)
    line = fallen(findings, floors)
    if line:
        print(line, file=sys.stderr)
    if line or findings.failures:
        raise typer.Exit(1)


def _classifier(
    bundle: Path | None, model: str | None, labels: str | None, rate_hz: int | None
) -> Classifier:
    from anymic.errors import ConfigError
    from anymic.evaluation.robustness import as_classifier, load_classifier

    if (bundle is None) == (model is None) or (bundle is not None and (labels or rate_hz)):
        raise ConfigError(
            "neither a MODEL nor --model"
            if bundle is None and model is None
            else "a MODEL and --model, --labels or --rate-hz besides",
            expected="one classifier: the folder of a MODEL, which knows all of this, or --model",
            fix="see anymic robustness --help",
        )
    if model is None:
        return as_classifier(bundle)
    named = [label.strip() for label in labels.split(",")] if labels else None
    return load_classifier(model, labels=named, rate_hz=rate_hz)


def _choose(
    data: Path, split: str | None, fold: int | None, clips: int | None, seed: int
) -> tuple[Manifest, str]:
    """Return the clips that are heard, and what to call them."""
    from anymic.cli.inputs import choose_split, read_manifest
    from anymic.evaluation.robustness import draw_clips

    manifest, name = choose_split(read_manifest(data), split)
    if fold is not None:
        manifest.require("fold", purpose=f"--fold {fold}")
        manifest, name = manifest.where(fold=fold), f"{name}, fold {fold}"
    if clips is not None and clips < len(manifest):
        manifest, name = draw_clips(manifest, clips, seed=seed), f"{name}, {clips} of its clips"
    return manifest, name


def _show(findings: Findings, paths: dict[str, Path], *, as_json: bool) -> None:
    for failure in findings.failures:
        print(f"failed: {failure.path}: {failure.reason}", file=sys.stderr)
    if as_json:
        outcome: dict[str, Any] = {
            "rows": [asdict(row) for row in findings.rows],
            "failures": [asdict(failure) for failure in findings.failures],
            "paths": {name: str(path) for name, path in paths.items()},
        }
        print(json.dumps(outcome, indent=2, allow_nan=False))
        return
    from rich.console import Console

    from anymic.evaluation.report.tables import rich_table
    from anymic.evaluation.robustness import condition_table, sentence

    Console().print(rich_table(condition_table(findings)))
    print(sentence(findings))
    print(f"{paths['html']}  the report, with the heat map")
    print(f"{paths['json']}  the same in numbers")
    if "page" in paths:
        print(f"{paths['page']}  the same in Markdown")
