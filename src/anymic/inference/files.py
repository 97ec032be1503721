"""Predict files, folders and patterns with a model, an ensemble or a head on embeddings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from anymic import bundle as bundles
from anymic.bundle import Bundle, Ensemble
from anymic.bundle.installed import resolve
from anymic.data.embeddings import read_vectors
from anymic.data.files import find_files
from anymic.errors import AudioError, BundleError, Failure
from anymic.inference.embedding_head import FOLDER, VectorHead, load_head
from anymic.inference.engine import Precision
from anymic.inference.exported_predictor import ExportedPredictor
from anymic.inference.onnx_model import OnnxModel
from anymic.inference.onnx_predictor import predict_onnx
from anymic.inference.prediction import Prediction
from anymic.inference.predictor import Predictor
from anymic.inference.requests import ClipRequest, request_of, share_device
from anymic.inference.resuming import Found, grouped
from anymic.inference.spreading import HERE, Spreading, settings_of

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
    spreading: Spreading = HERE,
    folder: str | Path = "",
    batch_size: int | None = None,
    accelerator: str = "auto",
) -> tuple[int, Iterator[Prediction | Failure]]:
    """Return the number of results, and an iterator over them, in order.

    Parameters
    ----------
    model
        What `load_model` returned.
    places : sequence of path
        As for `find_files`; for a head, .npz files of embeddings, with one result for each clip.
    device, together
        As for `Predictor.predict_many`; not for a head.
    min_confidence, batch_size, accelerator
        As for `Predictor`.
    spreading : Spreading
        Where the files are computed; not for a head.
    folder : path
        What `load_model` was given: each worker of `spreading` loads it.

    Raises
    ------
    BundleError
        If `together` is set for a model that does not estimate gains blindly.
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
    predictor = None
    loads = PredictionModel(str(folder), device, min_confidence, batch_size, accelerator)
    if not isinstance(model, OnnxModel):
        predictor = Predictor(
            model, batch_size=batch_size, accelerator=accelerator, min_confidence=min_confidence
        )
        loads = replace(loads, **settings_of(predictor.pipeline))
    found = audio_files(places)
    files = [place for place in found if isinstance(place, Path)]
    compute = spreading.over(loads, accelerator=accelerator)
    if compute is not None:
        requests = [request_of(file, device) for file in files]
        if together and predictor is not None:
            share_device(requests, predictor.bundle.contract.unknown_device)
            predictor.pipeline.gain_selector.share_gains(requests)
        done = _in_order(compute(grouped(requests)))
    elif predictor is not None:
        done = predictor.predict_many(files, devices=device, together=together)
    else:
        assert isinstance(model, OnnxModel)
        done = predict_onnx(model, files, device=device, min_confidence=min_confidence)
    return len(found), (next(done) if isinstance(place, Path) else place for place in found)


@dataclass(frozen=True)
class PredictionModel:
    """Loads a model in a worker; the parameters are those of `predict_files`."""

    folder: str
    device: str | None
    min_confidence: float
    batch_size: int | None
    accelerator: str
    precision: Precision = "auto"

    def __call__(self) -> Callable[[list[ClipRequest]], list[Prediction | Failure]]:
        """Return the function of the worker."""
        model = load_model(self.folder)
        if isinstance(model, OnnxModel):
            return partial(self._by_onnx, model)
        assert not isinstance(model, VectorHead)
        predictor = Predictor(
            model,
            batch_size=self.batch_size,
            precision=self.precision,
            accelerator=self.accelerator,
            min_confidence=self.min_confidence,
        )
        return lambda requests: list(predictor.answers(requests))

    def _by_onnx(self, model: OnnxModel, requests: list[ClipRequest]) -> list[Prediction | Failure]:
        files = [one.file for one in requests]
        least = self.min_confidence
        return list(predict_onnx(model, files, device=self.device, min_confidence=least))


def _in_order(found: Found[Prediction]) -> Iterator[Prediction | Failure]:
    """Yield the results of groups in the order of their numbers."""
    waiting: dict[int, list[Prediction | Failure]] = {}
    following = 0
    for number, results in found:
        waiting[number] = results
        while following in waiting:
            yield from waiting.pop(following)
            following += 1


def audio_files(places: Sequence[str | Path]) -> list[Path | Failure]:
    """Return what `find_files` does, with a Failure for each table of clips, which is no audio."""
    return [
        Failure(str(place), _TABLE)
        if isinstance(place, Path) and place.suffix.lower() in TABLE_ENDINGS and place.is_file()
        else place
        for place in find_files(places)
    ]
