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


@dataclass(frozen=True)
class Running:
    """A service that runs."""

    url: str
    process: subprocess.Popen[str]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def end(self, sent: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """End it by a signal; return its status and what it wrote on stderr."""
        self.process.send_signal(sent)
        _, errors = self.process.communicate(timeout=40)
        return self.process.returncode, errors


@contextmanager
def running(*models: Path, options: tuple[str, ...] = (), **environment: str) -> Iterator[Running]:
    """Start a service, wait until it accepts connections, and end it after the block."""
    arguments = ["serve", *map(str, models), "--port", "0", *options]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore it
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "anymic", *arguments],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
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
