"""How windows are divided into batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import anymic
from anymic import audio
from anymic.audio import DecodedFile

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize(("threads", "sizes"), [(2, {3, 2}), (1, {5})])
def test_few_decoded_recordings_are_divided_among_the_threads(
    threads: int, sizes: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        predictor = anymic.load(GOLDEN / "basic1", precision="float32")
        clip = GOLDEN / "clip.flac"
        contract = predictor.bundle.contract
        windows = audio.stream(clip, window_s=contract.clip_s, rate_hz=contract.rate_hz)
        one = DecodedFile(audio.probe(clip), tuple(windows))
        seen = []
        compute = predictor.pipeline.compute_batch

        def observed(batch):  # type: ignore[no-untyped-def]
            seen.append(len(batch))
            return compute(batch)

        monkeypatch.setattr(predictor.pipeline, "compute_batch", observed)
        found = [outcome for _, outcome in predictor.outcomes([one] * 5)]
    finally:
        torch.set_num_threads(before)
    assert set(seen) == sizes
    assert sum(seen) == 5 * len(one.clips)
    alone = predictor.predict(clip).probabilities
    for outcome in found:
        assert isinstance(outcome, anymic.inference.prediction.Prediction)
        np.testing.assert_allclose(
            list(outcome.probabilities.values()), list(alone.values()), atol=1e-5
        )
