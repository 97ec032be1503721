"""Links of the pages to files outside docs/, and pages made of the files beside it.

The pages link to each other as a code host expects, `../CONTRIBUTING.md` for example. On the site
such a link leads to the page made of that file, or to the file in the repository.
"""

from __future__ import annotations

import os
import re
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

from sphinx.errors import ExtensionError

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
PAGES = {  # a file of the repository: its page on the site
    "README.md": "index.md",
    "README.md#installation": "generated/installation.md",
    "CONTRIBUTING.md": "generated/contributing.md",
    "CHANGELOG.md": "generated/changes.md",
    "docs/results": "results.md",
}
LINK = re.compile(r"(?<=\]\()(?P<path>[^)#\s:]+)(?P<anchor>#[^)\s]*)?(?=\))")
FENCE = re.compile(r"^(```.*?^```$)", re.MULTILINE | re.DOTALL)


def source() -> str:
    """Return the address of the repository's files; empty where the package states none."""
    urls = dict(line.split(", ", 1) for line in metadata("anymic").get_all("Project-URL") or [])
    return urls["Source"].rstrip("/") + "/blob/main" if "Source" in urls else ""


def rewritten(text: str, *, page: Path, place: Path) -> str:
    """Return the text of a page with links that hold on the site.

    Parameters
    ----------
    text : str
        Markdown.
    page : path
        The file that the links are relative to.
    place : path
        The file in docs/ that Sphinx reads them from.
    """

    def link(found: re.Match[str]) -> str:
        path, anchor = found["path"], found["anchor"] or ""
        target = (page.parent / path).resolve()
        if not target.is_relative_to(ROOT) or not target.exists():
            return found[0]
        name = target.relative_to(ROOT).as_posix()
        if f"{name}{anchor}" in PAGES:  # a section that is a page
            target, anchor = DOCS / PAGES[f"{name}{anchor}"], ""
        elif name in PAGES:
            target = DOCS / PAGES[name]
        elif source() and (not target.is_relative_to(DOCS) or target.is_dir()):
            return f"{source()}/{name}{anchor}"
        return os.path.relpath(target, place.parent) + anchor

    parts = FENCE.split(text)  # code between fences stays as it is
    return "".join(part if part.startswith("```") else LINK.sub(link, part) for part in parts)


def section_of(text: str, title: str) -> str:
    """Return a section of the second level as a page of its own."""
    found = re.search(rf"^## {title}\n.*?(?=^## )", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise ExtensionError(f"there is no section {title}")
    return found[0].removeprefix("#")


def _write_pages(app: Any) -> None:
    (DOCS / "generated").mkdir(exist_ok=True)
    files = {name: (ROOT / name).read_text("utf-8") for name in ("CONTRIBUTING.md", "CHANGELOG.md")}
    readme = (ROOT / "README.md").read_text("utf-8")
    files["README.md#installation"] = section_of(readme, "Installation")
    for name, text in files.items():
        place, page = DOCS / PAGES[name], ROOT / name.partition("#")[0]
        place.write_text(rewritten(text, page=page, place=place), "utf-8")


def _rewrite(app: Any, name: str, source: list[str]) -> None:
    page = Path(app.env.doc2path(name))
    if page.suffix == ".md":
        source[0] = rewritten(source[0], page=page, place=page)


def setup(app: Any) -> dict[str, bool]:
    """Write the pages before the build, and rewrite each page as it is read."""
    app.connect("builder-inited", _write_pages)
    app.connect("source-read", _rewrite)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
