"""Open an ONNX model, after it was loaded and run once in a process with limits.

A valid model of a few bytes may ask for any amount of time and memory: in a loop, by the shape of a
constant, or when constants are computed while it is loaded.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from anymic._internal.limited_process import (
    OUT_OF_MEMORY,
    LimitError,
    output_of,
    stated_limit,
    work_on,
)
from anymic._internal.machine import thread_share
from anymic._internal.optional import extra

# Of the first run, on silence. Cnn14 of PANNs (320 MB) takes a tenth of the time.
CPU_S, MEMORY_MB = 20, 2000
LENGTHS = (16_000, 160_000)  # samples that are tried where the model takes any number of them
# of inputs: samples, and the number of a device
FLOAT = "tensor(float)"
TYPES: dict[str, type[np.generic]] = {FLOAT: np.float32, "tensor(int64)": np.int64}


_tried: set[object] = set()  # the models that have run within the limits


def open_session(path: Path, data: bytes = b"", *, threads: int = 0) -> Any:
    """Return an onnxruntime session of a file, or of the bytes of a file.

    ValueError or an error of onnxruntime if it cannot be loaded, or reaches a limit;
    DependencyError if onnxruntime is not installed. 0 threads are as many as there are processors.
    """
    require_onnxruntime()
    _refuse_outside(path, data)
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
    return load_session(data or path, threads)


def _refuse_outside(path: Path, data: bytes) -> None:
    """Refuse weights outside the model's folder, as onnxruntime itself does from 1.24 on.

    ValueError if there are any; DependencyError if onnx is not installed. A model in memory has no
    folder.
    """
    import onnxruntime

    if tuple(map(int, onnxruntime.__version__.split(".")[:2])) >= (1, 24):
        return
    with extra("onnx"):
        import onnx
    model = onnx.load_from_string(data) if data else onnx.load(path, load_external_data=False)
    folder = path.resolve().parent
    for tensor in _tensors(model):
        for entry in getattr(tensor, "external_data", ()):
            if entry.key != "location":
                continue
            if data or not (folder / entry.value).resolve().is_relative_to(folder):
                raise ValueError("it has weights outside its folder")


def _tensors(message: Any) -> Iterator[Any]:
    """Yield every message within one of protobuf that may hold weights."""
    for field, value in message.ListFields():
        if field.type != field.TYPE_MESSAGE:
            continue
        repeated = isinstance(value, Iterable) and not hasattr(value, "ListFields")
        for one in value if repeated else (value,):
            if hasattr(one, "external_data"):
                yield one
            elif hasattr(one, "ListFields"):
                yield from _tensors(one)


def require_onnxruntime() -> None:
    """Raise DependencyError if onnxruntime is not installed."""
    with extra("onnx"):
        import onnxruntime  # noqa: F401


def load_session(model: Path | bytes, threads: int = 0) -> Any:
    """Return an onnxruntime session of a model that is trusted."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors come as exceptions
    options.intra_op_num_threads = threads or thread_share()
    return onnxruntime.InferenceSession(
        model,
        options,
        providers=["CPUExecutionProvider"],
        enable_fallback=0,  # it is to the same provider, and prints to stdout
    )


def _load_and_run(path: Path) -> None:
    """Run a model of waveforms; the callers that need its inputs check them."""
    with _memory_errors():
        session = load_session(sys.stdin.buffer.read() or path, threads=1)
    inputs = session.get_inputs()
    if any(one.type not in TYPES for one in inputs):
        return
    for length in LENGTHS:
        with suppress(Exception), _memory_errors():
            session.run(
                None, {one.name: _silence(one.shape, length, TYPES[one.type]) for one in inputs}
            )
            return


def _silence(shape: list[Any], length: int, kind: type[np.generic]) -> Any:
    """Return zeros for an input: of an axis without a size 1, but `length` of the last one.

    The numbers of devices (batch,) have no axis of samples.
    """
    sizes = [size if isinstance(size, int) else 1 for size in shape]
    has_samples = kind == np.float32 or len(shape) > 1
    if shape and has_samples and not isinstance(shape[-1], int):
        sizes[-1] = length
    return np.zeros(sizes, kind)


@contextmanager
def _memory_errors() -> Iterator[None]:
    """Exit as `work_on` does where onnxruntime has no memory left: it raises no distinct error."""
    try:
        yield
    except Exception as error:
        if isinstance(error, MemoryError) or "alloc" in str(error):
            sys.exit(OUT_OF_MEMORY)
        raise


if __name__ == "__main__":
    work_on(_load_and_run)
