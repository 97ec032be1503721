"""Table 2, and the ablation the paper states without numbers: at T = 1, two losses, two domains."""

from __future__ import annotations

from collections.abc import Iterable

from anymic.evaluation.report.cells import percent, points
from anymic.evaluation.report.rows import Row, row
from anymic_experiments.findings import Findings
from anymic_experiments.nguyen2020 import grid
from anymic_experiments.nguyen2020.curve import DEVICES, PAIR
from anymic_experiments.nguyen2020.grid import CORRECTIONS, Setting
from anymic_experiments.pooling import pool
from anymic_experiments.runs import Outcome

# Table 2 of the paper, in per cent: accuracy on A and on B and C.
PAPER = {
    ("Ref.ABC", "focal"): (72.3, 67.6),
    ("Ref.ABC", "cross_entropy"): (72.1, 67.3),
    ("Ref.BC", "focal"): (70.27, 65.9),
    ("Ref.BC", "cross_entropy"): (72.0, 66.4),
    ("NoCorrection", "focal"): (71.6, 58.6),
    ("NoCorrection", "cross_entropy"): (70.4, 58.4),
}
SHOWN = ("A", PAIR)


def compare(outcomes: Iterable[Outcome]) -> Findings:
    """Return accuracies of `grid.losses` and `grid.domains`, and differences clip by clip.

    Parameters
    ----------
    outcomes : iterable of Outcome
        Of both, the same folds and seeds of each.
    """
    pooled = pool(outcomes)
    rows: list[Row] = []
    for setting in {s.name: s for s in [*grid.losses(), *grid.domains()]}.values():
        where = {
            "correction": setting.correction,
            "loss": setting.loss,
            "domain": setting.domain,
        }
        for device in SHOWN:
            heard = DEVICES[device]
            place = {**where, "device": device}
            rows.append(row("accuracy", pooled.accuracy(setting.name, *heard), **place))
            plain = Setting(setting.correction).name
            if setting.name != plain:
                rows.append(
                    row("accuracy_difference", pooled.gain(setting.name, plain, *heard), **place)
                )
    return Findings(rows)


def markdown(found: Findings) -> str:
    """Return table 2, the paper's figures in brackets."""
    lines = [
        "| correction | focal A | focal B and C | cross-entropy A | cross-entropy B and C | "
        "cross-entropy over focal, B and C |",
        "|---" * 6 + "|",
    ]
    for correction in CORRECTIONS:
        cells = []
        for loss in grid.LOSSES:
            for device, figure in zip(SHOWN, PAPER[correction, loss], strict=True):
                item = found.of(
                    "accuracy",
                    correction=correction,
                    loss=loss,
                    domain="magnitude",
                    device=device,
                )
                cells.append(f"{percent(item, interval_digits=0)} ({figure:.1f})")
        change = found.of(
            "accuracy_difference",
            correction=correction,
            loss="cross_entropy",
            domain="magnitude",
            device=PAIR,
        )
        lines.append("| " + " | ".join([correction, *cells, points(change)]) + " |")
    return "\n".join(lines) + "\n"


def domains_markdown(found: Findings) -> str:
    """Return the ablation: gains on magnitudes against gains in the log-mel domain."""
    lines = [
        "| correction | gains on | A | B and C | change on A | change on B and C |",
        "|---" * 6 + "|",
    ]
    for setting in grid.domains():
        where = {"correction": setting.correction, "loss": "focal", "domain": setting.domain}
        cells = [
            percent(found.of("accuracy", **where, device=device), interval_digits=0)
            for device in SHOWN
        ]
        log_mel = setting.domain == "log_mel"
        changes = [
            points(found.of("accuracy_difference", **where, device=device)) if log_mel else ""
            for device in SHOWN
        ]
        name = "log-mel bands" if log_mel else "magnitudes"
        lines.append("| " + " | ".join([setting.correction, name, *cells, *changes]) + " |")
    return "\n".join(lines) + "\n"
