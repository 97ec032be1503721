"""What the README and the documentation's pages show can be typed as it stands."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tests.workspace import few_clips
from typer.testing import CliRunner

from anymic.cli import app
from anymic.cli.verbs import VERBS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES += sorted((ROOT / "docs").glob("*.md"))
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)")
ELSEWHERE = "# needs "  # the first line of a block that is not run: a network, hours, recordings
TRIAL = Path("runs/trial")  # what the README's own `anymic demo --quick` writes


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return the page's blocks of shell and Python: kind and text, in order."""
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def command_lines(page: Path) -> list[str]:
    """Return the lines of the page's shell blocks, comments left out."""
    shell = [text.replace("\\\n", " ") for kind, text in blocks(page) if kind == "sh"]
    lines = [line for text in shell for line in text.splitlines()]
    return [line for line in lines if line.strip() and not line.startswith("#")]


@pytest.mark.slow
def test_every_block_of_the_readme_runs(tmp_path: Path, anymic_program: Path) -> None:
    """In order and in one folder; `make demo` is stood in for by the trial that the README shows.

    Of its clips, those of a few takes are used.
    Python blocks build on each other, as they would for a reader, so they run as one program.
    """
    found = blocks(ROOT / "README.md")
    ran = 0
    for kind, text in found:
        if kind == "sh" and not text.startswith((ELSEWHERE, "make ")):
            run(["bash", "-euo", "pipefail", "-c", text], tmp_path, anymic_program)
            ran += 1
        if (tmp_path / TRIAL).is_dir() and not (tmp_path / "demo").exists():
            (tmp_path / "demo").symlink_to(TRIAL)
            few_clips(tmp_path / "demo" / "devices" / "manifest.csv")
    program = "".join(text for kind, text in found if kind == "python")
    python = str(anymic_program.with_name("python"))
    run([python, "-c", program], tmp_path, anymic_program)
    assert ran >= 6
    for written in ("report/report.html", "profile.json", "gains.png", "tram-as-A.wav"):
        assert (tmp_path / "runs" / written).stat().st_size > 1000, written
    assert (tmp_path / "runs/python/report/report.json").is_file()


def run(command: list[str], folder: Path, anymic: Path) -> None:
    """Run a command with `anymic` and this environment's programs first, and no terminal."""
    programs = os.pathsep.join(
        [str(anymic.parent), str(Path(sys.executable).parent), os.environ["PATH"]]
    )
    result = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": programs},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, f"{command[-1]}\n{result.stdout}\n{result.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_shown_exists(page: Path) -> None:
    """Verbs, options and make targets, also those of blocks that a test cannot run."""
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in command_lines(page):
        program, *arguments = shlex.split(line, comments=True)
        if program == "make":
            assert arguments[0] in targets, line
        elif program == "anymic":
            result = CliRunner().invoke(app, [*arguments, "--help"])
            assert result.exit_code == 0, f"{line}\n{result.output}"


def test_every_verb_is_shown() -> None:
    shown = {
        shlex.split(line)[1]
        for line in command_lines(ROOT / "README.md")
        if line.startswith("anymic")
    }
    assert shown - {"reproduce"} == {verb.split()[0] for verb in VERBS}  # a plugin's


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Links into docs/results are asked for once an experiment has written its page there."""
    written = any((ROOT / "docs/results").glob("*.md"))
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        target = (page.parent / link).resolve()
        if "://" in link or ("results" in link and not written):
            continue
        if link.startswith("generated/"):  # by `make docs`, which checks it
            continue
        assert target.exists(), f"{page.name} links to {link}"
