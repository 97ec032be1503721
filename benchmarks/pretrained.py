"""The embeddings of YAMNet: this package beside PyTorch as it is, and TFLite.

    python benchmarks/pretrained.py [--weights yamnet.tflite] [--threads 2] [--json FILE]

prints the time of the nine patches of a 5 s clip: the median of the processor time of one thread,
or the shortest time that passes with several:

- `plain PyTorch`, the baseline: the network of the published description, layer by layer in
  float32 (convolution, normalization, ReLU, zeros added by `pad`), as anybody would write it;
- `anymic`: `FusedYAMNet`, float32;
- `log-mel`: its front-end, from samples to features;
- `TFLite`, where the package ai-edge-litert and --weights are there: the quantized model, 8 bits,
  which computes its own features.

They take turns, so that a busy moment hits all of them. Weights are random but for TFLite.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from anymic import models
from anymic._internal import machine
from anymic.features import Frontend
from anymic.features.patches import YAMNET
from anymic.models.fusion import fuse
from anymic.models.yamnet import EPSILON, FIRST, FRAMES, HOP_FRAMES, STRIDES, WIDTHS

CLIP_S = 5.0


class Plain(nn.Module):
    """The published network: what is not in it is any thought about speed."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 1
        for number, (stride, outputs) in enumerate(
            zip((2, *STRIDES), (FIRST, *WIDTHS), strict=True)
        ):
            pad = nn.ZeroPad2d((0, 1, 0, 1) if stride == 2 else 1)
            wide = inputs if number else outputs
            layers += [pad, *self._layer(inputs, wide, 3, stride, inputs if number else 1)]
            if number:
                layers += self._layer(inputs, outputs, 1, 1, 1)
            inputs = outputs
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        """Return embeddings of patches (batch, 1, frame, band)."""
        maps: Tensor = self.layers(features)
        return maps.mean(dim=(2, 3))

    @staticmethod
    def _layer(inputs: int, outputs: int, size: int, stride: int, groups: int) -> list[nn.Module]:
        convolution = nn.Conv2d(inputs, outputs, size, stride, groups=groups, bias=False)
        return [convolution, nn.BatchNorm2d(outputs, eps=EPSILON), nn.ReLU()]


def lite(weights: Path, patches: Tensor) -> Callable[[], object] | None:
    """Return a function that runs the TFLite model on patches (patch, sample); None without it."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError:
        return None
    interpreter = Interpreter(str(weights), num_threads=torch.get_num_threads())
    interpreter.allocate_tensors()
    place = interpreter.get_input_details()[0]["index"]
    samples = patches.contiguous().numpy()

    def run() -> None:
        for patch in samples:
            interpreter.set_tensor(place, patch)
            interpreter.invoke()

    return run


@torch.inference_mode()
def measure(weights: Path | None, repeats: int) -> dict[str, float]:
    """Return the time of each, in milliseconds."""
    alone = torch.get_num_threads() == 1
    clock, typical = (time.process_time, statistics.median) if alone else (time.perf_counter, min)
    samples = 0.1 * torch.randn(1, round(CLIP_S * YAMNET.rate_hz))
    frontend = Frontend(YAMNET)
    features = frontend(samples).unfold(-1, FRAMES, HOP_FRAMES).permute(0, 3, 1, 2, 4).flatten(0, 1)
    plain = Plain().eval()
    network = models.build("yamnet", classes=0).eval()
    fused, by_frame = fuse(network), features.transpose(2, 3).contiguous()
    runs: dict[str, Callable[[], object]] = {
        "plain PyTorch": lambda: plain(by_frame),
        "anymic": lambda: fused(features),
        "log-mel": lambda: frontend(samples),
    }
    if weights is not None:
        hop = HOP_FRAMES * YAMNET.hop_samples
        run = lite(weights, samples[0].unfold(0, YAMNET.samples(FRAMES), hop))
        runs |= {} if run is None else {"TFLite": run}
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repeats + 2):
        for name, run in runs.items():
            begun = clock()
            run()
            if turn > 1:
                taken[name].append(1000 * (clock() - begun))
    return {name: typical(times) for name, times in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, help="the TFLite model, to measure it too")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", type=Path, help="also write the times and ratios to this file")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    machine.keep_memory()
    times = measure(arguments.weights, arguments.rounds)
    print(f"nine patches of {CLIP_S:g} s, {arguments.threads} threads, {arguments.rounds} times:")
    for name, taken in times.items():
        print(f"  {name:14} {taken:6.1f} ms")
    rows = compared(times, arguments.threads)
    for row in rows:
        print(f"  {row['peer']} / anymic: {row['ratio']:.1f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


def compared(times: dict[str, float], threads: int) -> list[dict[str, object]]:
    """Return the ratio to each peer; TFLite computes its features, so anymic's count there too."""
    ours = {"plain PyTorch": times["anymic"], "TFLite": times["anymic"] + times["log-mel"]}
    return [
        {
            "name": f"YAMNet, {CLIP_S:g} s, threads: {threads}",
            "peer": peer,
            "ratio": times[peer] / own,
            "anymic_s": own / 1000,
            "peer_s": times[peer] / 1000,
        }
        for peer, own in ours.items()
        if peer in times
    ]


if __name__ == "__main__":
    main()
