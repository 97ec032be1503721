"""Folds and groups: nothing is divided, each label is everywhere, and the manifest is followed."""

from __future__ import annotations

from collections import Counter
from importlib.metadata import version

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from anymic.data.folds import cross_validation, fold_numbers, group_by_name
from anymic.data.manifest import Manifest
from anymic.data.splits import set_test_aside
from anymic.errors import AnymicError


def clips(labels: str, **columns: object) -> Manifest:
    """Return a clip for each letter, which is its label."""
    paths = [f"{label}/{number:02}-{label}.wav" for number, label in enumerate(labels)]
    return Manifest.from_table(pd.DataFrame({"path": paths, "label": list(labels), **columns}))


def test_folds_divide_no_group_and_have_the_same_share_of_each_label() -> None:
    labels = "a" * 40 + "b" * 20
    groups = [f"{label}{number // 2}" for number, label in enumerate(labels)]
    manifest = clips(labels, group=groups)
    found = fold_numbers(manifest, 5, seed=3)
    assert Counter(zip(found.tolist(), labels, strict=True)) == {
        (fold, label): count for fold in range(1, 6) for label, count in (("a", 8), ("b", 4))
    }
    pairs = set(zip(groups, found.tolist(), strict=True))
    assert len(pairs) == len(set(groups))
    assert (fold_numbers(manifest, 5, seed=3) == found).all()


def test_folds_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    labels = "".join(random.choice(list("aaabbc"), size=90))
    groups = [f"g{number}" for number in random.integers(40, size=90)]
    found = fold_numbers(clips(labels, group=groups), 4, seed=3)
    divider = StratifiedGroupKFold(4, shuffle=True, random_state=3)
    for number, (_, part) in enumerate(divider.split(labels, list(labels), groups), start=1):
        assert np.flatnonzero(found == number).tolist() == part.tolist()


@pytest.mark.skipif(
    tuple(map(int, version("scikit-learn").split(".")[:2])) < (1, 8),
    reason="StratifiedGroupKFold divides less evenly before scikit-learn 1.8",
)
def test_folds_have_the_same_share_of_each_of_several_labels() -> None:
    random = np.random.default_rng(1)
    sets = [[one for one in "abcd" if random.random() < 0.3] for _ in range(240)]
    paths = [f"{number}.wav" for number in range(240)]
    cells = [";".join(own) for own in sets]
    table = pd.DataFrame({"path": paths, "label": cells, "group": [n // 2 for n in range(240)]})
    manifest = Manifest.from_table(table, several=True)
    found = fold_numbers(manifest, 4, seed=0)
    has = np.array([[one in own for one in "abcd"] + [not own] for own in sets])
    each = np.stack([has[found == number].sum(axis=0) for number in range(1, 5)])
    assert (np.abs(each - each.mean(axis=0)) < 3).all(), each
    assert len(set(zip(table["group"], found.tolist(), strict=True))) == 120


def test_every_clip_is_tested_once_and_its_recording_never_trains_then() -> None:
    manifest = clips("abcabcabcabc", take=[str(number // 3 % 3) for number in range(12)])
    tested = []
    for part in cross_validation(manifest, 3, seed=0):
        test, train = part.where(split="test"), part.where(split="train")
        assert not set(test.recordings()) & set(train.recordings())
        assert train.labels == manifest.labels
        tested += test.table["path"].tolist()
    assert sorted(tested) == sorted(manifest.table["path"])


def test_the_folds_of_the_manifest_are_used_and_clips_without_one_only_train() -> None:
    manifest = clips("ababab", fold=[1, 1, 2, 2, -1, -1])
    parts = list(cross_validation(manifest, 5, seed=0))
    assert [part.table["split"].tolist() for part in parts] == [
        ["test", "test", "train", "train", "train", "train"],
        ["train", "train", "test", "test", "train", "train"],
    ]


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (clips("aaaab"), "ll clips of b are in one fold"),
        (clips("abab", fold=[1, 2, 1, 2]), "ll clips of a are in one fold"),
        (clips("aabb", fold=[1, 2, 1, 2], take=["1", "1", "2", "3"]), "overlaps between splits"),
        (clips("abab", group=["1", "1", "2", "2"]), "3 folds cannot be made of 2 recordings"),
        (clips("aabb"), "o label has more than 2 clips"),
    ],
)
def test_folds_that_would_not_measure_are_refused(manifest: Manifest, words: str) -> None:
    with pytest.raises(AnymicError, match=words):
        cross_validation(manifest, 3, seed=0)


def test_groups_are_what_the_pattern_matches_in_the_name_of_the_file() -> None:
    manifest = clips("aabb")
    assert group_by_name(manifest, r"^(\d)\d-").table["group"].tolist() == ["0"] * 4
    assert group_by_name(manifest, r"\d+").table["group"].tolist() == ["00", "01", "02", "03"]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(", "regular expression"),
        ("(a{9999999999})", "regular expression"),
        (r"(\d+)-b", "2 of 4 files no group: 00-a.wav, 01-a.wav"),
        ("(x?)", "all 4 files no group"),
        ("(x)?", "all 4 files no group"),
    ],
)
def test_a_pattern_that_makes_no_groups_is_refused(pattern: str, words: str) -> None:
    with pytest.raises(AnymicError, match=words):
        group_by_name(clips("aabb"), pattern)


def test_clips_set_aside_are_those_of_the_manifest_or_a_share_of_those_that_train() -> None:
    own = clips("abab", split=["train", "train", "test", "test"])
    assert set_test_aside(own, share=0.5, seed=0) is own
    rest = ["validation", "validation", "", ""]
    found = set_test_aside(clips("ab" * 6, split=["train"] * 8 + rest), share=0.25, seed=0)
    assert Counter(found.table["split"]) == {"train": 6, "test": 2, "validation": 2, "": 2}
    assert found.table["split"].tolist()[8:] == rest
