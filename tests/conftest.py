"""What every test may ask for."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import settings
from tests.longest import FIRST
from tests.refusals import one_line

from anymic import models
from anymic._internal.garbage import spare_modules
from anymic._internal.torch_threads import in_threads
from anymic.bundle import Bundle, InputContract
from anymic.cli import main
from anymic.codecs.table import CODECS
from anymic.data.corpora import CORPORA
from anymic.devices.correction.estimators import ESTIMATORS
from anymic.devices.correction.profile import DeviceGains, DeviceProfile
from anymic.features import Frontend, FrontendConfig
from anymic.metrics import METRICS
from anymic.models.registry import NETWORKS

if TYPE_CHECKING:
    from playwright.sync_api import Browser

settings.register_profile("seeded", derandomize=True)  # the same examples each time
settings.load_profile("seeded")
torch.set_num_threads(1 if "PYTEST_XDIST_WORKER" in os.environ else 2)  # a process each, or one
os.environ.setdefault("OMP_NUM_THREADS", "2")  # whatever else runs: equal results, bit by bit

ROOT = Path(__file__).resolve().parents[1]
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


gc.disable()  # until all is imported and collected: nearly none of it becomes garbage


def pytest_collection_finish() -> None:
    """Leave what was imported and collected out of the search for garbage between tests."""
    gc.freeze()
    gc.enable()
    spare_modules()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest; the others keep their order."""
    places = {ROOT / name: number for number, name in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture(scope="session", autouse=True)
def cache_of_nobody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Neither use nor fill the cache of the user who runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANYMIC_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real recordings beside the checkout, or skip where it is absent."""
    if not (SHARED_DATA / "ESC-50" / "meta" / "esc50.csv").is_file():
        pytest.skip("real recordings (shared/data: ESC-50, micirp) are not on this machine")
    return SHARED_DATA


@pytest.fixture(autouse=True, scope="session")
def models_of_nobody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Install models in an empty folder: what this user has installed changes no test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANYMIC_MODELS", str(tmp_path_factory.mktemp("models")))
        yield


@pytest.fixture(autouse=True)
def own_registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what a test registers: whatever it runs, the next test finds the built-in names."""
    for registry in (NETWORKS, METRICS, CODECS, CORPORA, ESTIMATORS):
        registry._load()
        for held in ("_specs", "_made_by", "_modules"):
            monkeypatch.setattr(registry, held, dict(getattr(registry, held)))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Threads that wait for each other after every small product cost more than they save."""
    with in_threads(1):
        yield


@pytest.fixture(scope="session")
def anymic_program() -> Path:
    """Return the path of a program `anymic` that begins at once (`tests.prepared_program`)."""
    from tests.prepared_program import shared

    return shared()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return headless Chromium (`tests.browser`), or skip where there is none."""
    from tests.browser import chromium

    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Start a Ray cluster of two processors and, as it believes, two GPUs; skip without Ray."""
    ray = pytest.importorskip("ray", reason="needs the extra ray")
    own = {"RAY_raylet_start_wait_time_s": "300", "RAY_worker_niceness": "0"}  # on a busy machine
    before = dict(os.environ)
    os.environ.update(own)
    ray.init(
        num_cpus=2,
        num_gpus=2,  # there are none: it shows who asks for one
        object_store_memory=200e6,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
    )
    yield
    ray.shutdown()
    for name in own:
        os.environ.pop(name)
    os.environ.update({name: before[name] for name in own if name in before})


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return the folder of a disk of 1 MB; skip where none can be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def small_bundle() -> Bundle:
    """Return a small model for one-second clips at 8 kHz: random weights, devices A and B."""
    config = FrontendConfig(rate_hz=8000, fft_size=256, hop_samples=128, bands=32)
    generator = np.random.default_rng(5)
    spread = np.zeros(config.bins)
    profile = DeviceProfile(
        rate_hz=config.rate_hz,
        fft_size=config.fft_size,
        hop_samples=config.hop_samples,
        reference=("A",),
        estimator="ratio_of_means",
        devices={
            "A": DeviceGains(np.ones(config.bins), 8, spread),
            "B": DeviceGains(generator.uniform(0.1, 10.0, config.bins), 8, spread),
        },
    )
    frontend = Frontend(
        config, device_gains={name: device.gains for name, device in profile.devices.items()}
    )
    frontend.mean.fill_(-5.0)
    frontend.scale.fill_(2.0)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        network = models.build("basic1", classes=3)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):  # as if it had learned
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(0.2, 0.1)
                module.running_var.uniform_(0.3, 1.0)
                torch.nn.init.normal_(module.weight, 1.0, 0.2)
                torch.nn.init.normal_(module.bias, 0.0, 0.2)
    return Bundle(
        network=network,
        frontend=frontend,
        labels=("dog", "rain", "siren"),
        contract=InputContract(rate_hz=config.rate_hz, clip_s=1.0),
        network_name="basic1",
        training={"epochs": 3},
        fitted_on={"weights": ("0123456789abcdef",)},
        profile=profile,
    )


@pytest.fixture
def bundle_folder(small_bundle: Bundle, tmp_path: Path) -> Path:
    """Return the folder that `small_bundle` was saved in."""
    return small_bundle.save(tmp_path / "bundle")


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that runs a command that is refused, in five seconds, and its line."""

    def refuse(*arguments: object) -> str:
        begun = time.process_time()
        assert main([str(argument) for argument in arguments]) == 2
        assert time.process_time() - begun < 5
        out, err = capsys.readouterr()
        assert out == ""
        (line,) = err.splitlines()
        return one_line(line)

    return refuse
