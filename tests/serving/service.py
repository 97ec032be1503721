"""Start `anymic serve` as a program, on a free port."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.prepared_program import Copy


@dataclass(frozen=True)
class Running:
    """A service that runs."""

    url: str
    process: subprocess.Popen[str]

    @property
    def pid(self) -> int:
        """The process that serves."""
        return getattr(self.process, "copys_pid", self.process.pid)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def end(self, sent: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """End it by a signal; return its status and what it wrote on stderr."""
        self.process.send_signal(sent)
        _, errors = self.process.communicate(timeout=40)
        return self.process.returncode, errors


@contextmanager
def running(
    *models: Path, options: tuple[str, ...] = (), fresh: bool = False, **environment: str
) -> Iterator[Running]:
    """Start a service, wait until it accepts connections, and end it after the block.

    It is a copy of a process that has imported its packages, which begins at once, or a `fresh`
    one: where its memory is measured, or how it ends.
    """
    arguments = ["serve", *map(str, models), "--port", "0", *options]
    own = {**os.environ, **environment}
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore it
    try:
        if fresh or not hasattr(os, "pidfd_open"):
            process = subprocess.Popen(
                [sys.executable, "-m", "anymic", *arguments],
                env=own,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        else:
            process = Copy(arguments, own)
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            if not url:
                _, errors = process.communicate(timeout=30)
                raise AssertionError(f"the service did not start: {errors}")
            yield Running(url, process)
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
