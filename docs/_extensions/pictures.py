"""The pictures of the pages, made by the commands that pictures.yaml lists, at the build.

The commands run in one folder, in order, and so do those that make what they need. Their program is
that of this environment. A picture that exists is kept while the commands stay the same;
`make clean` deletes them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from sphinx.errors import ExtensionError

DOCS = Path(__file__).resolve().parents[1]
LIST = Path(__file__).with_name("pictures.yaml")
FOLDER = DOCS / "generated" / "pictures"


def make(folder: Path, *, work: Path) -> None:
    """Run the commands in `work`, and copy the pictures into `folder`.

    Raises
    ------
    ExtensionError
        If a command fails; its output is the message.
    """
    listed = yaml.safe_load(LIST.read_text("utf-8"))
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for command in listed["commands"]:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=work,
            env={**os.environ, "PATH": programs},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise ExtensionError(f"{command}\n{done.stdout}{done.stderr}")
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in listed["pictures"].items():
        shutil.copy(work / picture, folder / name)
    shutil.copy(LIST, folder / LIST.name)


def _make(app: Any) -> None:
    made = FOLDER / LIST.name
    if made.is_file() and made.read_text("utf-8") == LIST.read_text("utf-8"):
        return
    work = DOCS / "generated" / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    make(FOLDER, work=work)
    shutil.rmtree(work)


def setup(app: Any) -> dict[str, bool]:
    """Make the pictures before the build."""
    app.connect("builder-inited", _make)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
