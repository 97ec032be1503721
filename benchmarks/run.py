"""anymic beside its peers: every figure a ratio of two medians taken in one run.

    make bench

prints, for features, training and prediction, both times (median of the rounds, lowest and highest
beside it) and their ratio. Each side is a process of its own, as a user's script would be, and the
two take turns, so that a busy moment hits both.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path

import librosa
import numpy as np
import soundfile
import torch
from kept_tables import DEFAULTS, KEPT, told  # type: ignore[import-not-found]
from torch import nn

from anymic import models
from anymic._internal import machine
from anymic._internal.precision import faster_precision
from anymic.bundle import Bundle, InputContract
from anymic.devices.simulation.random_devices import RandomDevices
from anymic.features import Frontend, FrontendConfig
from anymic.inference.predictor import Predictor
from anymic.training.loop.augmentation import Mixup, SpecAugment, TimeWarp
from anymic.training.loop.device_augmentation import DeviceAugmentation, FreqMixStyle
from anymic.training.loop.losses import SoftTargetLoss

RATE_HZ, CLIP_S, CLASSES, FILES = 44100, 10.0, 10, 16
CONFIG = FrontendConfig()


def serve(side: str, folder: Path, threads: int, pipe: Connection) -> None:
    """Live in a process of its own, as a user's script would: do the work once a message."""
    torch.set_num_threads(threads)
    work = SIDES[side](folder)
    pipe.send("ready")
    while pipe.recv() == "go":
        start = time.perf_counter()
        work()
        pipe.send(time.perf_counter() - start)


def take_turns(
    first: str, second: str, folder: Path, *, threads: int, rounds: int
) -> tuple[list[float], list[float]]:
    """Time both sides by turns, in seconds, after two warming rounds of each."""
    fresh = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for side in (first, second):
        ours, theirs = fresh.Pipe()
        processes.append(fresh.Process(target=serve, args=(side, folder, threads, theirs)))
        processes[-1].start()
        pipes.append(ours)
    for pipe in pipes:
        pipe.recv()
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 2):
        for pipe, kept in zip(pipes, times, strict=True):
            pipe.send("go")
            seconds = pipe.recv()
            if turn >= 2:
                kept.append(seconds)
    for pipe, process in zip(pipes, processes, strict=True):
        pipe.send("stop")
        process.join()
    return times


def line(name: str, ours: list[float], peer_name: str, peer: list[float]) -> dict[str, object]:
    """Print one comparison and return it."""
    ratio = statistics.median(peer) / statistics.median(ours)
    row = {"name": name, "ratio": ratio, "anymic_s": ours, "peer": peer_name, "peer_s": peer}
    print(told(row), flush=True)
    return row


def noise(number: int) -> np.ndarray:
    """Return ten seconds of noise."""
    generator = np.random.default_rng(number)
    return generator.normal(scale=0.1, size=int(RATE_HZ * CLIP_S)).astype(np.float32)


def librosa_features(samples: np.ndarray) -> np.ndarray:
    """Return log-mel features as librosa computes them."""
    mel = librosa.feature.melspectrogram(
        y=samples, sr=RATE_HZ, n_fft=2048, hop_length=512, n_mels=256, power=1.0
    )
    return np.log(mel + CONFIG.log_offset)


def our_features(folder: Path) -> Callable[[], object]:
    """One file to 256 x 862 log-mel features."""
    frontend = Frontend(CONFIG)

    @torch.inference_mode()
    def work() -> torch.Tensor:
        samples, _ = soundfile.read(folder / "0.wav", dtype="float32")
        return frontend.log_mel(torch.from_numpy(samples)[None])

    expected = librosa_features(soundfile.read(folder / "0.wav", dtype="float32")[0])
    np.testing.assert_allclose(work()[0].numpy(), expected, atol=1e-3)
    return work


def their_features(folder: Path) -> Callable[[], object]:
    """Do the same by librosa."""
    return lambda: librosa_features(soundfile.read(folder / "0.wav", dtype="float32")[0])


def torch_features(folder: Path) -> Callable[[], object]:
    """Do the same by torch.stft and a product with librosa's filters."""
    window = torch.hann_window(2048)
    filters = torch.from_numpy(librosa.filters.mel(sr=RATE_HZ, n_fft=2048, n_mels=256))

    @torch.inference_mode()
    def work() -> torch.Tensor:
        samples, _ = soundfile.read(folder / "0.wav", dtype="float32")
        spectrum = torch.stft(
            torch.from_numpy(samples),
            2048,
            hop_length=512,
            window=window,
            pad_mode="constant",
            return_complex=True,
        )
        return torch.log(filters @ spectrum.abs() + CONFIG.log_offset)

    expected = librosa_features(soundfile.read(folder / "0.wav", dtype="float32")[0])
    np.testing.assert_allclose(work().numpy(), expected, atol=1e-3)
    return work


def step(*, ours: bool, keeps: bool = True) -> Callable[[], object]:
    """One training step of basic1 on 64 clips of 256 x 431.

    Both peers compute in float32, with the channels first in memory. With glibc's own settings (of
    the peer "PyTorch defaults") most of the time are page faults of memory that was returned; with
    kept memory it is arithmetic. benchmarks/formats.py compares number formats and layouts alone.
    """
    inputs = torch.randn(64, 1, 256, 431, generator=torch.Generator().manual_seed(0))
    targets = nn.functional.one_hot(torch.arange(64) % CLASSES, CLASSES).float()
    torch.manual_seed(0)
    network, loss = models.build("basic1", classes=CLASSES), SoftTargetLoss()
    fast = ours and faster_precision("training") == "bfloat16"
    if keeps:
        machine.keep_memory()
    if ours:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.Adadelta(network.parameters(), lr=0.5)

    def work() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            value = loss(network(inputs), targets)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()

    return work


def augmentation() -> Callable[[], object]:
    """Draw and apply mixup, time warp and masks, all of them, to 64 clips of 256 x 431."""
    machine.keep_memory()
    features = torch.randn(64, 256, 431, generator=torch.Generator().manual_seed(0))
    targets = nn.functional.one_hot(torch.arange(64) % CLASSES, CLASSES).float()
    generator, fill = np.random.default_rng(0), torch.zeros(256, 1)
    mixup, time_warp, masks = Mixup(), TimeWarp(), SpecAugment()

    def work() -> None:
        mixed = mixup.draw(64, generator)
        mixed.apply(targets)
        warped = time_warp.draw(64, 431, generator).apply(mixed.apply(features))
        masks.draw(64, 256, 431, generator).apply(warped, fill)

    return work


def device_augmentation() -> Callable[[], object]:
    """Draw and apply random devices and Freq-MixStyle, both with their defaults, to 64 clips."""
    machine.keep_memory()
    features = torch.randn(64, 256, 431, generator=torch.Generator().manual_seed(0)) - 5
    generator, style = np.random.default_rng(0), FreqMixStyle()
    devices = DeviceAugmentation(RandomDevices(), CONFIG)

    def work() -> None:
        recorded = devices.draw(64, 431, generator).apply(features)
        style.draw(64, generator).apply(recorded)

    return work


def network() -> models.Network:
    """Return the network that both sides predict with."""
    torch.manual_seed(0)
    return models.build("basic1", classes=CLASSES).eval()


def our_prediction(folder: Path) -> Callable[[], object]:
    """Files to predictions."""
    labels = tuple(f"class {number}" for number in range(CLASSES))
    contract = InputContract(rate_hz=RATE_HZ, clip_s=CLIP_S)
    bundle = Bundle(network(), Frontend(CONFIG), labels, contract, network_name="basic1")
    predictor, paths = Predictor(bundle), sorted(folder.glob("*.wav"))
    return lambda: list(predictor.predict_many(paths))


def their_prediction(folder: Path) -> Callable[[], object]:
    """Do the same by the obvious script, one file at a time."""
    eager, paths = network(), sorted(folder.glob("*.wav"))

    @torch.inference_mode()
    def work() -> list[int]:
        answers = []
        for path in paths:
            samples, _ = librosa.load(path, sr=RATE_HZ)
            x = torch.from_numpy(librosa_features(samples).astype(np.float32))[None, None]
            answers.append(int(eager(x).softmax(dim=1).argmax()))
        return answers

    return work


SIDES: dict[str, Callable[[Path], Callable[[], object]]] = {
    "our_features": our_features,
    "their_features": their_features,
    "torch_features": torch_features,
    "our_step": lambda _: step(ours=True),
    "plain_step": lambda _: step(ours=False, keeps=False),
    "kept_step": lambda _: step(ours=False),
    "our_augmentation": lambda _: augmentation(),
    "our_device_augmentation": lambda _: device_augmentation(),
    "our_prediction": our_prediction,
    "their_prediction": their_prediction,
}


def main() -> None:
    """Run all comparisons and print them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="rounds of each; default 9")
    parser.add_argument("--json", type=Path, help="also write all times to this file")
    options = parser.parse_args()
    cores = os.cpu_count() or 1
    kind = faster_precision("training")
    print(
        f"{platform.machine()}, {cores} cores, {torch.backends.cpu.get_cpu_capability()}, ", end=""
    )
    print(f"torch {torch.__version__}, librosa {version('librosa')}\n", flush=True)
    turns = options.rounds
    step = f"training step, 64 x 256 x 431, {kind}"
    comparisons = (
        ("features of a 10 s file, one core", "features", "their", "librosa", 1, 5 * turns),
        ("features of a 10 s file, one core", "features", "torch", "torch.stft", 1, 5 * turns),
        (step, "step", "plain", DEFAULTS, cores, turns),
        (step, "step", "kept", KEPT, cores, turns),
        (f"{FILES} files of 10 s to predictions", "prediction", "their", "script", cores, turns),
    )
    results = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(FILES):
            soundfile.write(folder / f"{number}.wav", noise(number), RATE_HZ)
        for title, work, side, peer, threads, rounds in comparisons:
            times = take_turns(
                f"our_{work}", f"{side}_{work}", folder, threads=threads, rounds=rounds
            )
            results.append(line(title, times[0], peer, times[1]))
        for work, title in (
            ("augmentation", "mixup, time warp and masks"),
            ("device_augmentation", "random devices and Freq-MixStyle"),
        ):
            times = take_turns(
                f"our_{work}", "our_step", folder, threads=cores, rounds=options.rounds
            )
            share = statistics.median(times[0]) / statistics.median(times[1])
            named = f"{title} of 64 x 256 x 431, and the step they go before"
            results.append(line(named, times[0], "step", times[1]))
            print(f"  {title} take {100 * share:.1f} % of a training step\n", flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
