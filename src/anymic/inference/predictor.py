"""From files to predictions: load a bundle, hear, answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from anymic import bundle as bundles
from anymic._internal.threads import read_ahead
from anymic.audio import Clip
from anymic.bundle import Bundle, Ensemble
from anymic.data.manifest import Manifest
from anymic.errors import AnymicError, AudioError, BundleError, DeviceError, Failure
from anymic.inference.cached import compute, predict_stored
from anymic.inference.device_policy import Router
from anymic.inference.engine import Inference, Precision
from anymic.inference.prediction import ManifestPredictions, Prediction, require_share
from anymic.inference.requests import Batch, Job, job_of, manifest_jobs
from anymic.inference.windowing import End, Window

BATCH_VALUES = 250_000  # of features: on a processor, what a core works on at once
MOST_WINDOWS = 32  # in a batch, and on a GPU in each


def load(
    path: str | Path,
    *,
    precision: Precision = "auto",
    accelerator: str = "auto",
    min_confidence: float = 0.0,
) -> Predictor:
    """Load a bundle for prediction: `anymic.load("run").predict("clip.wav")`.

    Parameters
    ----------
    path : path
        The folder of a model or an ensemble.
    precision, accelerator, min_confidence
        As for `Predictor`.

    Raises
    ------
    BundleError
        If it is no bundle, or not a whole one.
    """
    return Predictor(
        bundles.load(path),
        precision=precision,
        accelerator=accelerator,
        min_confidence=min_confidence,
    )


class Predictor:
    """Hears files and clips with a bundle.

    What goes in follows the bundle's contract (`InputContract`): another rate is resampled or
    refused, channels become one by the named rule, what is longer than the model's clips is cut
    into windows (`anymic.inference.windowing.cut`) whose probabilities are averaged, what is
    shorter is padded, repeated or refused. What was done is in `Prediction.notes`.

    A clip whose device the model has a profile of is corrected by it. Where no device is stated,
    the model's identifier names it, if it has one (`anymic.inference.device_policy`). A device that
    is not known then, or not in the profile, takes the contract's `unknown_device`: it is heard as
    it is ("identity"), with gains estimated from the recording ("blind"), or refused.

    A model that was calibrated (`anymic.training.calibrating`) gives calibrated probabilities:
    windows are averaged first, members of an ensemble vote first, and the result is calibrated as
    the clip's device asks, stated or identified; as all devices together ask where it has no
    calibrator of its own.

    Parameters
    ----------
    bundle : Bundle or Ensemble
        The model; it is not changed.
    batch_size : int, optional
        Windows in one pass of the network, of one or several files; by default 4 to 32, the more
        the smaller they are.
    precision : {"auto", "float32", "bfloat16"}
        "auto" is bfloat16 where the processor multiplies it natively, else float32.
    accelerator : str
        A torch device such as "cpu" or "cuda"; "auto" is a GPU where there is one.
    min_confidence : float
        The probability below which the model is not sure: `Prediction.answer` is None then.

    Raises
    ------
    BundleError
        If the bundle's clips are too short for its network, or there is no such accelerator.
    ConfigError
        If `min_confidence` is no probability.

    Notes
    -----
    Making one asks the C library to keep freed memory for the next batch (`machine.keep_memory`).
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
        self.model = Inference(bundle, precision=precision, accelerator=accelerator)
        self.router = Router(bundle, self.model)
        self.batch_size = batch_size or self._fitting_batch()

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
        """Hear one file, one clip, or an array of samples.

        Parameters
        ----------
        source : path, Clip, or array (sample,)
            What to hear; samples are floating numbers with full scale 1.
        rate_hz : int, optional
            The rate of an array of samples; only they need it.
        device : str, optional
            What it was recorded with.

        Raises
        ------
        AudioError
            If it cannot be read, is silent, holds NaN, or the contract refuses it.
        DeviceError
            If the contract refuses clips of unknown devices.
        """
        self._require_labels()
        job = next(self._run([job_of(_as_source(source, rate_hz), device)]))
        outcome = self._outcome(job)
        if isinstance(outcome, AnymicError):
            raise outcome
        return outcome

    def predict_many(
        self,
        sources: Iterable[str | Path | Clip],
        *,
        devices: str | Sequence[str | None] | None = None,
        together: bool = False,
    ) -> Iterator[Prediction | Failure]:
        """Hear many files, one result each, in their order; a bad one becomes a Failure.

        Files are read ahead in two threads while the network works, and the windows of
        neighbouring files share its batches.

        Parameters
        ----------
        sources : iterable of path or Clip
            What to hear.
        devices : str, or sequence of str or None, optional
            What all of them, or each of them, were recorded with.
        together : bool
            Clips of unknown device are recordings of one device (of one each, where unknown
            devices are named): blind gains are estimated from all of them.

        Raises
        ------
        DeviceError
            If the number of devices is not that of the clips.
        BundleError
            If `together` is asked of a model that does not estimate gains blindly.
        """
        self._require_labels()
        sources = list(sources)
        if devices is None or isinstance(devices, str):
            devices = [devices] * len(sources)
        if len(devices) != len(sources):
            raise DeviceError(
                f"{len(devices)} devices for {len(sources)} clips",
                expected="one for all or one each",
                fix="pass None for a clip whose device is not known",
            )
        jobs = [job_of(source, device) for source, device in zip(sources, devices, strict=True)]
        if together:
            self._gather(jobs)
        for job in self._run(jobs):
            outcome = self._outcome(job)
            yield Failure(job.path, str(outcome)) if isinstance(outcome, AnymicError) else outcome

    def _gather(self, jobs: Sequence[Job]) -> None:
        """Make one batch of all clips that may be of one unknown device."""
        if self.bundle.contract.unknown_device != "blind":
            raise BundleError(
                f"together with unknown_device {self.bundle.contract.unknown_device!r}",
                expected="a model that estimates gains blindly",
                fix="anymic devices policy MODEL --unknown blind --data TRAINING_MANIFEST",
            )
        for job in jobs:
            job.batch = job.device or ""

    def predict_manifest(
        self,
        manifest: Manifest,
        *,
        cache: str | Path | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> ManifestPredictions:
        """Hear every clip of a manifest; its `device` column says what each was recorded with.

        Where the contract says "blind", all rows of one unknown device share the gains that are
        estimated from all of them; rows without a device are each by themselves.

        A row with `start_s` is that stretch of its file, `duration_s` (or the model's clip length)
        long; a row without is the whole file.

        Parameters
        ----------
        manifest : Manifest
            The clips; their labels are not looked at.
        cache : path, optional
            A folder where features are kept (`anymic.features.feature_store`), for clips that are
            heard again and again. Files must then have the model's rate and be no longer than its
            clips, channels are mixed down by mean, and silence is heard. Clips that have to be
            listened to first (identified, or blind gains) are not kept.
        progress : callable, optional
            Told the number of clips done since the last call.
        """
        self._require_labels()
        jobs = manifest_jobs(manifest, self.bundle.contract.clip_s)
        entries: list[tuple[int, NDArray[np.float64]]] = []
        failures: list[Failure] = []
        stored = [row for row, job in enumerate(jobs) if cache is not None and self._settled(job)]
        if cache is not None and stored:
            found = predict_stored(
                self.model,
                self.bundle.contract,
                manifest.rows(stored),
                Path(cache),
                batch_size=self.batch_size,
                progress=progress,
            )
            rows = [stored[row] for row in found.rows.tolist()]
            entries += zip(rows, found.probabilities, strict=True)
            failures += found.failures
        others = sorted(set(range(len(jobs))) - set(stored))
        for row, job in zip(others, self._run([jobs[row] for row in others]), strict=True):
            if job.failed is None:
                entries.append((row, np.mean(job.probabilities, axis=0)))
            else:
                failures.append(Failure(job.path, str(job.failed)))
            if progress is not None:
                progress(1)
        entries.sort(key=lambda entry: entry[0])
        heard = [jobs[row] for row, _ in entries]
        mean = np.array([each for _, each in entries]).reshape(-1, len(self.labels))
        return ManifestPredictions(
            self._calibrated(mean, [job.device for job in heard]),
            np.array([row for row, _ in entries], dtype=np.int64),
            tuple(failures),
            tuple(job.device for job in heard),
            tuple(job.policy for job in heard),
        )

    def _require_labels(self) -> None:
        if not self.labels:
            raise BundleError(
                "a model without labels, which only embeds",
                expected="a classifier",
                fix="use anymic embed, or train a head on its embeddings",
            )

    def _settled(self, job: Job) -> bool:
        """Say whether it is known without listening what the clip is heard with."""
        try:
            return self.router.decide(job)
        except DeviceError:
            return False  # and it fails with it when it is heard

    def _fitting_batch(self) -> int:
        if self.model.place.type != "cpu":
            return MOST_WINDOWS
        config, contract = self.model.frontends[0].config, self.bundle.contract
        values = config.bands * config.frames(round(contract.clip_s * contract.rate_hz))
        return min(max(BATCH_VALUES // values, 4), MOST_WINDOWS)

    def _run(self, jobs: Sequence[Job]) -> Iterator[Job]:
        """Hear every job; yield each when it is done, in order."""
        self.router.settle(jobs)
        unfinished: deque[Job] = deque()
        for batch in compute(self.model, self._hear, self._batches(jobs, unfinished)):
            batch.deliver()
            while unfinished and unfinished[0].done:
                yield unfinished.popleft()
        yield from unfinished

    def _batches(self, jobs: Iterable[Job], unfinished: deque[Job]) -> Iterator[Batch]:
        """Gather windows into batches, and note each job that has begun."""
        batch = Batch()
        for job, item in read_ahead(jobs, self.router.items):
            if not unfinished or unfinished[-1] is not job:
                unfinished.append(job)
            if isinstance(item, Window):
                job.starts_s.append(item.start_s)
                batch.jobs.append(job)
                batch.windows.append(item)
            else:
                job.end = item
            if len(batch.jobs) == self.batch_size:
                yield batch
                batch = Batch()
        if batch.jobs:
            yield batch

    def _hear(self, batch: Batch) -> Batch:
        """Run the network over a batch of windows; several threads may do so at once."""
        samples = torch.from_numpy(np.stack([window.samples for window in batch.windows]))
        as_it_is = self.model.profile_treatment(None)  # for the silence before the first sound
        treatments = [job.treatment or as_it_is for job in batch.jobs]
        features = self.model.features(samples, treatments)
        batch.finite = self.model.finite(features)
        batch.probabilities = self.model.classify(features)
        return batch

    def _outcome(self, job: Job) -> Prediction | AnymicError:
        if job.failed is not None:
            return job.failed
        assert isinstance(job.end, End)
        each = np.array(job.probabilities)
        mean = self._calibrated(each.mean(axis=0, keepdims=True), [job.device])[0]
        best = int(mean.argmax())
        return Prediction(
            path=job.path,
            label=self.labels[best],
            probability=float(mean[best]),
            probabilities=dict(zip(self.labels, mean.tolist(), strict=True)),
            device=job.device,
            device_from=job.device_from,
            device_policy=job.policy,
            windows=len(each),
            start_s=job.end.start_s,
            duration_s=job.end.duration_s,
            notes=job.end.notes,
            window_starts_s=tuple(job.starts_s),
            window_probabilities=self._calibrated(each, [job.device] * len(each)),
            device_probability=job.identification.probability if job.identification else None,
            min_confidence=self.min_confidence,
        )

    def _calibrated(
        self, probabilities: NDArray[np.float64], devices: Sequence[str | None]
    ) -> NDArray[np.float64]:
        """Calibrate probabilities (clip, label), where the model is calibrated."""
        if self.bundle.calibration is None or not len(probabilities):
            return probabilities
        return self.bundle.calibration.transform(probabilities, devices)


def _as_source(source: str | Path | Clip | ArrayLike, rate_hz: int | None) -> str | Path | Clip:
    if isinstance(source, (str, Path, Clip)):
        if rate_hz is not None:
            raise AudioError(
                f"rate_hz={rate_hz} for {source if not isinstance(source, Clip) else 'a clip'}",
                expected="a rate with an array of samples only",
                fix="leave it out: a file or clip knows its own rate",
            )
        return source
    if rate_hz is None:
        raise AudioError(
            "samples without a rate", expected="rate_hz", fix="pass e.g. rate_hz=44100"
        )
    return Clip(np.asarray(source), rate_hz)
