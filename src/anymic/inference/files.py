"""Predict files, folders and patterns with a model, an ensemble or a head on embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from anymic import bundle as bundles
from anymic.bundle import Bundle, Ensemble
from anymic.data.embeddings import read_vectors
from anymic.data.files import find_files
from anymic.errors import AnymicError, Failure
from anymic.inference.embedding_head import VectorHead, is_head, load_head
from anymic.inference.prediction import Prediction
from anymic.inference.predictor import Predictor


def load_model(folder: str | Path) -> Bundle | Ensemble | VectorHead:
    """Load a model, an ensemble, or a head on embeddings.

    Raises
    ------
    BundleError
        If the folder has none of them, or an incomplete one.
    """
    return load_head(folder) if is_head(folder) else bundles.load(folder)


def predict_files(
    model: Bundle | Ensemble | VectorHead,
    places: Sequence[str | Path],
    *,
    device: str | None = None,
    together: bool = False,
    min_confidence: float = 0.0,
    **settings: Any,
) -> tuple[int, Iterator[Prediction | Failure]]:
    """Return the number of results, and an iterator over them.

    Parameters
    ----------
    model : Bundle, Ensemble or VectorHead
    places : sequence of path
        As for `find_files`; for a head, .npz files of embeddings, with one result for each clip.
    device, together
        As for `Predictor.predict_many`; not for a head.
    min_confidence, settings
        As for `Predictor`.
    """
    if isinstance(model, VectorHead):
        results = _of_embeddings(model, places, min_confidence)
        return len(results), iter(results)
    predictor = Predictor(model, min_confidence=min_confidence, **settings)
    found = find_files(places)
    return len(found), _of_audio(predictor, found, device, together)


def _of_audio(
    predictor: Predictor, found: Sequence[Path | Failure], device: str | None, together: bool
) -> Iterator[Prediction | Failure]:
    files = [place for place in found if isinstance(place, Path)]
    results = predictor.predict_many(files, devices=device, together=together)
    for place in found:
        yield next(results) if isinstance(place, Path) else place


def _of_embeddings(
    head: VectorHead, places: Sequence[str | Path], min_confidence: float
) -> list[Prediction | Failure]:
    found: list[Prediction | Failure] = []
    for place in places:
        try:
            vectors = read_vectors(place, labelled=False)
            found += head.answers(vectors, min_confidence=min_confidence)
        except AnymicError as error:
            found.append(Failure(str(place), str(error)))
    return found
