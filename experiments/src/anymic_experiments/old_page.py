"""What was found, as a report and as the documentation's page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from anymic.evaluation.report.cells import counted
from anymic.evaluation.report.rows import Row
from anymic.evaluation.report.write import made
from anymic.training import TrainingConfig

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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

    def markdown(self, page: str) -> str:
        """Return the section as Markdown, its figure linked as a file of `page`."""
        picture = f"![{self.title}]({page}_{self.name}.png)" if self.figure else ""
        return f"## {self.title}\n\n{self.text.replace('{figure}', picture)}\n"


def introduction(
    text: str, base: TrainingConfig, *, command: str, folds: int, seeds: int, corpus: str
) -> str:
    """Fill in the top of a page: the command that made it, and the settings that runs share.

    Parameters
    ----------
    text : str
        With places for {command}, {folds}, {seeds}, {network}, {bands}, {hop}, {clip}, {epochs},
        {batch} and {corpus}, or some of them.
    base : TrainingConfig
    command : str
    folds, seeds : int
    corpus : str
        What the clips are; empty where they are the user's own.
    """
    return text.format(
        command=command,
        folds=counted(folds, "fold"),
        seeds=counted(seeds, "seed"),
        network=base.network,
        bands=base.frontend.bands,
        hop=base.frontend.hop_samples,
        clip="whole clips" if base.clip_s is None else f"{base.clip_s:g} s",
        epochs=base.epochs,
        batch=base.batch_size,
        corpus=corpus,
    )


def write(
    sections: Sequence[Section],
    introduction: str,
    out: str | Path,
    *,
    title: str,
    name: str,
    folder: str | Path | None,
    **facts: object,
) -> tuple[list[Path], str]:
    """Write report.json, report.html and the figures; and the documentation's page where asked.

    Parameters
    ----------
    sections : sequence of Section
    introduction : str
        Markdown in front of them.
    out : path
        Folder of the experiment's runs; the report goes into `out`/`name`, so that experiments that
        share runs keep their reports apart.
    title : str
        Of the report.
    name : str
        Of the page, and what the names of its figures begin with.
    folder : path, optional
        Where the page and its figures go.
    facts
        For the report's header: command, seeds, ...

    Returns
    -------
    tuple
        The files, and the page's text.
    """
    from anymic.evaluation.report import ReportFigure, run_header, write_report
    from anymic.evaluation.report.style import save_png

    header = run_header(**facts)
    shown, *others = sections
    paths = write_report(
        Path(out) / name,
        shown.rows,
        title=title,
        header=header,
        figures=[
            ReportFigure(section.name, section.figure, section.title)
            for section in sections
            if section.figure is not None
        ],
        extra={section.title: [vars(row) for row in section.rows] for section in others},
    )
    written = [paths["html"], paths["json"]]
    text = "\n".join(
        [introduction, *(section.markdown(name) for section in sections), made(header)]
    )
    if folder is not None:
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        for section in sections:
            if section.figure is not None:
                written.append(save_png(section.figure, place / f"{name}_{section.name}.png"))
        written.append(place / f"{name}.md")
        written[-1].write_text(text, encoding="utf-8")
    return written, text
