"""A few processes that decode recordings, with limits of memory and time; they are restarted."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any

import anyio
import numpy as np
from numpy.typing import NDArray

from anymic.audio import AudioInfo, Channel, Clip, DecodedFile
from anymic.errors import AudioError, readable
from anymic.serving.decoder import OUT_OF_MEMORY
from anymic.serving.limits import Limits
from anymic.serving.refusals import Refusal

CLOCK_TIMES = 4  # other programs may run, too: so many seconds by the clock for one of a processor
OUT_OF_TIME = -24  # ended by SIGXCPU
MOST_LINE = 64 << 20
WHOLE_WINDOW_S = 10.0

Samples = NDArray[np.float32]


class Decoders:
    """Processes that decode recordings one after the other.

    Parameters
    ----------
    limits : Limits
    restarted : callable, optional
        Called with the reason ("memory", "time", "crash") when a process has to be replaced.
    """

    def __init__(self, limits: Limits, *, restarted: Callable[[str], None] | None = None) -> None:
        self.limits, self.restarted = limits, restarted or (lambda reason: None)
        self._all = [_Process(limits) for _ in range(limits.decoders)]
        self._free = list(self._all)
        self._slots = asyncio.Semaphore(limits.decoders)
        self._threads = anyio.CapacityLimiter(limits.decoders)

    async def decode(
        self,
        path: str,
        *,
        name: str = "",
        rate_hz: int | None = None,
        channel: Channel = "mean",
        window_s: float | None = None,
    ) -> DecodedFile:
        """Decode a file; wait for a free process.

        Parameters
        ----------
        path : str
        name : str
            What messages and the result call the file.
        rate_hz, channel, window_s
            As for `anymic.audio.stream`.

        Raises
        ------
        AudioError
            As `anymic.audio.stream`, and where it needs more memory or time than the limits.
        Refusal
            If it is longer than the limits.
        """
        job = {
            "path": path,
            "rate_hz": rate_hz,
            "channel": channel,
            "window_s": window_s or WHOLE_WINDOW_S,
            "longest_s": self.limits.clip_s,
            "cpu_s": self.limits.decoding_s,
        }
        name = readable(name, most=200) or "recording"
        async with self._slots:
            process = self._free.pop()
            try:
                exchange = partial(process.decode, job)
                reason, found, samples = await anyio.to_thread.run_sync(
                    exchange, limiter=self._threads
                )
            finally:
                self._free.append(process)
        if reason:
            self.restarted(reason)
            raise _over_limit(reason, name, self.limits)
        if "error" in found:
            parts = {key: text.replace(path, name) for key, text in found["error"].items()}
            if found["too_long"]:
                raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, **parts)
            raise AudioError(**parts)
        return _decoded(found, samples, name)

    @property
    def alive(self) -> int:
        """The number of processes that run."""
        return sum(one.alive for one in self._all)

    def close(self) -> None:
        """End the processes."""
        for one in self._all:
            one.end()


class _Process:
    """One process, started again after it ended."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._closed = False
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
        return self._running.poll() is None

    def decode(self, job: dict[str, Any]) -> tuple[str, dict[str, Any], Samples]:
        """Return why it failed (or ""), the mapping, and the samples."""
        if not self.alive:
            self._restart()
        process, late = self._running, threading.Event()
        clock = threading.Timer(CLOCK_TIMES * self.limits.decoding_s, _stop, (process, late))
        clock.start()
        try:
            found, samples = _exchange(process, job)
            return "", found, samples
        except (OSError, EOFError, ValueError):
            process.kill()
            status = process.wait()
            self._restart()
            out_of_time = late.is_set() or status == OUT_OF_TIME
            known = "memory" if status == OUT_OF_MEMORY else "crash"
            return "time" if out_of_time else known, {}, np.empty(0, np.float32)
        finally:
            clock.cancel()

    def _restart(self) -> None:
        with self._lock:
            _close_pipes(self._running)
            if not self._closed:
                self._running = self._started()

    def end(self) -> None:
        with self._lock:
            self._closed = True
            with suppress(OSError):
                self._running.kill()
            self._running.wait()
            _close_pipes(self._running)


def _exchange(process: subprocess.Popen[bytes], job: dict[str, Any]) -> tuple[Any, Samples]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(job).encode() + b"\n")
    process.stdin.flush()
    line = process.stdout.readline(MOST_LINE)
    if not line.endswith(b"\n"):
        raise EOFError
    found = json.loads(line)
    samples = np.empty(sum(count for count, *_ in found.get("windows", ())), np.float32)
    left = samples.data.cast("B")
    while len(left):
        read = process.stdout.readinto(left)  # type: ignore[attr-defined]
        if not read:
            raise EOFError
        left = left[read:]
    return found, samples


def _stop(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    process.kill()


def _close_pipes(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()


def _decoded(found: dict[str, Any], samples: Samples, name: str) -> DecodedFile:
    clips, begin = [], 0
    for count, rate_hz, start_s, notes in found["windows"]:
        own = samples[begin : begin + count]
        clips.append(Clip(own, rate_hz, path=name, notes=tuple(notes), start_s=start_s))
        begin += count
    return DecodedFile(AudioInfo(name, *found["info"]), tuple(clips))


def _over_limit(reason: str, name: str, limits: Limits) -> AudioError:
    used = {
        "memory": f"needs more than {limits.decoding_mb} MB of memory to decode",
        "time": f"needs more than {limits.decoding_s:g} s to decode",
        "crash": "makes its decoder fail",
    }
    return AudioError(
        f"the file {name} {used[reason]}",
        expected="a recording that can be decoded within the limits of the service",
        fix="convert it to WAV or FLAC, or cut it",
    )
