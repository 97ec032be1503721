"""One process that decodes recordings, and the memory for what it decodes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from io import BufferedReader
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from anymic.serving.decoder import OUT_OF_MEMORY
from anymic.serving.limits import Limits

CLOCK_TIMES = 4  # other programs may run, too: so many seconds by the clock for one of a processor
OUT_OF_TIME = -24  # ended by SIGXCPU
MOST_LINE = 64 << 20

Samples = NDArray[np.float32]


class DecoderProcess:
    """One process that decodes, started again after it ended.

    Parameters
    ----------
    limits : Limits
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._closed = self._asking = self._late = False
        self._lock = threading.Lock()
        self._running = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        memory = str(self.limits.decoding_mb << 20)
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(place for place in sys.path if place),
            "OMP_NUM_THREADS": "1",  # each thread takes address space
            "OPENBLAS_NUM_THREADS": "1",
        }
        environment.pop("ANYMIC_TOKEN", None)
        return subprocess.Popen(
            [sys.executable, "-m", "anymic.serving.decoder", memory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,  # an interruption in a terminal is the service's to handle
        )

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._running.poll() is None

    def decode(self, job: dict[str, Any], memory: Memory) -> tuple[str, dict[str, Any], Samples]:
        """Return why it failed (or ""), the mapping, and the samples."""
        if not self.alive:
            self._restart()
        process, self._late, self._asking = self._running, False, True
        try:
            found = _ask(process, job)
            self._asking = False
            count = sum(count for count, *_ in found.get("windows", ()))
            return "", found, _samples_of(process, count, memory)
        except (OSError, EOFError, ValueError):
            process.kill()
            status = process.wait()
            self._restart()
            out_of_time = self._late or status == OUT_OF_TIME
            known = "memory" if status == OUT_OF_MEMORY else "crash"
            return "time" if out_of_time else known, {}, np.empty(0, np.float32)
        finally:
            self._asking = False

    def expire(self) -> None:
        """End a decoding that uses too much time; call it `clock_s` after its beginning."""
        if self._asking:
            self._late = True
            self._running.kill()

    @property
    def clock_s(self) -> float:
        """Seconds by the clock that one decoding may use."""
        return CLOCK_TIMES * self.limits.decoding_s

    def _restart(self) -> None:
        with self._lock:
            _close_pipes(self._running)
            if not self._closed:
                self._running = self._started()

    def end(self) -> None:
        """End it for good."""
        with self._lock:
            self._closed = True
            with suppress(OSError):
                self._running.kill()
            self._running.wait()
            _close_pipes(self._running)


class Memory:
    """Bytes of samples that may be held at the same time, beside one recording that is larger."""

    def __init__(self, most: int) -> None:
        self.most, self.held = most, 0
        self._changed = threading.Condition()

    def take(self, count: int) -> None:
        """Wait until so many bytes may be held."""
        with self._changed:
            self._changed.wait_for(lambda: not self.held or self.held + count <= self.most)
            self.held += count

    def give(self, count: int) -> None:
        """Hold so many bytes less."""
        with self._changed:
            self.held -= count
            self._changed.notify_all()


def _ask(process: subprocess.Popen[bytes], job: dict[str, Any]) -> dict[str, Any]:
    """Send a request, and return what is said of the samples that follow."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(job).encode() + b"\n")
    process.stdin.flush()
    line = process.stdout.readline(MOST_LINE)
    if not line.endswith(b"\n"):
        raise EOFError
    found: dict[str, Any] = json.loads(line)
    return found


def _samples_of(process: subprocess.Popen[bytes], count: int, memory: Memory) -> Samples:
    """Return the samples that a process writes."""
    if not count:
        return np.empty(0, np.float32)
    memory.take(4 * count)
    samples = np.empty(count, np.float32)
    try:
        _fill(process, samples)
    except BaseException:
        memory.give(4 * count)
        raise
    return samples


def _fill(process: subprocess.Popen[bytes], samples: Samples) -> None:
    left = samples.data.cast("B")
    while len(left):
        read = cast("BufferedReader", process.stdout).readinto(left)
        if not read:
            raise EOFError
        left = left[read:]


def _close_pipes(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
