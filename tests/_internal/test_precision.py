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
    precision.faster_precision.cache_clear()
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
    (key,) = json.loads(cache.read_text())
    other = {"float32": "bfloat16", "bfloat16": "float32"}[first]
    cache.write_text(json.dumps({key: other}))  # a kept answer is not measured again
    precision.faster_precision.cache_clear()
    assert precision.faster_precision(work) == other
    cache.write_text("{")  # a damaged one is
    precision.faster_precision.cache_clear()
    assert precision.faster_precision(work) in ("float32", "bfloat16")
    assert list(json.loads(cache.read_text())) == [key]


def test_a_tie_is_float32_and_less_time_is_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {True: 1.0, False: 1.0}
    clock = [0.0]
    monkeypatch.setattr("time.process_time", lambda: clock[0])

    def step(work: precision.Work, *, bfloat16: bool) -> object:
        return lambda: clock.__setitem__(0, clock[0] + seconds[bfloat16])

    monkeypatch.setattr(precision, "_step", step)
    assert precision.measure("training") == "float32"
    seconds[True] = 0.5
    assert precision.measure("training") == "bfloat16"


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
    precision.faster_precision.cache_clear()
    processor(monkeypatch, avx512_bf16=True)
    assert precision.faster_precision("prediction") in ("float32", "bfloat16")
