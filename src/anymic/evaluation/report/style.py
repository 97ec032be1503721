"""The common style of all figures, and how they are written.

The page has a light and a dark theme: `inline_svg` replaces each colour below by a CSS variable of
the same name. The series colours are those of M. Okabe and K. Ito, "Color universal design", 2008,
which people with any colour vision can distinguish; the markers differ as well.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from anymic._internal.files import write_bytes
from anymic._internal.optional import extra
from anymic.errors import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID, PAPER = "#1b1f24", "#5c6670", "#dde2e7", "#fffffe"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "s", "D", "^", "v", "P")
MINUS = "\u2212"
PNG_DPI = 160
PAGE_DPI = 108  # CSS pixels an inch: the widest figure fills the page's column
LARGEST_SVG = 1_500_000  # characters; a picture is lighter than that many shapes
WIDTH_INCHES = 7.2
LONGEST_NAME = 40  # characters of a label or a device

_TOKENS = {INK: "ink", MUTED: "muted", GRID: "grid", PAPER: "paper"} | {
    colour: f"series-{number}" for number, colour in enumerate(SERIES, start=1)
}


@contextmanager
def quiet_style() -> Iterator[None]:
    """Use the common style within a `with`, or in a function; nothing outside it changes."""
    with extra("report"):
        import matplotlib

    sheet = files("anymic.evaluation.report").joinpath("figures.mplstyle")
    with as_file(sheet) as path, matplotlib.rc_context(fname=path), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a label may hold any character
        yield


def canvas(
    height_inches: float, width_inches: float = WIDTH_INCHES, **grid: Any
) -> tuple[Figure, Any]:
    """Return (figure, axes) on the Agg canvas, without pyplot; `grid` as for `subplots`."""
    with extra("report"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

    figure = Figure(figsize=(width_inches, height_inches), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(**grid)


def panels(
    count: int, across: int, height_inches: float, width_inches: float = WIDTH_INCHES
) -> tuple[Figure, list[Axes]]:
    """Return (figure, axes) of so many panels, `across` of them in a row, with shared axes.

    Panels without another one below them have the labels of the horizontal axis.
    """
    figure, grid = canvas(
        height_inches,
        width_inches,
        nrows=-(-count // across),
        ncols=across,
        squeeze=False,
        sharex=True,
        sharey=True,
    )
    for number, axes in enumerate(grid.flat):
        axes.set_visible(number < count)
        axes.tick_params(labelbottom=number + across >= count)
    return figure, list(grid.flat[:count])


@contextmanager
def laid_out(figure: Figure) -> Iterator[None]:
    """Lay the figure out once for all formats that it is written in within the block.

    Matplotlib lays a figure out again whenever it is written, which takes as long as drawing it.
    """
    engine = figure.get_layout_engine()
    if engine is None:
        yield
        return
    with quiet_style():
        figure.draw_without_rendering()
    figure.set_layout_engine("none")
    try:
        yield
    finally:
        figure.set_layout_engine(engine)


def bare(axes: Axes, *, grid: Literal["x", "y", "both"], **ticks: Any) -> None:
    """Remove ticks and spines, keep grid lines across one axis; `ticks` as for `tick_params`."""
    axes.grid(True, axis=grid)
    axes.tick_params(length=0, **ticks)
    axes.spines[:].set_visible(False)


def matrix_axes(
    axes: Axes, columns: Sequence[str], rows: Sequence[str], *, font: float, **columns_text: Any
) -> None:
    """Set up axes whose unit squares are the cells of a table, without grid lines."""
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xticks(range(len(columns)), columns, **columns_text)
    axes.set_yticks(range(len(rows)), rows)
    bare(axes, grid="both", labelcolor=INK, labelsize=font)
    axes.grid(False)


def matrix_cell(axes: Axes, x: int, y: int, height: float = 0.96, **patch: Any) -> None:
    """Draw a cell of `matrix_axes`; `patch` as for `matplotlib.patches.Rectangle`."""
    with extra("report"):
        from matplotlib.patches import Rectangle

    style = {"edgecolor": "none", "linewidth": 0.8, **patch}
    axes.add_patch(Rectangle((x - 0.48, y - height / 2), 0.96, height, **style))


def shared_labels(figure: Figure, title: str, x: str, y: str) -> None:
    """Write the title of a figure of several panels, and the labels that its axes share."""
    figure.suptitle(title, x=0.01, ha="left")
    figure.supxlabel(x, fontsize=9, color=MUTED)
    figure.supylabel(y, fontsize=9, color=MUTED)


def shorten(name: str, length: int = LONGEST_NAME) -> str:
    """Return a name that can be drawn: a long one ends with an ellipsis, no character acts."""
    name = visible(name[: length + 1])
    return name if len(name) <= length else name[: length - 1] + "\u2026"


def series(number: int) -> tuple[str, str]:
    """Return the colour and marker of a series; the marker changes when the colours repeat."""
    turn = number // len(SERIES)
    return SERIES[number % len(SERIES)], MARKERS[(number + turn) % len(MARKERS)]


def axis_start(share: float) -> float:
    """Return where an axis in per cent starts: at the multiple of ten below the lowest share."""
    return float(10 * np.floor(10 * max(0.0, share - 0.02)))


def save_png(figure: Figure, path: str | Path) -> Path:
    """Write the figure as PNG of 160 dots per inch, complete or not at all."""
    path = Path(path)
    write_bytes(path, png(figure))
    return path


def png(figure: Figure) -> bytes:
    """Return the figure as PNG of 160 dots per inch."""
    stream = io.BytesIO()
    with quiet_style():
        figure.savefig(stream, format="png", dpi=PNG_DPI)
    return stream.getvalue()


def inline_svg(figure: Figure, *, label: str) -> str:
    """Return the figure as SVG markup for the middle of an HTML page.

    Text stays text and takes the page's font, colours become the page's variables, and identifiers
    are unique to the figure. `label` is its description for screen readers.
    """
    stream = io.StringIO()
    with quiet_style():
        empty: dict[str, Any] = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(stream, format="svg", metadata=empty, transparent=True)
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"\sxmlns(:\w+)?=\"[^\"]*\"", "", text)
    text = text.replace("xlink:href", "href")
    width, height = figure.get_size_inches()
    opening = (
        f'<svg viewBox="0 0 {width * 72:g} {height * 72:g}" role="img" '
        f'aria-label="{escape(visible(label))}" style="max-width:{width * PAGE_DPI:.0f}px">'
    )
    text = re.sub(r"<svg[^>]*>", lambda _: opening, text, count=1)
    mark = "f" + hashlib.sha256(text.encode()).hexdigest()[:8] + "-"
    text = re.sub(r'\bid="', f'id="{mark}', text)
    text = re.sub(r"url\(#", f"url(#{mark}", text)
    text = re.sub(r'href="#', f'href="#{mark}', text)
    # matplotlib writes the family by itself (3.11) or inside the font shorthand (before)
    text = re.sub(r"font-family: [^;\"]*", "font-family: var(--sans)", text)
    text = re.sub(r"font: ([^;\"]*?)([\d.]+)px [^;\"]*", r"font: \1\2px var(--sans)", text)
    for colour, name in _TOKENS.items():
        text = text.replace(colour, f"var(--{name})")
    return visible(text.strip(), kept="\n\t")


def embed(figure: Figure, *, label: str) -> str:
    """Return the figure as markup for a page: SVG, or a PNG where the SVG would be large."""
    markup = inline_svg(figure, label=label)
    if len(markup) <= LARGEST_SVG:
        return markup
    data = base64.b64encode(png(figure)).decode()
    return f'<img alt="{escape(visible(label))}" src="data:image/png;base64,{data}">'
