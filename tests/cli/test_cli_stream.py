"""A pipe and HTTP give the windows and events of the file, exactly."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
import soundfile

from anymic.bundle import Bundle
from anymic.cli import main
from anymic.inference.events import EventRules
from anymic.inference.predictor import Predictor

RATE = 8000
RULES = ("--threshold", "0.59", "--longest-gap", "0.5", "--hysteresis", "0")


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """A suite in the background ignores SIGINT, and so would the programs that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def sound(rate_hz: int = RATE, seconds: float = 12.6) -> np.ndarray:
    """Return noise of changing colour, so that probabilities change, as 16-bit integers."""
    generator = np.random.default_rng(3)
    samples = generator.normal(0, 0.1, round(seconds * rate_hz))
    time_s = np.arange(len(samples)) / rate_hz
    samples *= 10 ** np.sin(time_s) / 10
    samples += 0.2 * np.sin(2 * np.pi * (300 + 250 * np.sin(time_s)) * time_s)
    return (samples.clip(-1, 1) * 32767).astype("<i2")


@pytest.fixture(params=[RATE, 44100])
def recording(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "sound.wav", sound(request.param), request.param)
    return tmp_path / "sound.wav"


@contextmanager
def served(handler: Any) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "anymic", "stream", *map(str, arguments)]


Piped = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def piped(anymic_program: Path) -> Piped:
    """Return a function that runs the command with options, and bytes on its input."""

    def run(*arguments: object, data: bytes) -> subprocess.CompletedProcess[bytes]:
        command = [str(anymic_program), "stream", *map(str, arguments)]
        return subprocess.run(command, input=data, capture_output=True, timeout=120, check=False)

    return run


def rows(text: str | bytes) -> list[dict[str, Any]]:
    """Return the rows of --json, without the time of computing, which differs."""
    found = [json.loads(line) for line in text.splitlines()]
    for row in found:
        assert row.pop("latency_s") >= 0
    return found


def test_pipe_and_http_give_the_files_answers(
    bundle_folder: Path, recording: Path, piped: Piped, capsys: pytest.CaptureFixture[str]
) -> None:
    raw, rate_hz = soundfile.read(recording, dtype="int16")
    with served(partial(Quiet, directory=recording.parent)) as address:
        for options in (("--json", *RULES), ("--json", "--every-window")):
            assert main(["stream", str(bundle_folder), str(recording), *options]) == 0
            wanted = rows(capsys.readouterr().out)
            url = f"{address}/sound.wav"
            assert main(["stream", str(bundle_folder), url, *options]) == 0
            assert rows(capsys.readouterr().out) == wanted
            done = piped(bundle_folder, "-", "--rate", rate_hz, *options, data=raw.tobytes())
            assert rows(done.stdout) == wanted
            assert len(wanted) > 2
    assert b"latency: the window's 1.000 s" in done.stderr


def test_windows_and_events_are_those_of_predict(
    small_bundle: Bundle,
    bundle_folder: Path,
    recording: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    predictor = Predictor(small_bundle, batch_size=1)
    prediction = predictor.predict(recording)
    assert main(["stream", str(bundle_folder), str(recording), "--json", "--every-window"]) == 0
    given = rows(capsys.readouterr().out)
    assert tuple(row["start_s"] for row in given) == prediction.window_starts_s
    values = [list(row["probabilities"].values()) for row in given]
    np.testing.assert_array_equal(values, prediction.window_probabilities)
    assert main(["stream", str(bundle_folder), str(recording), "--json", *RULES]) == 0
    table = predictor.events(
        recording, rules=EventRules(threshold=0.59, hysteresis=0, longest_gap_s=0.5)
    )
    given = sorted(rows(capsys.readouterr().out), key=lambda row: (row["start_s"], row["label"]))
    wanted = table.sort_values(["start_s", "label"]).to_dict("records")
    assert given == wanted


def test_stereo_floats_and_a_hop(
    bundle_folder: Path, tmp_path: Path, piped: Piped, capsys: pytest.CaptureFixture[str]
) -> None:
    both = np.stack([sound(), sound()[::-1]], axis=1).astype("<f4") / 32768
    soundfile.write(tmp_path / "both.wav", both, RATE, subtype="FLOAT")
    options = ("--json", "--every-window", "--hop", "0.25")
    assert main(["stream", str(bundle_folder), str(tmp_path / "both.wav"), *options]) == 0
    wanted = rows(capsys.readouterr().out)
    raw = ("--rate", RATE, "--channels", 2, "--format", "f32le")
    done = piped(bundle_folder, "-", *raw, *options, data=both.tobytes())
    assert rows(done.stdout) == wanted
    assert [row["start_s"] for row in wanted[:3]] == [0, 0.25, 0.5]


@contextmanager
def started(
    model: Path, samples: np.ndarray, *options: object
) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes], IO[bytes], IO[bytes]]]:
    """Start the command with samples on its input, which stays open; yield it and its pipes."""
    with subprocess.Popen(
        command(model, "-", *options),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(samples.tobytes())
        process.stdin.flush()
        yield process, process.stdin, process.stdout, process.stderr


def test_a_row_comes_as_soon_as_its_window_is_complete(bundle_folder: Path) -> None:
    """Also with resampling; and an interruption prints what is left, with status 130."""
    options = ("--rate", 16000, "--every-window")
    with started(bundle_folder, sound(16000, 2.25), *options) as (process, _, out, errors):
        starts = [out.readline().split(b"\t")[0] for _ in range(2)]
        assert starts == [b"0.000", b"1.000"]
        process.send_signal(signal.SIGINT)
        said = errors.read().splitlines()
        assert process.wait(20) == 130
    assert said[-1] == b"interrupted"
    assert b"2 windows" in said[-2]


def test_an_interruption_prints_the_open_event(bundle_folder: Path) -> None:
    options = ("--rate", RATE, "--threshold", 0)
    with started(bundle_folder, sound(RATE, 3), *options) as (process, _, out, errors):
        assert b"standard input" in errors.readline()  # the model is loaded
        time.sleep(5)  # nothing is printed before the event ends
        process.send_signal(signal.SIGINT)
        printed = out.read().splitlines()
        assert process.wait(20) == 130
    assert [row.split(b"\t")[:2] for row in printed] == [[b"0.000", b"3.000"]] * 3


def test_a_reader_that_ends_is_no_traceback(bundle_folder: Path) -> None:
    options = ("--rate", RATE, "--every-window")
    with started(bundle_folder, sound(RATE, 1), *options) as (process, sent, out, errors):
        out.readline()
        out.close()
        with_error = threading.Thread(target=_write, args=(sent, sound(RATE, 5).tobytes()))
        with_error.start()
        assert b"Traceback" not in errors.read()
        assert process.wait(20) == 141
        with_error.join()


def _write(pipe: Any, data: bytes) -> None:
    try:
        pipe.write(data)
        pipe.close()
    except OSError:
        pass


@pytest.mark.parametrize("stalls", [True, False])
def test_a_lost_connection_is_one_line(
    bundle_folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, stalls: bool
) -> None:
    soundfile.write(tmp_path / "a.wav", sound(), RATE)
    data = (tmp_path / "a.wav").read_bytes()
    over = threading.Event()

    class Dropping(Quiet):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: 2 * RATE * 5])
            self.wfile.flush()
            if stalls:
                over.wait(30)
            self.close_connection = True

    with served(Dropping) as address:
        options = ("--timeout", "2", "--every-window")
        status = main(["stream", str(bundle_folder), f"{address}/a.wav", *options])
        over.set()
    out, err = capsys.readouterr()
    assert status == 1
    assert len(out.splitlines()) == 4
    last = err.splitlines()[-1]
    assert last.startswith("failed: ")
    assert ("sent nothing for 2 s" in last) == stalls
    assert "Expected a stream that continues" in last


def test_wrong_use_is_one_line(
    refused: Callable[..., str], bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://me:secret@127.0.0.1:{port}/a.wav"
    line = refused("stream", bundle_folder, url)
    assert "cannot be opened" in line
    assert "secret" not in line
    assert "no file" in refused("stream", bundle_folder, "missing.wav").lower()
    assert "--rate" in refused("stream", bundle_folder, url, "--rate", 8000)
    assert "--microphone" in refused("stream", bundle_folder, url, "--microphone", "usb")
    assert "median" in refused("stream", bundle_folder, "-", "--overlap", "median")
    assert "hop" in refused("stream", bundle_folder, url, "--hop", 2)
    assert "threshold" in refused("stream", bundle_folder, url, "--threshold", 2).lower()


def test_raw_samples_that_are_none_are_one_line(
    bundle_folder: Path, recording: Path, piped: Piped
) -> None:
    cases = {
        "begins like a file in the format WAV": recording.read_bytes(),
        "ended before the first sample": b"",
    }
    for text, data in cases.items():
        done = piped(bundle_folder, "-", "--rate", RATE, data=data)
        assert done.returncode == 2
        assert text in done.stderr.decode().splitlines()[-1]
        assert done.stdout == b""
    nan = np.full(3 * RATE, np.nan, "<f4").tobytes()
    done = piped(bundle_folder, "-", "--rate", RATE, "--format", "f32le", data=nan)
    assert done.returncode == 2
    assert b"NaN" in done.stderr.splitlines()[-1]
    done = piped(bundle_folder, "-", data=b"")
    assert b"--rate 16000" in done.stderr
    odd = sound(RATE, 2).tobytes() + b"x"
    done = piped(bundle_folder, "-", "--rate", RATE, data=odd)
    assert done.returncode == 0
    assert b"last 1 byte" in done.stderr


def test_silence_is_noted(bundle_folder: Path, piped: Piped) -> None:
    done = piped(bundle_folder, "-", "--rate", RATE, data=bytes(4 * RATE))
    assert done.returncode == 0
    assert b"every sample was 0" in done.stderr


@pytest.mark.skipif(os.path.exists("/proc/asound/cards"), reason="may have a microphone")
def test_no_microphone_is_one_line(refused: Callable[..., str], bundle_folder: Path) -> None:
    line = refused("stream", bundle_folder)
    assert "microphone" in line
    assert "Expected" in line
