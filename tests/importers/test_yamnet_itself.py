"""The TFLite model itself, run by ai-edge-litert: on request, ANYMIC_TEST_LITERT=1."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from anymic import audio
from anymic.bundle import Bundle
from anymic.importers.yamnet import import_yamnet

LITE = "yamnet_audio_classifier_with_metadata.tflite"


@pytest.mark.slow
@pytest.mark.skipif(
    os.environ.get("ANYMIC_TEST_LITERT") != "1",
    reason="needs ai-edge-litert: install it, and set ANYMIC_TEST_LITERT=1 to ask for it",
)
def test_tflite_itself_gives_nearly_the_same(
    shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Means over patches of 100 clips of 50 classes: the model has 8 bits, the import 32."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(shared_data / "yamnet" / LITE), num_threads=1)
    interpreter.allocate_tensors()
    place, answer = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def lite(patches: torch.Tensor) -> NDArray[Any]:
        found = []
        for patch in patches.numpy():
            interpreter.set_tensor(place["index"], patch)
            interpreter.invoke()
            found.append(interpreter.get_tensor(answer["index"])[0].copy())
        return np.asarray(np.mean(found, axis=0))

    def scores(bundle: Bundle, patches: torch.Tensor) -> NDArray[Any]:
        with torch.inference_mode():
            logits = bundle.network(bundle.frontend(patches))
        return np.asarray(logits.sigmoid().mean(dim=0).numpy())

    files = sorted((shared_data / "ESC-50-16k" / "audio").iterdir())[::16]
    clips = [torch.from_numpy(audio.read(file).samples) for file in files]
    patches = [clip.unfold(0, 15_600, 7680).contiguous() for clip in clips]
    wanted = np.array([lite(each) for each in patches])
    found = {}
    for name in (LITE, "yamnet_float32.npz"):
        bundle = import_yamnet(shared_data / "yamnet" / name)
        got = np.array([scores(bundle, each) for each in patches])
        correlation = float(np.corrcoef(got.ravel(), wanted.ravel())[0, 1])
        found[name] = correlation, float((got.argmax(1) == wanted.argmax(1)).mean())
        with capsys.disabled():
            print(f"\n{name}: correlation {correlation:.4f}, top-1 {found[name][1]:.2f}")
    assert found[LITE][0] > 0.999
    assert found[LITE][1] >= 0.9
    assert found["yamnet_float32.npz"][0] > 0.9  # trained separately
