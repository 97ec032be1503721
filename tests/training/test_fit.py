"""Training on small real files: what is kept, what is resumed, what is refused."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from anymic import audio, models
from anymic._internal.precision import has_fast_bfloat16
from anymic._internal.torch_threads import in_threads
from anymic.bundle import Bundle
from anymic.data.manifest import Manifest
from anymic.errors import AnymicWarning, ConfigError, ManifestError
from anymic.features import FrontendConfig
from anymic.inference.predictor import Predictor
from anymic.training import CorrectionConfig, TrainingConfig, fit, load_config, presets
from anymic.training.loop.augmentation import Mixup
from anymic.training.loop.synchronize import SynchronizedBatchNorm

RATE_HZ = 8000
CONFIG = TrainingConfig(
    frontend=FrontendConfig(rate_hz=RATE_HZ, fft_size=256, hop_samples=128, bands=32),
    epochs=3,
    batch_size=12,
    validation_share=0.25,
    precision="float32",
    seed=3,
)


def make_corpus(folder: Path) -> Manifest:
    """Write two kinds of noise, 0.5 s each, by A, and six takes by B, which is duller."""
    generator = np.random.default_rng(0)
    rows = []
    for number in range(32):
        label = ("low", "high")[number % 2]
        noise = generator.normal(scale=0.1, size=RATE_HZ // 2 + 1)
        samples = noise[1:] + (0.9 if label == "low" else -0.9) * noise[:-1]
        recorded = {"A": samples}
        if number < 6:
            recorded["B"] = samples + 0.7 * np.roll(samples, 1)
        for device, sound in recorded.items():
            name = f"{number}-{device}.wav"
            soundfile.write(folder / name, sound.astype(np.float32), RATE_HZ, subtype="FLOAT")
            rows.append((name, label, device, f"take{number}", f"take{number}"))
    table = pd.DataFrame(rows, columns=["path", "label", "device", "take", "group"])
    return Manifest.from_table(table, root=folder)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return make_corpus(tmp_path_factory.mktemp("corpus"))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "weights.safetensors")


def test_a_bundle_comes_out_with_what_it_was_fitted_on(corpus: Manifest, tmp_path: Path) -> None:
    config = replace(CONFIG, correction=CorrectionConfig(("A",)), epochs=8)
    bundle = fit(corpus, config, tmp_path, progress=False)
    assert bundle.labels == ("high", "low")
    assert bundle.contract.clip_s == 0.5
    uses = {"weights", "standardization", "correction", "validation", "spectrum"}
    assert set(bundle.fitted_on) == uses
    assert not set(bundle.fitted_on["weights"]) & set(bundle.fitted_on["validation"])
    assert set(bundle.fitted_on["correction"]) <= set(bundle.fitted_on["weights"])
    assert bundle.training["best"] >= 0.9  # the two noises differ by 25 dB at the band's end
    assert any((tmp_path / "logs").iterdir())


@pytest.mark.parametrize(
    ("correction", "policy"),
    [
        (None, "identity"),
        (CorrectionConfig(("A",)), "blind"),
        (CorrectionConfig(("A",), unknown_device="identity"), "identity"),
        (CorrectionConfig(("A",), unknown_device="refuse"), "refuse"),
        (CorrectionConfig(("A",), domain="log_mel"), "identity"),
    ],
)
def test_a_model_with_gains_estimates_those_of_unknown_devices(
    corpus: Manifest, tmp_path: Path, correction: CorrectionConfig | None, policy: str
) -> None:
    bundle = fit(corpus, replace(CONFIG, correction=correction, epochs=1), tmp_path, progress=False)
    assert bundle.contract.unknown_device == policy
    assert Bundle.load(tmp_path).contract.unknown_device == policy


def test_gains_of_mel_bands_cannot_be_estimated_blindly() -> None:
    with pytest.raises(ConfigError, match="cannot be estimated blindly"):
        CorrectionConfig(("A",), domain="log_mel", unknown_device="blind")


def test_every_hop_that_a_frontend_has_can_be_corrected(corpus: Manifest, tmp_path: Path) -> None:
    frontend = replace(CONFIG.frontend, fft_size=128, hop_samples=128, bands=24)
    config = replace(CONFIG, frontend=frontend, correction=CorrectionConfig(("A",)), epochs=1)
    bundle = fit(corpus, config, tmp_path, progress=False)
    assert bundle.profile is not None
    assert bundle.profile.hop_samples == 128
    found = Predictor(Bundle.load(tmp_path)).predict_manifest(corpus)
    assert not found.failures


def power_cut() -> Any:
    """Return a callback that ends a training in its second epoch."""
    from pytorch_lightning import Callback

    class Interruption(Callback):
        def on_train_batch_end(self, trainer: object, *_: object) -> None:
            if trainer.current_epoch == 1:  # type: ignore[attr-defined]
                raise RuntimeError("power cut")

    return Interruption()


def test_an_interrupted_run_ends_as_if_it_had_not_been(corpus: Manifest, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    config = replace(CONFIG, mixup=Mixup(0.5))
    fit(corpus, config, tmp_path / "whole", progress=False, cache=cache)
    with pytest.raises(RuntimeError, match="power cut"):
        fit(
            corpus,
            config,
            tmp_path / "cut",
            progress=False,
            cache=cache,
            trainer={"callbacks": [power_cut()]},
        )
    assert not (tmp_path / "cut" / "bundle.json").exists()
    fit(corpus, config, tmp_path / "cut", resume=True, progress=False, cache=cache)
    whole, resumed = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    for name, value in whole.items():
        torch.testing.assert_close(resumed[name], value, rtol=0, atol=0, msg=name)


@pytest.fixture
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let torch compute in two threads, as if nobody had set their number."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with in_threads(2):
        yield


def test_a_training_leaves_busy_processors_to_others(
    corpus: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, two_threads: None
) -> None:
    """It says so, and gives what one thread gives; a resumed run continues as it began."""
    idle, cut = "anymic.training.loop.trainer.idle_processors", tmp_path / "cut"
    options: dict[str, Any] = {"progress": False, "cache": tmp_path / "cache"}
    monkeypatch.setattr(idle, lambda: 1.2)
    with (
        pytest.warns(AnymicWarning, match="computes in 1 thread instead of 2"),
        pytest.raises(RuntimeError, match="power cut"),
    ):
        fit(corpus, CONFIG, cut, trainer={"callbacks": [power_cut()]}, **options)
    assert torch.get_num_threads() == 2
    monkeypatch.setattr(idle, lambda: 2.0)
    assert fit(corpus, CONFIG, cut, resume=True, **options).training["threads"] == 1
    once = replace(CONFIG, epochs=1)
    assert fit(corpus, once, tmp_path / "idle", **options).training["threads"] == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(idle, lambda: 0.0)
    assert fit(corpus, once, tmp_path / "chosen", **options).training["threads"] == 2
    torch.set_num_threads(1)
    fit(corpus, CONFIG, tmp_path / "one", **options)
    for name, value in weights(tmp_path / "one").items():
        torch.testing.assert_close(weights(cut)[name], value, rtol=0, atol=0, msg=name)


@pytest.mark.parametrize(
    ("sent", "raised"),
    [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)],
    ids=["interrupted", "terminated"],
)
def test_a_signal_ends_a_training_as_it_ends_any_program(
    corpus: Manifest, tmp_path: Path, sent: signal.Signals, raised: type[BaseException]
) -> None:
    from pytorch_lightning import Callback

    class Sender(Callback):
        def on_train_epoch_start(self, *_: object) -> None:
            os.kill(os.getpid(), sent)

    # A shell's background job ignores interruptions; this is a program that heeds them.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(raised) as caught:
            fit(corpus, CONFIG, tmp_path, progress=False, trainer={"callbacks": [Sender()]})
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    if sent == signal.SIGTERM:
        assert caught.value.code == 143  # type: ignore[attr-defined]
    assert not (tmp_path / "bundle.json").exists()


def test_resuming_with_other_settings_is_refused(corpus: Manifest, tmp_path: Path) -> None:
    fit(corpus, replace(CONFIG, epochs=1), tmp_path, progress=False)
    with pytest.raises(ConfigError, match="other settings or clips"):
        fit(corpus, replace(CONFIG, epochs=1, seed=4), tmp_path, resume=True, progress=False)


def test_without_validation_the_last_epoch_is_kept(corpus: Manifest, tmp_path: Path) -> None:
    config = replace(CONFIG, validation_share=0.0, epochs=2)
    bundle = fit(corpus, config, tmp_path, progress=False)
    assert bundle.training["kept_epoch"] == 2
    assert "validation" not in bundle.fitted_on


@pytest.mark.skipif(
    not has_fast_bfloat16(), reason="this processor does not multiply bfloat16 itself"
)
def test_bfloat16_costs_no_accuracy(corpus: Manifest, tmp_path: Path) -> None:
    """The two noises are told apart in either format, and the weights stay float32."""
    best = {}
    for precision in ("float32", "bfloat16"):
        config = replace(CONFIG, epochs=8, precision=precision)
        bundle = fit(corpus, config, tmp_path / precision, progress=False, cache=tmp_path / "cache")
        best[precision] = bundle.training["best"]
        assert {value.dtype for value in bundle.network.state_dict().values()} == {
            torch.float32,
            torch.int64,
        }
    assert best["bfloat16"] >= best["float32"] - 0.05


def test_the_cosine_schedule_ends_at_zero(corpus: Manifest, tmp_path: Path) -> None:
    from pytorch_lightning import Callback

    rates = []

    class Recorder(Callback):
        def on_train_epoch_start(self, trainer: object, *_: object) -> None:
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])  # type: ignore[attr-defined]

    config = replace(CONFIG, schedule="cosine", epochs=4, learning_rate=0.8)
    fit(corpus, config, tmp_path, progress=False, trainer={"callbacks": [Recorder()]})
    expected = [0.4 * (1 + math.cos(math.pi * epoch / 4)) for epoch in range(4)]
    assert rates == pytest.approx(expected)


TWO_PROCESSES = """
import sys, torch
torch.set_num_threads(1)
sys.path.insert(0, {here!r})
from dataclasses import replace
from pathlib import Path
from test_fit import CONFIG
from anymic.training.loop.augmentation import Mixup
from anymic.data.manifest import Manifest
from anymic.training import fit
if __name__ == "__main__":
    manifest = Manifest.read({manifest!r})
    trainer = dict(accelerator="cpu", devices=2, strategy="ddp")
    fit(manifest, replace(CONFIG, epochs=2, mixup=Mixup(0.5)), Path({out!r}), progress=False,
        cache={cache!r}, trainer=trainer)
"""


def test_two_processes_train_what_one_trains(
    corpus: Manifest, tmp_path: Path, anymic_program: Path
) -> None:
    """The same clips, split between two processes, give the same weights within 1e-3.

    Sums run in another order, and Adadelta divides by the root of very small numbers: so the
    tolerance is wider than float32's.
    """
    manifest = corpus.write(tmp_path / "manifest.csv")
    script = tmp_path / "train.py"
    places = {"out": str(tmp_path / "two"), "cache": str(tmp_path / "cache")}
    script.write_text(
        TWO_PROCESSES.format(here=str(Path(__file__).parent), manifest=str(manifest), **places)
    )
    config = replace(CONFIG, epochs=2, mixup=Mixup(0.5))
    one = fit(
        Manifest.read(manifest), config, tmp_path / "one", progress=False, cache=places["cache"]
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [str(anymic_program.with_name("python")), str(script)]  # which starts the second
    subprocess.run(command, check=True, env=environment, timeout=240)
    record = json.loads((tmp_path / "two" / "bundle.json").read_text())["training"]
    assert record["processes"] == 2
    two = weights(tmp_path / "two")
    for name, value in weights(tmp_path / "one").items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-3, msg=name)
    assert one.training["best"] == pytest.approx(record["best"])


def test_synchronized_normalization_alone_is_batch_normalization(tmp_path: Path) -> None:
    """In a group of one process it equals PyTorch's, running statistics and gradients too."""
    from torch.distributed import FileStore  # type: ignore[attr-defined]

    torch.distributed.init_process_group(
        "gloo", store=FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1
    )
    try:
        ours, theirs = SynchronizedBatchNorm(3), torch.nn.BatchNorm2d(3)
        values = torch.randn(4, 3, 5, 6, generator=torch.Generator().manual_seed(0)) * 2 + 1
        first, second = values.clone().requires_grad_(), values.clone().requires_grad_()
        weight = torch.arange(values.numel()).view_as(values).sin()
        (ours(first) * weight).sum().backward()
        (theirs(second) * weight).sum().backward()
        torch.testing.assert_close(first.grad, second.grad, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(ours.state_dict(), theirs.state_dict())
    finally:
        torch.distributed.destroy_process_group()


def test_clips_of_different_lengths_are_refused(corpus: Manifest, tmp_path: Path) -> None:
    short = tmp_path / "short.wav"
    audio.write(short, audio.Clip(np.full(1000, 0.1, dtype=np.float32), RATE_HZ))
    table = pd.concat(
        [
            corpus.table.assign(path=[str(path) for path in corpus.paths()]),
            pd.DataFrame([{"path": str(short), "label": "low", "device": "A", "group": "x"}]),
        ]
    )
    manifest = Manifest.from_table(table.fillna(""), root=tmp_path)
    with pytest.raises(ConfigError, match=r"clips last from 0.125 to 0.5 s\. Expected one length"):
        fit(manifest, CONFIG, tmp_path / "run", progress=False)


def test_a_data_frame_is_a_manifest(corpus: Manifest, tmp_path: Path) -> None:
    config = replace(CONFIG, epochs=1)
    table = corpus.table.assign(path=[str(path) for path in corpus.paths()])
    same = Manifest.from_table(table)
    both: list[pd.DataFrame | Manifest] = [table, same]
    found = [
        fit(data, config, tmp_path / str(number), progress=False, cache=tmp_path / "cache")
        for number, data in enumerate(both)
    ]
    assert found[0].fitted_on == found[1].fitted_on
    states = [bundle.network.state_dict() for bundle in found]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    with pytest.raises(ManifestError, match=r"The clips are a list\. Expected a Manifest"):
        fit([1, 2], config, tmp_path / "no", progress=False)  # type: ignore[arg-type]


def test_one_label_is_refused(corpus: Manifest, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="All training clips have the label low"):
        fit(corpus.where(label="low"), CONFIG, tmp_path, progress=False)


def test_correction_without_devices_is_refused(corpus: Manifest, tmp_path: Path) -> None:
    anonymous = Manifest.from_table(corpus.table.drop(columns="device"), root=corpus.root)
    config = replace(CONFIG, correction=CorrectionConfig())
    with pytest.raises(ManifestError, match="device"):
        fit(anonymous, config, tmp_path, progress=False)


@pytest.mark.parametrize("name", presets())
def test_shipped_presets_can_be_read(name: str) -> None:
    assert load_config(name).network in models.NETWORKS


def test_misspelt_settings_are_all_named(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("epoch: 3\nfrontend: {band: 64}\nloss: focal\n")
    with pytest.raises(ConfigError) as caught:
        load_config(str(path))
    assert "'epoch' (did you mean 'epochs'?)" in str(caught.value)
    assert "'frontend.band' (did you mean 'bands'?)" in str(caught.value)


def test_settings_can_be_changed_one_by_one() -> None:
    changes = {"frontend.bands": 64, "epochs": 2}
    config = load_config("kosmider2019-small", changes=changes)
    assert (config.frontend.bands, config.frontend.hop_samples, config.epochs) == (64, 1024, 2)
    name = "spectrum-correction"
    own = load_config(name, changes=changes)  # takes the others from the clips
    assert (own.frontend.bands, own.epochs) == (64, 2)
    assert set(load_config(name).from_data) - set(own.from_data) == {"frontend.bands"}
