"""The faster number format is measured once for a processor, and the answer is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from anymic._internal import precision


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANYMIC_CACHE", str(tmp_path))
    precision.kept_times.cache_clear()
    return tmp_path / precision.FILE


def processor(monkeypatch: pytest.MonkeyPatch, **capabilities: bool) -> None:
    monkeypatch.setattr(precision, "_capabilities", lambda: capabilities)


@pytest.mark.parametrize(("amx", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_what_the_processor_has_decides_where_it_is_plain(
    cache: Path, monkeypatch: pytest.MonkeyPatch, amx: bool, expected: str
) -> None:
    processor(monkeypatch, amx_bf16=amx, avx512_bf16=amx)
    assert precision.faster_precision("training") == expected
    assert not cache.exists()


@pytest.mark.parametrize("work", ["training", "prediction"])
def test_the_faster_of_two_is_chosen_and_kept(
    cache: Path, monkeypatch: pytest.MonkeyPatch, work: precision.Work
) -> None:
    processor(monkeypatch, avx512_bf16=True)
    first = precision.faster_precision(work)
    ((key, times),) = json.loads(cache.read_text()).items()
    assert precision.faster(times) == first
    other = {"float32": "bfloat16", "bfloat16": "float32"}[first]
    kept = {first: 2.0, other: 1.0}
    cache.write_text(json.dumps({key: kept}))  # what is kept is not measured again
    precision.kept_times.cache_clear()
    assert precision.faster_precision(work) == other
    for damaged in ("{", json.dumps({key: first}), json.dumps({key: {first: 1.0}})):
        cache.write_text(damaged)
        precision.kept_times.cache_clear()
        assert precision.faster_precision(work) in ("float32", "bfloat16")
        measured = json.loads(cache.read_text())
        assert list(measured) == [key]
        assert precision.faster(measured[key]) == precision.faster_precision(work)


def test_the_reason_names_what_decided(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings, an instruction set, or the two times, of which the faster one is the format."""
    assert precision.choose("float32", "cpu", "training") == ("float32", "as set")
    processor(monkeypatch, avx512_bf16=True, amx_bf16=True)
    assert "AMX" in precision.choose("auto", "cpu", "training").reason
    processor(monkeypatch)
    assert "no instructions" in precision.choose("auto", "cpu", "training").reason
    processor(monkeypatch, avx512_bf16=True)
    chosen = precision.choose("auto", "cpu", "training")
    (times,) = json.loads(cache.read_text()).values()
    assert precision.faster(times) == chosen.format
    for name, one in times.items():
        assert f"{one:.1f} ms in {name}" in chosen.reason


def test_a_tie_is_float32_and_less_time_is_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {True: 1.0, False: 1.0}
    clock = [0.0]
    monkeypatch.setattr("time.process_time", lambda: clock[0])

    def step(work: precision.Work, *, bfloat16: bool) -> object:
        return lambda: clock.__setitem__(0, clock[0] + seconds[bfloat16])

    monkeypatch.setattr(precision, "_step", step)
    assert precision.faster(precision.measure("training")) == "float32"
    seconds[True] = 0.5
    assert precision.faster(precision.measure("training")) == "bfloat16"


def test_a_measurement_changes_nothing_of_the_process(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor(monkeypatch, avx512_bf16=True)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    precision.faster_precision("training")
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.is_autocast_enabled("cpu")


def test_a_cache_that_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ANYMIC_CACHE", str(tmp_path / "file"))
    precision.kept_times.cache_clear()
    processor(monkeypatch, avx512_bf16=True)
    assert precision.faster_precision("prediction") in ("float32", "bfloat16")
