"""A robustness report as a page of the documentation, with its picture."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from anymic._internal.files import write_text
from anymic._internal.optional import extra
from anymic.bundle import Bundle, Ensemble
from anymic.evaluation.report.cells import counted
from anymic.evaluation.report.style import save_png
from anymic.evaluation.report.tables import Table
from anymic.evaluation.report.write import made
from anymic.evaluation.robustness.conditions import AS_RECORDED
from anymic.evaluation.robustness.figures import heat_map
from anymic.evaluation.robustness.findings import Findings
from anymic.evaluation.robustness.write import condition_table, sentence
from anymic.models import Network

HARDEST = 6  # pairs of a device and a codec that the page lists; report.json has all of them
_UNKNOWN = {
    "identity": "is not corrected",
    "blind": "gets gains estimated from the clip itself",
    "refuse": "is refused",
}


def write_page(
    findings: Findings,
    folder: str | Path,
    *,
    model: str,
    data: str,
    header: Mapping[str, Any],
    bundle: Bundle | Ensemble | None = None,
    about: str = "",
) -> list[Path]:
    """Write robustness_MODEL.md and .png; return their paths.

    Parameters
    ----------
    findings : Findings
    folder : path
        Made if it does not exist; an older page in it is replaced.
    model, data : str
        The names of the classifier and of the clips.
    header : mapping
        What was run: the facts of `anymic.evaluation.report.run_header`, "command" among them.
    bundle : Bundle or Ensemble, optional
        The classifier, if it is a model of this library.
    about : str
        Markdown about the model, for the beginning of the page.
    """
    with extra("report"):
        from jinja2 import Environment, StrictUndefined

    name = "robustness_" + (re.sub(r"[^\w.+-]+", "_", model).strip("_") or "model")
    picture = save_png(heat_map(findings), Path(folder) / f"{name}.png")
    conditions, table = findings.conditions, condition_table(findings, full=True)
    changes = [(one.name, findings.difference(n)) for n, one in enumerate(conditions) if n]
    template = files("anymic.evaluation.robustness").joinpath("page.md.j2")
    environment = Environment(undefined=StrictUndefined, trim_blocks=True)
    text = environment.from_string(template.read_text(encoding="utf-8")).render(
        model=model,
        about=about.strip(),
        description=_describe(bundle, model),
        warning=header.get("warning"),
        clips=counted(len(findings.targets), "clip"),
        recordings=counted(len(set(findings.recordings.tolist())), "recording"),
        data=data,
        conditions=len(conditions),
        devices=list(dict.fromkeys(one.device for one in conditions if one.device)),
        codecs=list(dict.fromkeys(one.codec_name for one in conditions if one.codec.kbps)),
        command=header.get("command", ""),
        finding=sentence(findings),
        lost=[name for name, change in changes if change.high < 0],
        won=[name for name, change in changes if change.low > 0],
        picture=picture.name,
        as_recorded=AS_RECORDED,
        columns=[column.replace("\n", " ") for column in table.columns],
        sections=_sections(findings, table),
        made=made(header),
    )
    page = Path(folder) / f"{name}.md"
    write_text(page, text)
    return [page, picture]


def _sections(findings: Findings, table: Table) -> dict[str, list[tuple[str, ...]]]:
    """Return the lines of the table under each heading."""
    numbered = list(enumerate(findings.conditions))
    codecs = [number for number, one in numbered if one.device is None]
    devices = [number for number, one in numbered if one.device and one.codec.kbps is None]
    pairs = [number for number, one in numbered if one.device and one.codec.kbps is not None]
    hardest = sorted(pairs, key=lambda number: findings.accuracy(number).value)[:HARDEST]
    sections = {
        "Codecs alone": codecs if len(codecs) > 1 else [],
        "Microphones alone": devices,
        f"The {len(hardest)} hardest pairs": hardest,
    }
    return {title: [table.rows[number] for number in own] for title, own in sections.items()}


def _describe(bundle: Bundle | Ensemble | None, model: str) -> str:
    """Describe the classifier: its network, its devices, the clips that it was fitted on."""
    if bundle is None:
        return f"`{model}`, which returns probabilities and is not told the microphone."
    members = bundle.members if isinstance(bundle, Ensemble) else (bundle,)
    count = sum(value.numel() for one in members for value in one.network.parameters())
    kinds = " and ".join(f"`{name}`" for name in dict.fromkeys(one.network_name for one in members))
    many = f"{len(members)} networks, {kinds}" if len(members) > 1 else kinds
    text = f"{many}: {count:,} parameters, {len(bundle.labels)} labels, "
    text += f"{bundle.contract.rate_hz / 1000:g} kHz. "
    unknown = _UNKNOWN[bundle.contract.unknown_device]
    text += (
        f"It corrects {', '.join(bundle.devices)}; any other microphone {unknown}."
        if bundle.devices
        else f"It has no device profiles; every microphone {unknown}."
    )
    fitted = set(bundle.fitted_on.get("weights", ()))
    text += f" Its weights were fitted on {counted(len(fitted), 'clip')}." if fitted else ""
    tuned = [_finetuned(one) for one in members if "finetuned" in one.training]
    if tuned:
        share = f" ({len(tuned)} of the {len(members)})" if len(tuned) < len(members) else ""
        text += f" Fine-tuned{share}: {'; '.join(dict.fromkeys(tuned))}."
    return text


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
