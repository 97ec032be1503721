"""The routes of the service under /v1, and those for its operation."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import partial
from typing import Annotated

import anyio
from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from anymic.audio import DecodedFile
from anymic.inference.events import events_of
from anymic.inference.prediction_rows import as_mapping
from anymic.serving import documentation, schemas
from anymic.serving.corrections import corrected_wav
from anymic.serving.served import ServedModel, Service
from anymic.serving.uploads import Received, Upload, received

router = APIRouter()


def service_of(request: Request) -> Service:
    """Return the service of an application."""
    found: Service = request.app.state.service
    return found


TheService = Annotated[Service, Depends(service_of)]
TheRequest = Annotated[Received, Depends(received)]


@asynccontextmanager
async def held_for(
    model: ServedModel, service: Service, upload: Upload
) -> AsyncIterator[DecodedFile]:
    """Decode a recording as a model expects it; raises as `Decoders.decoded`."""
    contract = model.bundle.contract
    async with service.decoders.decoded(
        str(upload.path),
        name=upload.name,
        rate_hz=contract.rate_hz,
        channel=contract.channel,
        window_s=contract.hop_samples / contract.rate_hz,
    ) as found:
        yield found


@router.post(
    "/v1/predict",
    operation_id="predict",
    responses=documentation.responses(schemas.Predicted, documentation.PREDICTED),
    openapi_extra=schemas.documented_body(schemas.PredictFields),
)
async def predict(service: TheService, request: TheRequest) -> JSONResponse:
    """Classify a recording, of any format that `anymic predict` reads."""
    fields = request.fields(schemas.PredictFields)
    model, upload = service.model(fields.model), request.one()
    with model.batcher.expected():
        async with held_for(model, service, upload) as decoded:
            found = await model.batcher.predict(decoded, fields.device or None)
    row = {"model": model.name, **as_mapping(found, windows=fields.windows, top=fields.top)}
    if fields.events:
        events = events_of(found, length_s=model.bundle.contract.clip_s)
        row["events"] = [asdict(event) for event in events]
    return JSONResponse(row)


@router.post(
    "/v1/correct",
    operation_id="correct",
    response_class=Response,
    responses={
        200: {
            "description": "A WAV file of 32-bit floats; the header Anymic-Notes has the notes",
            "content": {"audio/wav": {"schema": {"type": "string", "format": "binary"}}},
        },
        **documentation.refused(),
    },
    openapi_extra=schemas.documented_body(schemas.CorrectFields),
)
async def correct(service: TheService, request: TheRequest) -> Response:
    """Correct a recording towards the reference device, with the gains of the model's profile.

    It has the rate of the model. The level changes by the gains, and nothing is clipped.
    """
    fields = request.fields(schemas.CorrectFields)
    model, upload = service.model(fields.model), request.one()
    async with held_for(model, service, upload) as decoded:
        work = partial(corrected_wav, model.trained.bundle, decoded, fields.device, fields.gain_db)
        data, notes = await anyio.to_thread.run_sync(work, limiter=service.workers)
    headers = {"Anymic-Notes": json.dumps(notes)}
    return Response(data, media_type="audio/wav", headers=headers)


@router.get(
    "/v1/models",
    operation_id="models",
    responses=documentation.responses(
        schemas.Models, {"models": [documentation.FACTS]}, (401, 403, 421, 429, 503)
    ),
)
async def models(service: TheService) -> JSONResponse:
    """List the models."""
    return JSONResponse({"models": [model.facts() for model in service.models.values()]})


@router.get(
    "/v1/devices",
    operation_id="devices",
    responses=documentation.responses(
        schemas.Devices, documentation.DEVICES, documentation.BY_MODEL
    ),
)
async def devices(service: TheService, model: str | None = None) -> JSONResponse:
    """List the devices of a model, by default of the first one."""
    return JSONResponse(service.model(model).device_facts())


@router.get(
    "/healthz",
    operation_id="health",
    responses=documentation.responses(
        schemas.Health, {"status": "ok", "models": 1, "decoders": 2}, (421,)
    ),
)
async def healthz(service: TheService) -> JSONResponse:
    """Say that the service runs; no token is needed."""
    counts = {"models": len(service.models), "decoders": service.decoders.alive}
    return JSONResponse({"status": "ok", **counts})


@router.get("/metrics", operation_id="metrics", response_class=Response)
async def metrics(service: TheService) -> Response:
    """Return the counters, for Prometheus."""
    return Response(service.metrics.text(), media_type=service.metrics.content_type)
