"""The model card: what a bundle records about its data, devices, accuracy and limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from anymic import bundle as bundles
from anymic._internal.files import write_text
from anymic._version import version
from anymic.bundle import Bundle, Ensemble
from anymic.bundle.installed import resolve
from anymic.errors import AnymicError, counted
from anymic.evaluation.report.escaping import in_markdown
from anymic.evaluation.report.rows import Row, read_json
from anymic.sharing.parts import CARD

REPORT = ("report", "report.json")
MOST_LABELS = 100  # listed

UNKNOWN = {
    "identity": "is not corrected",
    "blind": "is corrected with gains estimated from its recordings",
    "refuse": "is refused",
}


def write_card(model: str | Path, *, license_name: str | None = None) -> Path:
    """Write `MODEL_CARD.md` into a model's folder, and return its path.

    Parameters
    ----------
    model : path
    license_name : str, optional
        As the Hugging Face hub names it, such as "apache-2.0".

    Raises
    ------
    BundleError
        If the folder has no bundle.
    """
    folder = resolve(model)
    text = card_text(bundles.load(folder), folder, license_name=license_name)
    write_text(folder / CARD, text)
    return folder / CARD


def card_text(model: Bundle | Ensemble, folder: Path, *, license_name: str | None = None) -> str:
    """Return the card of the bundle in a folder, with the results in its folder `report`."""
    parts = [
        _head(license_name),
        f"# {in_markdown(folder.resolve().name)}\n",
        "\n".join(_about(model)),
        "\n".join(["## Use\n", *_use()]),
        "\n".join(["## Data\n", *_data(model)]),
        "\n".join(["## Devices\n", *_devices(model)]),
        "\n".join(["## Accuracy\n", *_accuracy(folder)]),
        "\n".join(["## Calibration\n", *_calibration(model)]),
        "\n".join(["## Input\n", *_contract(model)]),
        "\n".join(["## Limits\n", *_limits(model)]),
        f"*Written by anymic {version()} from what the model records.*",
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _head(license_name: str | None) -> str:
    values: dict[str, Any] = {"library_name": "anymic", "pipeline_tag": "audio-classification"}
    values["tags"] = ["audio", "audio-classification", "anymic"]
    if license_name is not None:
        values = {"license": license_name, **values}
    return "---\n" + yaml.safe_dump(values, sort_keys=False) + "---"


def _about(model: Bundle | Ensemble) -> Iterator[str]:
    names = [in_markdown(label) for label in model.labels]
    several = "any number of" if model.targets == "several" else "one of"
    more = f" and {len(names) - MOST_LABELS} more" if len(names) > MOST_LABELS else ""
    kind = "A sound classifier"
    if isinstance(model, Ensemble):
        kind = f"An ensemble of {counted(len(model.members), 'sound classifier')}"
    yield f"{kind}. A clip has {several} {counted(len(names), 'label')}:"
    yield ", ".join(names[:MOST_LABELS]) + more + "."


def _use() -> Iterator[str]:
    yield "With `pip install anymic` and this folder as `model`:\n"
    yield "```python"
    yield "import anymic"
    yield 'prediction = anymic.load("model").predict("clip.wav")'
    yield "print(prediction.label, prediction.probability)"
    yield "```"


def _data(model: Bundle | Ensemble) -> Iterator[str]:
    members = model.members
    uses: dict[str, set[str]] = {}
    for member in members:
        for use, clips in member.fitted_on.items():
            uses.setdefault(use, set()).update(clips)
    if not uses:
        yield "The model does not record the clips that it was trained on."
        return
    yield "Clips that each part was fitted on:\n"
    yield "| part | clips |"
    yield "|---|---:|"
    for use, found in uses.items():
        yield f"| {in_markdown(use)} | {len(found)} |"
    failed = {one.get("path") for member in members for one in member.training.get("failures", ())}
    if failed:
        yield f"\n{counted(len(failed), 'file')} could not be read."
    yield "\nThe bundle records the ids of these clips, and hashes of their files, but no paths."


def _devices(model: Bundle | Ensemble) -> Iterator[str]:
    blind = model.blind_devices
    if model.devices:
        yield "| device | gains |"
        yield "|---|---|"
        for device in model.devices:
            how = "recordings of it alone (blind)" if device in blind else "its profile"
            yield f"| {in_markdown(device)} | {how} |"
        yield ""
    else:
        yield "The model has no device profile and corrects no device."
    if model.identifier is not None:
        yield "It identifies the device of a recording for which none is stated."
    yield f"A recording of an unknown device {UNKNOWN[model.contract.unknown_device]}."


def _accuracy(folder: Path) -> Iterator[str]:
    path = folder.joinpath(*REPORT)
    if not path.is_file():
        yield "Not measured: `anymic evaluate` has not written a report beside the model."
        return
    try:
        rows, header = read_json(path)
    except AnymicError as error:
        yield f"Not known: {in_markdown(str(error))}"
        return
    metrics = ("accuracy", "mean_average_precision", "macro_f1")
    shown = [row for row in rows if row.metric in metrics and set(row.condition) <= {"device"}]
    if not shown:
        yield "The report beside the model has no accuracy."
        return
    yield "| clips | metric | value | 95 % interval | n |"
    yield "|---|---|---:|---:|---:|"
    for row in shown:
        yield _row(row)
    yield ""
    yield from _measured(header)


def _row(row: Row) -> str:
    where = in_markdown(row.condition.get("device", "all"))
    ends = "" if row.low is None or row.high is None else f"{row.low:.3f} to {row.high:.3f}"
    return f"| {where} | {row.metric.replace('_', ' ')} | {row.value:.3f} | {ends} | {row.n} |"


def _measured(header: Mapping[str, Any]) -> Iterator[str]:
    """Yield what was measured, without paths of the machine."""
    if isinstance(what := header.get("measured on"), str):
        yield f"Measured on {in_markdown(what)}."
    if isinstance(digest := header.get("digest"), str):
        yield f"The clips have the SHA-256 `{in_markdown(digest)}`."


def _calibration(model: Bundle | Ensemble) -> Iterator[str]:
    calibration = model.calibration
    if model.targets == "several":
        chosen = "were chosen on clips set aside" if model.thresholds else "are 0.5"
        yield f"Each label has its own score. The thresholds {chosen}."
    elif calibration is None:
        yield "The probabilities were not calibrated after training."
    else:
        own = ", ".join(in_markdown(name) for name in calibration.devices_)
        for_each = f", and one for each of the devices {own}" if own else ""
        count = calibration.counts_.get("", 0)
        method = in_markdown(calibration.method)
        clips = counted(count, "clip")
        yield f"Probabilities are calibrated by {method}, fitted on {clips}{for_each}."


def _contract(model: Bundle | Ensemble) -> Iterator[str]:
    contract = model.contract
    hop_s = contract.hop_samples / contract.rate_hz
    yield f"- {contract.rate_hz} Hz; other rates: {contract.other_rates}"
    yield f"- windows of {contract.clip_s:g} s, one every {hop_s:g} s"
    yield f"- shorter clips: {contract.shorter}"
    yield f"- channel of several: {contract.channel}"


def _limits(model: Bundle | Ensemble) -> Iterator[str]:
    if model.targets == "one":
        yield "- It names one of its labels for every sound, also for sounds that are none of them."
    yield "- On devices, places and sounds that are not in the data above, accuracy is not known."
    if model.blind_devices:
        yield "- Gains that were estimated blindly also contain the spectrum of what was recorded."
