"""The routes that only the page of the service uses."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

import anyio
from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import Field

from anymic.audio import Clip
from anymic.bundle import Bundle, Ensemble
from anymic.codecs import Codec
from anymic.errors import AnymicError, as_anymic_error
from anymic.inference.prediction_rows import as_mapping
from anymic.serving.comparing import codecs, coded, corrected
from anymic.serving.pictures import features
from anymic.serving.profiling import predict_with, profile_of, stem
from anymic.serving.refusals import Refusal
from anymic.serving.routes import TheRequest, TheService, held_for
from anymic.serving.schemas import SoundFields
from anymic.serving.served import Service
from anymic.serving.uploads import Received, Upload

router = APIRouter(prefix="/v1/page")
Result = TypeVar("Result")
MOST_SAMPLES = 60_000_000  # of all takes of a device: 240 MB
MOST_PROFILE_BYTES = 4_000_000


class CodecFields(SoundFields):
    """The fields of `POST /v1/page/codec`."""

    codec: str
    kbps: float | None = None


class DeviceFields(SoundFields):
    """The fields of requests about a device."""

    device: str | None = Field(None, max_length=100)


async def computed(service: Service, function: Callable[[], Result]) -> Result:
    """Return what a function returns, which runs in one of the threads for such work."""

    def run() -> Result:
        try:
            return function()
        except Exception as error:
            raise as_anymic_error(error) from error

    return await anyio.to_thread.run_sync(run, limiter=service.workers)


@router.post("/features")
async def page_features(service: TheService, request: TheRequest) -> JSONResponse:
    """Return the waveform, the spectrogram and the bandwidth of a recording."""
    fields = request.fields(SoundFields)
    model, upload = service.model(fields.model), request.one()
    channel, rate_hz = model.bundle.contract.channel, model.bundle.contract.rate_hz
    path, name = str(upload.path), upload.name
    async with service.decoders.decoded(path, name=name, channel=channel) as decoded:
        return JSONResponse(await computed(service, partial(features, decoded, rate_hz)))


@router.get("/codecs")
async def page_codecs(service: TheService) -> JSONResponse:
    """List the codecs."""
    return JSONResponse({"codecs": await computed(service, codecs)})


@router.post("/codec")
async def page_codec(service: TheService, request: TheRequest) -> JSONResponse:
    """Pass a recording through a codec."""
    fields = request.fields(CodecFields)
    model, upload = service.model(fields.model), request.one()
    codec = Codec(fields.codec, kbps=fields.kbps)
    channel = model.bundle.contract.channel
    path, name = str(upload.path), upload.name
    async with service.decoders.decoded(path, name=name, channel=channel) as decoded:
        return JSONResponse(await computed(service, partial(coded, decoded, codec)))


@router.post("/correct")
async def page_correct(service: TheService, request: TheRequest) -> JSONResponse:
    """Return a recording before and after correction, and the gains of its device."""
    fields = request.fields(DeviceFields)
    model, upload = service.model(fields.model), request.one()
    async with held_for(model, service, upload) as decoded:
        work = partial(corrected, model.trained, fields.device, decoded)
        return JSONResponse(await computed(service, work))


@router.post("/profile")
async def page_profile(service: TheService, request: TheRequest) -> JSONResponse:
    """Estimate the gains of a new device from takes with the reference."""
    fields = request.fields(DeviceFields)
    bundle = service.model(fields.model).trained.bundle
    if not fields.device:
        raise _refused("the new device has no name", "a name for it, such as phone", "enter it")
    async with service.profiles:
        return JSONResponse(await _profile(service, bundle, fields.device, request))


async def _profile(
    service: Service, bundle: Bundle | Ensemble, device: str, request: Received
) -> dict[str, Any]:
    """Return what `profile_of` returns for the takes of a request, with all failures."""
    takes, failures = await _decoded_takes(service, request.files.get("takes", []))
    others, more = await _decoded_takes(service, request.files.get("reference", []))
    if not (takes and others):
        what = "the new device" if not takes else "the reference"
        reasons = "; ".join(one["reason"] for one in [*failures, *more][:3])
        raise _refused(
            f"there is no recording of {what} that can be used" + f" ({reasons})" * bool(reasons),
            "recordings of the same sounds by both devices",
            "add recordings of both",
        )
    found = await computed(service, partial(profile_of, bundle, device, takes, others))
    return {**found, "failures": [*failures, *more, *found["failures"]]}


async def _decoded_takes(
    service: Service, uploads: list[Upload]
) -> tuple[dict[str, Clip], list[dict[str, str]]]:
    """Return the recordings by name, and those that cannot be used, with the reason."""
    clips: dict[str, Clip] = {}
    failures: list[dict[str, str]] = []
    for upload in uploads:
        try:
            if stem(upload.name) in clips:
                raise _refused(
                    f"there are two recordings of the name {stem(upload.name)}",
                    "one recording of a sound",
                    "leave one out",
                )
            async with service.decoders.decoded(str(upload.path), name=upload.name) as decoded:
                clip = decoded.clip()
            if len(clip.samples) + sum(len(one.samples) for one in clips.values()) > MOST_SAMPLES:
                raise _refused(
                    "all recordings together are too long for the page",
                    f"at most {MOST_SAMPLES / 44100 / 60:.0f} minutes of each device",
                    "use `anymic devices profile`",
                )
            clips[stem(upload.name)] = clip
        except AnymicError as error:
            failures.append({"path": upload.name, "reason": str(error)})
    return clips, failures


@router.post("/try")
async def page_try(service: TheService, request: TheRequest) -> JSONResponse:
    """Classify a recording with a model alone, and with a profile in addition."""
    fields = request.fields(DeviceFields)
    model, upload, profile = service.model(fields.model), *_two(request)
    async with held_for(model, service, upload) as decoded:
        with model.batcher.expected():
            before = await model.batcher.predict(decoded, None)
        predict = partial(predict_with, model.trained, profile.path, fields.device, decoded)
        after = await computed(service, predict)
    rows: dict[str, Any] = {
        name: as_mapping(found, top=5) for name, found in (("without", before), ("with", after))
    }
    return JSONResponse(rows)


def _two(request: Received) -> tuple[Upload, Upload]:
    """Return the only recording and the only profile of a request."""
    files = [request.files.get(name, []) for name in ("file", "profile")]
    if [len(one) for one in files] != [1, 1]:
        raise _refused(
            "the request has no recording or no profile",
            "one recording in the field file, one profile in the field profile",
            "send both in a form",
        )
    ((recording,), (profile,)) = files
    if profile.path.stat().st_size > MOST_PROFILE_BYTES:
        raise _refused(
            f"the profile has more than {MOST_PROFILE_BYTES / 1e6:g} MB",
            "a file that the page or `anymic devices profile` wrote",
            "choose another file",
        )
    return recording, profile


def _refused(problem: str, expected: str, fix: str) -> Refusal:
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, problem, expected=expected, fix=fix)
