"""The routes of the service under /v1, and those for its operation."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from anymic.audio import DecodedFile
from anymic.inference.prediction_rows import as_mapping
from anymic.serving.schemas import PredictFields
from anymic.serving.served import ServedModel, Service
from anymic.serving.uploads import Received, Upload, received

router = APIRouter()


def service_of(request: Request) -> Service:
    """Return the service of an application."""
    found: Service = request.app.state.service
    return found


TheService = Annotated[Service, Depends(service_of)]
TheRequest = Annotated[Received, Depends(received)]


async def decoded_for(model: ServedModel, service: Service, upload: Upload) -> DecodedFile:
    """Decode a recording as a model expects it; raises as `Decoders.decode`."""
    contract = model.bundle.contract
    return await service.decoders.decode(
        str(upload.path),
        name=upload.name,
        rate_hz=contract.rate_hz,
        channel=contract.channel,
        window_s=contract.hop_samples / contract.rate_hz,
    )


@router.post("/v1/predict")
async def predict(service: TheService, request: TheRequest) -> JSONResponse:
    """Classify a recording."""
    fields = request.fields(PredictFields)
    model, upload = service.model(fields.model), request.one()
    with model.batcher.expected():
        decoded = await decoded_for(model, service, upload)
        found = await model.batcher.predict(decoded, fields.device or None)
    row = as_mapping(found, windows=fields.windows, top=fields.top)
    return JSONResponse({"model": model.name, **row})


@router.get("/v1/models")
async def models(service: TheService) -> JSONResponse:
    """List the models."""
    return JSONResponse({"models": [model.facts() for model in service.models.values()]})


@router.get("/healthz")
async def healthz(service: TheService) -> JSONResponse:
    """Say that the service runs."""
    return JSONResponse({"status": "ok", "models": len(service.models)})


@router.get("/metrics")
async def metrics(service: TheService) -> Response:
    """Return the counters for Prometheus."""
    return Response(service.metrics.text(), media_type=service.metrics.content_type)
