"""The page of an experiment: a Jinja template of a paper, filled in with what was found."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from anymic._internal.files import write_bytes, write_text
from anymic.errors import ConfigError, counted
from anymic.evaluation.report import cells
from anymic.evaluation.report.write import made
from anymic_experiments.clips import Clips, span
from anymic_experiments.findings import Findings, Published, clear, verdict

if TYPE_CHECKING:
    from jinja2 import Template
    from matplotlib.figure import Figure

    from anymic.evaluation.report import ReportFigure

FILE = "page.md.j2"
# beside it, where there is one: what changed since earlier runs. Its first line is a comment with
# the scale and the clips of those runs, since on other pages it is not true
CHANGED = "changed.md"
LIGHTNING = {"bf16-mixed": "bfloat16", "32-true": "float32"}  # how a training is recorded
# below the introduction: the clips, and that the page is not the whole experiment
NOTES = """\
{% if clips.labels %}
Clips of {{ clips.labels }} classes; in a fold
{%- for split, devices in clips.counts.items() %} {{ split }}
{%- for device, number in devices.items() -%}
{{ " " ~ number }}{{ " of " ~ device if device }}{{ "," if not loop.last }}{% endfor %}
{{- ", and" if not loop.last else "." }}{% endfor %}
{%- if clips.name and not simulated %} Their manifest is written by
{{- " " }}`anymic data prepare {{ clips.name }}`.{% endif %}


{% endif %}
{% if differences %}
Not as the recipe: {% for name, (value, theirs) in differences.items() -%}
`{{ name }}` is {{ value | setting }}, in the recipe {{ theirs | map("setting") | join(" or ") }}
{{- "; " if not loop.last else "." }}{% endfor %}

{% endif %}

{% if missing %}
Not finished: {{ missing | join(", ") }}.

{% endif %}
"""


@dataclass(frozen=True)
class Section:
    """One part of the page."""

    macro: str  # the macro of the template that writes it; its first line is the heading
    found: Findings  # what it is called with, beside these facts
    facts: Mapping[str, Any] = field(default_factory=dict)
    picture: str = ""  # the name of the figure
    figure: Figure | None = field(default=None, compare=False)


class Page:
    """The template of a paper's page, with facts that all its macros can use.

    Raises ConfigError in one line, with the line of the template that is wrong.
    """

    def __init__(self, folder: Path, *, name: str = "", **facts: Any) -> None:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateSyntaxError

        self.file = folder / FILE
        self.name = name or folder.name  # of the report's folder and of the page
        self._run = _named_run(facts)
        self._figures: dict[ReportFigure, ReportFigure] = {}  # drawn once, however often written
        environment = Environment(
            loader=FileSystemLoader(folder),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters |= {
            "clear": clear,
            "counted": counted,
            "fixed": lambda number, digits=1: f"{number:.{digits}f}",
            "percent": cells.percent,
            "plain": cells.plain,
            "points": cells.points,
            "setting": lambda value: "all" if value is None else str(value),
            "short": lambda number: f"{number:g}",
            "span": span,
            "signed": lambda number, digits=1: f"{number:+.{digits}f}",
        }
        environment.globals |= {
            "published": Published.read(folder),
            "differences": {},
            "clips": Clips(),
            "options": {},
            "simulated": False,
            "rule": lambda columns: "|---" * columns + "|",
            "verdict": verdict,
            "zip": zip,
            **facts,
        }
        try:
            self._template = environment.get_template(FILE)
            self._notes = environment.from_string(NOTES)
        except TemplateSyntaxError as error:
            raise self._mistake(error.lineno, error.message or "") from None

    def text(self, macro: str, **facts: Any) -> str:
        """Return what a macro writes with these facts.

        Raises ConfigError if there is no such macro, or it asks for what is not there.
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

    def write(
        self,
        sections: Sequence[Section],
        out: Path,
        *,
        folder: Path | None,
        title: str,
        introduction: Mapping[str, Any],
        missing: Sequence[str] = (),
        **facts: Any,
    ) -> tuple[list[Path], str]:
        """Write the report, and the page and its figures into `folder`; return files and page.

        The report goes into a folder of the paper's name in `out`, so that experiments that share
        runs keep their reports apart; `facts` are for its header. `introduction` is what the macro
        of this name is called with, and `missing` the parts that are not there yet.
        """
        from anymic.evaluation.report import ReportFigure, run_header, write_report

        texts, header = [self.section(one) for one in sections], run_header(**facts)
        titles = [text.split("\n", 1)[0].lstrip("# ") for text in texts]
        titled = list(zip(titles, sections, strict=True))
        (_, first), *others = ((name, one.found.rows) for name, one in titled if one.found.rows)
        drawn = [
            (self.picture(one), ReportFigure(one.picture or self.name, one.figure, name))
            for name, one in titled
            if one.figure is not None
        ]
        figures = [self._figures.setdefault(figure, figure) for _, figure in drawn]
        paths = write_report(
            out / self.name,
            first,
            title=title,
            header=header,
            figures=figures,
            extra={name: [vars(row) for row in rows] for name, rows in others},
        )
        notes = self.notes(missing=missing)
        top = [self.text("introduction", **introduction), notes, self.changed()]
        texts = [*top, *texts, self.text("decisions")]
        last = made(header) + number_formats(out)
        text, page = "\n".join([*filter(None, texts), last]), self.place(out, folder)
        page.parent.mkdir(parents=True, exist_ok=True)
        pictures = [page.parent / name for name, _ in drawn]
        for picture, figure in zip(pictures, figures, strict=True):
            write_bytes(picture, figure.drawn[1])
        write_text(page, text)
        return [paths["html"], paths["json"], *pictures, page], text

    def notes(self, *, missing: Sequence[str]) -> str:
        """Return what differs from the recipe, and which parts are not there yet."""
        return self._notes.render(missing=missing).lstrip()

    def changed(self) -> str:
        """Return the section on what changed since earlier runs; empty where none is of this run.

        Raises ConfigError if the file does not say which runs it is of.
        """
        file = self.file.with_name(CHANGED)
        if not file.is_file():
            return ""
        first, _, text = file.read_text(encoding="utf-8").partition("\n")
        if not (first.startswith("<!-- ") and first.endswith(" -->")):
            raise ConfigError(
                f"{file}, line 1: {first}",
                expected="a comment with scale and clips, such as <!-- small, esc10 -->",
                fix="write which runs the text is of",
            )
        mine = first.removeprefix("<!-- ").removesuffix(" -->") == self._run
        return f"## What changed\n\n{text.strip()}\n\n" if mine else ""

    def place(self, out: Path, folder: Path | None) -> Path:
        """Return the file of the page: in `folder`, or without one beside the report."""
        return (folder or out / self.name) / f"{self.name}.md"

    def section(self, one: Section) -> str:
        """Return a section as the page has it."""
        picture = {} if one.figure is None else {"picture": self.picture(one)}
        return self.text(one.macro, found=one.found, **one.facts, **picture)

    def picture(self, one: Section) -> str:
        """Return the name of a section's figure, a file beside the page."""
        return "_".join(part for part in (self.name, one.picture) if part) + ".png"


def _named_run(facts: Mapping[str, Any]) -> str:
    """Return the scale and the clips of a run by the recipe; "" where more than seeds differ."""
    if set(facts.get("differences", {})) - {"seeds"}:
        return ""
    clips = facts.get("clips", Clips()).name
    devices = "simulated devices" if facts.get("simulated") else ""
    return ", ".join(filter(None, (facts.get("scale", ""), clips, devices)))


def number_formats(out: Path) -> str:
    """Return in which number formats the trainings kept in a folder computed, as one line."""
    records = [json.loads(path.read_text("utf-8")) for path in sorted(out.rglob("bundle.json"))]
    found = [record.get("training", {}).get("precision") for record in records]
    counts = Counter(LIGHTNING.get(one, one) for one in found if one)
    if not counts:
        return ""
    each = ", ".join(f"{number} in {name}" for name, number in sorted(counts.items()))
    return f"Trainings kept in the folder of the runs: {each}.\n"


def _line(template: Template, trace: TracebackType | None) -> int:
    """Return the line of a template that an error came from; 1 where it never got into it."""
    line = 1
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == template.filename:
            line = template.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    return line
