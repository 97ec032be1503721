"""Requests in a second, and their delay, of `anymic serve` and of a plain FastAPI script.

    python benchmarks/service.py [--rounds 5] [--seconds 8] [--json FILE]

The plain script decodes and predicts each request in the pool of threads of FastAPI. Both classify
the same clip of 5 s with the same models, of random weights; each client sends one request after
the other. The services take turns, and each figure is the median of the rounds. The clients run on
the same machine.
"""

from __future__ import annotations

import argparse
import http.client
import json
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

import numpy as np
import soundfile
from random_models import MODELS  # type: ignore[import-not-found]

CLIENTS = (1, 8, 32)
SERVED = ("small: basic1, 5 s at 16 kHz", "YAMNet and a linear head, 5 s at 16 kHz")
RATE_HZ, CLIP_S = 16_000, 5.0
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
KINDS = ("plain FastAPI", "anymic serve")


@contextmanager
def service(kind: str, model: Path) -> Iterator[tuple[int, int]]:
    """Start a service; yield its port and process, and end it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-c", PLAIN, str(model), str(port)]
    if kind == "anymic serve":
        command = [sys.executable, "-m", "anymic", "serve", str(model), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            for _ in range(600):
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield port, process.pid
        finally:
            process.terminate()


def processor_s(process: int) -> float:
    """Return the seconds of a processor that a process and its children have used."""
    threads = Path(f"/proc/{process}/task").glob("*/children")
    children = [one for path in threads for one in path.read_text().split()]
    ticks = 0
    for one in (str(process), *children):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def form(clip: bytes) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of a form with a file."""
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    return head + clip + b"\r\n--b--\r\n", {"Content-Type": "multipart/form-data; boundary=b"}


def measure(port: int, clip: bytes, *, clients: int, seconds: float) -> list[float]:
    """Return the delay of each request, in s, of clients that each send one after the other."""
    delays: list[float] = []
    until = time.perf_counter() + seconds
    body, headers = form(clip)

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        while (begun := time.perf_counter()) < until:
            connection.request("POST", "/v1/predict", body, headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise SystemExit(text.decode())
            delays.append(time.perf_counter() - begun)
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return delays


def figures(kind: str, model: Path, clip: bytes, seconds: float) -> dict[int, list[float]]:
    """Return requests/s, p50, p95 and processor time of a request, in ms, by number of clients."""
    found = {}
    with service(kind, model) as (port, process):
        measure(port, clip, clients=4, seconds=1.0)
        for clients in CLIENTS:
            before, begun = processor_s(process), time.perf_counter()
            delays = measure(port, clip, clients=clients, seconds=seconds)
            rate = len(delays) / (time.perf_counter() - begun)
            used = (processor_s(process) - before) / len(delays)
            p95 = statistics.quantiles(delays, n=20)[-1]
            times_ms = [1000 * one for one in (statistics.median(delays), p95, used)]
            found[clients] = [rate, *times_ms]
    return found


def main() -> None:
    """Print a table for each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    rows: list[dict[str, object]] = []
    noise = np.random.default_rng(0).normal(0, 0.1, round(CLIP_S * RATE_HZ))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip.wav")
        soundfile.write(path, noise, RATE_HZ)
        clip = path.read_bytes()
        for name in SERVED:
            model = MODELS[name]().save(Path(folder, name.partition(":")[0].replace(" ", "-")))
            rounds = [
                {kind: figures(kind, model, clip, options.seconds) for kind in KINDS}
                for _ in range(options.rounds)
            ]
            print(f"{name}\n")
            print("| service | clients | requests / s | p50, ms | p95, ms | processor, ms |")
            print("|---|---|---|---|---|---|")
            rates: dict[tuple[str, int], float] = {}
            for kind in KINDS:
                for clients in CLIENTS:
                    each = zip(*(one[kind][clients] for one in rounds), strict=True)
                    rate, *times = (statistics.median(values) for values in each)
                    rates[kind, clients] = rate
                    cells = (f"{rate:.1f}", *(f"{one:.0f}" for one in times))
                    print(f"| {kind} | {clients} | {' | '.join(cells)} |", flush=True)
            print()
            rows += compared(name, rates)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


def compared(model: str, rates: dict[tuple[str, int], float]) -> list[dict[str, object]]:
    """Return the ratio of the rates, in requests/s, for each number of clients."""
    peer, ours = KINDS
    return [
        {
            "name": f"service, {model}, clients: {clients}",
            "peer": peer,
            "ratio": rates[ours, clients] / rates[peer, clients],
            "anymic_rate": rates[ours, clients],
            "peer_rate": rates[peer, clients],
        }
        for clients in CLIENTS
    ]


if __name__ == "__main__":
    main()
