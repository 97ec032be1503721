"""Resuming: what runs nothing, what is damaged and refused, and what continues all the same."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.damage import DAMAGES, Damage
from tests.training.test_fit import CONFIG, make_corpus, weights

from anymic.cli import main
from anymic.data.manifest import Manifest
from anymic.training import TrainingConfig, fit

SMALL = replace(CONFIG, width=0.2)
SETTINGS = """
width: 0.2
frontend: {rate_hz: 8000, fft_size: 256, hop_samples: 128, bands: 32}
epochs: 2
batch_size: 12
validation_share: 0.25
precision: float32
seed: 3
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def run(corpus: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run, beside its manifest, its settings and its features."""
    place = tmp_path_factory.mktemp("run")
    corpus.write(place / "manifest.csv")
    (place / "settings.yaml").write_text(SETTINGS)
    assert main(_command(place, place / "run")) == 0
    return place / "run"


@pytest.fixture
def broken(run: Path) -> Path:
    """Return a copy of the run beside it, which was not completed."""
    copy = run.with_name("broken")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(run, copy)
    (copy / "bundle.json").unlink()
    return copy


def _command(place: Path, out: Path, *more: str) -> list[str]:
    data, settings = str(place / "manifest.csv"), str(place / "settings.yaml")
    cache = str(place / "cache")
    chosen = ["--data", data, "--config", settings, "--cache", cache, "--out", str(out)]
    return ["train", *chosen, "--json", *more]


class Payload:
    """An object that creates a file where it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.file,))


def _pickled(file: Path) -> Callable[[Path], None]:
    return lambda path: torch.save({"state_dict": {}, "epoch": Payload(file)}, path)


def _pickled_as_of_old(file: Path) -> Callable[[Path], None]:
    return lambda path: torch.save(Payload(file), path, _use_new_zipfile_serialization=False)


def _hidden_in_its_own_checkpoint(file: Path) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        found = torch.load(path, weights_only=True)
        torch.save({**found, "hyper_parameters": [Payload(file)]}, path)

    return write


@pytest.mark.parametrize("name", ["last.ckpt", "best.ckpt"])
@pytest.mark.parametrize("hidden", [_pickled, _pickled_as_of_old, _hidden_in_its_own_checkpoint])
def test_a_checkpoint_runs_nothing(
    hidden: Any, name: str, broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran, path = tmp_path / "ran", broken / "checkpoints" / name
    hidden(ran)(path)
    assert main(_command(broken.parent, broken, "--resume")) == 2
    assert not ran.exists()
    _one_line(capsys, path, "Delete the folder")
    torch.load(path, weights_only=False)  # the payload is one that works
    assert ran.exists()


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_checkpoint_is_named(
    damage: Damage, broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = broken / "checkpoints" / "last.ckpt"
    path.write_bytes(damage(path.read_bytes()))
    assert main(_command(broken.parent, broken, "--resume")) == 2
    _one_line(capsys, path, "Delete the folder")


@pytest.mark.parametrize("record", [False, True])
def test_what_the_line_says_trains_from_the_start(record: bool, broken: Path) -> None:
    """Whatever was damaged: it is deleted."""
    shutil.rmtree(broken / "checkpoints")
    if record:
        (broken / "training.json").unlink()
    assert main(_command(broken.parent, broken, "--resume")) == 0
    same = weights(broken.with_name("run"))
    assert all(torch.equal(value, same[name]) for name, value in weights(broken).items())


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found["state_dict"].popitem(),
        lambda found: found.update(optimizer_states=[]),
        lambda found: found["loops"].update(fit_loop={"state_dict": 1}),
        lambda found: found.update(torch_generator=torch.zeros(3)),
    ],
    ids=["a weight less", "no optimizer", "loops", "generator"],
)
def test_a_checkpoint_of_another_training_is_named(
    change: Callable[[dict[str, Any]], None], broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = broken / "checkpoints" / "last.ckpt"
    found = torch.load(path, weights_only=True)
    change(found)
    torch.save(found, path)
    assert main(_command(broken.parent, broken, "--resume")) == 2
    _one_line(capsys, path, "Delete the folder")


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", "[" * 50000, "\udcff", '{"format": "anymic-bundle"}'),
        *('{"settings": {}}', '{"settings": 3, "manifest": ""}'),
    ],
    ids=range(9),
)
def test_a_damaged_record_is_named(
    text: str, broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = broken / "training.json"
    path.write_text(text, errors="surrogateescape")
    assert main(_command(broken.parent, broken, "--resume")) == 2
    _one_line(capsys, path, "Delete it and")


def _one_line(capsys: pytest.CaptureFixture[str], path: Path, remedy: str) -> None:
    shown = capsys.readouterr()
    lines = shown.err.splitlines()
    assert len(lines) == 1, shown.err
    assert lines[0].startswith("error: ")
    assert str(path) in lines[0]
    assert remedy in lines[0]
    assert not any(word in lines[0] for word in ("Traceback", "interrupted", "Invalid argument"))
    assert len(lines[0]) < 600


def test_an_interrupted_run_does_not_resume_another(corpus: Manifest, tmp_path: Path) -> None:
    """Checkpoints of an earlier run in the folder are not those of the one that was begun."""
    from pytorch_lightning import Callback

    class Interruption(Callback):
        def on_train_start(self, *_: object) -> None:
            raise RuntimeError("power cut")

    other, out = replace(SMALL, epochs=1, seed=9), tmp_path / "run"
    fit(corpus, SMALL, out, progress=False)
    with pytest.raises(RuntimeError, match="power cut"):
        fit(corpus, other, out, progress=False, trainer={"callbacks": [Interruption()]})
    fit(corpus, other, out, resume=True, progress=False)
    fit(corpus, other, tmp_path / "whole", progress=False)
    whole = weights(tmp_path / "whole")
    assert all(torch.equal(value, whole[name]) for name, value in weights(out).items())


@pytest.mark.parametrize(
    "changes",
    [
        {"schedule": "cosine", "optimizer": "sgd"},
        {"schedule": "cosine", "optimizer": "adam"},
        {"schedule": "cosine", "stop_below": 1.0, "monitor": "last"},  # of "plateau" alone
        {"schedule": "restarts", "restarts": (1, 3)},
        {"schedule": "plateau", "monitor": "loss"},
        {"plateau_patience": 1, "learning_rate": 1e-3, "monitor": "last", "epochs": 5},
    ],
    ids=lambda changes: "-".join(map(str, changes.values())),
)
def test_every_schedule_resumes_as_without_an_interruption(
    changes: dict[str, Any], corpus: Manifest, tmp_path: Path
) -> None:
    from pytorch_lightning import Callback

    class Interruption(Callback):
        def on_train_epoch_start(self, trainer: Any, *_: object) -> None:
            if trainer.current_epoch == 2:
                raise RuntimeError("power cut")

    config: TrainingConfig = replace(SMALL, **changes)
    cache = tmp_path / "cache"
    fit(corpus, config, tmp_path / "whole", progress=False, cache=cache)
    power = {"callbacks": [Interruption()]}
    with pytest.raises(RuntimeError, match="power cut"):
        fit(corpus, config, tmp_path / "cut", progress=False, cache=cache, trainer=power)
    fit(corpus, config, tmp_path / "cut", resume=True, progress=False, cache=cache)
    whole = weights(tmp_path / "whole")
    assert all(torch.equal(value, whole[name]) for name, value in weights(tmp_path / "cut").items())


@pytest.mark.parametrize("monitor", ["accuracy", "last"])
def test_a_run_that_stopped_is_not_trained_further(
    monitor: str, corpus: Manifest, tmp_path: Path
) -> None:
    """Nothing is learned, so that the rate is halved after each second epoch: 8, 4, 2, 1."""
    changes: dict[str, Any] = {"plateau_patience": 2, "learning_rate": 8e-6, "stop_below": 1.5e-6}
    changes |= {"monitor": monitor, "epochs": 20}
    config: TrainingConfig = replace(CONFIG, **changes)
    stopped, whole = fit(corpus, config, tmp_path, progress=False), weights(tmp_path)
    assert stopped.training["epochs"] == 1 + 3 * 2  # the first is a rise from nothing
    (tmp_path / "bundle.json").unlink()
    again = fit(corpus, config, tmp_path, resume=True, progress=False)
    assert again.training["epochs"] == 7
    assert again.training["kept_epoch"] == stopped.training["kept_epoch"]
    assert all(torch.equal(value, whole[name]) for name, value in weights(tmp_path).items())


def test_a_run_resumes_where_its_folder_was_moved_to(corpus: Manifest, tmp_path: Path) -> None:
    """The best epoch before the interruption is still the best one afterwards."""
    from pytorch_lightning import Callback

    class Interruption(Callback):
        def on_train_epoch_start(self, trainer: Any, *_: object) -> None:
            if trainer.current_epoch == 1:
                raise RuntimeError("power cut")

    config, cache = replace(CONFIG, validation_share=0.5), tmp_path / "cache"
    whole = fit(corpus, config, tmp_path / "whole", progress=False, cache=cache)
    assert whole.training["kept_epoch"] == 1  # so that a later one is kept if it is forgotten
    power = {"callbacks": [Interruption()]}
    with pytest.raises(RuntimeError, match="power cut"):
        fit(corpus, config, tmp_path / "cut", progress=False, cache=cache, trainer=power)
    (tmp_path / "cut").rename(tmp_path / "moved")
    moved = fit(corpus, config, tmp_path / "moved", resume=True, progress=False, cache=cache)
    assert moved.training["kept_epoch"] == 1
    same, resumed = weights(tmp_path / "whole"), weights(tmp_path / "moved")
    assert all(torch.equal(value, same[name]) for name, value in resumed.items())


def test_the_record_of_a_run_is_json_of_its_settings(run: Path) -> None:
    assert set(json.loads((run / "training.json").read_text())) == {"settings", "manifest"}
    assert sys.getrecursionlimit() < 50000  # so that the deep text above is one
