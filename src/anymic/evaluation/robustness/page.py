"""A robustness report as a page of the documentation, with its picture."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anymic._internal.files import write_text
from anymic.bundle import Bundle, Ensemble
from anymic.errors import counted
from anymic.evaluation.report import run_header
from anymic.evaluation.report.escaping import environment
from anymic.evaluation.report.style import save_png
from anymic.evaluation.report.write import made
from anymic.evaluation.robustness.conditions import AS_RECORDED
from anymic.evaluation.robustness.findings import Robustness
from anymic.models import Network

if TYPE_CHECKING:
    from jinja2 import Template

HARDEST = 6  # pairs of a device and a codec that the page lists; report.json has all of them

_LONGEST_NAME = 50  # characters of a model in the name of a file; each has up to four bytes


def write_page(
    found: Robustness, folder: str | Path, *, about: str = "", **facts: Any
) -> tuple[Path, Path]:
    """Write robustness_MODEL.md and .png; return their paths.

    Parameters
    ----------
    found : Robustness
    folder : path
        Made if it does not exist; an older page in it is replaced.
    about : str
        Markdown about the model, for the beginning of the page.
    facts
        As for `Robustness.write`; "command" is printed on the page.
    """
    model = re.sub(r"[^\w.+-]+", "_", found.model_name).strip("_")
    name = f"robustness_{model[:_LONGEST_NAME] or 'model'}"
    picture = save_png(found.heat_map(), Path(folder) / f"{name}.png")
    table, numbers = found.table(full=True), range(len(found.conditions))
    members = found.model.members if isinstance(found.model, Ensemble) else (found.model,)
    bundles = [one for one in members if one is not None]
    text = _template().render(
        found=found,
        about=about.strip(),
        bundles=bundles,
        parameters=sum(each.numel() for one in bundles for each in one.network.parameters()),
        tuned=[_finetuned(one) for one in bundles if "finetuned" in one.training],
        results=[
            {
                "condition": found.conditions[number],
                "accuracy": found.accuracy(number).value,
                "change": found.difference(number),
                "cells": table.rows[number],
            }
            for number in numbers
        ],
        hardest=HARDEST,
        command=facts.get("command", ""),
        picture=picture.name,
        as_recorded=AS_RECORDED,
        columns=[column.replace("\n", " ") for column in table.columns],
        made=made(run_header()),
    )
    page = Path(folder) / f"{name}.md"
    write_text(page, text)
    return page, picture


@cache  # compiling it takes longer than filling it in
def _template() -> Template:
    text = files("anymic.evaluation.robustness").joinpath("page.md.j2").read_text(encoding="utf-8")
    pages = environment(html=False)
    pages.filters["counted"] = counted
    return pages.from_string(text)


def _finetuned(bundle: Bundle) -> str:
    """Return which part of a model was fine-tuned."""
    record, network = bundle.training["finetuned"], bundle.network
    if record.get("from_scratch"):
        return "from scratch"
    segments = record.get("segments", ())
    own = network.segments() if isinstance(network, Network) else ()
    if own and list(segments) == [each.name for each in own]:
        return f"all of its {len(own)} segments"
    return f"segments {', '.join(segments)}"
