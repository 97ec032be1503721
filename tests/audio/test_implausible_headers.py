"""What a header cannot mean is refused in one line, quickly, and in little memory."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.odd_files import writing as odd
from tests.odd_files import wrong

from anymic import audio
from anymic.audio import Clip
from anymic.codecs import Codec
from anymic.data.manifest import Manifest
from anymic.data.pieces import cut_rows
from anymic.errors import AudioError, ConfigError, attempt


@pytest.mark.parametrize(("name", "case"), wrong.bombs().items())
def test_a_header_that_asks_for_too_much(
    tmp_path: Path, name: str, case: tuple[Callable[[], bytes], str]
) -> None:
    make, line = case
    path = odd.saved(tmp_path, name, make())
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin_s = time.process_time()
    with pytest.raises(AudioError, match=line) as caught:
        audio.read(path, rate_hz=22050)
    with pytest.raises(AudioError, match=line):
        list(audio.stream(path, window_s=1.0, rate_hz=22050))
    assert time.process_time() - begin_s < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak_kb < 200_000
    assert "\n" not in str(caught.value)
    assert all((caught.value.problem, caught.value.expected, caught.value.fix))


def test_zeros_after_the_samples_are_not_walked_through(tmp_path: Path) -> None:
    path = odd.saved(tmp_path, "a.wav", odd.wav(odd.ints(odd.noise())) + bytes(32_000_000))
    begin_s = time.process_time()
    assert len(audio.read(path).samples) == 32000
    assert time.process_time() - begin_s < 1


@pytest.mark.parametrize(
    ("name", "value", "make"),
    [
        ("LOWEST_RATE_HZ", "20", lambda: odd.wav(odd.ints(odd.noise()), rate_hz=20)),
        (
            "HIGHEST_RATE_HZ",
            "2000000000",
            lambda: odd.wav(odd.ints(odd.noise()), rate_hz=10**9),
        ),
        (
            "MOST_CHUNKS",
            "3000",
            lambda: odd.wav(b"\1\2" * 9, before=odd.chunk(b"JUNK") * 2000),
        ),
        ("LONGEST_PAUSE_S", "900", lambda: odd.film("matroska", "aac", pause_s=700)),
    ],
)
def test_a_limit_is_set_in_the_environment(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    make: Callable[[], bytes],
) -> None:
    ending = "mkv" if "PAUSE" in name else "wav"
    path = odd.saved(tmp_path, f"a.{ending}", make())
    with pytest.raises(AudioError, match=f"set ANYMIC_{name} in the environment if it is right"):
        audio.read(path)
    monkeypatch.setenv(f"ANYMIC_{name}", value)
    assert audio.read(path).samples.any()
    for refused in ("", "x", "-1", "1.5", "0", "1" * 5000):
        monkeypatch.setenv(f"ANYMIC_{name}", refused)
        with pytest.raises(ConfigError, match=f"ANYMIC_{name} is .*Expected a whole number"):
            audio.read(path)


@pytest.mark.parametrize(("name", "data"), wrong.undecodable().items())
def test_a_coding_that_is_not_known(tmp_path: Path, name: str, data: bytes) -> None:
    path = odd.saved(tmp_path, name, data)
    for use in (audio.read, audio.probe, lambda path: list(audio.stream(path, window_s=1.0))):
        with pytest.raises(AudioError) as caught:
            use(path)
        message = str(caught.value)
        assert "\n" not in message
        assert str(path) in message
        assert all((caught.value.problem, caught.value.expected, caught.value.fix))


@pytest.mark.parametrize(("samples", "rate_hz"), [(1, 22050), (1, 16000), (3, 8000)])
def test_nothing_left_after_resampling(tmp_path: Path, samples: int, rate_hz: int) -> None:
    path = odd.saved(tmp_path, "a.wav", odd.wav(odd.ints(odd.noise()[:samples]), rate_hz=48000))
    assert len(audio.read(path).samples) == samples
    with pytest.raises(
        AudioError, match=f"no samples left at {rate_hz} Hz: it has {samples} at 48000"
    ):
        audio.read(path, rate_hz=rate_hz)


def test_whatever_a_decoder_raises_is_an_audio_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = odd.saved(tmp_path, "a.wav", odd.wav(odd.ints(odd.noise())))
    for error in (ZeroDivisionError(), KeyError("x\ny"), OSError(5, "Input/output error")):
        with pytest.raises(AudioError, match=r"a\.wav cannot be decoded \(.*Convert") as caught:
            _read_raising(error, path, monkeypatch)
        assert "\n" not in str(caught.value)
        assert caught.value.__cause__ is error
    for passed in (MemoryError(), OSError(28, "No space left on device"), KeyboardInterrupt()):
        with pytest.raises(type(passed)) as raised:
            _read_raising(passed, path, monkeypatch)
        assert raised.value is passed


def _read_raising(error: BaseException, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read a file with a decoder that raises."""

    def read(*_: object, **__: object) -> np.ndarray:
        raise error

    monkeypatch.setattr("soundfile.SoundFile.read", read)
    audio.read(path)


BARE = {"sbc": "msbc", "aptx": "aptx", "aptx_hd": "aptx-hd", "g722": "g722"}


def test_the_endings_are_of_all_formats_that_are_read(tmp_path: Path) -> None:
    from anymic.audio.endings import AUDIO_ENDINGS, ENDINGS_BY_FORMAT

    made = {
        "wav": odd.wav(odd.ints(odd.noise())),
        "flac": odd.sound_file("FLAC", "PCM_16"),
        "ogg": odd.sound_file("OGG", "VORBIS"),
        "aiff": odd.sound_file("AIFF", "PCM_16"),
        "au": odd.sound_file("AU", "PCM_16"),
        "caf": odd.sound_file("CAF", "PCM_16"),
        "w64": odd.sound_file("W64", "PCM_16"),
        "mp3": odd.mp3(),
        "aac": odd.coded("adts", "aac"),
        "mov": odd.coded("3gp", "aac"),
        "avi": odd.film("avi", "mp3", video_s=1.0),
        "matroska": odd.film("webm", "libopus", rate_hz=48000),
        **{
            form: Codec(name).apply(Clip(odd.noise(rate_hz=16000), 16000)).data
            for form, name in BARE.items()
        },
        "amr": Codec("amr-nb", kbps=12.2).apply(Clip(odd.noise(), odd.RATE_HZ)).data,
    }
    lc3 = Codec("lc3", kbps=32)
    if not lc3.available:
        pytest.skip("lc3py is not installed")
    made["lc3"] = lc3.apply(Clip(odd.noise(), odd.RATE_HZ)).data
    assert made.keys() == ENDINGS_BY_FORMAT.keys()
    for form, endings in ENDINGS_BY_FORMAT.items():
        for ending in endings:
            path = odd.saved(tmp_path, f"a{ending}", made[form])
            assert audio.probe(path).format.lower().startswith(form)
            assert audio.read(path).duration_s > 1.9
            assert ending in AUDIO_ENDINGS


@pytest.mark.parametrize(("name", "make"), wrong.claims().items())
def test_a_length_that_cannot_be_is_not_believed(
    tmp_path: Path, name: str, make: Callable[[], bytes]
) -> None:
    path = odd.saved(tmp_path, name, make())
    info = attempt(path, audio.probe, path)
    manifest = Manifest.from_table(
        pd.DataFrame({"path": [name, "good.wav"], "label": ["a", "a"]}), tmp_path
    )
    odd.saved(tmp_path, "good.wav", odd.wav(odd.ints(odd.noise())))
    pieces, failures = cut_rows(manifest, length_s=10.0)
    if failures:
        assert "cut short: only 140.0" in str(failures[0])
        assert len(pieces) == 1
        part = audio.read(path, start_s=1.0, duration_s=5.0).samples
    else:
        assert isinstance(info, audio.AudioInfo)
        assert info.duration_s in (None, pytest.approx(wrong.CLAIM_S, abs=0.1))
        assert len(pieces) == pytest.approx(wrong.CLAIM_S / 10 + 1)
        clip = audio.read(path)
        part = clip.samples[clip.rate_hz : 6 * clip.rate_hz]
    assert part.std() == pytest.approx(1 / np.sqrt(12), rel=0.2)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.97])
def test_a_cut_flac_is_refused_before_it_is_decoded(tmp_path: Path, share: float) -> None:
    data = odd.sound_file("FLAC", "PCM_16", odd.noise(30))
    path = odd.saved(tmp_path, "a.flac", data[: round(share * len(data))])
    with pytest.raises(AudioError, match=r"cut short: only [\d.]+ s of 30\.000 s") as caught:
        audio.probe(path)
    there_s = float(str(caught.value).split("duration_s=")[1].rstrip("."))
    assert there_s == pytest.approx(30 * share, abs=0.6)
    whole = odd.noise(30)[: round(there_s * odd.RATE_HZ)]
    np.testing.assert_allclose(audio.read(path, duration_s=there_s).samples, whole, atol=1e-4)


def test_silence_and_low_bit_rates_keep_their_length(tmp_path: Path) -> None:
    silence = np.zeros(600 * odd.RATE_HZ, np.float32)
    path = odd.saved(tmp_path, "a.flac", odd.sound_file("FLAC", "PCM_16", silence))
    assert audio.probe(path).duration_s == 600
    path = odd.saved(tmp_path, "a.opus", odd.coded("ogg", "libopus", silence, rate_hz=48000))
    assert audio.read(path, allow_silence=True).duration_s == pytest.approx(200, abs=0.1)
