"""A robustness report as a page of the documentation, with its picture."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from anymic._internal.files import write_text
from anymic._internal.optional import extra
from anymic.bundle import Bundle, Ensemble
from anymic.evaluation.report import run_header
from anymic.evaluation.report.cells import counted
from anymic.evaluation.report.style import save_png
from anymic.evaluation.report.write import made
from anymic.evaluation.robustness.conditions import AS_RECORDED
from anymic.evaluation.robustness.findings import Robustness
from anymic.models import Network

HARDEST = 6  # pairs of a device and a codec that the page lists; report.json has all of them


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
    with extra("report"):
        from jinja2 import Environment, StrictUndefined

    name = "robustness_" + (re.sub(r"[^\w.+-]+", "_", found.model_name).strip("_") or "model")
    picture = save_png(found.heat_map(), Path(folder) / f"{name}.png")
    table = found.table(full=True)
    changes = [(one.name, found.difference(n)) for n, one in enumerate(found.conditions) if n]
    template = files("anymic.evaluation.robustness").joinpath("page.md.j2")
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = environment.from_string(template.read_text(encoding="utf-8")).render(
        found=found,
        about=about.strip(),
        model=None if found.model is None else _model(found.model),
        clips=counted(len(found.targets), "clip"),
        recordings=counted(len(set(found.recordings.tolist())), "recording"),
        devices=list(dict.fromkeys(one.device for one in found.conditions if one.device)),
        codecs=list(dict.fromkeys(one.codec_name for one in found.conditions if one.codec.kbps)),
        command=facts.get("command", ""),
        lost=[name for name, change in changes if change.high < 0],
        won=[name for name, change in changes if change.low > 0],
        picture=picture.name,
        as_recorded=AS_RECORDED,
        columns=[column.replace("\n", " ") for column in table.columns],
        sections={
            title: [table.rows[number] for number in own] for title, own in _sections(found).items()
        },
        made=made(run_header()),
    )
    page = Path(folder) / f"{name}.md"
    write_text(page, text)
    return page, picture


def _sections(found: Robustness) -> dict[str, list[int]]:
    """Return the numbers of the conditions under each heading."""
    numbered = list(enumerate(found.conditions))
    codecs = [number for number, one in numbered if one.device is None]
    pairs = [number for number, one in numbered if one.device and one.codec.kbps is not None]
    hardest = sorted(pairs, key=lambda number: found.accuracy(number).value)[:HARDEST]
    return {
        "Codecs alone": codecs if len(codecs) > 1 else [],
        "Microphones alone": [n for n, one in numbered if one.device and one.codec.kbps is None],
        f"The {len(hardest)} hardest pairs": hardest,
    }


def _model(bundle: Bundle | Ensemble) -> dict[str, Any]:
    """Return the facts of a model that the page states: its networks, its devices, its training."""
    members = bundle.members if isinstance(bundle, Ensemble) else (bundle,)
    tuned = [_finetuned(one) for one in members if "finetuned" in one.training]
    return {
        "networks": list(dict.fromkeys(one.network_name for one in members)),
        "members": len(members),
        "parameters": sum(each.numel() for one in members for each in one.network.parameters()),
        "labels": len(bundle.labels),
        "contract": bundle.contract,
        "devices": bundle.devices,
        "fitted": counted(len(set(bundle.fitted_on.get("weights", ()))), "clip"),
        "finetuned": len(tuned),
        "parts": list(dict.fromkeys(tuned)),
    }


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
