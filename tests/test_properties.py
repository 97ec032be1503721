"""Laws that hold for any input: windows, splits, votes, intervals, manifests and settings."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from anymic._internal.settings import from_mapping, to_mapping
from anymic.audio import Clip
from anymic.bundle import InputContract
from anymic.bundle.voting import Voting, vote
from anymic.data.manifest import Manifest
from anymic.data.splits import check_splits, set_test_aside, split_groups
from anymic.errors import ManifestError
from anymic.features import FrontendConfig
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


@st.composite
def tables(draw: st.DrawFn) -> Manifest:
    """Clips of a few recordings, named by a group, a take or the file alone."""
    rows = draw(st.integers(2, 30))
    columns = {"path": [f"{number}.wav" for number in range(rows)]}
    columns["label"] = draw(st.lists(st.sampled_from("abc"), min_size=rows, max_size=rows))
    some = st.lists(st.sampled_from(["", "r1", "r2", "r3", "r4"]), min_size=rows, max_size=rows)
    for column in draw(st.sets(st.sampled_from(["group", "take"]))):
        columns[column] = draw(some)
    return Manifest.from_table(pd.DataFrame(columns), root="corpus")


@MANY
@given(manifest=tables(), share=st.floats(0.05, 0.95), seed=st.integers(0, 100))
def test_no_recording_is_on_two_sides(manifest: Manifest, share: float, seed: int) -> None:
    whole = manifest.recordings()
    if len(set(whole)) < 2:
        return
    rest, part = split_groups(manifest, share=share, seed=seed)
    assert len(rest) + len(part) == len(manifest)
    assert 0 < len(part) < len(manifest)
    of_path = dict(zip(manifest.table["path"], whole, strict=True))
    sides = [{of_path[path] for path in side.table["path"]} for side in (rest, part)]
    assert not sides[0] & sides[1]
    try:
        divided = set_test_aside(manifest, share=share, seed=seed)
    except ManifestError:  # a label would have no recording left
        return
    check_splits(divided)
    assert set(divided.table["split"]) == {"train", "test"}


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


@MANY
@given(data=st.data(), rows=st.integers(1, 8))
def test_a_manifest_that_is_written_is_read_as_it_was(data: st.DataObject, rows: int) -> None:
    texts = st.lists(NAMES, min_size=rows, max_size=rows)
    maybe = st.lists(TEXTS, min_size=rows, max_size=rows)
    columns = {"path": [f"{number}.wav" for number in range(rows)], "label": data.draw(texts)}
    columns |= {name: data.draw(maybe) for name in data.draw(st.sets(st.sampled_from(["group"])))}
    with tempfile.TemporaryDirectory() as folder:
        try:
            manifest = Manifest.from_table(pd.DataFrame(columns), root=folder)
        except ManifestError:
            return  # labels that no manifest may have
        again = Manifest.read(manifest.write(Path(folder) / "m.csv"))
    pd.testing.assert_frame_equal(again.table, manifest.table)
    assert again.clip_ids() == manifest.clip_ids()


@MANY
@given(
    bands=st.integers(1, 128),
    fft=st.sampled_from([256, 512, 1024]),
    hop=st.integers(64, 256),
    hop_s=st.one_of(st.none(), st.floats(0.05, 1.0)),
)
def test_settings_survive_their_mapping(
    bands: int, fft: int, hop: int, hop_s: float | None
) -> None:
    frontend = FrontendConfig(fft_size=fft, hop_samples=hop, bands=bands)
    assert from_mapping(FrontendConfig, to_mapping(frontend)) == frontend
    contract = InputContract(rate_hz=RATE_HZ, clip_s=1.0, hop_s=hop_s)
    assert from_mapping(InputContract, to_mapping(contract)) == contract
