"""Laws that hold for any input: windows, splits, votes, intervals and manifests."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from anymic.audio import Clip
from anymic.bundle import InputContract
from anymic.bundle.voting import Voting, vote
from anymic.calibration import IsotonicCalibrator
from anymic.data.folds import cross_validation, divide_groups
from anymic.data.manifest import Manifest
from anymic.data.splits import check_splits, part_of_groups, set_test_aside, split_groups
from anymic.errors import ManifestError
from anymic.inference.windowing import End, Window, cut
from anymic.metrics import accuracy, design_effect

RATE_HZ = 100
MANY = settings(max_examples=60, deadline=None)
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp", "Zs")), max_size=6)
NAMES = TEXTS.filter(bool)


@MANY
@given(samples=st.integers(1, 1200), hop=st.integers(10, 100))
def test_every_sample_is_in_a_window_or_in_the_noted_rest(samples: int, hop: int) -> None:
    """Windows of 100 samples follow each other without a gap, and keep every sample as it is."""
    contract = InputContract(rate_hz=RATE_HZ, clip_s=1.0, hop_s=hop / RATE_HZ)
    sound = np.linspace(0.1, 0.9, samples, dtype=np.float32)
    *windows, end = cut(Clip(sound, RATE_HZ), contract)
    assert isinstance(end, End)
    covered = np.zeros(samples, dtype=bool)
    for window in windows:
        assert isinstance(window, Window)
        assert window.samples.shape == (100,)
        begin = round(window.start_s * RATE_HZ)
        real = min(100, samples - begin)
        np.testing.assert_array_equal(window.samples[:real], sound[begin : begin + real])
        covered[begin : begin + 100] = True
    rest = int((~covered).sum())
    assert covered[: samples - rest].all()
    assert rest < 100
    assert rest == 0 or any("left out" in note for note in end.notes)


@MANY
@given(
    samples=st.integers(1, 1200),
    length=st.integers(2, 101),
    hop=st.floats(0, 1),
    repeat=st.booleans(),
)
def test_no_sample_is_left_out_where_windows_begin_half_a_window_apart(
    samples: int, length: int, hop: float, repeat: bool
) -> None:
    """Or nearer, and a shorter clip is not refused: no rest is then shorter than half a window."""
    contract = InputContract(
        rate_hz=RATE_HZ,
        clip_s=length / RATE_HZ,
        hop_s=max(1, int(hop * (length // 2))) / RATE_HZ,
        shorter="repeat" if repeat else "pad",
    )
    sound = np.linspace(0.1, 0.9, samples, dtype=np.float32)
    *windows, end = cut(Clip(sound, RATE_HZ), contract)
    assert isinstance(end, End)
    found = np.full(samples, np.nan, dtype=np.float32)
    for window in windows:
        assert isinstance(window, Window)
        begin = round(window.start_s * RATE_HZ)
        real = min(length, samples - begin)
        found[begin : begin + real] = window.samples[:real]
    np.testing.assert_array_equal(found, sound)
    assert not any("left out" in note for note in end.notes)


@st.composite
def tables(draw: st.DrawFn, *, folds: bool = False) -> Manifest:
    """Clips of a few recordings, named by a group, a take or the file, and of a few devices."""
    rows = draw(st.integers(2, 40))

    def column(choices: list[Any]) -> list[Any]:
        return draw(st.lists(st.sampled_from(choices), min_size=rows, max_size=rows))

    files = draw(st.integers(1 + rows // 3, rows))
    columns: dict[str, list[Any]] = {"path": [f"{row % files}.wav" for row in range(rows)]}
    columns |= {"start_s": [row // files for row in range(rows)], "label": column([*"ab"])}
    for name in draw(st.sets(st.sampled_from(["group", "take"]))):
        columns[name] = column(["", *(f"r{number}" for number in range(9))])
    if draw(st.booleans()):
        columns["device"] = column(["", "A", "B"])
    manifest = Manifest.from_table(pd.DataFrame(columns), root="corpus")
    if folds and draw(st.booleans()):
        whole = manifest.recordings()
        units = whole if draw(st.integers(0, 3)) else list(map(str, range(rows)))
        of_unit = {unit: draw(st.sampled_from([1, 2, 3, -1])) for unit in dict.fromkeys(units)}
        manifest = manifest.with_columns(fold=[of_unit[unit] for unit in units])
    return manifest


def recordings_of(manifest: Manifest, whole: Manifest) -> set[str]:
    """Return the recordings, of a whole manifest, to which the clips of a part of it belong."""
    names = dict(zip(whole.clip_ids(), whole.recordings(), strict=True))
    return {names[clip] for clip in manifest.clip_ids()}


@MANY
@given(manifest=tables(), share=st.floats(0.05, 0.95), seed=st.integers(0, 100))
def test_no_recording_is_on_two_sides(manifest: Manifest, share: float, seed: int) -> None:
    whole = manifest.recordings()
    if len(set(whole)) < 2:
        return
    rest, part = split_groups(manifest, share=share, seed=seed)
    assert len(rest) + len(part) == len(manifest)
    assert 0 < len(part) < len(manifest)
    assert not recordings_of(rest, manifest) & recordings_of(part, manifest)
    chosen = part_of_groups(manifest, share=share, seed=seed)
    pairs = set(zip(whole, chosen.tolist(), strict=True))
    assert len(pairs) == len(set(whole))  # each recording has one side
    assert part.clip_ids() == manifest.rows(chosen).clip_ids()
    try:
        divided = set_test_aside(manifest, share=share, seed=seed)
    except ManifestError:  # a label would have no recording left
        return
    check_splits(divided)
    assert set(divided.table["split"]) == {"train", "test"}


@settings(MANY, max_examples=40)
@given(manifest=tables(folds=True), folds=st.integers(2, 3), seed=st.integers(0, 100))
def test_no_recording_is_trained_on_and_tested(manifest: Manifest, folds: int, seed: int) -> None:
    """Folds of the table that divide a recording are refused; each clip with a fold is tested."""
    own = manifest.table.get("fold", pd.Series(-1, index=manifest.table.index))
    stated = len(set(own) - {-1}) > 1
    pairs = set(zip(manifest.recordings(), own, strict=True))
    if stated and len(pairs) > len(set(manifest.recordings())):
        with pytest.raises(ManifestError):
            cross_validation(manifest, folds, seed=seed)
        return
    try:
        parts = list(cross_validation(manifest, folds, seed=seed))
    except ManifestError:  # too few recordings, or all of a label in one fold
        return
    assert len(parts) == (len(set(own) - {-1}) if stated else folds)
    tested = np.zeros(len(manifest), dtype=int)
    for part in parts:
        train, test = part.where(split="train"), part.where(split="test")
        assert len(train) + len(test) == len(manifest)
        assert not recordings_of(train, manifest) & recordings_of(test, manifest)
        tested += part.table["split"].to_numpy() == "test"
    np.testing.assert_array_equal(tested, own != -1 if stated else np.ones(len(manifest)))


@MANY
@given(data=st.data(), rows=st.integers(4, 30), folds=st.integers(2, 4), seed=st.integers(0, 100))
def test_no_group_is_in_two_folds(data: st.DataObject, rows: int, folds: int, seed: int) -> None:
    """Whatever labels a clip has, none or several, and however uneven the groups are."""
    of_row = st.lists(st.integers(0, 5), min_size=rows - folds, max_size=rows - folds)
    groups = [f"g{number}" for number in [*range(folds), *data.draw(of_row)]]
    labels = st.lists(st.integers(0, 7), min_size=rows, max_size=rows)
    has = np.array([[own >> label & 1 for label in range(3)] for own in data.draw(labels)])
    has[:folds, 0] = 1  # a label has a row for each fold
    found = divide_groups(has, groups, folds, seed=seed)
    assert set(found.tolist()) <= set(range(1, folds + 1))
    assert len(set(zip(groups, found.tolist(), strict=True))) == len(set(groups))
    np.testing.assert_array_equal(divide_groups(has, groups, folds, seed=seed), found)


@st.composite
def members(draw: st.DrawFn) -> NDArray[np.float64]:
    """Probabilities (member, clip, label) of any sharpness, zeros included."""
    shape = (draw(st.integers(1, 5)), draw(st.integers(1, 4)), draw(st.integers(2, 6)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    logits = random.normal(size=shape) * draw(st.sampled_from([0.1, 1.0, 30.0, 1000.0]))
    p = np.exp(logits - logits.max(axis=2, keepdims=True))
    return np.asarray(p / p.sum(axis=2, keepdims=True))


@MANY
@given(p=members(), data=st.data())
def test_votes_sum_to_one_and_do_not_depend_on_the_order(
    p: NDArray[np.float64], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(p))))
    labels = data.draw(st.permutations(range(p.shape[2])))
    for voting in (each for each in get_args(Voting) if each != "calibrated"):
        found = vote(p, voting)
        assert (found >= 0).all()
        np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-12)
        np.testing.assert_allclose(vote(p[order], voting), found, rtol=1e-9, atol=1e-300)
        np.testing.assert_allclose(vote(p[:, :, labels], voting), found[:, labels], rtol=1e-9)
        np.testing.assert_allclose(vote(p[:1], voting), p[0], rtol=1e-9, atol=1e-300)


@settings(MANY, max_examples=20)
@given(p=members(), seed=st.integers(0, 2**32 - 1), data=st.data())
def test_calibrated_votes_do_not_depend_on_the_order(
    p: NDArray[np.float64], seed: int, data: st.DataObject
) -> None:
    """Members are permuted with their calibrators, which differ; rows sum to 1."""
    random, labels = np.random.default_rng(seed), p.shape[2]
    targets = np.arange(4 * labels) % labels
    calibrators = [
        IsotonicCalibrator().fit(
            0.7 * random.dirichlet(np.ones(labels), len(targets)) + 0.3 * np.eye(labels)[targets],
            targets,
        )
        for _ in p
    ]
    found = vote(p, "calibrated", calibrators)
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-12)
    order = data.draw(st.permutations(range(len(p))))
    again = vote(p[order], "calibrated", [calibrators[member] for member in order])
    np.testing.assert_allclose(again, found, rtol=1e-12)
    each = [vote(p[[i]], "calibrated", [one]) for i, one in enumerate(calibrators)]
    np.testing.assert_allclose(np.mean(each, axis=0), found, rtol=1e-12)


@MANY
@given(data=st.data(), clips=st.integers(1, 60), recordings=st.integers(1, 10))
def test_intervals_hold_the_estimate_whatever_the_groups(
    data: st.DataObject, clips: int, recordings: int
) -> None:
    right = data.draw(st.lists(st.booleans(), min_size=clips, max_size=clips))
    owner = st.integers(0, recordings - 1)
    groups = data.draw(st.lists(owner, min_size=clips, max_size=clips))
    found, alone = accuracy(right, groups), accuracy(right)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.high - found.low >= alone.high - alone.low - 1e-12
    order = data.draw(st.permutations(range(clips)))
    again = accuracy([right[one] for one in order], [groups[one] for one in order])
    np.testing.assert_allclose([again.low, again.high], [found.low, found.high], atol=1e-9)
    sizes = np.unique(groups, return_counts=True)[1]
    assert 1 <= design_effect(right, groups) <= (sizes**2).sum() / clips + 1e-12


NUMBERS = st.floats(0, 1e6, exclude_min=True)
COLUMNS: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("device", "group", "take", "codec", "place"), TEXTS),
    "split": st.sampled_from(["", "train", "validation", "test", "other"]),
    "fold": st.integers(-1, 10),
    "start_s": st.floats(0, 1e6),
    **dict.fromkeys(("duration_s", "kbps"), st.one_of(st.none(), NUMBERS)),
}


@MANY
@given(
    data=st.data(),
    rows=st.integers(1, 8),
    several=st.booleans(),
    named=st.sets(st.sampled_from([*COLUMNS])),
)
def test_a_manifest_that_is_written_is_read_as_it_was(
    data: st.DataObject, rows: int, several: bool, named: set[str]
) -> None:
    """Every column, cells that are not known, and clips of several labels or none."""

    def column(cells: st.SearchStrategy[Any]) -> list[Any]:
        return data.draw(st.lists(cells, min_size=rows, max_size=rows))

    labels = st.lists(TEXTS, max_size=3).map(";".join) if several else NAMES
    columns = {"path": [f"{number}.wav" for number in range(rows)], "label": column(labels)}
    columns |= {name: column(COLUMNS[name]) for name in sorted(named)}
    with tempfile.TemporaryDirectory() as folder:
        try:
            manifest = Manifest.from_table(pd.DataFrame(columns), root=folder, several=several)
        except ManifestError:
            return  # labels that no manifest may have
        again = Manifest.read(manifest.write(Path(folder) / "m.csv"), several=several)
    pd.testing.assert_frame_equal(again.table, manifest.table, check_exact=True)
    assert again.clip_ids() == manifest.clip_ids()
    assert again.label_sets() == manifest.label_sets()
    assert again.digest() == manifest.digest()
