"""Check whether a model was fitted on clips that it is calibrated or evaluated on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anymic.data.manifest import Manifest
from anymic.errors import BundleError

LEARNED_FROM = ("weights", "standardization", "correction")


def refuse_overlap(fitted_on: Mapping[str, Sequence[str]], clips: Sequence[str], name: str) -> None:
    """Raise BundleError if a model was trained on some of the clips to calibrate it on.

    `fitted_on` is that of a `Bundle`, `clips` are ids, and the message names the model `name`.
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
    """Raise BundleError if the clips are of recordings or takes that the model was trained on.

    Its training clips are looked up in `manifest`; otherwise as `refuse_overlap`.
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
    """Return the column, group or take, and the values that both have; None if there are none."""
    for column in ("group", "take"):
        if column in some.table and column in others.table:
            both = set(some.table[column]) & set(others.table[column]) - {""}
            if both:
                return column, sorted(both)
    return None


def fitted_clips_warning(fitted_on: Mapping[str, Sequence[str]], clips: Manifest) -> str:
    """Return a warning if a model was fitted on some of the clips to evaluate on, else ""."""
    ids = set(clips.clip_ids())
    known = {use: ids.intersection(fitted) for use, fitted in fitted_on.items()}
    count = len(set().union(*known.values()))
    if not count:
        return ""
    uses = ", ".join(use for use, fitted in known.items() if fitted)
    return (
        f"the model was fitted on {count} of these {len(clips)} clips ({uses}):"
        " results on them do not apply to new clips"
    )
