"""Load a bundle and classify files, clips and manifests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from anymic import bundle as bundles
from anymic._internal.frames import frame
from anymic.audio import Clip, DecodedFile
from anymic.bundle import Bundle, Ensemble
from anymic.data.manifest import Manifest
from anymic.errors import AnymicError, BundleError, DeviceError, Failure, counted, require_type
from anymic.features.feature_batches import Precision as StoredPrecision
from anymic.inference.answers import average, calibrate, calibrated_mean, thresholds_by_label
from anymic.inference.engine import Engine, Precision
from anymic.inference.events import Event, EventRules, events_of
from anymic.inference.pipeline import ClipPipeline
from anymic.inference.prediction import ManifestPredictions, Prediction, require_share
from anymic.inference.requests import (
    ClipRequest,
    as_sources,
    manifest_requests,
    request_of,
    requests_of,
    share_device,
)
from anymic.inference.stored_features import predict_stored
from anymic.inference.stretch_rows import notes_of, stretches_of
from anymic.inference.windowing import End


def load(
    path: str | Path,
    *,
    batch_size: int | None = None,
    precision: Precision = "auto",
    accelerator: str = "auto",
    min_confidence: float = 0.0,
) -> Predictor:
    """Load a bundle for prediction: `anymic.load("run").predict("clip.wav")`.

    Parameters
    ----------
    path : path
        The folder of a model or an ensemble.
    batch_size, precision, accelerator, min_confidence
        As for `Predictor`.

    Returns
    -------
    Predictor
        With the model in memory, ready to classify.

    Raises
    ------
    BundleError
        If the folder has no bundle, or an incomplete one.

    Examples
    --------
    >>> import anymic
    >>> anymic.load("run").labels
    ('bus', 'park', 'street_traffic')
    """
    return Predictor(
        bundles.load(path),
        batch_size=batch_size,
        precision=precision,
        accelerator=accelerator,
        min_confidence=min_confidence,
    )


class Predictor:
    """Classifies files and clips with a bundle.

    The bundle's contract (`InputContract`) defines how rate, channels and length of a clip are
    converted or refused; a longer clip is cut into windows (`anymic.inference.windowing.cut`)
    whose probabilities are averaged. `Prediction.notes` lists what was done.

    A clip is corrected with the gains of its device, which is stated or identified; the contract's
    `unknown_device` applies to other devices (`anymic.inference.device_policy`). The probabilities
    are those of a vote, a mean over windows and a calibrator (`anymic.inference.answers`).

    Parameters
    ----------
    bundle : Bundle or Ensemble
        The model; it is not changed.
    batch_size : int, optional
        Windows in one pass of the network, of one or several files; by default 4 to 32, more if
        they are small.
    precision : {"auto", "float32", "bfloat16"}
        "auto" is the format in which this machine predicts faster: see docs/speed.md.
    accelerator : str
        A torch device such as "cpu" or "cuda"; "auto" is a GPU if there is one.
    min_confidence : float
        `Prediction.answer` is None if the best label's probability is below this. With several
        labels a clip, labels below it are not named.

    Raises
    ------
    BundleError
        If the bundle's clips are too short for its network, or there is no such accelerator.
    ConfigError
        If `min_confidence` is not a probability.

    Notes
    -----
    It makes the C library keep freed memory for the next batch (`machine.keep_memory`).

    Examples
    --------
    >>> import anymic
    >>> predictor = anymic.load("run")
    >>> predictor.predict("clip.wav", device="B").label in predictor.labels
    True
    >>> len(list(predictor.predict_many(["clip.wav", "new.wav"], devices="B")))
    2
    """

    def __init__(
        self,
        bundle: Bundle | Ensemble,
        *,
        batch_size: int | None = None,
        precision: Precision = "auto",
        accelerator: str = "auto",
        min_confidence: float = 0.0,
    ) -> None:
        self.min_confidence = require_share(min_confidence, "min_confidence")
        self.bundle = bundle
        self.engine = Engine(bundle, precision=precision, accelerator=accelerator)
        self.pipeline = ClipPipeline(
            bundle, self.engine, self.engine.classify, batch_size=batch_size
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of probabilities."""
        return self.bundle.labels

    def predict(
        self,
        source: str | Path | Clip | ArrayLike,
        *,
        rate_hz: int | None = None,
        device: str | None = None,
    ) -> Prediction:
        """Classify one file, one clip, or an array of samples.

        Parameters
        ----------
        source : path, Clip, or array (sample,)
            Samples are floating numbers with full scale 1.
        rate_hz : int, optional
            The rate of an array of samples, in Hz; required for an array, and only for it.
        device : str, optional
            The device that recorded it.

        Returns
        -------
        Prediction
            The label and its probability (0 to 1), the probabilities (label,) of the whole
            recording and (window, label) of its windows, and what was done to the input.

        Raises
        ------
        AudioError
            If it is not one clip, cannot be read, is silent, holds NaN, or the contract refuses it.
        DeviceError
            If the contract refuses clips of unknown devices.
        """
        self._require_labels()
        request = next(self.pipeline.run([request_of(source, device, rate_hz=rate_hz)]))
        outcome = self._outcome(request)
        if isinstance(outcome, AnymicError):
            raise outcome
        return outcome

    def predict_many(
        self,
        sources: Iterable[str | Path | Clip | ArrayLike],
        *,
        rate_hz: int | None = None,
        devices: str | Sequence[str | None] | None = None,
        together: bool = False,
    ) -> Iterator[Prediction | Failure]:
        """Yield one result for each clip, in order; a file that cannot be used is a Failure.

        Parameters
        ----------
        sources : iterable of path, Clip, or array (sample,)
        rate_hz : int, optional
            The rate of arrays of samples, in Hz; required for arrays, and only for them.
        devices : str, or sequence of str or None, optional
            The device that recorded all of them, or each of them.
        together : bool
            Whether all clips of unknown device are recordings of one device, or of one for each
            name: blind gains are then estimated from all of them.

        Returns
        -------
        iterator of Prediction or Failure
            One for each source, in their order. Sources are read as results are asked for.

        Raises
        ------
        AudioError
            If a source is neither a file, a clip nor an array with a rate.
        DeviceError
            If the number of devices is not that of the clips.
        BundleError
            If `together` is set for a model that does not estimate gains blindly.
        """
        outcomes = self.outcomes(sources, rate_hz=rate_hz, devices=devices, together=together)
        for path, outcome in outcomes:
            yield Failure(path, str(outcome)) if isinstance(outcome, AnymicError) else outcome

    def outcomes(
        self,
        sources: Iterable[str | Path | Clip | DecodedFile | ArrayLike],
        *,
        rate_hz: int | None = None,
        devices: str | Sequence[str | None] | None = None,
        together: bool = False,
    ) -> Iterator[tuple[str, Prediction | AnymicError]]:
        """Yield the path and the result of each clip, or its error, in order.

        As `predict_many`, for callers that need the parts of an error.

        Parameters
        ----------
        sources, rate_hz, devices, together
            As for `predict_many`.

        Returns
        -------
        iterator of (str, Prediction or AnymicError)

        Raises
        ------
        AudioError, DeviceError, BundleError
            As `predict_many`.
        """
        self._require_labels()
        listed = as_sources(sources)
        if devices is None or isinstance(devices, str):
            devices = [devices] * len(listed)
        if len(devices) != len(listed):
            raise DeviceError(
                f"{counted(len(devices), 'device')} for {counted(len(listed), 'clip')}",
                expected="one for all, or one for each clip",
                fix="pass None for a clip whose device is not known",
            )
        requests = requests_of(listed, devices, rate_hz=rate_hz)
        if together:
            share_device(requests, self.bundle.contract.unknown_device)
        for request in self.pipeline.run(requests):
            yield request.path, self._outcome(request)

    def answers(self, requests: Iterable[ClipRequest]) -> Iterator[Prediction | Failure]:
        """Yield the result of each request, in order; gains are shared by whoever made them.

        Parameters
        ----------
        requests : iterable of ClipRequest

        Returns
        -------
        iterator of Prediction or Failure
        """
        for request in self.pipeline.run(iter(requests), alike=True):
            found = self._outcome(request)
            yield Failure(request.path, str(found)) if isinstance(found, AnymicError) else found

    def predict_manifest(
        self,
        manifest: Manifest,
        *,
        cache: str | Path | None = None,
        cache_dtype: StoredPrecision = "float32",
        progress: Callable[[int], None] | None = None,
    ) -> ManifestPredictions:
        """Classify every clip of a manifest; its `device` column states the devices.

        Blind gains are estimated from all rows of an unknown device together, and separately for
        each row without a device. A row with `start_s` is that part of its file, of `duration_s`
        (without it, of the model's clip length or to the file's end); a row without is the whole
        file.

        Parameters
        ----------
        manifest : Manifest
            The clips; their labels are not used.
        cache : path, optional
            A folder where features are kept (`anymic.features.feature_store`), for clips that are
            classified repeatedly. Files must then have the model's rate and be no longer than its
            clips; channels are mixed down by mean, and silent clips are classified. Features of
            clips whose device is identified or that have blind gains are not kept.
        cache_dtype : {"float32", "float16"}
            With float32 the probabilities are those without a cache; float16 takes half the space,
            and probabilities may differ by 0.003.
        progress : callable, optional
            Called with the number of clips done since the last call.

        Returns
        -------
        anymic.inference.prediction.ManifestPredictions
            `probabilities` (clip, label), float64, 0 to 1, of the clips that could be used, and
            `rows` (clip,), the row of the manifest of each.

        Raises
        ------
        ManifestError
            If it is not a Manifest.
        """
        self._require_labels()
        requests = manifest_requests(manifest, self.bundle.contract.clip_s)
        found: dict[int, NDArray[np.float64]] = {}
        failures: list[Failure] = []
        cached: list[int] = []
        if cache is not None and not self._refuses_narrow:
            cached = [row for row, one in enumerate(requests) if self.pipeline.knows_gains(one)]
        if cache is not None and cached:
            kept = predict_stored(
                self.pipeline,
                manifest.rows(cached),
                Path(cache),
                dtype=cache_dtype,
                progress=progress,
            )
            rows = (cached[row] for row in kept.rows.tolist())
            found.update(zip(rows, kept.probabilities, strict=True))
            failures += kept.failures
        others = sorted(set(range(len(requests))) - set(cached))
        done = self.pipeline.run([requests[row] for row in others])
        for row, request in zip(others, done, strict=True):
            if request.failed is None:
                found[row] = average(request.windows)
            else:
                failures.append(Failure(request.path, str(request.failed)))
            if progress is not None:
                progress(1)
        order = sorted(found)
        devices = tuple(requests[row].device for row in order)
        clips = np.array([found[row] for row in order]).reshape(-1, len(self.labels))
        return ManifestPredictions(
            calibrate(clips, self.bundle.calibration, devices),
            np.array(order, dtype=np.int64),
            tuple(failures),
            devices,
            tuple(requests[row].policy for row in order),
        )

    def events(
        self,
        source: str | Path | Clip | ArrayLike,
        *,
        rate_hz: int | None = None,
        device: str | None = None,
        rules: EventRules | None = None,
    ) -> pd.DataFrame:
        """Return the events of a recording: start_s, end_s, label and probability.

        Parameters
        ----------
        source, rate_hz, device
            As for `predict`, which also lists what is raised.
        rules : EventRules, optional
            How windows become events (`anymic.inference.events`).

        Returns
        -------
        pandas.DataFrame
            An event in each row, in order of time: `start_s` and `end_s` in seconds, `label`, and
            `probability` from 0 to 1. Empty where there is no event.

        Examples
        --------
        >>> import anymic
        >>> events = anymic.load("run").events("night.flac")
        >>> list(events.columns)
        ['start_s', 'end_s', 'label', 'probability']
        >>> bool((events["start_s"] < events["end_s"]).all())
        True
        """
        wanted = "EventRules, such as anymic.EventRules(threshold=0.6)"
        require_type(rules, (EventRules, type(None)), "the argument rules", expected=wanted)
        prediction = self.predict(source, rate_hz=rate_hz, device=device)
        length_s = self.bundle.contract.clip_s
        found = events_of(prediction, length_s=length_s, rules=rules or EventRules())
        return frame(found, columns=[one.name for one in fields(Event)])

    @property
    def _refuses_narrow(self) -> bool:
        """Whether a clip has to be read to know whether it is refused."""
        contract = self.bundle.contract
        return contract.least_bandwidth_hz is not None and contract.narrower == "refuse"

    def _require_labels(self) -> None:
        if not self.labels:
            raise BundleError(
                "the model has no labels and only calculates embeddings",
                expected="a classifier",
                fix="use Embedder, or train a head on its embeddings",
            )

    def _outcome(self, request: ClipRequest) -> Prediction | AnymicError:
        if request.failed is not None:
            return request.failed
        assert isinstance(request.end, End)
        calibration = self.bundle.calibration
        condition = request.end.condition
        found = request.identification
        each = np.array(request.windows)
        every = request.window_devices()
        own = calibrated_mean(each, calibration, every)
        stretches = stretches_of(request)
        best = int(own.argmax())
        return Prediction(
            path=request.path,
            label=self.labels[best],
            probability=float(own[best]),
            probabilities=dict(zip(self.labels, own.tolist(), strict=True)),
            device=request.device,
            device_from=request.device_from,
            device_policy=request.policy,
            windows=len(each),
            start_s=request.end.start_s,
            duration_s=request.end.duration_s,
            notes=notes_of(request, self.bundle, stretches),
            window_starts_s=tuple(request.starts_s),
            window_probabilities=calibrate(each, calibration, every),
            device_probability=found.probability if found else None,
            bandwidth_hz=float(round(condition.bandwidth_hz)) if condition else None,
            min_confidence=self.min_confidence,
            thresholds=thresholds_by_label(self.bundle),
            stretches=stretches,
        )
