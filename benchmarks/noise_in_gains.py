"""How to subtract the noise that gains would raise: candidates on development microphones.

    python benchmarks/noise_in_gains.py --data ../shared/data/ESC-50-16k \
        --responses ../shared/data/micirp --weights ../shared/data/yamnet/yamnet_float32.npz

Folds 2 and 3 of ESC-50, as device A records them, train logistic regression on the embeddings of a
frozen YAMNet. Every second clip of fold 4 is classified as other devices record it; fold 1 is not
read. The devices are a high cut of 12 dB per octave at 2 kHz, with a noise floor of -80 dBFS, which
is that of A, and of -70; and the two microphones of MicIRP that need the largest gain in a mel band
above 5.6 kHz, where sounds are nearest to the noise, relative to the octave of 1 kHz, and that are
not in devices.yaml of the experiment `pretrained`, the first with a floor of -70 and the second of
-60. Gains and noise come from twelve takes.

Printed for each candidate: accuracy in per cent, and the mean |difference| of log-mel features in
dB from those of A, for every device, and the means of both. P is the power in a bin, g the gain,
N and R are the mean power of the noise of the device and of A, and E is the positive part of
g2 N - R. <> is the mean over so many neighbouring bins and frames. Every form is applied where
E > 0, and raises no power.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anymic import audio
from anymic.audio import Clip
from anymic.data import corpora
from anymic.devices.correction.profile import DeviceGains
from anymic.devices.correction.spectrum_correction import SpectrumCorrection
from anymic.devices.simulation.chain import Device, noise_seed, record
from anymic.devices.simulation.device_set import DeviceSet
from anymic.devices.simulation.response import ResponseSpec, impulse_response
from anymic.features import Frontend
from anymic.importers.yamnet import import_yamnet
from anymic.inference.embedder import Embedder
from anymic.training.logistic import fit_logistic

TESTED = "experiments/src/anymic_experiments/pretrained/devices.yaml"
TAKES, LIMIT_DB, LEVEL_DB = 12, 14, -6
QUIET_DB = -80  # the noise of A
HIGH_HZ, CUT_HZ = 5600, 2000
NEPER_DB = 20 / np.log(10)
Samples = list[NDArray[np.float32]]
Form = Callable[[Tensor], Tensor]


def main() -> None:
    """Print a row for each candidate."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, what in (("data", "folder of ESC-50"), ("responses", "folder of MicIRP")):
        parser.add_argument(f"--{name}", type=Path, required=True, help=what)
    parser.add_argument("--weights", type=Path, required=True, help="weights of YAMNet")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)
    torch.set_num_threads(1)
    classifier = Classifier(arguments.data, arguments.weights, arguments.responses)
    cut = ResponseSpec(high_cut_hz=CUT_HZ)
    chosen = {f"{CUT_HZ} Hz {noise_db}": (cut, noise_db) for noise_db in (-80, -70)}
    names = microphones(arguments.responses, classifier.frontend)
    for name, noise_db in zip(names, (-70, -60), strict=False):
        chosen[f"{Path(name).stem} {noise_db}"] = ResponseSpec(file=name), noise_db
    print(f"A, {len(classifier.labels)} clips: {classifier.accuracy(classifier.reference):.1f}")
    table: dict[str, list[tuple[float, float]]] = {}
    for response, noise_db in chosen.values():
        for form, found in classifier.compare(Device(response, LEVEL_DB, noise_db=noise_db)):
            table.setdefault(form, []).append(found)
    print("\t".join(["", *chosen, "mean"]))
    for form, cells in table.items():
        both = np.array([*cells, np.mean(cells, axis=0)])
        print("\t".join([form, *(f"{right:.1f} / {far:.2f}" for right, far in both)]))


def microphones(folder: Path, frontend: Frontend) -> list[str]:
    """Return the responses that need the largest gain in a high mel band first."""
    tested = DeviceSet.read(TESTED, responses=folder).devices.values()
    used = {device.response.file for device in tested if device.response is not None}
    size, fine = frontend.config.fft_size, 32
    hz = np.linspace(0, frontend.config.rate_hz / 2, size // 2 + 1)
    filters = frontend.filters.numpy()
    high = hz[filters.argmax(axis=1)] > HIGH_HZ
    largest = {}
    for path in sorted(folder.glob("*.wav")):
        spec = ResponseSpec(file=path.name)
        taps = impulse_response(spec, frontend.config.rate_hz, str(folder)).taps
        power = np.abs(np.fft.fft(taps, size * fine)) ** 2
        bins = np.roll(power, fine // 2).reshape(size, fine).mean(axis=1)[: len(hz)]
        bands = filters @ bins / filters.sum(axis=1)
        middle = bins[(hz > 1000 / 2**0.5) & (hz < 1000 * 2**0.5)].mean()
        largest[path.name] = float(middle / bands[high].min())
    return sorted(set(largest) - used, key=lambda name: -largest[name])


def candidates(device: DeviceGains, frontend: Frontend) -> dict[str, Form]:
    """Return forms of corrected power (frame, bin), by their names."""
    assert device.noise is not None
    energy = float(frontend.window.square().sum())
    g2, n, r = (
        torch.from_numpy(values.astype(np.float32))
        for values in (device.gains**2, *(energy * np.square(device.noise)))
    )
    e = (g2 * n - r).clamp_min(0)
    limit = 10 ** (LIMIT_DB / 10)

    def only(form: Form) -> Form:
        return lambda p: torch.where(e > 0, torch.minimum(form(p), g2 * p), g2 * p)

    def less(times: float, floor: float) -> Form:
        return only(lambda p: torch.maximum(g2 * p - times * e, floor * r))

    def share(bins: int, frames: int, times: float) -> Form:
        less_means, floor = means(times * e[None], bins, 1), means(r[None], bins, 1)

        def form(p: Tensor) -> Tensor:
            whole = means(g2 * p, bins, frames).clamp_min(1e-20)
            return g2 * p * torch.maximum(1 - less_means / whole, floor / whole)

        return only(form)

    return {
        "P": lambda p: p,
        "g2 P": lambda p: g2 * p,
        f"g2 P, g of at most {LIMIT_DB} dB": lambda p: g2.clamp(1 / limit, limit) * p,
        "max(g2 P - E, R)": less(1, 1),
        "max(g2 P - 2 E, R)": less(2, 1),
        "g2 P max(1 - <E> / <g2 P>, <R> / <g2 P>), 9 x 1": share(9, 1, 1),
        "g2 P max(1 - <E> / <g2 P>, <R> / <g2 P>), 9 x 5": share(9, 5, 1),
        "g2 P max(1 - <E> / <g2 P>, <R> / <g2 P>), 9 x 9": share(9, 9, 1),
        "g2 P max(1 - 2 <E> / <g2 P>, <R> / <g2 P>), 9 x 5": share(9, 5, 2),
    }


def means(power: Tensor, bins: int, frames: int) -> Tensor:
    """Return the means (frame, bin) over neighbouring bins and frames."""
    size, padding = (frames, bins), (frames // 2, bins // 2)
    found = torch.nn.functional.avg_pool2d(
        power[None], size, stride=1, padding=padding, count_include_pad=False
    )
    return found[0]


class Classifier:
    """A head on YAMNet, the clips that it is tested on, and the takes that gains come from."""

    def __init__(self, data: Path, weights: Path, responses: Path) -> None:
        bundle = import_yamnet(weights)
        self.frontend, self.embedder = bundle.frontend, Embedder(bundle, precision="float32")
        self.responses = responses
        manifest = corpora.load("esc50", data)
        manifest = manifest.rows(np.array([path.is_file() for path in manifest.paths()]))
        training, test = manifest.where(fold=["2", "3"]), manifest.where(fold="4")
        test = test.rows(np.arange(0, len(test), 2))
        training_clips = [audio.read(path) for path in training.paths()]
        self.clips = [audio.read(path) for path in test.paths()]
        chosen = np.random.default_rng(0).permutation(len(training))[:TAKES]
        self.takes = [training_clips[number] for number in chosen]
        flat = Device(noise_db=QUIET_DB, gain_db=LEVEL_DB)
        recorded = self.record(training_clips, flat, "A training")
        self.own_takes = [recorded[number] for number in chosen]
        self.labels = np.array([training.labels.index(one) for one in test.table["label"]])
        self.head = fit_logistic(
            np.stack([self.vector(self.log_mel(one)) for one in recorded]),
            np.array([training.labels.index(one) for one in training.table["label"]]),
            training.recordings(),
        )
        self.reference = [self.log_mel(one) for one in self.record(self.clips, flat, "A test")]

    def record(self, clips: list[Clip], device: Device, name: str) -> Samples:
        """Pass clips through a device."""
        folder = str(self.responses)
        return [
            record(clip, device, seed=noise_seed(0, name, str(take)), responses=folder).clip.samples
            for take, clip in enumerate(clips)
        ]

    @torch.inference_mode()
    def log_mel(self, samples: NDArray[np.float32], form: Form | None = None) -> Tensor:
        """Return features (frame, band) of samples, whose power a form corrects."""
        magnitude = self.frontend.magnitude(torch.from_numpy(samples)[None])[0]
        if form is not None:
            magnitude = form(magnitude.square()).sqrt()
        found: Tensor = (self.frontend.mel(magnitude) + self.frontend.config.log_offset).log()
        return found

    def vector(self, log_mel: Tensor) -> NDArray[np.float64]:
        """Return the mean and the maximum over the embeddings of a clip's patches."""
        embeddings = self.embedder.pool((log_mel.unfold(0, 96, 48).contiguous(),))
        return np.concatenate([embeddings.mean(axis=0), embeddings.max(axis=0)])

    def accuracy(self, features: list[Tensor]) -> float:
        """Return the accuracy on the test clips in per cent."""
        vectors = np.stack([self.vector(one) for one in features])
        return 100 * float((self.head.logits(vectors).argmax(axis=1) == self.labels).mean())

    def compare(self, device: Device) -> Iterator[tuple[str, tuple[float, float]]]:
        """Yield accuracy and distance from A of each candidate, for a device."""
        config = self.frontend.config
        correction = SpectrumCorrection(
            subtract_noise=True, fft_size=config.fft_size, hop_samples=config.hop_samples
        ).fit(
            np.stack([*self.own_takes, *self.record(self.takes, device, "takes")]),
            device=["A"] * TAKES + ["B"] * TAKES,
            take=[*range(TAKES)] * 2,
            rate_hz=config.rate_hz,
        )
        recorded = self.record(self.clips, device, "test")
        for form, function in candidates(correction.profile_.devices["B"], self.frontend).items():
            features = [self.log_mel(samples, function) for samples in recorded]
            pairs = zip(features, self.reference, strict=True)
            far = np.mean([float((one - own).abs().mean()) for one, own in pairs])
            yield form, (self.accuracy(features), NEPER_DB * float(far))


if __name__ == "__main__":
    main()
