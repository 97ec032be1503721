"""The built-in scenes: laws of the draw, of the files, and of how hard they are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from anymic.data import corpora as datasets
from anymic.data.corpora.scenes import Settings, scenes
from anymic.data.corpora.synthesis.drawing import (
    INGREDIENTS,
    LABELS,
    PEAK,
    SCENES,
    draw_location,
    draw_take,
    render,
)
from anymic.data.corpora.synthesis.shaping import Sound
from anymic.data.corpora.tau_mobile import SCENES as TAU_SCENES
from anymic.data.manifest import Manifest
from anymic.data.splits import check_splits
from anymic.errors import ConfigError, ManifestError

RATE_HZ = 22050
SMALL = Settings(seed=1, train_locations=1, test_locations=1, takes=2, clip_s=1.0)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return scenes(tmp_path_factory.mktemp("scenes"), SMALL, progress=False)


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_labels_are_those_of_tau() -> None:
    assert set(LABELS) == set(TAU_SCENES)


def test_every_part_of_a_scene_is_an_ingredient_and_every_trait_one_of_it() -> None:
    for scene in SCENES.values():
        for name, part in scene.parts.items():
            assert set(part.traits) <= set(INGREDIENTS[name].traits), name
            assert all(low <= high for low, high in part.traits.values()), name


def test_same_bytes_on_rerun_with_other_workers(small: Manifest, tmp_path: Path) -> None:
    again = scenes(tmp_path, SMALL, workers=1, progress=False)
    assert content(tmp_path) == content(small.root)
    assert again.digest() == small.digest()


def test_an_interrupted_run_is_finished(small: Manifest, tmp_path: Path) -> None:
    first = scenes(tmp_path, SMALL, progress=False)
    kept, *lost = first.paths()
    for path in lost[::2]:
        path.unlink()
    (tmp_path / "manifest.csv").unlink()
    before = kept.stat().st_mtime_ns
    scenes(tmp_path, SMALL, progress=False)
    assert content(tmp_path) == content(small.root)
    assert kept.stat().st_mtime_ns == before


def test_other_seeds_places_and_moments_sound_different() -> None:
    clips = [
        render(draw_take(draw_location("tram", index, seed=seed), moment), clip_s=1.0).samples
        for seed, index, moment in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))
    ]
    for number, clip in enumerate(clips):
        for other in clips[:number]:
            assert abs(np.corrcoef(clip, other)[0, 1]) < 0.5


def test_a_draw_is_a_value_and_moments_share_their_place() -> None:
    place = draw_location("park", 3, seed=7)
    assert place == draw_location("park", 3, seed=7)
    first, second = draw_take(place, 0), draw_take(place, 1)
    assert first == draw_take(place, 0)
    assert set(first.levels_db) == set(second.levels_db) == set(place.traits)
    assert first.levels_db != second.levels_db


def test_files_are_finite_audible_and_below_full_scale(small: Manifest) -> None:
    for path in small.paths():
        samples, rate_hz = soundfile.read(path)
        assert rate_hz == RATE_HZ
        assert len(samples) == RATE_HZ
        assert np.isfinite(samples).all()
        assert np.abs(samples).max() <= PEAK + 1 / 2**15
        assert 20 * np.log10(np.sqrt(np.mean(samples**2))) > -65


@pytest.mark.parametrize("name", sorted(INGREDIENTS))
def test_ingredients_hold_at_the_ends_of_their_ranges(name: str) -> None:
    ingredient = INGREDIENTS[name]
    for end in (0, 1):
        traits = {trait: span[end] for trait, span in ingredient.traits.items()}
        for rate_hz in (16000, 44100):
            sound = Sound(np.random.default_rng(3), rate_hz // 2, rate_hz)
            piece = ingredient.render(sound, traits)
            assert piece.dtype == np.float32
            assert piece.shape == (rate_hz // 2,)
            assert np.isfinite(piece).all()


def test_a_place_is_on_one_side_of_the_split(small: Manifest) -> None:
    check_splits(small)
    sides = small.table.groupby("group")["split"].nunique()
    assert (sides == 1).all()
    assert set(small.table["split"]) == {"train", "test"}
    assert small.table["take"].is_unique
    assert small.labels == sorted(LABELS)
    assert small.devices == ["A"]


def test_scenes_differ_and_overlap() -> None:
    """Nearest centroid of band means and spreads: well above chance, and far from solved."""
    train, test = range(12), range(12, 18)
    trained = np.array([[statistics(scene, index) for index in train] for scene in LABELS])
    tested = np.array([[statistics(scene, index) for index in test] for scene in LABELS])
    middle, spread = trained.mean(axis=(0, 1)), trained.std(axis=(0, 1))
    centroids = ((trained - middle) / spread).mean(axis=1)
    asked = ((tested - middle) / spread).reshape(-1, len(middle))
    nearest = np.linalg.norm(asked[:, None] - centroids, axis=2).argmin(axis=1)
    share = np.mean(nearest == np.repeat(np.arange(len(LABELS)), len(test)))
    assert 0.35 < share < 0.9


def statistics(scene: str, index: int) -> NDArray[np.float64]:
    clip = render(draw_take(draw_location(scene, index, seed=5), 0), clip_s=2.0)
    magnitude = librosa.feature.melspectrogram(
        y=clip.samples, sr=clip.rate_hz, n_fft=1024, hop_length=512, n_mels=40, power=1.0
    )
    log_mel = np.log(magnitude + 1e-5)
    return np.concatenate([log_mel.mean(axis=1), log_mel.std(axis=1)])


def test_the_corpus_is_registered_and_keeps_the_settings_it_finds(
    small: Manifest, tmp_path: Path
) -> None:
    scenes(tmp_path, SMALL, progress=False)
    assert datasets.load("scenes", tmp_path).digest() == small.digest()


def test_another_seed_in_the_same_folder_is_refused(small: Manifest) -> None:
    with pytest.raises(ManifestError, match=r"'seed': 1.*Expected.*'seed': 2.*another folder"):
        scenes(small.root, replace(SMALL, seed=2), progress=False)


@pytest.mark.parametrize("text", ["no json", "[1]", json.dumps({"version": 1, "tempo": 3})])
def test_a_foreign_note_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "scenes.json").write_text(text)
    with pytest.raises(ManifestError, match="Choose another folder"):
        datasets.load("scenes", tmp_path)


def test_unknown_scene_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'beach'.*airport"):
        draw_location("beach", 0)


def test_all_bad_settings_are_named_at_once() -> None:
    with pytest.raises(
        ConfigError, match=r"seed is -1.*takes is 0.*clip_s is nan.*rate_hz is 8000"
    ):
        Settings(seed=-1, takes=0, clip_s=float("nan"), rate_hz=8000)
