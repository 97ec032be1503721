"""The responses of each route in OpenAPI, with examples.

The examples are the answers of the golden model of the tests, which compare them.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from anymic.serving import schemas

REFUSALS = {
    400: "Not a valid request of HTTP, or not a valid form",
    401: "No valid token, where the service has one",
    403: "From a page of another site",
    404: "No such model",
    408: "The body arrives too slowly",
    413: "The body is too large, or the recording too long",
    415: "The body is no recording and no form",
    421: "Called by a name that is not the service's",
    422: "A field or a recording that cannot be used",
    429: "Too many requests of one address",
    500: "Unforeseen: the log of the service has it",
    503: "Too many requests at the same time",
}
BY_MODEL = (401, 403, 404, 421, 422, 429, 503)
PROBLEM = {
    "problem": "there is no model 'basic2' (did you mean 'basic1'?)",
    "expected": "one of basic1",
    "fix": "see /v1/models",
}
PREDICTED = {
    "model": "basic1",
    "path": "clip.flac",
    "label": "street_traffic",
    "probability": 0.459,
    "probabilities": {"bus": 0.427, "park": 0.114, "street_traffic": 0.459},
    "device": "B",
    "device_from": "stated",
    "device_policy": "profile",
    "windows": 1,
    "start_s": 0.0,
    "duration_s": 1.0,
    "notes": [],
    "device_probability": None,
    "bandwidth_hz": 7340.0,
    "stretches": [],
    "min_confidence": 0.0,
    "answer": "street_traffic",
}
FACTS = {
    "name": "basic1",
    "form": "folder",
    "labels": ["bus", "park", "street_traffic"],
    "targets": "one",
    "devices": ["A", "B", "C"],
    "identifies_devices": False,
    "unknown_device": "identity",
    "rate_hz": 16000,
    "clip_s": 1.0,
    "members": 1,
}
DEVICES = {
    "model": "basic1",
    "devices": [
        {"name": "A", "reference": True, "source": "takes", "clips": 9},
        {"name": "B", "reference": True, "source": "takes", "clips": 9},
        {"name": "C", "reference": True, "source": "takes", "clips": 9},
    ],
    "unknown_device": "identity",
    "identifies_devices": False,
}


def responses(
    body: type[BaseModel], example: dict[str, Any], refusals: tuple[int, ...] = tuple(REFUSALS)
) -> dict[int | str, dict[str, Any]]:
    """Return what FastAPI states of a route's responses: one body, and refusals."""
    return {
        200: {"model": body, "content": {"application/json": {"example": example}}},
        **refused(refusals),
    }


def refused(refusals: tuple[int, ...] = tuple(REFUSALS)) -> dict[int | str, dict[str, Any]]:
    """Return what FastAPI states of refusals."""
    content = {"application/json": {"example": PROBLEM}}
    return {
        status: {"model": schemas.Problem, "description": REFUSALS[status], "content": content}
        for status in refusals
    }
