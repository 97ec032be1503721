from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from anymic.devices.correction.profile import DeviceGains, DeviceProfile
from anymic.evaluation.report import Row, evaluate
from anymic.evaluation.report.figures import (
    accuracy_by_class,
    accuracy_by_device,
    confusion,
    gains_figure,
    reliability,
)
from anymic.evaluation.report.scored import ScoredClips
from anymic.evaluation.report.style import (
    GRID,
    INK,
    MUTED,
    PAPER,
    PNG_DPI,
    embed,
    inline_svg,
    laid_out,
    quiet_style,
    save_png,
)
from anymic.metrics import confusion_matrix

Scored: TypeAlias = tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.str_], list[Row]]


@pytest.fixture(scope="module")
def scored() -> Scored:
    random = np.random.default_rng(0)
    t = np.tile(random.integers(3, size=60), 2)
    p = random.dirichlet(np.ones(3), size=120) * 0.5 + 0.5 * np.eye(3)[t]
    devices = np.repeat(["A", "B"], 60)
    rows = evaluate(p, t, labels=["x", "y", "z"], devices=devices)
    return p, t, devices, rows


def marks(figure: Figure) -> list[tuple[float, float]]:
    """The points drawn with a marker, as (x, y)."""
    lines = [line for line in figure.axes[0].lines if line.get_marker() not in ("None", "")]
    return [(float(x), float(y)) for (x,), (y,) in map(line_data, lines)]


def line_data(line: Line2D) -> NDArray[np.float64]:
    """The coordinates of a line: (2, point)."""
    return np.asarray(line.get_data(), dtype=np.float64)


def ticks(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


def test_dots_stand_at_their_values_and_lines_at_their_intervals(scored: Scored) -> None:
    rows = scored[3]
    figure = accuracy_by_device(rows)
    assert ticks(figure.axes[0]) == ["A", "B", "mean of devices"]
    wanted = [row for row in rows if row.metric == "accuracy" and "device" in row.condition]
    wanted += [row for row in rows if row.metric == "macro_accuracy"]
    assert [x for x, _ in marks(figure)] == pytest.approx([100 * row.value for row in wanted])
    ends = [x for x, _ in map(line_data, figure.axes[0].lines) if len(x) == 2]
    for row in wanted:
        assert row.low is not None
        assert row.high is not None
        assert any(np.allclose(end, [100 * row.low, 100 * row.high]) for end in ends)


def test_conditions_are_told_apart_by_place_colour_and_shape(scored: Scored) -> None:
    rows = [row.under(correction=name) for name in ("none", "geometric") for row in scored[3]]
    figure = accuracy_by_device(rows)
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["none", "geometric"]
    assert len({y for _, y in marks(figure)}) == 6
    drawn = [line for line in figure.axes[0].lines if line.get_marker() not in ("None", "")]
    assert len({(line.get_color(), line.get_marker()) for line in drawn}) == 2


def test_classes_stand_in_the_order_of_their_accuracy(scored: Scored) -> None:
    values = [x for x, _ in marks(accuracy_by_class(scored[3]))]
    assert values == sorted(values, reverse=True)


def test_confusion_writes_every_count(scored: Scored) -> None:
    p, t, *_ = scored
    counts = confusion_matrix(t, p.argmax(axis=1), classes=4)
    figure = confusion(counts, ["x", "y", "z", "never"])
    written = [int(text.get_text()) for text in figure.axes[0].texts]
    assert sum(written) == 120
    assert len(written) == (counts > 0).sum()


def test_reliability_has_a_panel_for_each_device(scored: Scored) -> None:
    p, t, devices, _ = scored
    figure = reliability(ScoredClips.of(p, t, devices))
    assert [axes.get_title("left") for axes in figure.axes] == ["A", "B"]
    confidences = np.asarray(figure.axes[0].collections[0].get_offsets())
    assert 0 <= confidences.min() <= confidences.max() <= 100
    assert len(reliability(ScoredClips.of(p, t)).axes) == 1


def profile(gain_db: float) -> DeviceProfile:
    bins = 513
    flat = DeviceGains(np.ones(bins), 12, np.zeros(bins))
    other = DeviceGains(np.full(bins, 10 ** (gain_db / 20)), 10, np.full(bins, 1.5))
    return DeviceProfile(16000, 1024, ("A",), "ratio_of_means", {"A": flat, "B": other})


def test_gains_are_drawn_in_decibels_with_their_spread() -> None:
    (axes,) = gains_figure(profile(-6.0)).axes
    assert axes.get_title("left") == "B (10 clips)"
    np.testing.assert_allclose(line_data(axes.lines[1])[1], -6.0)
    band = np.asarray(axes.collections[0].get_paths()[0].vertices)[:, 1]
    assert (band.min(), band.max()) == pytest.approx((-7.5, -4.5))


def test_a_png_has_160_dots_an_inch_and_drawing_changes_no_setting(
    scored: Scored, tmp_path: Path
) -> None:
    before = dict(matplotlib.rcParams)
    figure = accuracy_by_device(scored[3])
    path = save_png(figure, tmp_path / "deep" / "accuracy.png")
    wide, high = figure.get_size_inches() * PNG_DPI
    assert imread(path).shape[:2] == pytest.approx((high, wide), abs=1)
    assert dict(matplotlib.rcParams) == before
    assert [file.name for file in path.parent.iterdir()] == ["accuracy.png"]


def test_a_figure_is_laid_out_once_for_all_formats(scored: Scored, tmp_path: Path) -> None:
    """Names at the edges are inside the figure, as when each format is laid out by itself."""
    figure = accuracy_by_class(scored[3])
    (axes,) = figure.axes
    engine, before = figure.get_layout_engine(), axes.get_position().bounds
    with laid_out(figure):
        inside = axes.get_position().bounds
        inline_svg(figure, label="")
        save_png(figure, tmp_path / "classes.png")
        assert axes.get_position().bounds == inside
    assert figure.get_layout_engine() is engine
    save_png(figure, tmp_path / "alone.png")
    assert axes.get_position().bounds == pytest.approx(inside, abs=0.01)
    assert before != pytest.approx(inside, abs=0.01)


def test_the_colours_of_the_style_are_those_that_the_page_replaces() -> None:
    with quiet_style():
        used = {str(matplotlib.rcParams[key]) for key in ("text.color", "grid.color")}
        used |= {str(matplotlib.rcParams[key]) for key in ("xtick.labelcolor", "figure.facecolor")}
    assert used == {INK, MUTED, GRID, PAPER}


def test_svg_is_escaped_recoloured_and_refers_to_nothing_outside() -> None:
    row = Row({"device": "<b>$x$ & co</b>"}, "accuracy", 0.5, 0.4, 0.6, 10)
    markup = inline_svg(accuracy_by_device([row]), label='a "label"')
    assert "&lt;b&gt;$x$ &amp; co&lt;/b&gt;" in markup
    assert "<b>" not in markup
    assert "://" not in markup
    assert "var(--ink)" in markup
    assert "DejaVu" not in markup
    assert markup.startswith("<svg")
    assert "a &quot;label&quot;" in markup


def test_two_figures_on_a_page_share_no_identifier(scored: Scored) -> None:
    def identifiers(markup: str) -> set[str]:
        return {part.split('"')[0] for part in markup.split(' id="')[1:]}

    first = identifiers(inline_svg(accuracy_by_device(scored[3]), label="1"))
    second = identifiers(inline_svg(accuracy_by_class(scored[3]), label="2"))
    assert first
    assert not first & second


def test_a_heavy_figure_becomes_a_picture(scored: Scored, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anymic.evaluation.report.style.LARGEST_SVG", 10)
    assert embed(accuracy_by_device(scored[3]), label="x").startswith(
        '<img alt="x" src="data:image/png;base64,'
    )


def test_no_rows_draw_an_empty_figure() -> None:
    assert marks(accuracy_by_device([])) == []
