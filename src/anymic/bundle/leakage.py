"""Whether clips that are to calibrate a model are new to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anymic.data.manifest import Manifest
from anymic.errors import BundleError

LEARNED_FROM = ("weights", "standardization", "correction")


def refuse_overlap(fitted_on: Mapping[str, Sequence[str]], clips: Sequence[str], name: str) -> None:
    """Refuse to calibrate a model on clips that it learned from.

    Parameters
    ----------
    fitted_on : mapping of str to sequence of str
        That of the model: for each use, the ids of the clips it saw.
    clips : sequence of str
        The ids of the clips to calibrate on.
    name : str
        What to call the model.

    Raises
    ------
    BundleError
        If some are among them; it says how many and for what.
    """
    for use in LEARNED_FROM:
        both = set(clips) & set(fitted_on.get(use, ()))
        if both:
            raise BundleError(
                f"{len(both)} of the {len(clips)} clips to calibrate {name} on were used to"
                f" train its {use}",
                expected="clips that it was not trained on",
                fix="calibrate on its own validation clips, or set others aside",
            )


def refuse_shared_recordings(
    fitted_on: Mapping[str, Sequence[str]], clips: Manifest, manifest: Manifest, name: str
) -> None:
    """Refuse clips that were cut from the recordings, or takes, that a model learned from.

    Parameters
    ----------
    fitted_on, name
        As for `refuse_overlap`.
    clips : Manifest
        To calibrate on.
    manifest : Manifest
        Where the clips that the model learned from are found, as far as they are in it.

    Raises
    ------
    BundleError
        If a group or take is in both; it says how many, and names one.
    """
    learned = {clip for use in LEARNED_FROM for clip in fitted_on.get(use, ())}
    rows = [row for row, clip in enumerate(manifest.clip_ids()) if clip in learned]
    both = shared_recording(clips, manifest.rows(rows))
    if both:
        column, names = both
        raise BundleError(
            f"the clips to calibrate {name} on have {len(names)} {column}s that it was trained on"
            f" ({names[0]})",
            expected="other recordings",
            fix="set whole groups aside",
        )


def shared_recording(some: Manifest, others: Manifest) -> tuple[str, list[str]] | None:
    """Return the column, group or take, and its values that are in both; None where none is."""
    for column in ("group", "take"):
        if column not in some.table or column not in others.table:
            continue
        ours, theirs = (set(table[column]) - {""} for table in (some.table, others.table))
        if both := sorted(ours & theirs):
            return column, both
    return None


def fitted_clips_warning(fitted_on: Mapping[str, Sequence[str]], clips: Manifest) -> str:
    """Return a warning if a model was fitted on some of these clips, else an empty text.

    Parameters
    ----------
    fitted_on : mapping of str to sequence of str
        That of the model: for each use, the ids of the clips it was fitted on.
    clips : Manifest
        To evaluate on.
    """
    ids = set(clips.clip_ids())
    known = {use: ids.intersection(fitted) for use, fitted in fitted_on.items()}
    count = len(set().union(*known.values()))
    if not count:
        return ""
    uses = ", ".join(use for use, fitted in known.items() if fitted)
    return (
        f"the model was fitted on {count} of these {len(clips)} clips ({uses}):"
        " what is measured on them says nothing about new ones"
    )
