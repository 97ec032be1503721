"""A value of a wrong type in a call is one line with the argument, what is expected and the fix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anymic
from anymic import audio
from anymic.errors import (
    AnymicError,
    AudioError,
    BundleError,
    ConfigError,
    DeviceError,
    ManifestError,
    none_of,
)
from anymic.training import load_config

GOLDEN = Path(__file__).parent / "golden"
load: Any = load_config
CLIP = audio.Clip(np.zeros(8000, dtype=np.float32), 16_000)
ANY: Any = anymic  # whose types are not checked
CALLS: dict[str, tuple[Callable[[Any], object], type[AnymicError], str]] = {
    "load(None)": (lambda _: ANY.load(None), BundleError, "The model is None. Expected the path"),
    "load(3)": (lambda _: ANY.load(3), BundleError, "The model is of type int"),
    "load(bytes)": (lambda _: ANY.load(b"/tmp"), BundleError, "The model is of type bytes"),
    "read": (lambda _: ANY.Manifest.read(None), ManifestError, "The table is None"),
    "evaluate": (lambda _: ANY.evaluate(None, "x.csv"), BundleError, "The model is None"),
    "rules": (lambda model: model.events(CLIP, rules={}), ConfigError, "rules is of type dict"),
    "threshold": (lambda _: ANY.EventRules(threshold="0.3"), ConfigError, "threshold is of"),
    "shortest_s": (lambda _: ANY.EventRules(shortest_s="1"), ConfigError, "shortest_s is of"),
    "kbps": (lambda _: ANY.Codec("opus", kbps="16"), ConfigError, "kbps is of type str"),
    "codec": (lambda _: ANY.Codec(3), ConfigError, "A codec is of type int"),
    "rate_hz": (lambda _: ANY.Clip(CLIP.samples, "8000"), AudioError, "rate_hz is of type str"),
    "device": (lambda model: model.predict(CLIP, device=3), DeviceError, "device is of type int"),
    "devices": (lambda model: model.predict(CLIP, device=["B"]), DeviceError, "of type list"),
    "changes": (lambda _: load("scenes", changes=["epochs=2"]), ConfigError, "changes is of"),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_value_of_a_wrong_type_is_one_line(name: str) -> None:
    call, kind, message = CALLS[name]
    with pytest.raises(kind, match=message) as refused:
        call(anymic.load(GOLDEN / "basic1"))
    text = str(refused.value)
    assert "\n" not in text
    assert "Expected " in text
    assert text.endswith("Pass such a value.")


def test_the_place_of_what_is_no_clip_is_named() -> None:
    model = anymic.load(GOLDEN / "basic1")
    with pytest.raises(AudioError, match=r"^Clip 3 of 3: a value of type int in place of a clip"):
        list(model.predict_many([CLIP, "nope.wav", 7]))


def test_a_device_that_is_nearly_a_known_one() -> None:
    found = none_of("phon", ["phone", "recorder"])
    assert found == "phon is none of the model's devices (phone, recorder) (did you mean 'phone'?)"
    assert "did you mean" not in none_of("xyz", ["phone", "recorder"])
