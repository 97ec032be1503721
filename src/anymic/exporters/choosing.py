"""Choose how the Fourier transform is written: by the time that onnxruntime takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from anymic._internal.onnx_session import load_session
from anymic.bundle import Bundle, Ensemble
from anymic.exporters.transforms import Transform, fitting

ROUNDS = 3


def fastest(bundle: Bundle | Ensemble, make: Callable[[Transform], Any]) -> Transform:
    """Return the transform whose model takes the least time for one clip, in one thread."""
    member = bundle.members[0]
    generator = np.random.default_rng(0)
    samples = generator.normal(scale=0.1, size=(1, bundle.contract.clip_samples))
    inputs = {"samples": samples.astype(np.float32), "device": np.zeros(1, np.int64)}
    times = {}
    for transform in fitting(member.frontend.config):
        session = load_session(make(transform).SerializeToString(), threads=1)
        session.run(None, inputs)
        taken = []
        for _ in range(ROUNDS):
            start = time.process_time()
            session.run(None, inputs)
            taken.append(time.process_time() - start)
        times[transform] = min(taken)
    return min(times, key=lambda one: times[one])
