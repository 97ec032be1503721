"""Training and test clips that share no recording: dividing manifests and checking them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anymic._internal.frames import group_numbers, python_text
from anymic.data.label_sets import indicators
from anymic.data.manifest import Manifest
from anymic.data.spelling import usual_split
from anymic.data.tables import some
from anymic.errors import AnymicWarning, ManifestError, counted, did_you_mean

ALL = "all"  # instead of the name of a split: every clip
TRAIN, TEST = "train", "test"


def split_groups(manifest: Manifest, *, share: float, seed: int) -> tuple[Manifest, Manifest]:
    """Divide a manifest in two without dividing a group.

    The groups are those of `Manifest.recordings`. They are visited in random order, and one is
    added to the part if this brings its counts per label nearer to ``share`` of all (least
    squares): stratified as far as groups allow.

    Parameters
    ----------
    manifest : Manifest
    share : float
        Share of the rows that the part should have, between 0 and 1, both excluded.
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
    part = part_of_groups(manifest, share=share, seed=seed)
    return manifest.rows(~part), manifest.rows(part)


def part_of_groups(manifest: Manifest, *, share: float, seed: int) -> NDArray[np.bool_]:
    """Return whether each row is in the part that `split_groups` chooses."""
    if not 0.0 < share < 1.0:
        raise ManifestError(
            f"the share is {share}", expected="a share between 0 and 1, both excluded"
        )
    units, unit_of = np.unique(np.asarray(manifest.recordings()), return_inverse=True)
    if len(units) < 2:
        raise ManifestError(
            f"the {len(manifest)} rows are of {len(units)} group",
            expected="at least two groups",
            fix="add recordings, or fill the column group",
        )
    counts = _counts(manifest, unit_of)
    short = share * counts.sum(axis=0)  # the clips of each label that the part still lacks
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
    return inside[unit_of]


def _counts(manifest: Manifest, unit_of: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the number of clips of each label in each group, (group, label).

    Clips without a label, where there are some, count as one more label.
    """
    sets = [own or ("",) for own in manifest.label_sets()]
    of_clip = indicators(sets, sorted({label for own in sets for label in own}))
    counts = np.zeros((unit_of.max() + 1, of_clip.shape[1]))
    np.add.at(counts, unit_of, of_clip)
    return counts


def set_test_aside(manifest: Manifest, *, share: float, seed: int) -> Manifest:
    """Return the manifest with clips of the split test: its own, or a share of its recordings.

    A manifest that has such clips is returned as it is. Otherwise a share of the clips of the split
    train is set aside, or of all clips where there is no column ``split``.

    Parameters and errors are those of `split_groups`. A label that has no recording left to train
    on, or none to test, is a ManifestError too.
    """
    splits = manifest.table.get("split")
    if splits is not None and (splits == TEST).any():
        return manifest
    pool = np.flatnonzero(np.ones(len(manifest)) if splits is None else splits == TRAIN)
    clips = manifest.rows(pool)
    part = part_of_groups(clips, share=share, seed=seed)
    for rows, use in ((~part, "train on"), (part, "test")):
        there = set(clips.rows(rows).labels)
        if lost := [label for label in clips.labels if label not in there]:
            raise ManifestError(
                f"there is no recording of {some(lost)} to {use} if {share:g} of all are set aside",
                expected="at least one of each label",
                fix="add recordings, choose another share, or fill the column split",
            )
    divided = np.full(len(manifest), TRAIN, dtype=object) if splits is None else splits.to_numpy()
    divided = divided.copy()
    divided[pool[part]] = TEST
    return manifest.with_columns(split=divided)


def development(manifest: Manifest) -> Manifest:
    """Return the clips that may train or validate, all with the split "train".

    Without a column ``split`` the manifest is returned as it is. The errors are those of
    `check_splits`.
    """
    if "split" not in manifest.table:
        return manifest
    check_splits(manifest)
    warn_of_unused(manifest)
    return manifest.where(split=[TRAIN, "validation"]).with_columns(split=TRAIN)


@python_text
def check_splits(manifest: Manifest) -> None:
    """Make sure that no group, take or file is in two splits; an empty ``split`` is none.

    Files are compared, not their paths (see `Manifest.files`).

    A ManifestError names those that are, with their splits.
    """
    manifest.require("split", purpose="a check of its splits")
    table = manifest.table[manifest.table["split"] != ""]
    found = []
    for column in ("group", "take", "path"):
        if column not in table.columns:
            continue
        pairs = table.loc[table[column] != "", [column, "split"]]
        pairs = pairs[~group_numbers(pairs, [column, "split"]).duplicated()]
        if column == "path":
            files = manifest.rows(pairs.index.to_numpy()).files()
            pairs = pairs.assign(path=files, name=pairs["path"])
        divided = pairs[~group_numbers(pairs, [column, "split"]).duplicated()]
        divided = divided[divided[column].duplicated()]
        both = pairs[pairs[column].isin(divided[column])].sort_values(column, kind="stable")
        if len(both):
            names = both.groupby(group_numbers(both, [column]))
            listed = some(_overlap(str(rows[column].iloc[0]), rows) for _, rows in names)
            found.append(f"{column} {listed}")
    if found:
        raise ManifestError(
            f"there are overlaps between splits: {'; '.join(found)}",
            expected="every group, take and file in only one split",
            fix="put all their rows in one split, or leave the split of the others empty",
        )


def _overlap(key: str, rows: pd.DataFrame) -> str:
    """Return the name of what is in several splits, its other names, and the splits."""
    others = [name for name in rows.get("name", ()) if name != key]
    same = f", which is {some(others)}" if others else ""
    return f"{key}{same} ({' and '.join(sorted(set(rows['split'])))})"


def clips_of_split(manifest: Manifest, split: str | Sequence[str], *, purpose: str) -> Manifest:
    """Return the clips of one split or several; all clips for "all".

    Without a column ``split``, or a clip of that split, this is a ManifestError. Its message has
    the `purpose`, what the clips are used to do: "evaluate on".
    """
    names = [split] if isinstance(split, str) else list(split)
    if names == [ALL]:
        return manifest
    manifest.require("split", purpose=f"the split {' or '.join(names)}")
    chosen = manifest.where(split=names)
    if not len(chosen):  # "val" finds "validation"
        chosen = manifest.where(split=[usual_split(name) or name for name in names])
    if not len(chosen):
        there = ", ".join(sorted(set(manifest.table["split"]) - {""})) or "none"
        raise ManifestError(
            f"no clip has the split {' or '.join(map(repr, names))} (splits: {there})"
            + did_you_mean(names[0], set(manifest.table["split"])),
            expected=f"clips to {purpose}",
            fix=f"choose a split that is there, or {ALL} for every clip",
        )
    return chosen


def warn_of_unused(manifest: Manifest) -> None:
    """Warn of clips that neither train, validate nor test, by their split."""
    counts = manifest.table["split"].value_counts()
    known = ["train", "validation", TEST]
    others = counts.drop(known, errors="ignore")
    if len(others):
        listed = some(
            f"{split!r} ({counted(number, 'clip')}){did_you_mean(split, known)}"
            for split, number in others.items()
        )
        warnings.warn(f"clips of these splits are not used: {listed}", AnymicWarning, stacklevel=3)


def clips_to_evaluate(manifest: Manifest, split: str | None) -> tuple[Manifest, str]:
    """Return the clips to evaluate on, and a name for them such as "sounds, test".

    Without `split`, these are the clips of "test", or all where there is no column ``split``. The
    errors are those of `clips_of_split` and `check_splits`.
    """
    chosen = split or ALL
    if "split" in manifest.table.columns:
        check_splits(manifest)
        chosen = split or TEST
    name = manifest.name or "clips"
    clips = clips_of_split(manifest, chosen, purpose="evaluate on")
    return clips, name if chosen == ALL else f"{name}, {chosen}"
