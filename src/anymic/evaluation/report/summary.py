"""The finding of a report in one or two sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from anymic.evaluation.report.rows import Row
from anymic.evaluation.report.tables import condition_name, conditions, estimate, interval
from anymic.metrics import ACCURACY

_NAMED = 3  # devices named one by one; more are counted


def summary(rows: Iterable[Row]) -> str:
    """Say what a report found: who loses against whom, or what a condition wins.

    A difference counts as clear when its interval leaves out zero.

    Parameters
    ----------
    rows : iterable of Row
        As `evaluate` returns them, of one condition or of several; of several, the first is the
        one that the best is held against.
    """
    found = list(rows)
    # rows without a condition (a network's size, say) say nothing of accuracy by condition
    names = [name for name, own in conditions(found).items() if _overall(own)]
    if len(names) > 1:
        return _of_conditions(found, names)
    overall = _overall(found)
    if overall is None:
        return ""
    differences = [row for row in found if _is_device_difference(row)]
    if not differences:
        clips = "1 clip" if overall.n == 1 else f"{overall.n} clips"
        return f"Accuracy is {_full(overall)} over {clips}."
    reference = differences[0].condition["against_device"]
    base = next(
        row
        for row in found
        if row.metric == ACCURACY.name and row.condition.get("device") == reference
    )
    return f"Accuracy on {reference} is {_full(base)}. {_of_devices(differences, reference)}"


def _of_devices(differences: Sequence[Row], reference: str) -> str:
    losers = sorted((row for row in differences if _clear(row) < 0), key=lambda row: row.value)
    gainers = sorted((row for row in differences if _clear(row) > 0), key=lambda row: -row.value)
    unclear = [row for row in differences if _clear(row) == 0]
    parts = []
    if losers:
        parts.append(_listed(losers, "loses", reference))
    if gainers:
        parts.append(_listed(gainers, "gains", reference))
    if not parts:
        several = "None of the other devices differs" if len(unclear) > 1 else ""
        return f"{several or unclear[0].condition['device'] + ' does not differ'} clearly from it."
    if unclear:
        named = _and([row.condition["device"] for row in unclear])
        many = f"{len(unclear)} others" if len(unclear) > _NAMED else named
        verb = "does" if len(unclear) == 1 else "do"
        parts.append(f"{many} {verb} not differ clearly")
    return "; ".join(parts) + "."


def _listed(rows: Sequence[Row], verb: str, reference: str) -> str:
    first = rows[0]
    text = f"{first.condition['device']} {verb} {_points(first)} points against {reference}"
    if len(rows) > _NAMED:
        return f"{text}, the most of {len(rows)} devices that {verb.removesuffix('s')}"
    others = [f"{row.condition['device']} {_points(row)}" for row in rows[1:]]
    return f"{text}, {_and(others)}" if others else text


def _of_conditions(rows: Sequence[Row], names: Sequence[str]) -> str:
    by_name = conditions(rows)
    overall = {name: row for name in names if (row := _overall(by_name[name]))}
    base, best = names[0], max(names, key=lambda name: overall[name].value)
    averaged = overall[base].metric == ACCURACY.over_devices
    what = "Mean accuracy over devices" if averaged else "Accuracy"
    if best == base:
        return f"{what} is highest with {base}: {_full(overall[base])}."
    text = (
        f"{what} is {_full(overall[best])} with {best}, against {_full(overall[base])} with {base}"
    )
    paired = [
        row
        for row in rows
        if row.metric == ACCURACY.difference
        and condition_name(row) == best
        and "device" not in row.condition
        and base in [v for k, v in row.condition.items() if k.startswith("against_")]
    ]
    if paired:
        text += f": {estimate(paired[0])} points {interval(paired[0])}, in pairs over all clips"
    now, then = _worst(by_name[best]), _worst(by_name[base])
    if now and then:
        text += f". The hardest device is then {now.condition['device']}, at {estimate(now)}; "
        text += f"with {base} it is {then.condition['device']}, at {estimate(then)}"
    return text + "."


def _overall(rows: Iterable[Row]) -> Row | None:
    plain = {row.metric: row for row in rows if not {"device", "label"} & set(row.condition)}
    return plain.get(ACCURACY.over_devices) or plain.get(ACCURACY.name)


def _worst(rows: Iterable[Row]) -> Row | None:
    heard = [row for row in rows if row.metric == ACCURACY.name and "device" in row.condition]
    return min(heard, key=lambda row: row.value, default=None)


def _is_device_difference(row: Row) -> bool:
    return row.metric == ACCURACY.difference and "against_device" in row.condition


def _clear(row: Row) -> int:
    if row.low is None or row.high is None or row.low <= 0 <= row.high:
        return 0
    return 1 if row.value > 0 else -1


def _points(row: Row) -> str:
    return f"{abs(100 * row.value):.1f}"


def _full(row: Row) -> str:
    return f"{estimate(row)} {interval(row)}".strip()


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
