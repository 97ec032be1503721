"""From a folder of clips of any length to tags: a head on VGGish, trained, saved and used."""

from __future__ import annotations

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
from anymic.bundle import Bundle, Ensemble
from anymic.cli import main
from anymic.codecs.random_codec import Codecs
from anymic.data.balancing import balance
from anymic.data.corpora.folder import folder as read_folder
from anymic.data.manifest import Manifest
from anymic.data.pieces import cut_rows
from anymic.devices.simulation.random_devices import RandomDevices
from anymic.errors import BundleError, ConfigError
from anymic.evaluation.report import read_json
from anymic.evaluation.report.rows import select
from anymic.features import Frontend, FrontendConfig
from anymic.importers.vggish import import_vggish
from anymic.importers.yamnet import import_yamnet
from anymic.inference.predictor import Predictor
from anymic.inference.sequences import open_sequences
from anymic.models.tagger import Tagger
from anymic.training import TrainingConfig, load_config
from anymic.training.finetuning import finetune
from anymic.training.heads import fit_head, untrained, with_labels

pytestmark = pytest.mark.usefixtures("one_thread")
LABELS = ("hiss", "hum", "tick")
SECONDS = (0.3, 1.1, 2.5, 4.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of three labels, clips from 0.3 s to 4 s at two rates."""
    generator = np.random.default_rng(0)
    for label in LABELS:
        (tmp_path / "sounds" / label).mkdir(parents=True)
        for number, seconds in enumerate(SECONDS):
            rate = (16000, 22050)[number % 2]
            time = np.arange(round(seconds * rate)) / rate
            sound = {
                "hiss": generator.normal(size=len(time)),
                "hum": np.sin(2 * np.pi * 440 * time),
                "tick": np.sin(2 * np.pi * 2000 * time) * (time % 0.25 < 0.02),
            }[label]
            path = tmp_path / "sounds" / label / f"{number}.wav"
            soundfile.write(path, 0.1 * sound, rate)
    return tmp_path / "sounds"


def test_a_folder_of_clips_of_any_length_in_one_command(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_vggish(width=1 / 64, seed=1).save(tmp_path / "vggish")
    arguments = ["--data", str(folder), "--model", str(tmp_path / "vggish"), "--balanced"]
    arguments += ["--segments", "2", "--hidden", "16", "--epochs", "2", "--batch", "6"]
    assert main(["train-head", *arguments, "--out", str(tmp_path / "tagger"), "--json"]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert outcome["labels"] == list(LABELS)
    assert outcome["examples"] >= outcome["clips"]
    model = Bundle.load(tmp_path / "tagger")
    clips = Manifest.from_table(
        pd.DataFrame({"path": [f"{one}/{n}.wav" for one in LABELS for n in range(4)]}).assign(
            label="hum"
        ),
        folder,
    )
    # The head predicts on the sequences that it was trained on, window by window.
    found = open_sequences(clips, model, tmp_path / "cache")
    network = model.network
    assert isinstance(network, Tagger)
    sequences = torch.from_numpy(found.features).float().transpose(1, 2)
    with torch.no_grad():
        expected = network.head(sequences).softmax(dim=1).double().numpy()
    predicted = Predictor(model, precision="float32").predict_manifest(clips)
    assert not predicted.failures
    for row in range(12):
        own = expected[found.rows == row]
        assert len(own) == (1 if row % 4 < 2 else (1, 2)[row % 4 - 2])
        assert predicted.probabilities[row] == pytest.approx(own.mean(axis=0), abs=0.02)
    submission = tmp_path / "submission.csv"
    places = [str(folder / "hum"), "--model", str(tmp_path / "tagger")]
    assert main(["predict", *places, "--submission", str(submission)]) == 0
    lines = submission.read_text().splitlines()
    assert lines[0] == "fname,label"
    assert [sorted(line.split(",")[1].split()) for line in lines[1:]] == [list(LABELS)] * 4


def test_from_a_folder_of_clips_of_0_3_to_30_s_to_map_at_3(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One command makes the tagger; two more show that it answers and is measured."""
    generator = np.random.default_rng(1)
    for label, loudness in zip(LABELS, (0.02, 0.05, 0.1), strict=True):
        noise = generator.normal(scale=loudness, size=30 * 16000)
        soundfile.write(folder / label / "long.flac", noise, 16000)
    import_vggish(width=1 / 64, seed=1).save(tmp_path / "vggish")
    model, report = tmp_path / "tagger", tmp_path / "report"
    arguments = ["--data", str(folder), "--model", str(tmp_path / "vggish"), "--out", str(model)]
    assert main(["train-head", *arguments, "--hidden", "16", "--epochs", "2"]) == 0
    capsys.readouterr()
    assert main(["predict", str(folder), "--model", str(model), "--top", "3"]) == 0
    answered = capsys.readouterr().out
    assert sum(answered.count(f"{number}.wav") for number in range(4)) == 12
    assert answered.count("long.flac") == 3
    measured = ["--data", str(folder)]
    assert main(["evaluate", str(model), *measured, "--out", str(report)]) == 0
    rows, _ = read_json(report / "report.json")
    (found,) = select(rows, "mean_average_precision_at_3")
    assert found.n == 15
    assert 1 / 3 <= found.value <= 1


@pytest.mark.parametrize(
    ("name", "arguments"), [("basic1", {"channels": 3, "width": 0.25}), ("fcnn", {"width": 0.05})]
)
def test_pooled_features_of_other_networks_feed_heads(
    small_bundle: Bundle,
    folder: Path,
    tmp_path: Path,
    name: str,
    arguments: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    deltas = arguments.get("channels", 1) - 1
    config = FrontendConfig(
        rate_hz=8000, fft_size=256, hop_samples=128, bands=40, deltas=deltas, log_offset=1e-3
    )
    torch.manual_seed(0)
    network = models.build(name, classes=5, **arguments).eval()
    embedder = replace(
        small_bundle,
        network=network,
        network_name=name,
        network_arguments=arguments,
        frontend=Frontend(config),
        labels=tuple("abcde"),
        profile=None,
        contract=replace(small_bundle.contract, rate_hz=8000),
    )
    embedder.save(tmp_path / "embedder")
    model = ["--model", str(tmp_path / "embedder"), "--segments", "2", "--hidden", "8"]
    out = tmp_path / "tagger"
    settings = ["--data", str(folder), "--epochs", "1", "--out", str(out)]
    assert main(["train-head", *model, *settings]) == 0
    tagger = Bundle.load(out)
    assert isinstance(tagger.network, Tagger)
    frames = tagger.network.segment_frames
    assert frames == max(60, network.smallest_input)  # 0.96 s
    # The head's input is what the model pools of each segment, in their order.
    samples = torch.randn(1, round(tagger.contract.clip_s * 8000)) / 10
    with torch.no_grad():
        maps = embedder.frontend.maps(embedder.frontend.log_mel(samples))
        assert maps.shape[-1] - 2 * frames in (0, 1)
        each = [network.embed(maps[..., i * frames : (i + 1) * frames]) for i in range(2)]
        found = tagger.network.sequence(maps)
    expected = torch.stack(each, dim=1)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    capsys.readouterr()
    assert main(["predict", str(folder / "hum"), "--model", str(out)]) == 0


def test_a_head_is_the_same_whatever_was_drawn_before(folder: Path, tmp_path: Path) -> None:
    config = TrainingConfig(network="dense_head", loss="cross_entropy", epochs=1, mixup=None)
    found = []
    for number in range(2):
        torch.rand(number)
        out = tmp_path / str(number)
        clips, vggish = read_folder(folder), import_vggish(width=1 / 64)
        tagger = fit_head(clips, vggish, config, out, segments=1, hidden=8, cache=tmp_path)
        found.append(tagger.network.state_dict())
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


def some_validate(folder: Path) -> Manifest:
    """Return the clips of a folder; those whose number ends with 1 validate."""
    clips = read_folder(folder)
    split = ["validation" if path.endswith("1.wav") else "train" for path in clips.table["path"]]
    return clips.with_columns(split=split)


@pytest.mark.parametrize("head", ["linear_head", "dense_head"])
def test_only_clips_that_train_have_copies_through_random_devices(
    folder: Path, tmp_path: Path, head: str
) -> None:
    clips = some_validate(folder)
    settings = {"network": head, "loss": "cross_entropy", "epochs": 1, "mixup": None}

    def trained(devices: RandomDevices | None, name: str) -> Bundle:
        config = TrainingConfig(**settings, random_devices=devices)  # type: ignore[arg-type]
        cache = tmp_path / "cache"
        vggish = import_vggish(width=1 / 64, seed=1)
        return fit_head(clips, vggish, config, tmp_path / name, segments=1, cache=cache)

    plain, copied = trained(None, "plain"), trained(RandomDevices(copies=2), "copied")
    assert copied.training["clips"] == plain.training["clips"] == 9
    assert copied.training["examples"] == 3 * plain.training["examples"]
    own = len(list((tmp_path / "cache").rglob("*.npz")))
    assert own == 12 + 2 * 9
    assert copied.fitted_on == plain.fitted_on
    assert "each training clip also trains through 2 random devices" in str(
        copied.training["notes"]
    )
    weights = [
        one.network.state_dict()["head.classifier.weight"]
        if head == "linear_head"
        else next(v for k, v in one.network.state_dict().items() if k.startswith("head."))
        for one in (plain, copied)
    ]
    assert not torch.equal(*weights)


@pytest.mark.parametrize("head", ["linear_head", "dense_head"])
def test_clips_that_train_are_embedded_through_codecs_once(
    folder: Path, tmp_path: Path, head: str
) -> None:
    clips = some_validate(folder)
    cache = tmp_path / "cache"
    settings = {"network": head, "loss": "cross_entropy", "epochs": 1, "mixup": None}

    def trained(codecs: Codecs | None, name: str, **more: RandomDevices) -> Bundle:
        config = TrainingConfig(**settings, codecs=codecs, **more)  # type: ignore[arg-type]
        vggish = import_vggish(width=1 / 64, seed=1)
        return fit_head(clips, vggish, config, tmp_path / name, segments=1, cache=cache)

    codecs = Codecs(versions=2, without=("chains", "opus"))
    plain, coded = trained(None, "plain"), trained(codecs, "coded")
    assert coded.training["clips"] == plain.training["clips"] == 9
    assert coded.training["examples"] == 3 * plain.training["examples"]
    assert coded.fitted_on == plain.fitted_on
    assert "2 coded versions of each training clip" in str(coded.training["notes"])
    kept = {path: path.stat().st_mtime_ns for path in cache.rglob("*.*") if path.suffix != ".jsonl"}
    both = trained(codecs, "both", random_devices=RandomDevices(copies=1))
    assert both.training["examples"] == 4 * plain.training["examples"]
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    with pytest.raises(ConfigError, match="has no consistency between versions"):
        trained(Codecs(consistency=1.0), "none")


def test_rejections(
    small_bundle: Bundle, tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = replace(small_bundle, network_name="dense_head")
    with pytest.raises(
        BundleError, match=r"network of the model is dense_head\. Expected a network that embeds"
    ):
        untrained(other, list(LABELS), "attention_head", segments=6)
    with pytest.raises(BundleError, match=r"network of the model is basic1\. Expected a VGGish"):
        with_labels(small_bundle, LABELS)
    vggish = import_vggish(width=1 / 64)
    vggish.save(tmp_path / "vggish")
    with pytest.raises(BundleError, match="only calculates embeddings"):
        Predictor(vggish).predict(folder / "hum" / "0.wav")
    arguments = ["--data", str(folder), "--model", str(tmp_path / "vggish"), "--out", "x"]
    assert main(["train-head", *arguments, "--head", "tail"]) == 2
    assert (
        "--head is tail. Expected one of attention, dense, logistic, lstm"
        in capsys.readouterr().err
    )
    with pytest.raises(BundleError, match="labels"):
        replace(vggish, labels=("", ""))


def test_four_extractors_answer_as_their_geometric_mean(folder: Path) -> None:
    taggers = [
        untrained(
            import_vggish(width=1 / 64, seed=seed),
            list(LABELS),
            "dense_head",
            segments=1,
            seed=seed,
        )
        for seed in range(4)
    ]
    path = folder / "tick" / "3.wav"
    own = [Predictor(one, precision="float32").predict(path) for one in taggers]
    each = np.stack([one.window_probabilities for one in own])
    assert each.shape == (4, 4, 3)
    mean = np.exp(np.log(each).mean(axis=0))
    ensemble = Predictor(Ensemble(tuple(taggers), voting="geometric"), precision="float32")
    found = ensemble.predict(path).window_probabilities
    np.testing.assert_allclose(found, mean / mean.sum(axis=1, keepdims=True), atol=1e-5)


def test_vggish_is_fine_tuned_on_balanced_patches(folder: Path, tmp_path: Path) -> None:
    """From imported weights, through patches of one length, to the embedder of a tagger."""
    import_vggish(width=1 / 64, seed=1).save(tmp_path / "vggish")
    prepared = balance(
        read_folder(folder), tmp_path / "even", rate_hz=16000, workers=1, progress=False
    )
    patches, _ = cut_rows(prepared.manifest, length_s=0.975, distance_s=0.96)
    start = with_labels(Bundle.load(tmp_path / "vggish"), LABELS, seed=0)
    changes = {"epochs": 2, "batch_size": 3, "validation_share": 0.25}
    config = load_config("xu2018", changes=changes)
    tuned = finetune(start, patches, tmp_path / "tuned", config=config, progress=False)
    assert tuned.contract.hop_s == 0.96
    before, after = (one.network.state_dict()["features.0.weight"] for one in (start, tuned))
    assert not torch.equal(before, after)
    tagger = untrained(tuned, list(LABELS), "lstm_head", segments=3, hidden=4).network
    assert isinstance(tagger, Tagger)
    kept = tagger.embedder.state_dict()
    assert all(torch.equal(value, tuned.network.state_dict()[key]) for key, value in kept.items())


def test_segments_of_a_yamnet_overlap(tmp_path: Path) -> None:
    """A window of a head has the frames of overlapping segments, and windows go on without gap."""
    embedder = import_yamnet(width=0.125, seed=2)
    bundle = untrained(embedder, ["a", "b"], "dense_head", segments=3, seed=0)
    assert bundle.contract.hop_s == pytest.approx(3 * 0.48)
    assert bundle.contract.clip_s == pytest.approx(0.975 + 2 * 0.48)
    samples = torch.randn(1, bundle.contract.clip_samples, generator=torch.Generator())
    apart = samples.unfold(-1, embedder.contract.clip_samples, embedder.contract.hop_samples)
    with torch.inference_mode():
        assert isinstance(bundle.network, Tagger)
        together = bundle.network.sequence(bundle.frontend(samples))[0]
        assert isinstance(embedder.network, models.Network)
        alone = embedder.network.embed(embedder.frontend(apart[0]))
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    bundle.save(tmp_path / "model")
    assert Bundle.load(tmp_path / "model").network_arguments["segment_hop_frames"] == 48
