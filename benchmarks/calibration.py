"""How many clips a calibrator needs: temperature, isotonic regression, and its plain steps.

Ten labels; a clip's logits are drawn (normal, standard deviation 3), its label from their softmax,
and the model states them divided by 0.6, which is too sure. A calibrator learns from n clips and
is judged on 20,000 others. Run: python benchmarks/calibration.py
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anymic.calibration import CalibrationError, IsotonicCalibrator, TemperatureCalibrator
from anymic.metrics import expected_calibration_error, log_loss

LABELS, SPREAD, TOO_SURE, DRAWS, OTHERS = 10, 3.0, 1 / 0.6, 20, 20_000


def drawn(clips: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return stated probabilities (clip, label) and labels (clip,)."""
    random = np.random.default_rng(seed)
    logits = random.normal(scale=SPREAD, size=(clips, LABELS))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    targets = (random.random((clips, 1)) > true.cumsum(axis=1)).sum(axis=1)
    stated = np.exp(TOO_SURE * logits)
    return stated / stated.sum(axis=1, keepdims=True), np.minimum(targets, LABELS - 1)


def main() -> None:
    """Print a row a number of clips: means over 20 draws."""
    others, truth = drawn(OTHERS, 10_000)
    before = (log_loss(others, truth), expected_calibration_error(others, truth))
    print(f"before: log loss {before[0]:.3f}, ECE {before[1]:.3f}")
    print("clips\tT, spread of ln T\tlog loss\tECE\tisotonic, log loss\tECE\tplain, log loss\tECE")
    for clips in (30, 60, 100, 200, 400, 1000, 3000):
        temperatures, heated = [], []
        steps: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
        for seed in range(DRAWS):
            p, t = drawn(clips, seed)
            one = TemperatureCalibrator().fit(p, t)
            temperatures.append(one.temperature_)
            heated.append(_worth(one.transform(others), truth))
            for smoothing, found in steps.items():
                try:
                    fitted = IsotonicCalibrator(smoothing=smoothing).fit(p, t)
                except CalibrationError:  # of some label there are too few
                    continue
                found.append(_worth(fitted.transform(others), truth))
        spread = np.std(np.log(temperatures))
        cells = [f"{clips}", f"{np.mean(temperatures):.2f}, {spread:.2f}"]
        for each in (heated, *steps.values()):
            cells += [f"{value:.3f}" for value in np.mean(each, axis=0)] if each else ["", ""]
        print("\t".join(cells))


def _worth(p: NDArray[np.float64], truth: NDArray[np.int64]) -> tuple[float, float]:
    return log_loss(p, truth), expected_calibration_error(p, truth)


if __name__ == "__main__":
    main()
