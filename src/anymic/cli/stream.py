"""``anymic stream``: classify sound while it arrives."""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import typer

from anymic._internal.terminal import print_line
from anymic.cli.inputs import require_choice
from anymic.cli.printing import note
from anymic.errors import AudioError, ConfigError, none_of

if TYPE_CHECKING:
    from anymic.audio.source import Source
    from anymic.inference.streaming import LiveClassifier, StreamEvent, StreamWindow


def stream(
    model: Path,
    source: str | None = None,
    *,
    microphone: str | None = None,
    rate: int | None = None,
    channels: int = 1,
    format: str = "s16le",
    timeout: float = 10.0,
    device: str | None = None,
    threshold: float | None = None,
    hysteresis: float = 0.2,
    shortest: float = 0.0,
    longest_gap: float = 1.0,
    overlap: str = "mean",
    hop: float | None = None,
    every_window: bool = False,
    accelerator: str = "auto",
    as_json: bool = False,
) -> None:
    """Classify sound while it arrives, and print the events in it.

    SOURCE is - for raw samples on standard input (with --rate, --channels and --format), a URL
    that FFmpeg opens (http, https, rtsp), or a file; without it, a microphone of this machine is
    classified. The windows are those of `anymic predict` for the same sound, and so are their
    probabilities.

    Each event is printed when it is over, one row an event, with tabs: start and end in seconds
    from the first sample, label, highest probability, latency in seconds. The latency is the time
    from the end of the event to its row: the sound that had to be awaited (--longest-gap, and the
    rest of the last window), and the time of computing. With --every-window there is one row a
    window instead, as soon as it is computed. With --json each row is a JSON object.

    A label's event lasts as long as its probability is at least (1 - hysteresis) x threshold, if it
    reaches the threshold once. Events of one label with a gap of at most --longest-gap are joined;
    those shorter than --shortest are then left out.

    At the end of the sound, and after Ctrl-C (exit status 130), the events that are left and a line
    on the latency are printed. The exit status is 1 if the connection was lost.

    Raw samples: ffmpeg -i in.mp3 -f s16le -ac 1 -ar 16000 - | anymic stream run - --rate 16000

    Example: anymic stream run rtsp://camera/1 --threshold 0.8
    """
    from anymic.inference.events import EventRules, Overlap
    from anymic.inference.files import predictor_of, recordings_model
    from anymic.inference.streaming import LiveClassifier, with_hop

    require_choice("--overlap", overlap, get_args(Overlap))
    rules = EventRules(threshold, hysteresis, shortest, longest_gap, overlap)  # type: ignore[arg-type]
    loaded = with_hop(recordings_model(model, purpose="used for a stream"), hop)
    predictor = predictor_of(loaded, accelerator=accelerator)
    wanted = rate
    if source is None and rate is None and loaded.contract.other_rates == "refuse":
        wanted = loaded.contract.rate_hz
    with _open(source, microphone, wanted, channels, format, timeout) as opened:
        opened.refuse_unusable()
        if device and loaded.devices and device not in loaded.devices:
            note(none_of(device, loaded.devices))
        note(f"{opened.path}: {opened.format}, {opened.rate_hz} Hz, {opened.channels} channel(s)")
        live = LiveClassifier(predictor, opened, device=device, rules=rules)
        _run(live, every_window=every_window, as_json=as_json)


def _open(
    source: str | None,
    microphone: str | None,
    rate: int | None,
    channels: int,
    pcm: str,
    timeout_s: float,
) -> AbstractContextManager[Source]:
    """Open what is to be classified."""
    if source is None:
        from anymic.audio.live import MicrophoneSource

        return MicrophoneSource(microphone, rate_hz=rate, channels=channels)
    if microphone is not None:
        raise ConfigError(
            f"--microphone is given with {source}", expected="one of them", fix="leave one out"
        )
    if source == "-":
        from anymic.audio.live import PcmSource

        if sys.stdin.isatty():
            raise AudioError(
                "standard input is a terminal",
                expected="raw samples from a pipe",
                fix="run ffmpeg -i in.mp3 -f s16le -ac 1 -ar 16000 - | anymic stream MODEL -",
            )
        if rate is None:
            raise ConfigError(
                "raw samples state no rate", expected="--rate", fix="add --rate 16000, for example"
            )
        return PcmSource(sys.stdin.buffer, rate_hz=rate, channels=channels, pcm=pcm)  # type: ignore[arg-type]
    if rate is not None:
        raise ConfigError(
            f"--rate is given with {source}",
            expected="a rate with raw samples or a microphone only",
            fix="leave --rate out: a file or URL states its rate",
        )
    if "://" in source:
        from anymic.audio.live import UrlSource

        return UrlSource(source, timeout_s=timeout_s)
    from anymic.audio.decoding import open_source

    return open_source(source)


def _run(live: LiveClassifier, *, every_window: bool, as_json: bool) -> None:
    """Print the answers; whatever ends the sound, print what is left first."""
    from anymic.inference.streaming import StreamWindow

    try:
        for answer in live:
            if isinstance(answer, StreamWindow) == every_window:
                _print(answer, as_json)
    except BrokenPipeError:
        raise
    except (KeyboardInterrupt, SystemExit):
        _end(live, every_window, as_json)
        raise
    except AudioError as error:
        if not live.windows:
            raise
        _end(live, every_window, as_json)
        print_line(f"failed: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    note(*live.notes, live.latency())


def _end(live: LiveClassifier, every_window: bool, as_json: bool) -> None:
    for event in live.finish():
        if not every_window:
            _print(event, as_json)
    note(*live.notes, live.latency())


def _print(answer: StreamWindow | StreamEvent, as_json: bool) -> None:
    """Print one row at once."""
    if as_json:
        print(json.dumps(asdict(answer), allow_nan=False), flush=True)
        return
    label = "; ".join(getattr(answer, "labels", (answer.label,)))
    times = (f"{answer.start_s:.3f}", f"{answer.end_s:.3f}")
    cells = (
        *times,
        " ".join(label.split()),
        f"{answer.probability:.4f}",
        f"{answer.latency_s:.3f}",
    )
    print_line("\t".join(cells))
