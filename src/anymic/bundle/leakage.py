"""Check whether a model was fitted on clips that it is calibrated or evaluated on."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Protocol

from anymic._internal.files import content_key
from anymic.data.manifest import Manifest
from anymic.errors import BundleError, counted, part_of

LEARNED_FROM = ("weights", "standardization", "correction")


class Fitted(Protocol):
    """A model, or a part of one, that records the clips that it was fitted on; see `Bundle`."""

    @property
    def fitted_on(self) -> Mapping[str, Sequence[str]]:
        """Ids of clips, by use."""

    @property
    def file_hashes(self) -> Mapping[str, str]:
        """The hash of each clip's file, by its id; empty in models without hashes."""


def file_hashes(clips: Manifest) -> dict[str, str]:
    """Return a hash of the file of each clip, by the clip's id: files are compared by content.

    A clip whose file cannot be read is left out.
    """
    root = os.path.abspath(clips.root)
    names = clips.files()
    found = {name: content_key(os.path.join(root, name)) for name in dict.fromkeys(names)}
    return {
        clip: found[name] for clip, name in zip(clips.clip_ids(), names, strict=True) if found[name]
    }


def fitted_rows(model: Fitted, clips: Manifest) -> dict[str, list[int]]:
    """Return the rows of the clips that a model was fitted on, by use.

    Files are compared by their content, not by their names. A clip is identified by its id, its
    path, where the hash of its file, or of the one that the model was fitted on, is not known.
    """
    ids = clips.clip_ids()
    here = file_hashes(clips) if model.file_hashes else {}
    rows = {}
    for use, fitted in model.fitted_on.items():
        known = {model.file_hashes[clip] for clip in fitted if clip in model.file_hashes}
        unknown = {clip for clip in fitted if not (clip in here and clip in model.file_hashes)}
        rows[use] = [
            row for row, clip in enumerate(ids) if clip in unknown or here.get(clip) in known
        ]
    return rows


def refuse_fitted(model: Fitted, clips: Manifest, name: str) -> None:
    """Raise BundleError if a model was trained on some of the clips, or files, to calibrate it on.

    The message names the model `name`.
    """
    rows = fitted_rows(model, clips)
    for use in LEARNED_FROM:
        _refuse(use, len(rows.get(use, ())), len(clips), name)


def refuse_overlap(fitted_on: Mapping[str, Sequence[str]], clips: Sequence[str], name: str) -> None:
    """Raise BundleError as `refuse_fitted` does, where only the ids of the `clips` are known."""
    for use in LEARNED_FROM:
        _refuse(use, len(set(clips) & set(fitted_on.get(use, ()))), len(clips), name)


def _refuse(use: str, count: int, clips: int, name: str) -> None:
    if count:
        raise BundleError(
            part_of(count, clips, "clip", f"to calibrate {name} on", verb=("was", "were"))
            + f" used to train its {use}",
            expected="clips that it was not trained on",
            fix="calibrate on its own validation clips, or set others aside",
        )


def refuse_shared_recordings(model: Fitted, clips: Manifest, manifest: Manifest, name: str) -> None:
    """Raise BundleError if the clips are of recordings or takes that the model was trained on.

    Its training clips are looked up in `manifest`; otherwise as `refuse_fitted`.
    """
    rows = fitted_rows(model, manifest)
    learned = sorted({row for use in LEARNED_FROM for row in rows.get(use, ())})
    both = shared_recording(clips, manifest.rows(learned))
    if both:
        column, names = both
        raise BundleError(
            f"the clips to calibrate {name} on have {len(names)} {column}s that it was trained on"
            f" ({names[0]})",
            expected="other recordings",
            fix="set whole groups aside",
        )


def shared_recording(some: Manifest, others: Manifest) -> tuple[str, list[str]] | None:
    """Return the column, group or take, and the values that both have; None if there are none."""
    for column in ("group", "take"):
        if column in some.table and column in others.table:
            both = set(some.table[column]) & set(others.table[column]) - {""}
            if both:
                return column, sorted(both)
    return None


def fitted_clips_warning(model: Fitted, clips: Manifest) -> str:
    """Return a warning if a model was fitted on some of the clips to evaluate on, else "".

    A clip counts, too, if the model was fitted on another part of its file.
    """
    rows = fitted_rows(model, clips)
    count = len(set().union(*rows.values()))
    if not count:
        return ""
    uses = ", ".join(use for use, fitted in rows.items() if fitted)
    parts = " or on other parts of their files" if "start_s" in clips.table else ""
    return (
        f"the model was fitted on {count} of these {counted(len(clips), 'clip')}{parts} ({uses}):"
        " results on them do not apply to new clips"
    )
