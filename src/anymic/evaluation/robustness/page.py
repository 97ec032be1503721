"""A robustness report as a page of the documentation, with its picture."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from anymic._internal.files import write_text
from anymic.bundle import Bundle, Ensemble
from anymic.evaluation.report.cells import counted
from anymic.evaluation.report.style import save_png
from anymic.evaluation.report.tables import Table
from anymic.evaluation.report.write import made
from anymic.evaluation.robustness import Findings, condition_table, sentence
from anymic.evaluation.robustness.conditions import AS_RECORDED
from anymic.evaluation.robustness.figures import heat_map
from anymic.models import Network

HARDEST = 6  # pairs of a device and a codec that the page lists; report.json has them all

_UNKNOWN = {
    "identity": "is heard as it is",
    "blind": "gets gains estimated from the clip itself",
    "refuse": "is refused",
}

_PAGE = """# What microphones and codecs cost {model}

{about}{facts}
- **Clips.** {clips} of {recordings} ({data}), each heard in all of {conditions} conditions.
- **Through.** {through}.

Made by

    {command}

{finding} {clear}

![Accuracy by microphone and codec]({picture})

In each cell the accuracy in per cent over the same {clips}, and under it the difference to the
clean clips in points, bold where its 95 % interval leaves out zero.{recorded}
Of many conditions one in twenty looks clear by chance. How to read the columns
below: [reading results](../reading-results.md), [robustness](../robustness.md).

{tables}
{made}"""

_RECORDED = f""" *{AS_RECORDED}* is a clip
before any virtual microphone; if the model was trained on what microphones made of such clips,
these may suit it better than the clean ones, and a codec's cost is then seen best against the *wav*
of its own line."""


def page_name(model: str) -> str:
    """Return what the page of a model is called, without a suffix: robustness_basic1."""
    return "robustness_" + (re.sub(r"[^\w.+-]+", "_", model).strip("_") or "model")


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
    """Write robustness_MODEL.md and .png; return where they are.

    Parameters
    ----------
    findings : Findings
    folder : path
        Made if it is not there; an older page in it is replaced.
    model, data : str
        What the classifier and the clips are called.
    header : mapping
        What was run: the facts of `anymic.evaluation.report.run_header`, "command" among them.
    bundle : Bundle or Ensemble, optional
        The classifier, where it is one of ours.
    about : str
        Markdown about the model that the page begins with.
    """
    place, name = Path(folder), page_name(model)
    picture = save_png(heat_map(findings), place / f"{name}.png")
    facts = f"- **Model.** {_describe(bundle, model)}"
    facts += f" *Beware: {header['warning']}.*" if header.get("warning") else ""
    text = _PAGE.format(
        model=model,
        about=f"{about.strip()}\n\n" if about.strip() else "",
        facts=facts,
        clips=counted(len(findings.targets), "clip"),
        recordings=counted(len(set(findings.recordings.tolist())), "recording"),
        data=data,
        conditions=len(findings.conditions),
        through=_through(findings),
        command=header.get("command", ""),
        finding=sentence(findings),
        clear=_clear(findings),
        picture=picture.name,
        recorded=_RECORDED if any(one.device for one in findings.conditions) else "",
        tables="\n".join(_tables(findings)),
        made=made(header),
    )
    page = place / f"{name}.md"
    write_text(page, text)
    return [page, picture]


def _describe(bundle: Bundle | Ensemble | None, model: str) -> str:
    """Say what the classifier is: its network, the devices it knows, what it was fitted on."""
    if bundle is None:
        return f"`{model}`, which is asked for probabilities and not told the microphone."
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
        else f"It corrects no microphone by its name; each {unknown}."
    )
    fitted = set(bundle.fitted_on.get("weights", ()))
    text += f" Its weights were fitted on {counted(len(fitted), 'clip')}." if fitted else ""
    tuned = [_tuned(one) for one in members if "finetuned" in one.training]
    if tuned:
        share = f" ({len(tuned)} of the {len(members)})" if len(tuned) < len(members) else ""
        text += f" Fine-tuned{share}: {'; '.join(dict.fromkeys(tuned))}."
    return text


def _tuned(bundle: Bundle) -> str:
    """Say what of a model was fine-tuned."""
    record, network = bundle.training["finetuned"], bundle.network
    if record.get("from_scratch"):
        return "from scratch"
    segments = record.get("segments", ())
    own = network.segments() if isinstance(network, Network) else ()
    if own and list(segments) == [each.name for each in own]:
        return f"all of its {len(own)} segments"
    return f"segments {', '.join(segments)}"


def _through(findings: Findings) -> str:
    devices = [one.device for one in findings.conditions if one.device is not None]
    codecs = [one.codec_name for one in findings.conditions if one.codec.kbps is not None]
    parts = []
    if devices:
        parts.append(f"the devices {', '.join(dict.fromkeys(devices))}")
    if codecs:
        parts.append(f"the codecs {', '.join(dict.fromkeys(codecs))} (kbps, nominal)")
    each = ", each by itself and every pair of them" if len(parts) > 1 else ""
    return " and ".join(parts) + each


def _clear(findings: Findings) -> str:
    """Say in how many conditions a loss, or a gain, is clear, and which these are."""
    numbers = range(1, len(findings.conditions))
    found = {number: findings.difference(number) for number in numbers}
    lost = [number for number in numbers if found[number].high < 0]
    won = [number for number in numbers if found[number].low > 0]
    text = f"In {len(lost) or 'none'} of {len(numbers)} the loss is clear, its interval below zero"
    text += f": {_named(findings, lost)}." if lost else "."
    if won:
        text += f" In {len(won)} the gain is: {_named(findings, won)}."
    return text


def _named(findings: Findings, numbers: Sequence[int]) -> str:
    return "; ".join(findings.conditions[number].name for number in numbers)


def _tables(findings: Findings) -> list[str]:
    table = condition_table(findings, full=True)
    conditions = list(enumerate(findings.conditions))
    coded = [number for number, one in conditions if one.device is None]
    heard = [number for number, one in conditions if one.device and one.codec.kbps is None]
    pairs = [number for number, one in conditions if one.device and one.codec.kbps is not None]
    hardest = sorted(pairs, key=lambda number: findings.accuracy(number).value)[:HARDEST]
    sections = {
        "Codecs alone": coded if len(coded) > 1 else [],
        "Microphones alone": heard,
        f"The {len(hardest)} hardest pairs": hardest,
    }
    return [f"## {title}\n\n{_markdown(table, rows)}\n" for title, rows in sections.items() if rows]


def _markdown(table: Table, rows: Sequence[int]) -> str:
    columns = [column.replace("\n", " ") for column in table.columns]
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    lines += [f"| {' | '.join(table.rows[row])} |" for row in rows]
    return "\n".join(lines)
