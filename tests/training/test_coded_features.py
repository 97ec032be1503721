"""Training clips passed through codecs: features, the draw of each epoch, and old runs' names."""

from __future__ import annotations

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


def test_features_are_those_of_the_coded_clips(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    rows = ["path,label"]
    for number in range(4):
        samples = 0.1 * generator.standard_normal(16000).astype(np.float32)
        audio.write(tmp_path / f"{number}.wav", Clip(samples, 16000))
        rows.append(f"{number}.wav,{number % 2}")
    (tmp_path / "all.csv").write_text("\n".join(rows) + "\n")
    manifest = Manifest.read(tmp_path / "all.csv")
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


def test_the_setting_is_read_and_off_by_default() -> None:
    assert TrainingConfig().codecs is None
    changed = load_config("small", changes={"codecs": {"share": 0.5, "set": ["mp3 32", "g722"]}})
    assert changed.codecs == CODECS
    assert replace(changed, codecs=None) == load_config("small")
