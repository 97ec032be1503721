"""What was found, as a report and as the documentation's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from anymic.report.rows import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Kosmider 2019"
NAME = "kosmider2019"


@dataclass(frozen=True)
class Section:
    """One part of the page.

    Attributes
    ----------
    title : str
    text : str
        Markdown; `{figure}` where the figure goes.
    rows : sequence of Row
        What it rests on, for report.json.
    name : str
        Of the figure's file.
    figure : Figure or None
    """

    title: str
    text: str
    rows: Sequence[Row] = ()
    name: str = ""
    figure: Figure | None = field(default=None, compare=False)

    def markdown(self) -> str:
        """Return the section as Markdown, its figure linked."""
        picture = f"![{self.title}]({NAME}_{self.name}.png)" if self.figure else ""
        return f"## {self.title}\n\n{self.text.replace('{figure}', picture)}\n"


def write(
    sections: Sequence[Section],
    introduction: str,
    out: str | Path,
    *,
    page: str | Path | None,
    header: Mapping[str, object],
) -> list[Path]:
    """Write report.json, report.html and the figures; and the documentation's page where asked.

    Parameters
    ----------
    sections : sequence of Section
    introduction : str
        Markdown in front of them.
    out : path
        Folder of the report.
    page : path, optional
        Folder for kosmider2019.md and its figures.
    header : mapping
        From `run_header`.
    """
    from anymic.report import ReportFigure, write_report
    from anymic.report.style import save_png

    paths = write_report(
        out,
        [row for section in sections for row in section.rows],
        title=TITLE,
        header=dict(header),
        figures=[
            ReportFigure(section.name, section.figure, section.title)
            for section in sections
            if section.figure is not None
        ],
    )
    written = [paths["html"], paths["json"]]
    if page is None:
        return written
    folder = Path(page)
    folder.mkdir(parents=True, exist_ok=True)
    for section in sections:
        if section.figure is not None:
            written.append(save_png(section.figure, folder / f"{NAME}_{section.name}.png"))
    text = "\n".join([introduction, *(section.markdown() for section in sections), _made(header)])
    written.append(folder / f"{NAME}.md")
    written[-1].write_text(text, encoding="utf-8")
    return written


def _made(header: Mapping[str, object]) -> str:
    versions = header["versions"]
    assert isinstance(versions, Mapping)
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"Made {header['created']}, {header['machine']}, {named}.\n"
