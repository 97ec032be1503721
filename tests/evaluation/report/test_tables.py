from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from anymic.evaluation.report import Row, summary
from anymic.evaluation.report.cells import describe
from anymic.evaluation.report.rows import conditions
from anymic.evaluation.report.tables import (
    Table,
    class_table,
    comparison_table,
    device_table,
    rich_table,
)
from anymic.evaluation.report.write import tables_of


def share(value: float, n: int = 320, metric: str = "accuracy", **condition: str) -> Row:
    return Row(condition, metric, value, value - 0.04, value + 0.035, n)


def difference(device: str, value: float, spread: float = 0.04) -> Row:
    condition = {"device": device, "against_device": "A"}
    return Row(condition, "accuracy_difference", value, value - spread, value + spread, 320)


ONE = [
    share(0.70, 640),
    Row({}, "log_loss", 0.712, 0.65, 0.77, 640),
    share(0.833, device="A"),
    share(0.693, device="B"),
    share(0.763, 640, "macro_accuracy"),
    difference("B", -0.14),
    share(0.9, 64, label="bus"),
    share(0.5, 64, label="tram"),
]


def shown(table: Table, width: int = 100) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width).print(rich_table(table))
    return stream.getvalue()


def test_a_row_in_one_line() -> None:
    assert describe(Row({}, "accuracy", 0.8333, 0.791, 0.868, 320)) == "83.3 % [79.1, 86.8] n=320"
    assert describe(Row({}, "log_loss", 0.5, None, None, 3)) == "0.500 n=3"
    assert describe(difference("B", -0.14)) == "-14.0 [-18.0, -10.0] points n=320"


def test_without_devices_nothing_is_called_a_device() -> None:
    table = device_table([share(0.5)])
    assert (table.title, table.columns[0]) == ("Accuracy", "clips")
    assert device_table([share(0.5), share(0.5, device="A")]).title == "Accuracy by device"
    assert list(tables_of([share(0.5)])) == ["All clips", "Classes", "Confidence"]


def test_device_table_holds_each_number_in_its_place() -> None:
    table = device_table(ONE)
    assert table.columns == ("device", "accuracy", "against A,\npoints", "log loss", "ECE", "n")
    assert table.rows[0] == ("A", "83.3 %\n[79.3, 86.8]", "", "", "", "320")
    assert table.rows[1][2] == "-14.0\n[-18.0, -10.0]"
    assert [cells[0] for cells in table.rows] == ["A", "B", "their mean", "all clips"]
    assert table.rows[3][3] == "0.712"
    assert device_table(ONE, full=True).rows[3][3] == "0.712\n[0.650, 0.770]"
    assert all(len(cells) == len(table.columns) for cells in table.rows)


def test_class_table_begins_with_the_hardest() -> None:
    assert [cells[0] for cells in class_table(ONE).rows] == ["tram", "bus"]


def test_map_at_3_has_its_column_where_it_was_measured() -> None:
    metric = "mean_average_precision_at_3"
    rows = [*ONE, Row({}, metric, 0.8, 0.7, 0.9, 640), Row({"label": "bus"}, metric, 1, 0.9, 1, 64)]
    table = device_table(rows)
    assert table.columns[3] == "MAP@3"
    assert table.rows[3][3] == "0.800\n[0.700, 0.900]"
    assert "[0.700, 0.900]" in shown(table, 80)  # a common terminal breaks no interval
    assert "[-18.0, -10.0]" in shown(table, 80)
    assert class_table(rows).columns == ("class", "accuracy", "MAP@3", "n")
    assert [cells[2] for cells in class_table(rows).rows] == ["", "1.000 [0.900, 1.000]"]
    compared = comparison_table([row.under(run="x") for row in rows], metric=metric)
    assert compared.title == "MAP@3 by condition"


def test_comparison_table_crosses_conditions_and_devices() -> None:
    rows = [row.under(correction=name) for name in ("none", "geometric") for row in ONE]
    table = comparison_table(rows)
    assert table.columns == ("condition", "A\nn=320", "B\nn=320", "mean of devices\nn=640")
    assert [cells[0] for cells in table.rows] == ["none", "geometric"]
    assert table.rows[0][2] == "69.3 %\n[65.3, 72.8]"
    by_codec = comparison_table(
        [share(0.5, device=d, codec=c) for d in "AB" for c in ("mp3", "opus")], column="codec"
    )
    assert by_codec.columns == ("condition", "mp3\nn=320", "opus\nn=320")
    by_epoch = comparison_table([share(0.5, epoch="10")], column="epoch")
    assert by_epoch.columns == ("condition", "epoch 10\nn=320")
    assert [cells[0] for cells in by_codec.rows] == ["A", "B"]


def test_conditions_are_what_is_neither_device_nor_class_nor_baseline() -> None:
    rows = [row.under(correction="none", reference="A") for row in ONE]
    assert list(conditions(rows)) == ["none, A"]
    assert list(conditions(ONE)) == [""]


@pytest.mark.parametrize("width", [40, 60, 100])
def test_a_narrow_terminal_cuts_no_number(width: int) -> None:
    text = shown(device_table(ONE), width)
    assert "…" not in text
    assert text.count("320") == 2


def test_names_that_look_like_markup_are_shown_as_they_are() -> None:
    assert "[red]" in shown(device_table([share(0.5, device="[red]")]))


# the sentence on top


def test_summary_names_who_loses() -> None:
    assert summary(ONE) == "Accuracy on A is 83.3 % [79.3, 86.8]. B loses 14.0 points against A."


def test_summary_tells_clear_differences_from_others() -> None:
    rows = [*ONE, share(0.82, device="C"), difference("C", -0.01)]
    assert summary(rows).endswith("B loses 14.0 points against A; C does not differ clearly.")
    rows = [*ONE[:3], share(0.82, device="C"), difference("C", -0.01)]
    assert summary(rows).endswith("C does not differ clearly from it.")
    rows = [*ONE[:3], share(0.9, device="C"), difference("C", 0.067)]
    assert summary(rows).endswith("C gains 6.7 points against A.")


def test_summary_of_many_devices_names_the_worst() -> None:
    rows = [*ONE, *(difference(f"s{i}", -0.05 - i / 100) for i in range(1, 7))]
    assert "B loses 14.0 points against A, the most of 7 devices that lose." in summary(rows)


def test_summary_without_devices_and_without_rows() -> None:
    assert summary([share(0.7)]) == "Accuracy is 70.0 % [66.0, 73.5] over 320 clips."
    assert summary([]) == ""


def test_summary_of_conditions_holds_the_best_against_the_first() -> None:
    better = [
        Row(r.condition, r.metric, r.value + 0.05, r.low, r.high + 0.05, r.n)
        for r in ONE
        if r.metric != "accuracy_difference" and r.high is not None
    ]
    rows = [row.under(correction="none") for row in ONE]
    rows += [row.under(correction="geometric") for row in better]
    paired = {"correction": "geometric", "against_correction": "none"}
    rows.append(Row(paired, "accuracy_difference", 0.05, 0.02, 0.08, 640))
    assert summary(rows) == (
        "Mean accuracy over devices is 81.3 % [72.3, 84.8] with geometric, against "
        "76.3 % [72.3, 79.8] with none: +5.0 points [+2.0, +8.0], in pairs over all clips. The "
        "hardest device is then B, at 74.3 %; with none it is B, at 69.3 %."
    )
    (lowest,) = [row for row in rows if row.condition == {"correction": "none", "device": "B"}
                 and row.metric == "accuracy"]  # fmt: skip
    equal = replace(lowest, condition={"correction": "none", "device": "F"})
    assert summary([*rows, equal]).endswith("with none it is B or F, at 69.3 %.")
