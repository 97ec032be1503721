"""Fine-tuning: what learns, what stays bit by bit, what is measured and what is refused."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from anymic import models
from anymic.bundle import Bundle
from anymic.cli import main
from anymic.codecs.random_codec import Codecs
from anymic.data.manifest import Manifest
from anymic.errors import AnymicWarning, ConfigError, ManifestError
from anymic.features import FrontendConfig
from anymic.training import CorrectionConfig, TrainingConfig, finetune, fit, load_config
from anymic.training.finetuning import lasting, weights_digest
from anymic.training.loop.module import warm_restarts
from anymic.training.parts import Examples, split

RATE_HZ = 8000
CONFIG = TrainingConfig(
    network="fcnn",
    width=0.05,
    frontend=FrontendConfig(
        rate_hz=RATE_HZ, fft_size=256, hop_samples=128, bands=32, scaling="clip", deltas=2
    ),
    standardize=False,
    epochs=4,
    batch_size=12,
    validation_share=0.0,
    precision="float32",
    seed=3,
)
TUNING = replace(
    lasting(load_config("finetuning"), 2), batch_size=8, precision="float32", learning_rate=0.05
)


def make_corpus(folder: Path) -> Manifest:
    """Write two kinds of noise, 0.5 s, some of it through a codec that keeps every other sample."""
    generator = np.random.default_rng(0)
    rows = []
    for number in range(24):
        label = ("low", "high")[number % 2]
        noise = generator.normal(scale=0.1, size=RATE_HZ // 2 + 1)
        clean = noise[1:] + (0.9 if label == "low" else -0.9) * noise[:-1]
        split = "test" if number % 3 == 2 else "train"
        for codec, samples in (
            ("wav" if number % 2 else "", clean),
            ("crush", np.repeat(clean[::2], 2)),
        ):
            name = f"{number}-{codec}.wav"
            soundfile.write(folder / name, samples.astype(np.float32), RATE_HZ, subtype="FLOAT")
            kbps = 8.0 if codec == "crush" else np.nan
            rows.append((name, label, "AB"[number % 4 // 2], f"take{number}", split, codec, kbps))
    columns = ["path", "label", "device", "group", "split", "codec", "kbps"]
    return Manifest.from_table(pd.DataFrame(rows, columns=columns), root=folder)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def start(corpus: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Return a model that was trained on the clean training clips."""
    config = replace(CONFIG, correction=CorrectionConfig(("A",), "geometric_unaligned"))
    folder = tmp_path_factory.mktemp("start")
    return fit(corpus.where(codec=["", "wav"]), config, folder, progress=False)


def states(bundle: Bundle) -> list[dict[str, torch.Tensor]]:
    """Return each segment's weights and running statistics."""
    assert isinstance(bundle.network, models.Network)
    return [
        {
            f"{number}.{name}": value
            for number, module in enumerate(segment.modules)
            for name, value in module.state_dict().items()
        }
        for segment in bundle.network.segments()
    ]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> list[bool]:
    return [torch.equal(value, other[name]) for name, value in one.items()]


@pytest.mark.parametrize(("segments", "learning"), [("5-7", {4, 5, 6}), ("10", {9})])
def test_only_the_named_segments_change(
    segments: str, learning: set[int], start: Bundle, corpus: Manifest, tmp_path: Path
) -> None:
    before = copy.deepcopy(start.network.state_dict())
    tuned = finetune(start, corpus, tmp_path, config=TUNING, segments=segments, progress=False)
    for place, (old, new) in enumerate(zip(states(start), states(tuned), strict=True)):
        if place in learning:
            assert not all(same(old, new)), place
        else:
            assert all(same(old, new)), place  # weights, running mean and variance, batch count
    for name, value in start.network.state_dict().items():
        assert torch.equal(value, before[name])  # the model itself is left alone
    assert all(value.requires_grad for value in tuned.network.parameters())


@pytest.mark.parametrize("codecs", [Codecs(set=("mu-law 64",)), Codecs(versions=1)])
def test_a_segment_is_trained_through_codecs_and_measured_through_those_of_a_set(
    codecs: Codecs, start: Bundle, corpus: Manifest, tmp_path: Path
) -> None:
    clean, config = corpus.where(codec=["", "wav"]), replace(TUNING, codecs=codecs)
    tuned = finetune(start, clean, tmp_path, config=config, segments="10", progress=False)
    kept = [same(old, new) for old, new in zip(states(start), states(tuned), strict=True)]
    assert all(all(each) for each in kept[:9])
    assert not all(kept[9])
    rows = tuned.training["finetuned"]["measured"]
    measured = {row["condition"]["codec"] for row in rows if "codec" in row["condition"]}
    assert measured == {"clean", *codecs.set}
    plain = finetune(start, clean, tmp_path / "plain", config=TUNING, segments="10", progress=False)
    assert weights_digest(plain) != weights_digest(tuned)


def test_everything_learns_and_the_rest_is_carried_over(
    start: Bundle, corpus: Manifest, tmp_path: Path
) -> None:
    tuned = finetune(start, corpus, tmp_path, config=TUNING, progress=False, report_epochs=[1])
    for old, new in zip(states(start), states(tuned), strict=True):
        assert not any(same(old, new)) or len(old) < 6
    loaded = Bundle.load(tmp_path)
    assert loaded.frontend.config == start.frontend.config
    assert torch.equal(loaded.frontend.gains, start.frontend.gains)
    assert loaded.profile is not None
    assert loaded.profile.devices.keys() == start.profile.devices.keys()  # type: ignore[union-attr]
    assert loaded.contract == start.contract
    assert loaded.fitted_on["correction"] == start.fitted_on["correction"]
    both = {*start.fitted_on["weights"], *corpus.where(split="train").clip_ids()}
    assert set(loaded.fitted_on["weights"]) == both
    record = loaded.training["finetuned"]
    assert record["weights_sha256"] == weights_digest(start)
    assert record["from"]["settings"]["network"] == "fcnn"
    origin = json.loads((tmp_path / "training.json").read_text())["origin"]
    assert origin["weights_sha256"] == record["weights_sha256"]
    assert len(origin["segments"]) == 10


def test_accuracy_is_measured_by_codec_device_and_epoch(
    start: Bundle, corpus: Manifest, tmp_path: Path
) -> None:
    tuned = finetune(start, corpus, tmp_path, config=TUNING, progress=False)
    rows = tuned.training["finetuned"]["measured"]
    accuracy = {
        tuple(row["condition"].values()): row for row in rows if row["metric"] == "accuracy"
    }
    wanted = {(name, epoch) for name in ("clean", "crush 8", "A", "B") for epoch in "012"}
    assert set(accuracy) == wanted
    assert accuracy["clean", "0"]["n"] == accuracy["crush 8", "2"]["n"] == 8
    with np.load(tmp_path / "measured.npz") as found:
        assert found["epochs"].tolist() == [0, 1, 2]
        clean = found["codecs"] == "clean"
        right = found["probabilities"].argmax(axis=2) == found["targets"]
        for epoch in range(3):
            value = accuracy["clean", str(epoch)]["value"]
            assert value == pytest.approx(right[epoch, clean].mean())
        forgotten = [row for row in rows if row["metric"] == "accuracy_difference"]
        change = right[2, clean].mean() - right[0, clean].mean()
        assert forgotten[-1]["value"] == pytest.approx(change)
        test = corpus.where(split="test")
        assert set(found["ids"]) == set(test.clip_ids())
        # The last epoch's probabilities are those of the model that was written.
        from anymic.inference.predictor import Predictor

        predicted = Predictor(Bundle.load(tmp_path), precision="float32").predict_manifest(test)
        order = [test.clip_ids().index(clip) for clip in found["ids"]]
        np.testing.assert_allclose(
            found["probabilities"][-1], predicted.probabilities[order], atol=0.01
        )


def test_retraining_starts_from_random_weights(
    start: Bundle, corpus: Manifest, tmp_path: Path
) -> None:
    quick = replace(TUNING, epochs=1, learning_rate=1e-9)
    retrained = finetune(start, corpus, tmp_path, config=quick, from_scratch=True, progress=False)
    fresh = models.build("fcnn", classes=2, **start.network_arguments).state_dict()
    name = "convolutions.4.0.weight"
    assert not torch.allclose(
        retrained.network.state_dict()[name], start.network.state_dict()[name]
    )
    assert retrained.network.state_dict()[name].shape == fresh[name].shape
    assert set(retrained.fitted_on["weights"]) == set(corpus.where(split="train").clip_ids())
    with np.load(tmp_path / "measured.npz") as found:  # epoch 0 is the model as it was given
        tuned = finetune(start, corpus, tmp_path / "t", config=quick, progress=False)
        assert tuned.training["finetuned"]["from_scratch"] is False
        with np.load(tmp_path / "t" / "measured.npz") as other:
            np.testing.assert_array_equal(found["probabilities"][0], other["probabilities"][0])


def test_an_interrupted_run_ends_as_if_it_had_not_been(
    start: Bundle, corpus: Manifest, tmp_path: Path
) -> None:
    from pytorch_lightning import Callback

    class Interruption(Callback):
        def on_train_batch_end(self, trainer: object, *_: object) -> None:
            if trainer.current_epoch == 1:  # type: ignore[attr-defined]
                raise RuntimeError("power cut")

    whole, cut, segments = tmp_path / "whole", tmp_path / "cut", "9-10"
    settings = replace(lasting(TUNING, 3), restarts=(2, 3))
    same: dict[str, Any] = {"config": settings, "progress": False, "segments": segments}
    same["cache"] = tmp_path / "cache"
    one = finetune(start, corpus, whole, **same)
    with pytest.raises(RuntimeError, match="power cut"):
        finetune(start, corpus, cut, trainer={"callbacks": [Interruption()]}, **same)
    other = finetune(start, corpus, cut, resume=True, **same)
    for name, value in one.network.state_dict().items():
        assert torch.equal(value, other.network.state_dict()[name]), name
    with np.load(whole / "measured.npz") as first, np.load(cut / "measured.npz") as second:
        np.testing.assert_array_equal(first["probabilities"], second["probabilities"])
    with pytest.raises(ConfigError, match="other settings or clips"):
        finetune(start, corpus, cut, config=settings, progress=False, resume=True, segments="9")


def test_restarts_by_hand() -> None:
    """Half a cosine over 3, 4, then 8 epochs; at a restart it is the highest again."""
    rate = [
        warm_restarts(epoch, restarts=(3, 7, 15), highest=0.1, lowest=1e-5)
        for epoch in (0, 1.5, 2.999999, 3, 5, 7, 11, 14.999999, 15, 20)
    ]
    middle, low = 0.050005, 1e-5
    assert rate == pytest.approx(
        [0.1, middle, low, 0.1, middle, 0.1, middle, low, low, low], rel=1e-4
    )


def test_what_cannot_be_is_refused(start: Bundle, corpus: Manifest, tmp_path: Path) -> None:
    def tune(manifest: Manifest, **options: object) -> None:
        finetune(start, manifest, tmp_path / "no", config=TUNING, progress=False, **options)  # type: ignore[arg-type]

    with pytest.raises(ConfigError, match=r"segments '11'\. Expected .*10 attention"):
        tune(corpus, segments="11")
    with pytest.raises(ConfigError, match="segments ''"):
        tune(corpus, segments="")  # nothing would learn
    with pytest.raises(ConfigError, match="would stay random"):
        tune(corpus, segments="7", from_scratch=True)
    other = corpus.with_columns(label=corpus.table["label"].replace("low", "deep"))
    with pytest.raises(ManifestError, match="lacks low and adds deep"):
        tune(other)
    with pytest.raises(ManifestError, match="No clip to measure on is clean"):
        tune(corpus.where(codec="crush"))


def test_recordings_are_set_aside_where_there_is_no_split(
    start: Bundle, corpus: Manifest, tmp_path: Path
) -> None:
    """Those that `fit` would set aside with the same seed; they are measured, and do not train."""
    share = TrainingConfig.validation_share
    for number, manifest in enumerate(
        (
            Manifest.from_table(corpus.table.drop(columns="split"), corpus.root),
            corpus.where(split="train"),
        )
    ):
        with pytest.warns(AnymicWarning, match=r"no split test or validation: 15% .* set aside"):
            tuned = finetune(start, manifest, tmp_path / str(number), config=TUNING, progress=False)
        parts = split(manifest, replace(TUNING, validation_share=share))
        assert parts.validation is not None
        measured = np.load(tmp_path / str(number) / "measured.npz")["ids"].tolist()
        assert sorted(measured) == sorted(parts.validation.clip_ids())
        assert tuned.training["clips"] == len(parts.training)


def test_the_command(
    start: Bundle, corpus: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = corpus.write(tmp_path / "coded.csv")
    model = start.save(tmp_path / "model")
    command = ["finetune", str(model), "--data", str(manifest), "--out", str(tmp_path / "tuned")]
    command += ["--segments", "9-10", "--epochs", "1", "--set", "precision=float32"]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "crush 8" in shown
    assert "clean audio, epoch 1 against the model as it was" in shown
    assert main([*command[:-6], "--segments", "12"]) == 2
    assert "10 attention" in capsys.readouterr().err


def test_classes_keep_the_models_order(corpus: Manifest) -> None:
    """The labels of an imported model need not be sorted."""
    parts = split(corpus, replace(CONFIG, validation_share=0.25))
    rows = np.arange(len(parts.together))
    features = np.zeros((len(rows), 2, 3), dtype=np.float16)
    ordered = Examples.of(parts, features, rows, labels=("low", "high"))
    assert ordered.labels == ("low", "high")
    names = [ordered.labels[target] for target in ordered.training_targets]
    assert names == parts.training.table["label"].tolist()
    assert parts.validation is not None
    names = [ordered.labels[target] for target in ordered.validation_targets]
    assert names == parts.validation.table["label"].tolist()
    assert len(names)
