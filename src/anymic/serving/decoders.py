"""A few processes that decode recordings, with limits of memory and time; they are restarted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Any

import anyio

from anymic.audio import AudioInfo, Channel, Clip, DecodedFile
from anymic.audio.condition import Condition
from anymic.errors import AudioError, readable
from anymic.serving.decoder_process import DecoderProcess, Memory, Samples
from anymic.serving.limits import Limits
from anymic.serving.refusals import Refusal

WHOLE_WINDOW_S = 10.0


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
        self._all = [DecoderProcess(limits) for _ in range(limits.decoders)]
        self._free = list(self._all)
        self._memory = Memory(round(1e6 * limits.waiting_mb))
        self._slots = asyncio.Semaphore(limits.decoders)
        self._threads = anyio.CapacityLimiter(limits.decoders)

    @asynccontextmanager
    async def decoded(
        self,
        path: str,
        *,
        name: str = "",
        rate_hz: int | None = None,
        channel: Channel = "mean",
        window_s: float | None = None,
    ) -> AsyncIterator[DecodedFile]:
        """Decode a file; wait for a free process, and for memory to hold it in the block.

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
            clock = asyncio.get_running_loop().call_later(process.clock_s, process.expire)
            reason = ""
            try:
                exchange = partial(process.decode, job, self._memory)
                reason, found, samples = await anyio.to_thread.run_sync(
                    exchange, limiter=self._threads
                )
            finally:
                clock.cancel()
                # One that was started again still loads its libraries: it is used last.
                self._free.insert(0 if reason else len(self._free), process)
        try:
            yield self._result(reason, found, samples, path, name)
        finally:
            self._memory.give(samples.nbytes)

    def _result(
        self, reason: str, found: dict[str, Any], samples: Samples, path: str, name: str
    ) -> DecodedFile:
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


def _decoded(found: dict[str, Any], samples: Samples, name: str) -> DecodedFile:
    clips, begin = [], 0
    for count, rate_hz, start_s, notes in found["windows"]:
        own = samples[begin : begin + count]
        clips.append(Clip(own, rate_hz, path=name, notes=tuple(notes), start_s=start_s))
        begin += count
    measured = found["condition"]
    condition = None if measured is None else Condition.of_plain(measured)
    return DecodedFile(AudioInfo(name, *found["info"]), tuple(clips), condition)


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
