"""The page of an experiment: a Jinja template of a paper, filled in with what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from anymic.errors import ConfigError
from anymic.evaluation.report import cells
from anymic.evaluation.report.rows import Row
from anymic.evaluation.report.write import made
from anymic_experiments.findings import verdict
from anymic_experiments.published import Published

if TYPE_CHECKING:
    from jinja2 import Template
    from matplotlib.figure import Figure

FILE = "page.md.j2"


@dataclass(frozen=True)
class Section:
    """One part of the page.

    Attributes
    ----------
    macro : str
        The macro of the template that writes it; its first line is the heading.
    facts : mapping
        What the macro is called with.
    rows : sequence of Row
        What it rests on, for report.json.
    picture : str
        The name of the figure.
    figure : Figure or None
    """

    macro: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    rows: Sequence[Row] = ()
    picture: str = ""
    figure: Figure | None = field(default=None, compare=False)


class Page:
    """The template of a paper's page.

    Parameters
    ----------
    folder : path
        Of the paper: `page.md.j2` and, where the paper prints figures, `published.csv`.

    Raises
    ------
    ConfigError
        In one line, with the line of the template that is wrong.
    """

    def __init__(self, folder: Path) -> None:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateSyntaxError

        self.file = folder / FILE
        self.name = folder.name
        environment = Environment(
            loader=FileSystemLoader(folder),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters |= {
            "percent": cells.percent,
            "points": cells.points,
            "plain": cells.plain,
            "counted": cells.counted,
            "signed": lambda number, digits=1: f"{number:+.{digits}f}",
            "fixed": lambda number, digits=1: f"{number:.{digits}f}",
            "short": lambda number: f"{number:g}",
        }
        environment.globals |= {
            "published": Published.read(folder),
            "rule": lambda columns: "|---" * columns + "|",
            "verdict": verdict,
            "zip": zip,
        }
        try:
            self._template = environment.get_template(FILE)
        except TemplateSyntaxError as error:
            raise self._mistake(error.lineno, error.message or "") from None

    def text(self, macro: str, **facts: Any) -> str:
        """Return what a macro writes with these facts.

        Raises
        ------
        ConfigError
            If there is no such macro, or it asks for what is not there.
        """
        try:
            return str(getattr(self._template.make_module(), macro)(**facts))
        except Exception as error:
            line = _line(self._template, error.__traceback__)
            raise self._mistake(line, f"{error} ({macro})") from error

    def _mistake(self, line: int, reason: str) -> ConfigError:
        return ConfigError(
            f"{self.file}, line {line}: {reason}",
            expected="a template that the facts fill in",
            fix="correct the template",
        )

    def picture(self, name: str) -> str:
        """Return the name of a figure's file beside the page."""
        return f"{self.name}_{name}.png" if name else f"{self.name}.png"

    def write(
        self,
        sections: Sequence[Section],
        out: Path,
        *,
        title: str,
        folder: Path | None,
        introduction: Mapping[str, Any],
        **facts: object,
    ) -> tuple[list[Path], str]:
        """Write report.json, report.html and the figures; and the page where asked.

        Parameters
        ----------
        sections : sequence of Section
        out : path
            Folder of the experiment's runs; the report goes into a folder of the paper's name in
            it, so that experiments that share runs keep their reports apart.
        title : str
            Of the report.
        folder : path, optional
            Where the page and its figures go.
        introduction : mapping
            What the macro of that name is called with.
        facts
            For the report's header: command, seeds, ...

        Returns
        -------
        tuple
            The files, and the page's text.
        """
        from anymic.evaluation.report import ReportFigure, run_header, write_report
        from anymic.evaluation.report.style import save_png

        texts = [
            self.text(one.macro, **one.facts, **_shown(self.picture(one.picture), one))
            for one in sections
        ]
        titles = [text.split("\n", 1)[0].lstrip("# ") for text in texts]
        header = run_header(**facts)
        paths = write_report(
            out / self.name,
            sections[0].rows,
            title=title,
            header=header,
            figures=[
                ReportFigure(one.picture or self.name, one.figure, name)
                for one, name in zip(sections, titles, strict=True)
                if one.figure is not None
            ],
            extra={
                name: [vars(row) for row in one.rows]
                for one, name in zip(sections[1:], titles[1:], strict=True)
            },
        )
        written = [paths["html"], paths["json"]]
        first = self.text("introduction", **introduction)
        text = "\n".join([first, *texts, made(header)])
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            for one in sections:
                if one.figure is not None:
                    written.append(save_png(one.figure, folder / self.picture(one.picture)))
            written.append(folder / f"{self.name}.md")
            written[-1].write_text(text, encoding="utf-8")
        return written, text


def _shown(picture: str, section: Section) -> dict[str, str]:
    return {"picture": picture} if section.figure is not None else {}


def _line(template: Template, trace: TracebackType | None) -> int:
    """Return the line of a template that an error came from; 1 where it never got into it."""
    line = 1
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == template.filename:
            line = template.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    return line
