"""The pages of the command line, made of the verbs themselves."""

from __future__ import annotations

import inspect
import re
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from anymic.cli import app as program
from anymic.cli.verbs import GROUPS, PLUGINS, VERBS

FOLDER = Path(__file__).resolve().parents[1] / "generated" / "command-line"
# An option is code, and so is its value where it is a number or KEY=VALUE.
CODE = re.compile(
    r"(`[^`]*`|(?<![\w-])--[a-z][\w-]*(?: (?:[\w.]+=[^\s,;]*[^\s,;.:]|\d+(?:\.\d+)?))?)"
)
SPECIAL = re.compile(r"([\\*_<>\[\]|$~#])")
COMMAND = re.compile(r"^(Example|Examples): (anymic .*)$", re.DOTALL)
HEAD = """# Command line

{about}

Every verb has `--help` (or `-h`), which prints what these pages say. `anymic --version` prints the
version. Commands whose results a program may read have `--json`. The exit status is 0 (done), 1
(some files failed; all others are complete), 2 (one line on stderr says what was wrong), 130
(interrupted) or 143 (SIGTERM).

Other packages add verbs; pages of those that were installed where this site was built are below.
`anymic reproduce` is that of `experiments/`.
"""


def escaped(text: str) -> str:
    """Return plain text as Markdown; what stands between backticks is code."""
    parts = CODE.split(text)
    return "".join(
        f"`{part.strip('`')}`" if number % 2 else SPECIAL.sub(r"\\\1", part)
        for number, part in enumerate(parts)
    )


def paragraphs(text: str) -> str:
    """Return the help of a verb; a paragraph of commands becomes a block."""
    blocks = []
    for block in inspect.cleandoc(text).split("\n\n"):
        lines = [line.strip() for line in block.replace("\b", "").strip().splitlines()]
        if lines and all(line.startswith("anymic ") for line in lines):
            blocks.append("\n".join(["```console", *lines, "```"]))
        elif found := COMMAND.match(" ".join(lines)):
            commands = found[2].replace("; anymic ", "\nanymic ")
            blocks.append(f"{found[1]}:\n\n```console\n{commands}\n```")
        else:
            blocks.append(escaped(" ".join(lines)))
    return "\n\n".join(blocks)


def command_of(verb: str) -> Any:
    """Return the command of a verb such as "data show", as the program runs it."""
    found: Any = get_command(program)
    for name in verb.split():
        found = found.get_command(None, name)
    return found


def plugin_verbs() -> list[str]:
    """Return the verbs of other packages that are installed, and those of their groups."""
    found = []
    for name in sorted({point.name for point in entry_points(group=PLUGINS)}):
        command = command_of(name)
        below = getattr(command, "list_commands", lambda context: [])(None)
        found += [f"{name} {one}" for one in below] or [name]
    return found


def page_of(verb: str) -> str:
    """Return the page of a verb: its help, usage, arguments and options."""
    command = command_of(verb)
    context = typer.Context(command, info_name=f"anymic {verb}")
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f"# anymic {verb}", f"```console\nanymic {verb} {usage}\n```"]
    lines.append(paragraphs(command.help or ""))
    kinds: dict[str, list[str]] = {"Arguments": [], "Options": []}
    for parameter in command.get_params(context):
        kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
        record = parameter.get_help_record(context)
        if record:
            names, about = (" ".join(part.split()) for part in record)
            kinds[kind].append(f"`{names}`\n: {escaped(about)}")
    for kind, records in kinds.items():
        if records:
            lines.append(f"## {kind}")
            lines += records
    return "\n\n".join(lines) + "\n"


def _write_pages(app: Any) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    root: Any = get_command(program)
    names = {verb: verb.replace(" ", "-") for verb in (*VERBS, *plugin_verbs())}
    for verb, name in names.items():
        (FOLDER / f"{name}.md").write_text(page_of(verb), "utf-8")
    rows = ["| verb | what it does |", "|---|---|"]
    for verb, name in names.items():
        about = inspect.cleandoc(command_of(verb).help or "").split("\n\n")[0]
        first = " ".join(about.split()).split(". ")[0].removesuffix(".")
        rows.append(f"| [{verb}]({name}.md) | {escaped(first)} |")
    about = paragraphs(root.help.split("Every verb")[0])
    groups = [f"- `{name}`: {escaped(text)}" for name, text in GROUPS.items()]
    tree = ["```{toctree}", ":hidden:", *names.values(), "```"]
    text = "\n".join(
        [HEAD.format(about=about), *rows, "", "Groups of verbs:", "", *groups, "", *tree]
    )
    (FOLDER / "index.md").write_text(text + "\n", "utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Write the pages before the build."""
    app.connect("builder-inited", _write_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
