"""A clip goes in and comes back: rate, length, alignment, bitrate, and what is refused."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from scipy import signal

from anymic import audio
from anymic.audio import Clip
from anymic.codecs import CODECS, Codec, table
from anymic.codecs.backends.vorbis import nominal_kbps
from anymic.codecs.codec import delay
from anymic.errors import AudioError, ConfigError, DependencyError

# The lowest, middle and highest bitrate of each that is encoded; test_delays.py has them all.
ALL = [
    Codec(spec.name, kbps=kbps)
    for spec in CODECS.specs()
    for kbps in sorted({spec.kbps[at * (len(spec.kbps) - 1) // 2] for at in range(3) if spec.kbps})
    if spec.name != "speex"
]
PETERS = [("aac", 32), ("aac", 64), ("he-aac", 16), ("he-aac", 32), ("mp3", 32), ("mp3", 64)]
PETERS += [("opus", 64), ("sbc", 64)]
ONE_EACH = [codec for codec in ALL if codec.kbps == codec.spec.kbps[-1]]
# Coders of speech begin with a high-pass filter, which turns the phase of low frequencies.
SPEECH = {"amr-nb", "amr-wb", "gsm", "opus-voice", "opus-narrowband"}
SPEECH |= {"opus-mediumband", "opus-wideband", "opus-superwideband"}
REAL = ("1-17367-A-10", "1-116765-A-41")


def available(codec: Codec) -> Codec:
    """Skip a test where the codec cannot be encoded."""
    reason, remedy = table.problem(codec.spec)
    if reason:
        pytest.skip(f"{codec.name}: {reason}; {remedy}")
    return codec


def noise(rate_hz: int = 44100, seconds: float = 1.0, seed: int = 3) -> Clip:
    """Return noise whose level rises and falls, with little below 200 Hz."""
    generator = np.random.default_rng(seed)
    count = round(rate_hz * seconds)
    white = signal.lfilter([1, -0.97], [1, -0.6], generator.standard_normal(count))
    swell = 0.2 + np.abs(np.sin(np.arange(count) * 9.0 / rate_hz)) ** 3
    samples = white * swell
    return Clip((0.5 * samples / np.abs(samples).max()).astype(np.float32), rate_hz)


def lag(clip: Clip, decoded: Clip, *, speech: bool = False) -> float:
    """Return how late a clip is, in samples of its rate, to 1/16 of one (scipy alone)."""
    pair = [clip.samples.astype(float), decoded.samples.astype(float)]
    if speech:  # a coder of speech begins with a high-pass filter, which turns the phase below
        band = signal.butter(4, [700, 3400], "bandpass", fs=clip.rate_hz, output="sos")
        pair = [signal.sosfiltfilt(band, samples) for samples in pair]
    early, late = (np.pad(samples, 64) for samples in pair)
    correlation = signal.correlate(late, early, mode="same", method="fft")
    middle, begin = len(early) // 2, int(np.argmax(correlation)) - 32
    fine = signal.resample(correlation[begin : begin + 64], 64 * 16)
    return begin + int(np.argmax(fine)) / 16 - middle


@pytest.fixture(scope="module")
def real_clips(shared_data: Path) -> list[Clip]:
    """Return a stretch of rain and one of a chainsaw, from ESC-10."""
    found = [next((shared_data / "ESC-50" / "audio").glob(f"{name}.*")) for name in REAL]
    return [audio.read(path, start_s=0.0, duration_s=1.2) for path in found]


@pytest.mark.parametrize("codec", ALL, ids=lambda codec: codec.slug)
def test_sound_comes_back_in_its_place_at_its_bitrate(codec: Codec) -> None:
    clip = noise()
    coded = available(codec).apply(clip)
    assert coded.clip.rate_hz == clip.rate_hz
    assert coded.clip.samples.shape == clip.samples.shape
    assert coded.clip.samples.dtype == np.float32
    assert abs(lag(clip, coded.clip, speech=codec.name in SPEECH)) <= 1
    assert coded.kbps == pytest.approx(8 * len(coded.data) / clip.duration_s / 1000)
    headers = 35 if codec.name == "vorbis" else 5  # of a file of one second, in kbps
    assert codec.kbps is not None
    assert coded.kbps is not None
    assert 0.5 * codec.kbps < coded.kbps < 1.35 * codec.kbps + headers  # some are variable


@pytest.mark.parametrize("codec", ALL, ids=lambda codec: codec.slug)
def test_real_sound_comes_back_in_its_place(codec: Codec, real_clips: list[Clip]) -> None:
    for clip in real_clips:
        coded = available(codec).apply(clip)
        assert coded.clip.samples.shape == clip.samples.shape
        assert abs(lag(clip, coded.clip, speech=codec.name in SPEECH)) <= 1, clip.path


@pytest.mark.parametrize("rate_hz", [8000, 16000, 48000])
@pytest.mark.parametrize("codec", ONE_EACH, ids=lambda codec: codec.slug)
def test_other_rates_come_back_in_place_as_well(codec: Codec, rate_hz: int) -> None:
    clip = noise(rate_hz)
    coded = available(codec).apply(clip)
    assert (coded.clip.rate_hz, len(coded.clip.samples)) == (rate_hz, rate_hz)
    own = 1 if rate_hz == 48000 else 0.5  # of this rate, whose samples are longer
    assert abs(lag(clip, coded.clip, speech=codec.name in SPEECH)) <= own + 1 / 8
    assert codec.kbps is not None
    assert coded.rate_hz in codec.spec.rates_at(codec.kbps)


@pytest.mark.parametrize("codec", ONE_EACH, ids=lambda codec: codec.slug)
@pytest.mark.parametrize("samples", [1, 441, 4410 + 63])
def test_any_length_comes_back(codec: Codec, samples: int) -> None:
    clip = Clip(noise(seconds=2).samples[:samples], 44100)
    coded = available(codec).apply(clip)
    assert coded.clip.samples.shape == (samples,)
    assert np.isfinite(coded.clip.samples).all()


@pytest.mark.parametrize("codec", ONE_EACH, ids=lambda codec: codec.slug)
def test_silence_stays_silence(codec: Codec) -> None:
    coded = available(codec).apply(Clip(np.zeros(22050, np.float32), 44100))
    assert np.abs(coded.clip.samples).max() < 1e-3  # mu-law's and G.722's smallest step


@pytest.mark.parametrize("codec", ONE_EACH, ids=lambda codec: codec.slug)
def test_clipped_peaks_do_not_wrap_around(codec: Codec) -> None:
    seconds = np.arange(22050) / 44100
    loud = np.clip(3 * np.sin(2 * np.pi * 440 * seconds), -1, 1).astype(np.float32)
    decoded = available(codec).apply(Clip(loud, 44100)).clip.samples
    assert np.corrcoef(loud[2000:-2000], decoded[2000:-2000])[0, 1] > 0.9
    assert np.abs(decoded).max() < 2


@pytest.mark.parametrize("rate_hz", [100, 191, 8000, 96000])
def test_a_clip_of_any_plausible_rate_passes(rate_hz: int) -> None:
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, rate_hz).astype(np.float32)
    coded = Codec("mp3", kbps=32).apply(Clip(noise, rate_hz))
    assert coded.clip.samples.shape == (rate_hz,)
    assert np.isfinite(coded.delay_samples)


def test_values_over_full_scale_are_limited_and_noted() -> None:
    clip = Clip(2 * noise().samples / np.abs(noise().samples).max(), 44100)
    decoded = Codec("sbc", kbps=192).apply(clip).clip
    assert any("limited to full scale" in note for note in decoded.notes)
    assert np.abs(decoded.samples).max() < 1.5


def test_the_original_passes_unchanged() -> None:
    clip = noise()
    coded = Codec("wav").apply(clip)
    assert coded.clip is clip
    assert coded.kbps is None


@pytest.mark.parametrize(("name", "kbps"), [*PETERS, ("vorbis", 64), ("amr-nb", 12.2)])
def test_the_same_clip_gives_the_same_file_again(name: str, kbps: float) -> None:
    codec = available(Codec(name, kbps=kbps))
    first, second = codec.apply(noise()), codec.apply(noise())
    if name != "vorbis":  # whose file bears a serial number, drawn by libsndfile
        assert first.data == second.data
    assert np.array_equal(first.clip.samples, second.clip.samples)


def test_quality_grows_with_the_bitrate() -> None:
    clip = noise()

    def error_db(codec: Codec) -> float:
        wrong = codec.apply(clip).clip.samples - clip.samples
        return float(10 * np.log10(np.mean(wrong**2) / np.mean(clip.samples**2)))

    errors = [error_db(Codec("mp3", kbps=kbps)) for kbps in (32, 64, 128, 320)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < -6  # what is over 20 kHz is always lost


def test_mu_law_is_that_of_the_formula() -> None:
    """ITU-T G.711 against its segments' worst step: 8159 levels, mu = 255."""
    clip = noise(8000)
    decoded = Codec("mu-law").apply(clip).clip.samples
    steps = np.sign(clip.samples) * np.log1p(255 * np.abs(clip.samples)) / np.log(256)
    again = np.sign(decoded) * np.log1p(255 * np.abs(decoded)) / np.log(256)
    assert np.abs(steps - again).max() < 1 / 64  # half of one of 128 steps, and segments' corners


def test_the_stream_has_the_format_of_its_codec() -> None:
    wanted = {"aac": "aac", "mp3": "mp3float", "opus": "opus", "sbc": "sbc", "g722": "g722"}
    for codec in ONE_EACH:
        if codec.name in wanted and codec.available:
            data = codec.apply(noise()).data
            form = codec.spec.container.replace("adts", "aac")
            with av.open(io.BytesIO(data), "r", format=form) as container:
                assert container.streams.audio[0].codec_context.name == wanted[codec.name]
    vorbis = Codec("vorbis", kbps=64).apply(noise()).data
    assert soundfile.info(io.BytesIO(vorbis)).subtype == "VORBIS"
    assert nominal_kbps(vorbis) == pytest.approx(64, rel=0.01)


def test_he_aac_has_band_replication() -> None:
    """Half the rate is coded, and what is above comes back all the same (ISO/IEC 14496-3, SBR)."""
    codec = available(Codec("he-aac", kbps=32))
    clip = noise(seconds=2)
    coded = codec.apply(clip)
    with av.open(io.BytesIO(coded.data), "r", format="aac") as container:
        list(container.decode(audio=0))
        assert container.streams.audio[0].codec_context.profile == "HE-AAC"
    hz, decoded = signal.welch(coded.clip.samples, 44100)
    _, original = signal.welch(clip.samples, 44100)
    above = (hz > 11025) & (hz < 14000)
    assert 10 * np.log10(decoded[above].mean() / original[above].mean()) > -10


def test_delays_are_those_of_the_standards() -> None:
    """One frame of MDCT for AAC, 5 ms of look-ahead for AMR, 22 samples of G.722's filters."""
    assert delay(Codec("aac", kbps=64), 44100) == pytest.approx(1024, abs=0.1)
    assert delay(Codec("sbc", kbps=128), 44100) == pytest.approx(73, abs=0.1)
    assert delay(Codec("g722"), 16000) == pytest.approx(22, abs=0.1)
    assert delay(Codec("amr-nb", kbps=12.2), 8000) == pytest.approx(40, abs=0.3)
    assert delay(Codec("mu-law"), 8000) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Codec("mp4", kbps=32), ["Unknown codec 'mp4'", "did you mean 'mp3'", "amr-nb"]),
        (lambda: Codec("mp3", kbps=33), ["mp3 does not support 33 kbps", "32, 40, 48"]),
        (lambda: Codec("mp3"), ["mp3 has no default bitrate", "32, 40"]),
        (lambda: Codec("wav", kbps=64), ["wav does not support 64 kbps", "Leave it out"]),
        (
            lambda: Codec("amr-nb", kbps=12.2, rate_hz=16000),
            ["16000 Hz", "does not support", "8000"],
        ),
        (lambda: Codec("mp3", kbps=320, rate_hz=16000), ["16000 Hz", "32000, 44100, 48000"]),
    ],
)
def test_unsupported_settings_are_refused(make: Callable[[], Codec], words: list[str]) -> None:
    with pytest.raises(ConfigError) as refusal:
        make()
    assert all(word in str(refusal.value) for word in words)
    assert "\n" not in str(refusal.value)


def test_a_missing_program_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    table.problem.cache_clear()
    try:
        codec = Codec("he-aac", kbps=32)
        assert not codec.available
        with pytest.raises(DependencyError, match=r"fdkaac is not installed.*apt-get install"):
            codec.apply(noise())
    finally:
        table.problem.cache_clear()


def test_a_missing_encoder_is_reported() -> None:
    """PyAV's wheels leave libfdk_aac out, for its licence."""
    reason, remedy = table.problem(replace(CODECS.get("aac"), encoder="libfdk_aac"))
    assert "no encoder libfdk_aac" in reason
    assert "PyAV" in remedy


def test_not_a_number_is_refused() -> None:
    samples = noise().samples.copy()
    samples[100] = np.nan
    with pytest.raises(AudioError):
        Codec("mp3", kbps=64).apply(Clip(samples, 44100))
