"""``anymic import onnx``: make a model of an embedding network in an ONNX file."""

from __future__ import annotations

from pathlib import Path

from anymic.cli.inputs import require_place
from anymic.cli.printing import Outcome


def import_onnx(model: Path, *, settings: Path, out: Path) -> Outcome:
    """Make a model of any embedding network, such as CED, EfficientAT, PANNs, BirdNET or Perch.

    The model embeds windows of sound; heads are trained on the embeddings (`anymic train
    --extractor OUT`), and device gains are applied to the waveform before the network. The YAML
    file has rate_hz and window_s, and where they differ from the default hop_s (window_s), input
    and output (names in the file; the only input and the first output). With labels, a list, and
    scores, the output with their probabilities, the model also classifies by itself (`anymic
    predict`); targets is several, or one where the probabilities sum to 1.

    The file is one with its front-end and its weights; OUT holds a copy. It first runs in a process
    with limits of time and memory. It needs onnxruntime: pip install 'anymic[onnx]'.

    Example: anymic import onnx cnn14.onnx --settings cnn14.yaml --out cnn14
    """
    from anymic.importers import onnx

    require_place(out)
    bundle = onnx.import_onnx(model, settings)
    bundle.save(out)
    arguments, contract = bundle.network_arguments, bundle.contract
    outcome = {"out": str(out), "network": arguments, "from": bundle.training["imported"]}
    lines = [
        f"{out}  {arguments['embedding']} numbers for {contract.clip_s:g} s at "
        f"{contract.rate_hz} Hz, every {contract.hop_samples / contract.rate_hz:g} s",
        f"next: anymic train --data MANIFEST --extractor {out} --out run"
        + f", anymic predict FILES --model {out}" * bool(bundle.labels),
    ]
    return Outcome(outcome, lines)
