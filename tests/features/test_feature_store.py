"""The feature cache: what it holds, and what it never reads."""

from __future__ import annotations

from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from tests.damage import DAMAGES, Damage

from anymic.data.manifest import Manifest
from anymic.features import Frontend, FrontendConfig, feature_store
from anymic.features.feature_batches import Length
from anymic.features.feature_store import FeatureStore, open_features

RATE_HZ = 8000
CONFIG = FrontendConfig(rate_hz=RATE_HZ, fft_size=256, hop_samples=128, bands=32)
LENGTH = Length(0.5)


@pytest.fixture
def corpus(tmp_path: Path) -> Manifest:
    generator = np.random.default_rng(0)
    for number in range(20):
        noise = generator.normal(scale=0.1, size=RATE_HZ // 2)
        soundfile.write(tmp_path / f"{number}.wav", noise, RATE_HZ)
    table = pd.DataFrame(
        {
            "path": [f"{number}.wav" for number in range(20)],
            "label": ["one", "two"] * 10,
            "device": ["A"] * 10 + ["B"] * 10,
        }
    )
    return Manifest.from_table(table, root=tmp_path)


def frontend(gain: float = 2.0) -> Frontend:
    return Frontend(CONFIG, device_gains={"B": np.full(CONFIG.bins, gain)})


def the_file(cache: Path) -> Path:
    (path,) = cache.glob("*.features")
    return path


def computations(manifest: Manifest, front: Frontend, cache: Path) -> tuple[FeatureStore, int]:
    """Open the cache and count the clips whose features were computed for it."""
    calls = 0
    compute = front.log_mel

    def counted(samples: torch.Tensor, *args: Any, **options: Any) -> torch.Tensor:
        nonlocal calls
        calls += len(samples)
        return compute(samples, *args, **options)

    front.log_mel = counted  # type: ignore[method-assign]
    store = open_features(manifest, front, cache, length=LENGTH)
    return store, calls


@pytest.mark.parametrize("threads", [2, 3])
def test_batches_in_several_threads_keep_the_order(
    corpus: Manifest, tmp_path: Path, one_thread: None, threads: int
) -> None:
    single = open_features(corpus, frontend(), tmp_path / "single", length=LENGTH)
    torch.set_num_threads(threads)
    several = open_features(corpus, frontend(), tmp_path / "several", length=LENGTH)
    np.testing.assert_array_equal(several.rows, np.arange(20))
    np.testing.assert_allclose(several.features, single.features, atol=0.005)


def test_each_thread_computes_a_batch_of_its_own(
    corpus: Manifest, tmp_path: Path, one_thread: None
) -> None:
    """Two batches wait for each other, which one thread would do for ever; the values are equal."""
    single = open_features(corpus, frontend(), tmp_path / "single", length=LENGTH)
    torch.set_num_threads(2)
    front, both, threads = frontend(), Barrier(2, timeout=60), list[int]()
    compute = front.log_mel

    def together(*args: Any, **options: Any) -> torch.Tensor:
        threads.append(torch.get_num_threads())
        both.wait()
        return compute(*args, **options)

    front.log_mel = together  # type: ignore[method-assign]
    several = open_features(corpus, front, tmp_path / "several", length=LENGTH)
    assert threads == [1, 1]  # its share of torch's threads
    assert torch.get_num_threads() == 2
    np.testing.assert_array_equal(several.rows, single.rows)
    np.testing.assert_array_equal(several.features, single.features)


def test_it_holds_the_front_ends_features_with_each_devices_gains(
    corpus: Manifest, tmp_path: Path
) -> None:
    store = open_features(corpus, frontend(), tmp_path / "cache", length=LENGTH)
    assert store.features.dtype == np.float16
    assert isinstance(store.features, np.memmap)
    for row in (0, 15):
        samples = torch.from_numpy(soundfile.read(corpus.paths()[row], dtype="float32")[0])[None]
        index = frontend().device_index([corpus.table["device"][row]])
        expected = frontend().log_mel(samples, index)[0].numpy()
        np.testing.assert_allclose(store.features[row], expected, atol=0.005)


def test_the_second_time_nothing_is_computed(corpus: Manifest, tmp_path: Path) -> None:
    first, computed = computations(corpus, frontend(), tmp_path / "cache")
    assert computed == 20
    second, computed = computations(corpus, frontend(), tmp_path / "cache")
    assert computed == 0
    np.testing.assert_array_equal(first.features, second.features)


def test_other_gains_settings_or_clips_are_another_cache(corpus: Manifest, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    computations(corpus, frontend(), cache)
    assert computations(corpus, frontend(gain=3.0), cache)[1] == 20
    assert computations(corpus.where(device="B"), frontend(), cache)[1] == 10
    more_offset = FrontendConfig(**{**vars(CONFIG), "log_offset": 1e-3})
    assert computations(corpus, Frontend(more_offset), cache)[1] == 20


def test_a_changed_audio_file_is_never_answered_from_the_cache(
    corpus: Manifest, tmp_path: Path
) -> None:
    computations(corpus, frontend(), tmp_path / "cache")
    soundfile.write(corpus.paths()[3], np.full(RATE_HZ // 2, 0.1), RATE_HZ)
    store, computed = computations(corpus, frontend(), tmp_path / "cache")
    assert computed == 20
    assert np.ptp(store.features[3][5:, 5:20].astype(float)) < np.ptp(
        store.features[4][5:, 5:20].astype(float)
    )


def test_an_interruption_leaves_no_cache_behind(corpus: Manifest, tmp_path: Path) -> None:
    def interrupt(_done: int) -> None:
        raise KeyboardInterrupt

    cache = tmp_path / "cache"
    with pytest.raises(KeyboardInterrupt):
        open_features(corpus, frontend(), cache, length=LENGTH, progress=interrupt)
    assert list(cache.iterdir()) == []


def test_bad_clips_stand_beside_the_good_ones(corpus: Manifest, tmp_path: Path) -> None:
    corpus.paths()[2].write_bytes(b"")
    soundfile.write(corpus.paths()[7], np.full(RATE_HZ, 0.1), RATE_HZ)
    soundfile.write(corpus.paths()[9], np.full(RATE_HZ, 0.1), 2 * RATE_HZ)
    store = open_features(corpus, frontend(), tmp_path / "cache", length=LENGTH)
    assert store.rows.tolist() == [row for row in range(20) if row not in (2, 7, 9)]
    assert len(store.features) == 17
    reasons = [failure.reason for failure in store.failures]
    assert len(reasons) == 3
    assert "1.000 s" in reasons[1]
    assert "Expected 0.5 s" in reasons[1]
    assert "16000 Hz" in reasons[2]
    again = open_features(corpus, frontend(), tmp_path / "cache", length=LENGTH)
    assert again.failures == store.failures


def test_other_lengths_follow_the_named_rule(corpus: Manifest, tmp_path: Path) -> None:
    soundfile.write(corpus.paths()[7], np.full(RATE_HZ, 0.1), RATE_HZ)
    rule = Length(0.5, longer="crop")
    store = open_features(corpus, frontend(), tmp_path / "cache", length=rule)
    assert store.failures == ()


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_cache_is_made_again_with_a_note(
    damage: Damage, corpus: Manifest, tmp_path: Path
) -> None:
    whole, _ = computations(corpus, frontend(), tmp_path / "cache")
    expected = np.array(whole.features)
    path = the_file(tmp_path / "cache")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(UserWarning, match=r"\.features is damaged, .* and is made again"):
        store, computed = computations(corpus, frontend(), tmp_path / "cache")
    assert computed == 20
    np.testing.assert_array_equal(store.features, expected)


@pytest.mark.parametrize("place", [0, 9, 70, 130, 5000, -1, -9, -25, -40, -200, -400])
def test_no_byte_of_a_cache_can_change_unnoticed(
    place: int, corpus: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The header of the array, its numbers, the rows, the checksums, the mark: in any block."""
    monkeypatch.setattr(feature_store, "BLOCK_BYTES", 1000)
    whole, _ = computations(corpus, frontend(), tmp_path / "cache")
    expected = np.array(whole.features)
    path = the_file(tmp_path / "cache")
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="made again"):
        store, computed = computations(corpus, frontend(), tmp_path / "cache")
    assert computed == 20
    np.testing.assert_array_equal(store.features, expected)
    assert store.rows.tolist() == list(range(20))
