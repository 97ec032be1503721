"""`anymic robustness`: accuracy by microphone, codec and bitrate."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from anymic._internal.terminal import print_line
from anymic.cli.evaluate import as_mapping
from anymic.cli.inputs import read_names, require_both
from anymic.cli.printing import Outcome, command_line, note
from anymic.errors import ConfigError

if TYPE_CHECKING:
    from anymic.evaluation.robustness import Classifier


def robustness(
    bundle: Path | None = None,
    *,
    data: Path,
    out: Path,
    devices: str | None = None,
    codecs: str | None = None,
    responses: Path | None = None,
    model: str | None = None,
    labels: str | None = None,
    rate_hz: int | None = None,
    split: str | None = None,
    fold: int | None = None,
    clips: int | None = None,
    fail_under: list[str] | None = None,
    cache: Path | None = None,
    page: Path | None = None,
    about: str = "",
    workers: int | None = None,
    seed: int = 0,
) -> Outcome:
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
    from anymic.evaluation.report.tables import rich_table
    from anymic.evaluation.robustness import Floor, missed_floors
    from anymic.evaluation.robustness import robustness as measure
    from anymic.evaluation.robustness.page import write_page

    require_both("--about", about, "--page", page)
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
    missed = missed_floors(found, floors)
    if missed:
        print_line(missed, file=sys.stderr)
    lines = [
        rich_table(found.table()),
        str(found),
        f"{paths['html']}  the report, with the heat map",
        f"{paths['json']}  the same in numbers",
        *([f"{paths['page']}  the same in Markdown"] if page else []),
    ]
    return Outcome(as_mapping(found, paths), lines, found.failures, status=int(bool(missed)))


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
    if model is not None:
        return load_classifier(model, labels=read_names(labels or None), rate_hz=rate_hz)
    if (
        bundle is not None
        and not bundle.is_dir()
        and (":" in bundle.name or bundle.suffix == ".onnx")
    ):
        raise ConfigError(
            f"MODEL is {bundle}, and there is no such folder",
            expected="the folder of a model of anymic",
            fix=f"test a function or an ONNX file with --model {bundle}",
        )
    return as_classifier(bundle)
