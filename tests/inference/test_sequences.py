"""Embeddings are kept by the content of the files: what is computed again, and what is not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from tests.damage import DAMAGES

from anymic._internal.files import file_digest, key_of
from anymic.bundle import Bundle
from anymic.data.manifest import Manifest
from anymic.devices.simulation.copies import Copies
from anymic.devices.simulation.random_devices import RandomDevices
from anymic.errors import DeviceError, ManifestError
from anymic.importers.vggish import import_vggish
from anymic.inference.embedder import SequenceEmbedder
from anymic.inference.sequences import embeddings_folder, open_sequences
from anymic.training.heads import untrained

pytestmark = pytest.mark.usefixtures("one_thread")
LABELS = ["hiss", "hum"]


@pytest.fixture
def model() -> Bundle:
    return untrained(import_vggish(width=1 / 64, seed=1), LABELS, "linear_head", segments=2)


@pytest.fixture
def clips(tmp_path: Path) -> Manifest:
    """Return four clips of 0.5 to 6 s."""
    generator = np.random.default_rng(2)
    for number, seconds in enumerate((0.5, 2.0, 4.0, 6.0)):
        noise = 0.1 * generator.normal(size=round(16000 * seconds))
        soundfile.write(tmp_path / f"{number}.wav", noise, 16000)
    table = pd.DataFrame({"path": [f"{number}.wav" for number in range(4)], "label": "hum"})
    return Manifest.from_table(table, tmp_path)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the number of windows of every batch that is embedded."""
    batches: list[int] = []
    pool = SequenceEmbedder.pool

    def counted(self: SequenceEmbedder, features: tuple[np.ndarray, ...]) -> np.ndarray:
        batches.append(len(features[0]))
        return pool(self, features)  # type: ignore[arg-type]

    monkeypatch.setattr(SequenceEmbedder, "pool", counted)
    return batches


def test_only_what_changes_an_embedding_makes_it_again(
    model: Bundle, clips: Manifest, tmp_path: Path, computed: list[int]
) -> None:
    cache = tmp_path / "cache"
    found = open_sequences(clips, model, cache)
    assert sum(computed) == 1 + 1 + 2 + 3
    assert found.rows.tolist() == [0, 1, 2, 2, 3, 3, 3]
    assert len(list(cache.rglob("*.npz"))) == 4

    def again(what: Callable[[], tuple[Manifest, Bundle]], windows: int) -> None:
        computed.clear()
        other = open_sequences(*what(), cache)
        assert sum(computed) == windows
        if not windows:
            np.testing.assert_array_equal(other.features, found.features[-len(other.features) :])

    def moved() -> tuple[Manifest, Bundle]:
        (tmp_path / "elsewhere").mkdir()
        for number in range(4):
            shutil.copy(tmp_path / f"{number}.wav", tmp_path / "elsewhere" / f"x{number}.wav")
        table = clips.table.assign(path=[f"elsewhere/x{number}.wav" for number in range(4)])
        return Manifest.from_table(table.assign(label="hiss", split="train"), tmp_path), model

    again(lambda: (clips, model), 0)
    again(moved, 0)
    again(lambda: (clips.rows([2, 3]), model), 0)
    head = untrained(
        import_vggish(width=1 / 64, seed=1), [*LABELS, "tick"], "lstm_head", segments=2, hidden=3
    )
    again(lambda: (clips, head), 0)
    other = untrained(import_vggish(width=1 / 64, seed=2), LABELS, "linear_head", segments=2)
    again(lambda: (clips, other), 7)
    padded = replace(model, contract=replace(model.contract, shorter="pad"))
    again(lambda: (clips, padded), 7)
    part = clips.rows([3]).with_columns(start_s=[2.0], duration_s=[1.95])
    again(lambda: (part, model), 1)
    soundfile.write(tmp_path / "1.wav", 0.2 * np.random.default_rng(3).normal(size=32000), 16000)
    again(lambda: (clips, model), 1)


def test_copies_of_chosen_clips_are_computed_once(
    model: Bundle, clips: Manifest, tmp_path: Path, computed: list[int]
) -> None:
    ids, cache = clips.clip_ids(), tmp_path / "cache"
    plain = open_sequences(clips, model, cache)

    def copied(copies: Copies, windows: int) -> np.ndarray:
        computed.clear()
        found = open_sequences(clips, model, cache, copies=copies, copied={ids[1], ids[3]})
        assert sum(computed) == windows
        np.testing.assert_array_equal(found.features[found.copies == 0], plain.features)
        count = copies.settings.copies
        assert found.rows.tolist() == [0, *[1] * (1 + count), 2, 2, *[3] * (3 + 3 * count)]
        return found.features

    first = copied(Copies(RandomDevices(copies=2)), 2 * (1 + 3))
    assert np.ptp(first[1:4], axis=0).max() > 0.01  # a clip and its two copies differ
    copied(Copies(RandomDevices(copies=3)), 1 + 3)
    copied(Copies(RandomDevices(copies=3), seed=1), 3 * (1 + 3))
    copied(Copies(RandomDevices(copies=1, scale=0.5)), 1 + 3)
    np.testing.assert_array_equal(copied(Copies(RandomDevices(copies=2)), 0), first)


def test_a_copy_is_the_clip_as_the_device_records_it(model: Bundle, tmp_path: Path) -> None:
    rate_hz, cache = model.contract.rate_hz, tmp_path / "cache"
    samples = 0.1 * np.random.default_rng(6).normal(size=model.contract.clip_samples)
    soundfile.write(tmp_path / "own.wav", samples, rate_hz, subtype="FLOAT")
    table = pd.DataFrame({"path": ["own.wav"], "label": "hum"})
    own = Manifest.from_table(table, tmp_path)
    copies = Copies(RandomDevices(copies=1, clipping=1.0))
    found = open_sequences(own, model, cache, copies=copies, copied=own.clip_ids())
    (device,) = copies.devices(key_of([None, None], file_digest(own.paths()[0])), rate_hz)
    recorded = device.record(samples.astype(np.float32))
    soundfile.write(tmp_path / "as.wav", recorded, rate_hz, subtype="FLOAT")
    as_recorded = Manifest.from_table(table.assign(path="as.wav"), tmp_path)
    expected = open_sequences(as_recorded, model, cache)
    np.testing.assert_allclose(found.features[1], expected.features[0], atol=2e-3, rtol=2e-3)


def test_a_folder_without_responses_fails_before_any_clip(
    model: Bundle, clips: Manifest, tmp_path: Path, computed: list[int]
) -> None:
    copies = Copies(RandomDevices(responses=str(tmp_path / "none")))
    with pytest.raises(DeviceError, match="has no impulse responses"):
        open_sequences(clips, model, tmp_path, copies=copies, copied=clips.clip_ids())
    assert not computed


def test_damaged_files_are_made_again(model: Bundle, clips: Manifest, tmp_path: Path) -> None:
    found = open_sequences(clips.rows([3]), model, tmp_path / "cache")
    (file,) = (tmp_path / "cache").rglob("*.npz")
    for damage in DAMAGES.values():
        file.write_bytes(damage(file.read_bytes()))
        with pytest.warns(UserWarning, match="is damaged, .* and is made again"):
            again = open_sequences(clips.rows([3]), model, tmp_path / "cache")
        np.testing.assert_array_equal(again.features, found.features)


def test_a_bad_file_is_a_failure_and_is_not_kept(
    model: Bundle, clips: Manifest, tmp_path: Path
) -> None:
    (tmp_path / "0.wav").write_bytes(b"no sound")
    (tmp_path / "2.wav").unlink()
    for _ in range(2):
        found = open_sequences(clips, model, tmp_path / "cache")
        assert [Path(one.path).name for one in found.failures] == ["0.wav", "2.wav"]
        assert found.rows.tolist() == [1, 3, 3, 3]
    with pytest.raises(ManifestError, match=r"No clip can be used \(2 failed\)"):
        open_sequences(clips.rows([0, 2]), model, tmp_path / "cache")


def test_a_long_clip_has_a_bounded_number_of_windows(
    model: Bundle, tmp_path: Path, computed: list[int]
) -> None:
    """They are at equal distances, from its beginning to its end."""
    hop, length = model.contract.hop_samples, model.contract.clip_samples
    noise = 0.1 * np.random.default_rng(5).normal(size=9 * hop + length)
    soundfile.write(tmp_path / "long.wav", noise, 16000)
    clips = Manifest.from_table(pd.DataFrame({"path": ["long.wav"], "label": "hum"}), tmp_path)
    whole = open_sequences(clips, model, tmp_path / "cache")
    assert len(whole.features) == sum(computed) == 10
    computed.clear()
    some = open_sequences(clips, model, tmp_path / "cache", most_windows=4)
    assert sum(computed) == 4
    np.testing.assert_allclose(some.features, whole.features[[0, 3, 6, 9]], atol=2e-2, rtol=2e-2)


def test_where_embeddings_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANYMIC_CACHE", str(tmp_path))
    assert embeddings_folder() == tmp_path / "embeddings"
    monkeypatch.delenv("ANYMIC_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert embeddings_folder() == tmp_path / "x" / "anymic" / "embeddings"
