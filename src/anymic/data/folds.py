"""Folds of a cross-validation, and groups from file names: no recording is in two folds."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from anymic._internal.reading import reason_of
from anymic.data.manifest import Manifest
from anymic.data.splits import TEST, check_splits, part_of_groups
from anymic.data.tables import some
from anymic.errors import ConfigError, ManifestError


def group_by_name(manifest: Manifest, pattern: str) -> Manifest:
    r"""Return the manifest with a column ``group`` that is taken from the names of its files.

    Parameters
    ----------
    manifest : Manifest
        A column ``group`` that it has is replaced.
    pattern : str
        A regular expression that is searched for in the name of each file, without its folder. The
        group is what its first parenthesis matches, or the whole match if it has none:
        ``^\d-(\d+)-`` gives 100032 for 1-100032-A-0.ogg.

    Raises
    ------
    ConfigError
        If the pattern is no regular expression.
    ManifestError
        If it does not match the names of some files, or matches nothing in them.
    """
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ConfigError(
            f"the pattern of the groups is {pattern!r} ({reason_of(error)})",
            expected="a regular expression",
            fix=r"write one such as ^(\d+)-, with the part that names the group in parentheses",
        ) from error
    names = [path.name for path in manifest.paths()]
    found = [compiled.search(name) for name in names]
    groups = [match and match.group(1 if compiled.groups else 0) for match in found]
    if lost := [name for name, group in zip(names, groups, strict=True) if not group]:
        raise ManifestError(
            f"the pattern {pattern!r} gives {len(lost)} of {len(names)} files no group:"
            f" {some(lost)}",
            expected="a match of at least one character in the name of each file",
            fix="change the pattern, or fill the column group",
        )
    return manifest.with_columns(group=groups)


def fold_numbers(manifest: Manifest, folds: int, *, seed: int) -> NDArray[np.int64]:
    """Return the fold of each row, (row,), from 1 on; no group is divided.

    The first fold is a share of 1 / `folds` that `part_of_groups` chooses, the second the same of
    the rest, and so on: stratified by label as far as the groups allow.

    Raises
    ------
    ManifestError
        If there are fewer than two folds, or fewer groups than folds.
    """
    number = len(set(manifest.recordings()))
    if not 2 <= folds <= number:
        raise ManifestError(
            f"{folds} folds cannot be made of {number} recording{'s' * (number != 1)}",
            expected="at least two folds, and a recording for each",
            fix="change the number of folds, or add recordings",
        )
    found = np.full(len(manifest), folds, dtype=np.int64)
    left = np.arange(len(manifest))
    for fold in range(1, folds):
        share = 1 / (folds - fold + 1)
        part = part_of_groups(manifest.rows(left), share=share, seed=seed + fold)
        found[left[part]] = fold
        left = left[~part]
    return found


def cross_validation(manifest: Manifest, folds: int, *, seed: int) -> Iterator[Manifest]:
    """Yield the manifest once for each fold, with the column ``split``: test, and train elsewhere.

    The folds are those of the column ``fold``, if it has two or more (`folds` is
    then not used). Rows without a fold (-1) are only trained on. Otherwise they are those of
    `fold_numbers`.

    Raises
    ------
    ManifestError
        If a label would have no clip to train on in one of the folds, a recording is in two folds,
        or there are fewer recordings than folds.
    """
    own = np.asarray(manifest.table.get("fold", np.full(len(manifest), -1)), dtype=np.int64)
    numbers = own if len(set(own.tolist()) - {-1}) > 1 else None
    if numbers is None:
        numbers = fold_numbers(manifest, folds, seed=seed)
    parts = []
    for fold in sorted(set(numbers.tolist()) - {-1}):
        training = set(manifest.rows(numbers != fold).labels)
        if lost := [label for label in manifest.labels if label not in training]:
            raise ManifestError(
                f"all clips of {some(lost)} are in one fold, so that none is left to train on",
                expected="recordings of each label in two folds or more",
                fix="add recordings, leave the label out, or set a share aside instead of folds",
            )
        part = manifest.with_columns(split=np.where(numbers == fold, TEST, "train"))
        check_splits(part)
        parts.append(part)
    return iter(parts)
