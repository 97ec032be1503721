"""The program that decodes files for the service, one after the other, in a process of its own.

It reads requests from stdin, a JSON object on each line, and writes to stdout for each a JSON
object on a line, then the samples, float32. It ends when stdin ends. It knows nothing of the
network: only files that the service wrote are opened.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
import wave
from contextlib import suppress
from dataclasses import asdict
from typing import IO, Any

from anymic import audio
from anymic._internal.files import temporary_file
from anymic.audio import AudioInfo, Clip
from anymic.audio.condition import Condition
from anymic.audio.condition_meter import ConditionMeter
from anymic.errors import AnymicError, AudioError, of_one_file

OUT_OF_MEMORY = 3  # exit status


class TooLongError(AudioError):
    """A recording is longer than the service accepts."""


def decode(job: dict[str, Any]) -> tuple[AudioInfo, list[Clip], Condition | None]:
    """Return what a file's header states, its windows at the rate of the request, its condition.

    Raises
    ------
    AudioError
        As `anymic.audio.stream`; TooLongError for more than `longest_s`.
    """
    path, longest_s = job["path"], job["longest_s"]
    info = audio.probe(path)
    _check_length(info.duration_s or 0.0, longest_s)
    rate_hz = None if job["rate_hz"] == info.rate_hz else job["rate_hz"]
    clips: list[Clip] = []
    meter = ConditionMeter()
    seconds = 0.0
    for clip in audio.stream(
        path, window_s=job["window_s"], rate_hz=rate_hz, channel=job["channel"], meter=meter
    ):
        seconds += clip.duration_s
        _check_length(seconds, longest_s)
        clips.append(clip)
    return info, clips, meter.result()


def _check_length(seconds: float, longest_s: float) -> None:
    if seconds > longest_s + 0.1:  # the header of a lossy file is accurate to 0.1 s
        raise TooLongError(
            f"the recording lasts more than {longest_s:g} s",
            expected=f"at most {longest_s:g} s",
            fix="send it in parts, or classify the file with `anymic predict`",
        )


def answer(job: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """Return what is written for one request: a mapping for JSON, and samples."""
    try:
        with of_one_file():
            info, clips, condition = decode(job)
    except AnymicError as error:
        parts = {"problem": error.problem, "expected": error.expected, "fix": error.fix}
        return {"error": parts, "too_long": isinstance(error, TooLongError)}, []
    facts = (info.rate_hz, info.channels, info.frames, info.duration_s, info.format)
    windows = [[len(one.samples), one.rate_hz, one.start_s, one.notes] for one in clips]
    found = {
        "info": facts,
        "windows": windows,
        "condition": asdict(condition) if condition else None,
    }
    return found, [one.samples.tobytes() for one in clips]


def limit_process(memory: int) -> None:
    """Limit the address space in bytes; write no files."""
    with suppress(ImportError):  # on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def limit_time(seconds: float) -> None:
    """Let the process end if it uses the processor for so many seconds from now on."""
    with suppress(ImportError):
        import resource

        most = int(time.process_time() + seconds) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))


def work(requests: IO[bytes], results: IO[bytes]) -> None:
    """Decode what is requested until the requests end."""
    for line in requests:
        job = json.loads(line)
        limit_time(job["cpu_s"])
        found, blocks = answer(job)
        results.write(json.dumps(found).encode() + b"\n")
        for block in blocks:
            results.write(block)
        results.flush()


def load_libraries() -> None:
    """Decode a short file, so that no request waits for the import of libraries."""
    import av  # noqa: F401  # for the formats that soundfile does not read

    job = {"rate_hz": 16000, "channel": "mean", "window_s": 1.0, "longest_s": 1.0}
    with suppress(OSError):  # there may be no place to write to
        place, path = temporary_file()
        with place:
            with wave.open(place, "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(8000)
                file.writeframes(random.Random(0).randbytes(2 * 4000))
            place.flush()
            answer({**job, "path": path})


def main() -> None:
    """Run the program: its argument is the memory it may use, in bytes."""
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library may print
    load_libraries()  # before the limits
    limit_process(int(sys.argv[1]))
    try:
        work(sys.stdin.buffer, results)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except BrokenPipeError:  # the service has ended
        os._exit(0)


if __name__ == "__main__":
    main()
