"""Open an ONNX model, after it was loaded and run once in a process with limits.

A valid model of a few bytes may ask for any amount of time and memory: in a loop, by the shape of a
constant, or when constants are computed while it is loaded.
"""

from __future__ import annotations

import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from anymic._internal.limited_process import LimitError, output_of, stated_limit, work_on
from anymic._internal.optional import extra

# Of the first run, on silence. Cnn14 of PANNs (320 MB) takes a tenth of the time.
CPU_S, MEMORY_MB = 20, 2000
LENGTHS = (16_000, 160_000)  # samples that are tried where the model takes any number of them
FLOAT = "tensor(float)"


_tried: set[object] = set()  # the models that have run within the limits


def open_session(path: Path, data: bytes = b"") -> Any:
    """Return an onnxruntime session of a file, or of the bytes of a file.

    ValueError or an error of onnxruntime if it cannot be loaded, or reaches a limit;
    DependencyError if onnxruntime is not installed.
    """
    require_onnxruntime()
    cpu_s, memory_mb = stated_limit("onnx_cpu_s", CPU_S), stated_limit("onnx_memory_mb", MEMORY_MB)
    state = path.stat() if not data else None
    which = (path, state.st_size, state.st_mtime_ns) if state else sha256(data).digest()
    if (which, cpu_s, memory_mb) not in _tried:
        try:
            output_of(__name__, path, name="a run", cpu_s=cpu_s, memory_mb=memory_mb, data=data)
        except LimitError as error:
            raise ValueError(
                f"{error}; ANYMIC_ONNX_CPU_S and ANYMIC_ONNX_MEMORY_MB set other limits"
            ) from error
        _tried.add((which, cpu_s, memory_mb))
    return _session(data or path)


def require_onnxruntime() -> None:
    """Raise DependencyError if onnxruntime is not installed."""
    with extra("onnx"):
        import onnxruntime  # noqa: F401


def _session(model: Path | bytes, threads: int = 0) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors come as exceptions
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(
        model,
        options,
        providers=["CPUExecutionProvider"],
        enable_fallback=0,  # it is to the same provider, and prints to stdout
    )


def _load_and_run(path: Path) -> None:
    """Run a model of waveforms; what is wrong with its inputs is said by those who need them."""
    session = _session(sys.stdin.buffer.read() or path, threads=1)
    inputs = session.get_inputs()
    if any(one.type != FLOAT for one in inputs):
        return
    for length in LENGTHS:
        # The batch is the first axis, and any other axis of no stated size has the samples.
        silence = {
            one.name: np.zeros(
                [size if isinstance(size, int) else length if at else 1
                 for at, size in enumerate(one.shape)],
                np.float32,
            )
            for one in inputs
        }  # fmt: skip
        try:
            session.run(None, silence)
        except Exception as error:
            if isinstance(error, MemoryError) or "alloc" in str(error):
                raise MemoryError from None
        else:
            return


if __name__ == "__main__":
    work_on(_load_and_run)
