"""Training clips passed through codecs: features, the draw of each epoch, and old runs' names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anymic import audio
from anymic.audio import Clip
from anymic.codecs import Codec
from anymic.codecs.random_codec import Codecs
from anymic.data.manifest import Manifest
from anymic.features import Frontend, FrontendConfig
from anymic.training import TrainingConfig, load_config
from anymic.training.loop.augmentation import Mixup
from anymic.training.loop.batches import TrainingBatches
from anymic.training.parts import Examples
from anymic.training.run import TrainingRun

CODECS = Codecs(share=0.5, set=("mp3 32", "g722"))


def batches(
    *, codecs: Codecs | None = CODECS, rank: int = 0, processes: int = 1, **changes: Any
) -> TrainingBatches:
    """Return batches of 40 clips, whose every value says which clip and version it is."""
    clean = np.arange(40, dtype=np.float16)[:, None, None] * np.ones((1, 3, 8), np.float16)
    rows, nothing = np.arange(40), np.arange(0)
    data = Examples(clean, ("a", "b"), rows, rows % 2, nothing, nothing)
    if codecs is not None:
        data = replace(data, coded=(clean + 100, clean + 200))
    config = TrainingConfig(
        **{"batch_size": 16, "mixup": None, "seed": 4, "codecs": codecs, **changes}
    )
    return TrainingBatches(data, config, rank=rank, processes=processes)


def codecs_of(some: TrainingBatches, epoch: int) -> dict[int, int]:
    """Return the version of each clip in an epoch."""
    values = torch.cat([some[epoch, step].features[:, 0, 0] for step in range(len(some))]).tolist()
    return {int(value) % 100: int(value) // 100 for value in values}


def test_every_epoch_draws_anew_and_every_run_the_same() -> None:
    first, second = codecs_of(batches(), 0), codecs_of(batches(), 1)
    assert sorted(first) == list(range(40))
    assert first == codecs_of(batches(), 0)
    assert first != second
    assert set(first.values()) == {0, 1, 2}
    assert 8 < sum(version == 0 for version in first.values()) < 32


def test_with_consistency_each_clip_has_another_version_beside_it() -> None:
    alone, pairs = batches(), batches(codecs=replace(CODECS, consistency=1.0))
    for step in range(3):
        plain, batch = alone[2, step], pairs[2, step]
        assert plain.other is None
        assert batch.other is not None
        assert torch.equal(batch.features, plain.features)
        own, other = (values[:, 0, 0].long() for values in (batch.features, batch.other))
        assert torch.equal(own % 100, other % 100)
        assert ((own < 100) == (other >= 100)).all()
    drawn = {int(value) // 100 for step in range(3) for value in other_values(pairs, step)}
    assert drawn == {0, 1, 2}


def other_values(some: TrainingBatches, step: int) -> torch.Tensor:
    found = some[2, step].other
    assert found is not None
    return found[:, 0, 0]


def test_both_versions_are_mixed_and_cropped_alike() -> None:
    changes: dict[str, Any] = {"crop_frames": 5, "mixup": Mixup(share=0.5, alpha=0.4)}
    some = batches(codecs=replace(CODECS, share=1.0, consistency=1.0), **changes)
    batch, clean = some[1, 0], batches(codecs=None, **changes)[1, 0]
    assert batch.other is not None
    torch.testing.assert_close(batch.other, clean.features)  # all are coded: these are not
    whole = [batches(codecs=some.config.codecs, rank=r, processes=2, **changes) for r in (0, 1)]
    for rank, each in enumerate(whole):
        share = each[1, 0].other
        assert share is not None
        torch.testing.assert_close(share, batch.other[rank::2])


def test_a_share_of_the_clips_has_a_cut_off_and_the_rest_stays() -> None:
    frontend = FrontendConfig(rate_hz=44100, fft_size=512, hop_samples=256, bands=3)
    plain = batches(codecs=replace(CODECS, masks=0.0), frontend=frontend)
    cut = batches(codecs=replace(CODECS, masks=0.5), frontend=frontend)
    emptied = 0
    for epoch in range(10):
        before, after = plain[epoch, 0], cut[epoch, 0]
        assert torch.equal(before.targets, after.targets)
        changed = (before.features != after.features).any(dim=2)  # (clip, band)
        assert not changed[:, 0].any()  # below 3.4 kHz
        assert (after.features[changed] < 0).all()
        emptied += int(changed[:, 2].sum())
    assert 30 < emptied < 110  # of 140 clips half have one, some above the last band


def test_order_and_targets_are_those_without_codecs() -> None:
    plain = batches(codecs=None)
    for step in range(3):
        with_codecs, without = batches()[2, step], plain[2, step]
        assert torch.equal(with_codecs.targets, without.targets)
        assert torch.equal(with_codecs.features % 100, without.features)


@pytest.mark.parametrize("mixup", [None, Mixup(share=0.5, alpha=0.4)])
def test_processes_share_the_one_batch(mixup: Mixup | None) -> None:
    changes: dict[str, Any] = {"crop_frames": 5, "mixup": mixup}
    whole = batches(**changes)[3, 1]
    shares = [batches(rank=rank, processes=2, **changes)[3, 1] for rank in (0, 1)]
    for rank, share in enumerate(shares):
        assert torch.allclose(share.features, whole.features[rank::2])
        assert torch.equal(share.targets, whole.targets[rank::2])


def noises(folder: Path, *, splits: Sequence[str]) -> Manifest:
    """Write a second of noise for each split, of two labels in turn."""
    generator = np.random.default_rng(0)
    rows = ["path,label,split"]
    for number, split in enumerate(splits):
        samples = 0.1 * generator.standard_normal(16000).astype(np.float32)
        audio.write(folder / f"{number}.wav", Clip(samples, 16000))
        rows.append(f"{number}.wav,{number % 2},{split}")
    (folder / "all.csv").write_text("\n".join(rows) + "\n")
    return Manifest.read(folder / "all.csv")


def test_features_are_those_of_the_coded_clips(tmp_path: Path) -> None:
    manifest = noises(tmp_path, splits=["train"] * 4)
    frontend = Frontend(FrontendConfig(rate_hz=16000, fft_size=512, hop_samples=256, bands=32))
    config = TrainingConfig(frontend=frontend.config, clip_s=1.0, codecs=CODECS, validation_share=0)
    run = TrainingRun(manifest, config, tmp_path / "run")
    data, clips = run.examples(frontend), run.parts.together
    assert [array.shape for array in data.coded] == [data.features.shape] * 2
    for array, codec in zip(data.coded, CODECS.codecs, strict=True):
        for values, path in zip(array, clips.paths(), strict=True):
            coded = torch.from_numpy(codec.apply(audio.read(path)).clip.samples)[None]
            expected = frontend.log_mel(coded, frontend.device_index([None]))[0]
            np.testing.assert_allclose(values, expected.reshape(values.shape), atol=0.02)
    assert CODECS.codecs.codecs[1] == Codec("g722")


def test_versions_drawn_from_the_table_are_found_again(tmp_path: Path) -> None:
    manifest = noises(tmp_path, splits=[*["train"] * 4, "validation"])
    frontend = Frontend(FrontendConfig(rate_hz=16000, fft_size=512, hop_samples=256, bands=32))
    drawn = Codecs(versions=2, without=("chains", "opus"))
    config = TrainingConfig(frontend=frontend.config, clip_s=1.0, codecs=drawn)
    found = []
    for name in ("one", "two"):
        run = TrainingRun(manifest, config, tmp_path / name, cache=tmp_path / "cache")
        data, clips = run.examples(frontend), run.parts.together
        files = sorted((tmp_path / "cache" / "coded").rglob("*.flac"))
        found.append([(file, file.stat().st_mtime_ns) for file in files])
        assert "2 coded versions of each training clip" in run.notes[0]
    assert found[0] == found[1]
    assert 4 < len(found[0]) <= 8
    assert len(data.coded) == 2
    for row, (clip, path) in enumerate(zip(clips.clip_ids(), clips.paths(), strict=True)):
        codecs = drawn.table.draw(clip, versions=2, seed=config.seed)
        for array, codec in zip(data.coded, codecs, strict=True):
            original = audio.read(path)
            through = original if path.stem == "4" else codec.apply(original).clip
            coded = torch.from_numpy(through.samples)[None]
            expected = frontend.log_mel(coded, frontend.device_index([None]))[0]
            np.testing.assert_allclose(array[row], expected.reshape(array[row].shape), atol=0.02)


def test_the_setting_is_read_and_off_by_default() -> None:
    assert TrainingConfig().codecs is None
    changed = load_config("small", changes={"codecs": {"share": 0.5, "set": ["mp3 32", "g722"]}})
    assert changed.codecs == CODECS
    assert replace(changed, codecs=None) == load_config("small")
