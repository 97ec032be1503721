"""Folds of a cross-validation, and groups from file names: no recording is in two folds."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from anymic._internal.reading import reason_of
from anymic.data.label_sets import indicators
from anymic.data.manifest import Manifest
from anymic.data.splits import TEST, check_splits
from anymic.data.tables import some
from anymic.errors import ConfigError, ManifestError, counted, part_of


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
            f"the pattern {pattern!r} gives {part_of(len(lost), len(names), 'file')} no group:"
            f" {some(lost)}",
            expected="a match of at least one character in the name of each file",
            fix="change the pattern, or fill the column group",
        )
    return manifest.with_columns(group=groups)


def fold_numbers(manifest: Manifest, folds: int, *, seed: int) -> NDArray[np.int64]:
    """Return the fold of each row, (row,), from 1 on; no group is divided.

    Each fold has the same share of each label, as far as the groups allow: see `divide_groups`.

    Raises
    ------
    ManifestError
        If there are fewer than two folds, fewer groups than folds, or no label with so many clips.
    """
    number = len(set(manifest.recordings()))
    if not 2 <= folds <= number:
        raise ManifestError(
            f"{counted(folds, 'fold')} cannot be made of {counted(number, 'recording')}",
            expected="at least two folds, and a recording for each",
            fix="change the number of folds, or add recordings",
        )
    sets = manifest.label_sets()
    has = indicators(sets, manifest.labels)
    if (most := int(has.sum(axis=0).max(initial=0))) < folds:
        raise ManifestError(
            f"no label has more than {counted(most, 'clip')}",
            expected=f"a label with a clip for each of {folds} folds",
            fix="change the number of folds, or add recordings",
        )
    return divide_groups(has, manifest.recordings(), folds, seed=seed)


def divide_groups(
    has: NDArray[np.integer], groups: Sequence[str], folds: int, *, seed: int
) -> NDArray[np.int64]:
    """Return the fold of each row, (row,), from 1 on; no group is divided.

    It is that of scikit-learn's StratifiedGroupKFold. A row with several labels counts for each of
    them, and rows without one count as one more label.

    Parameters
    ----------
    has : (row, label) of 0 and 1
        Some label has a row for each fold.
    groups : sequence of str, (row,)
        At least as many as folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    none = ~has.any(axis=1, keepdims=True)
    rows, labels = np.nonzero(np.concatenate([has, none], axis=1))
    found = np.zeros(len(has), dtype=np.int64)
    divider = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of labels with fewer rows than folds
        parts = divider.split(rows, labels, np.asarray(groups)[rows])
        for number, (_, part) in enumerate(parts, start=1):
            found[rows[part]] = number
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
