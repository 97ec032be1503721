"""``anymic card``: write the model card of a model."""

from __future__ import annotations

from pathlib import Path

from anymic.cli.printing import Outcome


def card(model: Path, *, license: str | None = None) -> Outcome:
    """Write MODEL_CARD.md into a model's folder, to be edited before `anymic push`.

    It states what the model records: labels, number of training clips, devices, accuracy by device
    with 95 % intervals (of MODEL/report, which `anymic evaluate` writes), calibration, accepted
    input and limits, with the head that the Hugging Face hub reads.

    Example: anymic card run --license apache-2.0
    """
    from anymic.sharing import write_card

    path = write_card(model, license_name=license)
    return Outcome({"card": str(path)}, [f"card in {path}"])
