"""Predict files, folders and patterns with a model, an ensemble or a head on embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from anymic import bundle as bundles
from anymic.bundle import Bundle, Ensemble
from anymic.bundle.installed import resolve
from anymic.data.embeddings import read_vectors
from anymic.data.files import find_files
from anymic.errors import AudioError, BundleError, Failure
from anymic.inference.embedding_head import FOLDER, VectorHead, load_head
from anymic.inference.exported_predictor import ExportedPredictor
from anymic.inference.onnx_model import OnnxModel
from anymic.inference.onnx_predictor import predict_onnx
from anymic.inference.prediction import Prediction
from anymic.inference.predictor import Predictor

TABLE_ENDINGS = (".csv", ".tsv")
_TABLE = str(
    AudioError(
        "this is a table, and no audio",
        expected="audio files, folders or patterns",
        fix="use `anymic evaluate` to measure a model on the clips of a table",
    )
)


def load_model(folder: str | Path) -> Bundle | Ensemble | VectorHead | OnnxModel:
    """Load a model, an ensemble, a head on embeddings or an .onnx file.

    BundleError if there is none.
    """
    folder = resolve(folder)
    if folder.suffix == ".onnx":
        return OnnxModel(folder)
    is_head = (folder / FOLDER.index).is_file()
    return load_head(folder) if is_head else bundles.load(folder)


def predictor_of(
    model: Bundle | Ensemble | OnnxModel, *, accelerator: str = "auto"
) -> Predictor | ExportedPredictor:
    """Return what answers services and streams with a model; raises as its class does."""
    if isinstance(model, OnnxModel):
        return ExportedPredictor(model, accelerator=accelerator)
    return Predictor(model, accelerator=accelerator)


def recordings_model(folder: str | Path, *, purpose: str) -> Bundle | Ensemble | OnnxModel:
    """Load a model that classifies recordings: no head on embeddings, and none without labels.

    Parameters
    ----------
    folder : path
    purpose : str
        What a message says that others cannot be: "served".

    Raises
    ------
    BundleError
        If there is none, or another one.
    """
    model = load_model(folder)
    if isinstance(model, VectorHead) or not model.labels:
        raise BundleError(
            f"the model {folder} cannot be {purpose}",
            expected="a classifier of recordings, as `anymic train` or `anymic export` writes it",
            fix="pass its folder or file; `anymic predict` uses heads on embeddings",
        )
    return model


def predict_files(
    model: Bundle | Ensemble | VectorHead | OnnxModel,
    places: Sequence[str | Path],
    *,
    device: str | None = None,
    together: bool = False,
    min_confidence: float = 0.0,
    **settings: Any,
) -> tuple[int, Iterator[Prediction | Failure]]:
    """Return the number of results, and an iterator over them.

    `places` are as for `find_files`; for a head, .npz files of embeddings, with one result for each
    clip. `device` and `together` are as for `Predictor.predict_many`, but not for a head; the other
    settings are those of `Predictor`.
    """
    if isinstance(model, VectorHead):
        results: list[Prediction | Failure] = []
        for place in places:
            try:
                vectors = read_vectors(place, labelled=False)
                results += model.answers(vectors, min_confidence=min_confidence)
            except Exception as error:
                results.append(Failure.of(place, error))
        return len(results), iter(results)
    if isinstance(model, OnnxModel):
        found = audio_files(places)
        files = [place for place in found if isinstance(place, Path)]
        done = predict_onnx(model, files, device=device, min_confidence=min_confidence)
        return len(found), (next(done) if isinstance(place, Path) else place for place in found)
    predictor = Predictor(model, min_confidence=min_confidence, **settings)
    found = audio_files(places)
    files = [place for place in found if isinstance(place, Path)]
    done = predictor.predict_many(files, devices=device, together=together)
    return len(found), (next(done) if isinstance(place, Path) else place for place in found)


def audio_files(places: Sequence[str | Path]) -> list[Path | Failure]:
    """Return what `find_files` does, with a Failure for each table of clips, which is no audio."""
    return [
        Failure(str(place), _TABLE)
        if isinstance(place, Path) and place.suffix.lower() in TABLE_ENDINGS and place.is_file()
        else place
        for place in find_files(places)
    ]
