"""``anymic data prepare``: make a manifest of a corpus and check its files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from anymic.cli.inputs import require_place
from anymic.cli.printing import Outcome
from anymic.errors import ConfigError, ManifestError, counted


def data_prepare(
    name: str | None = None,
    *,
    root: Path | None = None,
    out: Path = Path("manifest.csv"),
    download: bool = False,
    rate: int | None = None,
    several: bool = False,
    check: bool = True,
    workers: int = 2,
) -> Outcome:
    """Make a manifest of a corpus, and check every file.

    The manifest gets the rows that can be used. Problems are listed, all of them, and the exit
    status is then 1. Where a group, a take or a file is in two splits, no manifest is written.

    The column `bandwidth_hz` is the highest frequency at which a file holds sound, and `condition`
    names what is missing in it: band limits, clipping, channels without a signal, hum, silence.

    With --several a clip may have several labels, or none: the clips of folders named noise,
    background or other get an empty label, and in a table (csv) a column of 0 and 1 for each label
    becomes one column `label`, whose cells name the labels with semicolons between them.

    Example: anymic data prepare folder --root sounds --out sounds.csv
    """
    from anymic.data.checks import Checked, check_files, usable
    from anymic.data.corpora import CORPORA
    from anymic.data.corpora import download as fetch
    from anymic.data.splits import check_splits

    if name is None:
        return _list()
    require_place(out, kind="file")
    corpus = CORPORA.get(name)
    if root is None:
        raise ConfigError(
            "no folder of the corpus is given", expected="--root", fix="add --root FOLDER"
        )
    if download:
        fetch(name, root)
    if several and "several" not in corpus.options:
        raise ConfigError(
            f"--several is given for {name}, whose clips have one label each",
            expected="--several with folder or csv",
            fix="leave --several out",
        )
    manifest = corpus.read(root, several=True) if several else corpus.read(root)
    wanted_hz = rate if rate is not None else corpus.rate_hz
    checked = Checked([], {})
    if check:
        checked = check_files(manifest, rate_hz=wanted_hz, workers=workers)
        manifest = checked.described(manifest)
    kept = usable(manifest, checked.problems)
    found = [{"kind": one.kind, "path": one.path, "reason": one.reason} for one in checked.problems]
    fits = bool(len(kept))
    if "split" in kept.table:
        try:
            check_splits(kept)
        except ManifestError as error:  # no command would accept the manifest
            found.append({"kind": "split", "path": str(root), "reason": str(error)})
            fits = False
    outcome = {
        "manifest": str(kept.write(out)) if fits else None,
        "rows": len(kept),
        "left_out": len(manifest) - len(kept),
        "problems": found,
    }
    notes = [] if check else ["the files were not read (--no-check)"]
    return Outcome(outcome, _lines(outcome), notes=notes, status=int(bool(found)))


def _list() -> Outcome:
    """Return every corpus that is registered."""
    from anymic.data.corpora import CORPORA

    found = [
        {"name": corpus.name, "about": corpus.about, "download": bool(corpus.archives)}
        for corpus in CORPORA.specs()
    ]
    width = max(len(str(corpus["name"])) for corpus in found)
    fetched = ", ".join(str(corpus["name"]) for corpus in found if corpus["download"])
    lines = [f"{corpus['name']:<{width}}  {corpus['about']}" for corpus in found]
    return Outcome(found, [*lines, f"--download fetches {fetched}"])


def _lines(outcome: dict[str, Any]) -> list[str]:
    """Return the problems, their number by kind, and how many clips are left."""
    problems = outcome["problems"]
    lines = [f"{one['kind']:<10} {one['path']}: {one['reason']}" for one in problems]
    if problems:
        kinds = Counter(one["kind"] for one in problems)
        each = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
        lines.append(f"{counted(len(problems), 'problem')}: {each}")
    if outcome["manifest"] is None:
        why = "the splits overlap" if outcome["rows"] else "no clip can be used"
        return [*lines, f"{why}: no manifest was written"]
    left_out = f", {outcome['left_out']} left out" if outcome["left_out"] else ""
    return [*lines, f"{outcome['manifest']}: {outcome['rows']} clips{left_out}"]
