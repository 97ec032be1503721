"""Settings are the same after their mapping, and after the files that hold it."""

from __future__ import annotations

import json
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from anymic._internal.settings import from_mapping, read_yaml, to_mapping
from anymic.bundle import InputContract
from anymic.codecs.random_codec import Codecs
from anymic.devices.simulation.random_devices import RandomDevices
from anymic.features import FrontendConfig
from anymic.inference.events import EventRules
from anymic.training.config import TrainingConfig
from anymic.training.correction_config import CorrectionConfig
from anymic.training.loop.augmentation import Mixup, SpecAugment, TimeWarp
from anymic.training.loop.device_augmentation import FreqMixStyle

NAMES = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp", "Zs")), min_size=1, max_size=6
)
SHARES = st.floats(0, 1)
POSITIVE = st.floats(1e-12, 1e12)
WHOLE = st.integers(1, 1000)
CODECS = st.one_of(
    st.builds(Codecs, share=st.floats(1e-6, 1), versions=WHOLE, masks=st.none() | SHARES),
    st.builds(Codecs, set=st.sets(st.sampled_from(["mp3 32", "aac 64"]), min_size=1).map(tuple)),
)
RANDOM_DEVICES = st.builds(
    RandomDevices,
    share=SHARES,
    copies=WHOLE,
    responses=st.none() | NAMES,
    scale=POSITIVE,
    level_db=POSITIVE,
    noise_db=st.lists(st.floats(-200, 0), min_size=2, max_size=2).map(sorted).map(tuple),
    cutoffs=SHARES,
    clipping=SHARES,
)
TRAININGS = st.builds(
    TrainingConfig,
    network=st.sampled_from(["basic1", "basic2", "fcnn"]),
    width=POSITIVE,
    frontend=st.builds(FrontendConfig, bands=st.integers(1, 128), deltas=st.integers(0, 2)),
    correction=st.none()
    | st.builds(
        CorrectionConfig,
        reference=NAMES | st.sets(NAMES, max_size=3).map(sorted).map(tuple),
        floor_db=st.floats(-200, -1),
    ),
    standardize=st.booleans(),
    clip_s=st.none() | POSITIVE,
    crop_frames=st.none() | WHOLE,
    targets=st.sampled_from(["one", "several"]),
    epochs=WHOLE,
    learning_rate=POSITIVE,
    momentum=st.floats(0, 1, exclude_max=True),
    l2=st.floats(0, 1),
    restarts=st.sets(WHOLE, min_size=1).map(sorted).map(tuple),
    mixup=st.none() | st.builds(Mixup, share=SHARES, alpha=POSITIVE),
    time_warp=st.none() | st.builds(TimeWarp, width=WHOLE),
    spec_augment=st.none() | st.builds(SpecAugment, frames=WHOLE, bands=WHOLE),
    random_devices=st.none() | RANDOM_DEVICES,
    freq_mixstyle=st.none() | st.builds(FreqMixStyle, share=SHARES, alpha=POSITIVE),
    codecs=st.none() | CODECS,
    seed=st.integers(0, 2**63 - 1),
    from_data=st.sets(st.sampled_from(["clip_s", "frontend.bands"])).map(sorted).map(tuple),
)
RULES = st.builds(
    EventRules,
    threshold=st.none() | SHARES,
    hysteresis=SHARES,
    shortest_s=st.floats(0, 1e9),
    longest_gap_s=st.floats(0, 1e9),
    overlap=st.sampled_from(["mean", "maximum"]),
)
FRONTENDS = st.builds(
    FrontendConfig,
    fft_size=st.sampled_from([256, 512, 1024]),
    hop_samples=st.integers(64, 256),
    bands=st.integers(1, 128),
)
CONTRACTS = st.builds(
    InputContract,
    rate_hz=st.integers(100, 48_000),
    clip_s=st.just(1.0),
    hop_s=st.none() | st.floats(0.05, 1.0),
)


@pytest.mark.parametrize(
    "kind",
    [RULES, FRONTENDS, CONTRACTS, RANDOM_DEVICES, TRAININGS],
    ids=["EventRules", "FrontendConfig", "InputContract", "RandomDevices", "TrainingConfig"],
)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_settings_survive_their_mapping_and_the_files_that_hold_it(
    kind: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    """To the last bit of each number, as YAML and as JSON."""
    before = data.draw(kind)
    mapping = to_mapping(before)
    assert set(mapping) == {field.name for field in fields(before)}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "settings.yaml"
        file.write_text(yaml.safe_dump(mapping, allow_unicode=True), encoding="utf-8")
        kept = [mapping, json.loads(json.dumps(mapping)), read_yaml(file)]
    for values in kept:
        assert from_mapping(type(before), values) == before
