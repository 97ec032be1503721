"""Training and test clips that share no recording: divide a manifest so, and check it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anymic.data.manifest import Manifest
from anymic.data.tables import some
from anymic.errors import ManifestError

ALL = "all"  # in place of the name of a split: every clip


def split_groups(manifest: Manifest, *, share: float, seed: int) -> tuple[Manifest, Manifest]:
    """Divide a manifest in two without dividing a group.

    What stays together is the ``group``, where that is empty the ``take``, else the file. Groups
    are visited in random order, and one goes into the part when that brings the part's counts
    per label nearer to ``share`` of all (least squares): stratified as far as groups allow.

    Parameters
    ----------
    manifest : Manifest
        What to divide.
    share : float
        Share of the rows wanted in the part, between 0 and 1, both excluded.
    seed : int
        The same seed gives the same division.

    Returns
    -------
    rest, part : Manifest
        Rows keep their order. Neither is empty.

    Raises
    ------
    ManifestError
        A share that is not between 0 and 1, or fewer than two groups.
    """
    if not 0.0 < share < 1.0:
        raise ManifestError(
            f"the share is {share}", expected="a share between 0 and 1, both excluded"
        )
    units, number = np.unique(np.asarray(manifest.recordings()), return_inverse=True)
    if len(units) < 2:
        raise ManifestError(
            f"the {len(manifest)} rows are of {len(units)} group",
            expected="at least two groups",
            fix="add recordings, or fill the column group",
        )
    label = np.unique(manifest.table["label"].to_numpy(dtype=str), return_inverse=True)[1]
    counts = np.zeros((len(units), int(label.max()) + 1))
    np.add.at(counts, (number.reshape(-1), label.reshape(-1)), 1.0)
    short = share * counts.sum(axis=0)  # what the part still lacks of each label
    order = np.random.default_rng(seed).permutation(len(units))
    inside = np.zeros(len(units), dtype=bool)
    for unit in order:
        if np.sum((short - counts[unit]) ** 2) < np.sum(short**2):
            inside[unit] = True
            short = short - counts[unit]
    if not inside.any():
        inside[order[np.argmin(np.sum((short - counts[order]) ** 2, axis=1))]] = True
    if inside.all():
        inside[order[-1]] = False
    part = inside[number.reshape(-1)]
    return manifest.rows(~part), manifest.rows(part)


def set_test_aside(manifest: Manifest, *, share: float, seed: int) -> Manifest:
    """Return the manifest with a column ``split``: train, and test for so many of its recordings.

    Parameters
    ----------
    manifest : Manifest
    share, seed
        As for `split_groups`.

    Raises
    ------
    ManifestError
        As `split_groups`, or if a label has no recording left to train on, or none to test.
    """
    train, test = split_groups(manifest, share=share, seed=seed)
    for part, use in ((train, "train on"), (test, "test")):
        lost = [label for label in manifest.labels if label not in part.labels]
        if lost:
            raise ManifestError(
                f"there is no recording of {some(lost)} to {use} if {share:g} of all are set aside",
                expected="at least one of each label",
                fix="add recordings, choose another share, or fill the column split",
            )
    own = set(test.clip_ids())
    names = ["test" if clip in own else "train" for clip in manifest.clip_ids()]
    return manifest.with_columns(split=names)


def check_splits(manifest: Manifest) -> None:
    """Make sure that no group, take or file is on both sides of a split.

    Rows with an empty ``split`` are in none and are not looked at.

    Raises
    ------
    ManifestError
        Some are; they are named with the splits they are in.
    """
    manifest.require("split", purpose="a check of its splits")
    table = manifest.table[manifest.table["split"] != ""]
    found = []
    for column in ("group", "take", "path"):
        if column not in table.columns:
            continue
        pairs = table.loc[table[column] != "", [column, "split"]].drop_duplicates()
        both = pairs[pairs.duplicated(column, keep=False)].groupby(column)["split"].agg(sorted)
        if len(both):
            listed = some(f"{key} ({' and '.join(splits)})" for key, splits in both.items())
            found.append(f"{column} {listed}")
    if found:
        raise ManifestError(
            f"there are overlaps between splits: {'; '.join(found)}",
            expected="every group, take and file in only one split",
            fix="put all their rows in one split, or leave the split of the others empty",
        )


def clips_of_split(manifest: Manifest, split: str | Sequence[str], *, purpose: str) -> Manifest:
    """Return the clips of one split or several; all clips for "all".

    Parameters
    ----------
    manifest : Manifest
    split : str or sequence of str
    purpose : str
        What the clips are for, for the message: "evaluate on".

    Raises
    ------
    ManifestError
        If there is no column ``split``, or no clip of that split.
    """
    names = [split] if isinstance(split, str) else list(split)
    if names == [ALL]:
        return manifest
    manifest.require("split", purpose=f"the split {' or '.join(names)}")
    chosen = manifest.where(split=names)
    if not len(chosen):
        there = ", ".join(sorted(set(manifest.table["split"]) - {""})) or "none"
        raise ManifestError(
            f"no clip has the split {' or '.join(map(repr, names))} (splits: {there})",
            expected=f"clips to {purpose}",
            fix=f"choose a split that is there, or {ALL} for every clip",
        )
    return chosen


def choose_split(
    manifest: Manifest, split: str | None = None, *, default: str = ALL, purpose: str
) -> Manifest:
    """Return the clips of one split, by default of `default` where there is a column ``split``.

    Parameters
    ----------
    manifest, split, purpose
        As for `clips_of_split`.
    default : str

    Raises
    ------
    ManifestError
        As `clips_of_split`, or if a group, take or file is on both sides of a split.
    """
    divided = "split" in manifest.table.columns
    if divided:
        check_splits(manifest)
    wanted = split or (default if divided else ALL)
    return clips_of_split(manifest, wanted, purpose=purpose)


def split_name(manifest: Manifest, split: str | None, *, default: str = "test") -> str:
    """Return what to call the clips of a split: "sounds, test"."""
    name = manifest.name or "clips"
    chosen = split or (default if "split" in manifest.table.columns else ALL)
    return name if chosen == ALL else f"{name}, {chosen}"
