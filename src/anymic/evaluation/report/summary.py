"""The finding of a report in one or two sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from anymic.errors import counted
from anymic.evaluation.report.cells import estimate, full, interval
from anymic.evaluation.report.label_rows import label_summary
from anymic.evaluation.report.rows import Row, condition_name, conditions
from anymic.metrics import ACCURACY

_NAMED = 3  # devices named one by one; more are counted


def summary(rows: Iterable[Row]) -> str:
    """Return the finding: differences between devices, or the best of several conditions.

    A difference is called clear if its interval does not include zero.

    Parameters
    ----------
    rows : iterable of Row
        As `evaluate` returns them, of one condition or of several. The best condition is compared
        with the first.
    """
    found = list(rows)
    # rows of a condition without an accuracy (a network's size, say) are left out
    overall = {name: row for name, own in conditions(found).items() if (row := _overall(own))}
    if len(overall) > 1:
        return _of_conditions(found, overall)
    first = _overall(found)
    if first is None:
        return label_summary(found)
    differences = [
        row
        for row in found
        if row.metric == ACCURACY.difference and "against_device" in row.condition
    ]
    if not differences:
        return f"Accuracy is {full(first)} over {counted(first.n, 'clip')}."
    reference = differences[0].condition["against_device"]
    base = next(
        row
        for row in found
        if row.metric == ACCURACY.name and row.condition.get("device") == reference
    )
    return f"Accuracy on {reference} is {full(base)}. {_of_devices(differences, reference)}"


def _of_devices(differences: Sequence[Row], reference: str) -> str:
    lower = [row for row in differences if row.high is not None and row.high < 0]
    higher = [row for row in differences if row.low is not None and row.low > 0]
    unclear = [row.condition["device"] for row in differences if row not in (*lower, *higher)]
    parts = []
    if lower:
        parts.append(_listed(sorted(lower, key=lambda row: row.value), "loses", reference))
    if higher:
        parts.append(_listed(sorted(higher, key=lambda row: -row.value), "gains", reference))
    if not parts:
        several = "None of the other devices differs" if len(unclear) > 1 else ""
        return f"{several or f'{unclear[0]} does not differ'} clearly from it."
    if unclear:
        named = f"{len(unclear)} others" if len(unclear) > _NAMED else _and(unclear)
        parts.append(f"{named} {'does' if len(unclear) == 1 else 'do'} not differ clearly")
    return "; ".join(parts) + "."


def _listed(rows: Sequence[Row], verb: str, reference: str) -> str:
    devices = [row.condition["device"] for row in rows]
    points = [f"{abs(100 * row.value):.1f}" for row in rows]
    text = f"{devices[0]} {verb} {points[0]} points against {reference}"
    if len(rows) > _NAMED:
        return f"{text}, the most of {len(rows)} devices that {verb.removesuffix('s')}"
    others = [" ".join(pair) for pair in zip(devices[1:], points[1:], strict=True)]
    return f"{text}, {_and(others)}" if others else text


def _of_conditions(rows: Sequence[Row], overall: dict[str, Row]) -> str:
    base, best = next(iter(overall)), max(overall, key=lambda name: overall[name].value)
    averaged = overall[base].metric == ACCURACY.over_devices
    what = "Mean accuracy over devices" if averaged else "Accuracy"
    if best == base:
        return f"{what} is highest with {base}: {full(overall[base])}."
    text = f"{what} is {full(overall[best])} with {best}, against {full(overall[base])} with {base}"
    for row in rows:
        if (
            row.metric == ACCURACY.difference
            and condition_name(row) == best
            and "device" not in row.condition
            and base in [v for k, v in row.condition.items() if k.startswith("against_")]
        ):
            text += f": {estimate(row)} points {interval(row)}, in pairs over all clips"
            break
    by_name = conditions(rows)
    now, then = _worst(by_name[best]), _worst(by_name[base])
    if now and then:
        text += f". The hardest device is then {_devices(now)}, at {estimate(now[0])}; "
        text += f"with {base} it is {_devices(then)}, at {estimate(then[0])}"
    return text + "."


def _overall(rows: Iterable[Row]) -> Row | None:
    plain = {row.metric: row for row in rows if not {"device", "label"} & set(row.condition)}
    return plain.get(ACCURACY.over_devices) or plain.get(ACCURACY.name)


def _worst(rows: Iterable[Row]) -> list[Row]:
    """Return the row of the device with the lowest accuracy, or the rows of several equals."""
    of_devices = [row for row in rows if row.metric == ACCURACY.name and "device" in row.condition]
    lowest = min((row.value for row in of_devices), default=0.0)
    return [row for row in of_devices if row.value == lowest]


def _devices(rows: Sequence[Row]) -> str:
    return " or ".join(str(row.condition["device"]) for row in rows[:_NAMED])


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
