"""Requests in a second, and their delay, of `anymic serve` and of a plain FastAPI script.

The plain script decodes and predicts each request in the pool of threads of FastAPI.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import soundfile

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "golden"
CLIENTS = (1, 8, 32)
PLAIN = """
import sys, tempfile, uvicorn, anymic
from fastapi import FastAPI, File
app, model = FastAPI(), anymic.load(sys.argv[1])
@app.post("/v1/predict")
def predict(file: bytes = File()):
    with tempfile.NamedTemporaryFile(suffix=".wav") as written:
        written.write(file)
        written.flush()
        found = model.predict(written.name)
    return {"label": found.label, "probabilities": found.probabilities}
@app.get("/healthz")
def health():
    return {}
uvicorn.run(app, port=int(sys.argv[2]), log_level="warning")
"""


@contextmanager
def service(kind: str, model: str) -> Iterator[tuple[str, int]]:
    """Start a service; yield its address and process, and end it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = [sys.executable, "-c", PLAIN, model, port]
    if kind == "anymic serve":
        command = [sys.executable, "-m", "anymic", "serve", model, "--port", port]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            for _ in range(600):
                try:
                    httpx.get(f"{url}/healthz")
                    break
                except httpx.HTTPError:
                    time.sleep(0.1)
            yield url, process.pid
        finally:
            process.terminate()


def processor_s(process: int) -> float:
    """Return the seconds of a processor that a process and its children have used."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    ticks = 0
    for one in (str(process), *children):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(url: str, clip: bytes, *, clients: int, seconds: float) -> list[float]:
    """Return the delay of each request, in s, of clients that each send one after the other."""
    delays: list[float] = []
    until = time.perf_counter() + seconds

    def ask() -> None:
        with httpx.Client(base_url=url, timeout=60) as client:
            while (begun := time.perf_counter()) < until:
                client.post("/v1/predict", files={"file": ("a.wav", clip)}).raise_for_status()
                delays.append(time.perf_counter() - begun)

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return delays


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=str(GOLDEN / "basic1"))
    parser.add_argument("--clip-s", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args()
    noise = np.random.default_rng(0).normal(0, 0.1, round(options.clip_s * 16000))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip.wav")
        soundfile.write(path, noise, 16000)
        clip = path.read_bytes()
    print("| service | clients | requests / s | p50, ms | p95, ms | processor, ms / request |")
    print("|---|---|---|---|---|---|")
    for kind in ("plain FastAPI", "anymic serve"):
        with service(kind, options.model) as (url, process):
            measure(url, clip, clients=4, seconds=1.0)
            for clients in CLIENTS:
                before, begun = processor_s(process), time.perf_counter()
                delays = measure(url, clip, clients=clients, seconds=options.seconds)
                rate = len(delays) / (time.perf_counter() - begun)
                used_ms = 1000 * (processor_s(process) - before) / len(delays)
                p95 = statistics.quantiles(delays, n=20)[-1]
                middle = 1000 * statistics.median(delays)
                print(
                    f"| {kind} | {clients} | {rate:.1f} | {middle:.0f} | {1000 * p95:.0f} "
                    f"| {used_ms:.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
