"""OpenAPI describes the routes as they are: its examples are real answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel
from tests.closeness import of_commands

from anymic.serving import documentation, schemas


@pytest.fixture
def stated(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def example(stated: dict[str, Any], path: str, method: str = "get", status: int = 200) -> Any:
    response = stated["paths"][path][method]["responses"][str(status)]
    return response["content"]["application/json"]["example"]


def test_every_reference_and_route(stated: dict[str, Any]) -> None:
    assert stated["openapi"].startswith("3.1")
    routes = {"/v1/predict", "/v1/correct", "/v1/models", "/v1/devices", "/healthz", "/metrics"}
    assert set(stated["paths"]) == routes
    for one in references(stated):
        assert one.removeprefix("#/components/schemas/") in stated["components"]["schemas"]
    for path in ("/v1/predict", "/v1/correct"):
        route = stated["paths"][path]["post"]
        form = route["requestBody"]["content"]["multipart/form-data"]["schema"]
        query = {one["name"] for one in route["parameters"]}
        assert set(form["properties"]) == {"file", *query}
        for refusal in documentation.REFUSALS:
            assert str(refusal) in route["responses"]


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [one for part in value.values() for one in references(part)]
    if isinstance(value, list):
        return [one for part in value for one in references(part)]
    return []


def test_the_example_of_predict_is_its_answer(
    client: httpx.Client, stated: dict[str, Any], golden: Path
) -> None:
    data = (golden / "clip.flac").read_bytes()
    answer = client.post(
        "/v1/predict", files={"file": ("clip.flac", data)}, data={"device": "B"}
    ).json()
    wanted = example(stated, "/v1/predict", "post")
    without = {key: one for key, one in answer.items() if one is not None}  # as in FastAPI's
    assert rounded(without) == approximate(wanted)
    checked(schemas.Predicted, answer)


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    return round(value, 3) if isinstance(value, float) else value


def approximate(value: Any) -> Any:
    """Return what equals a value as closely as the processor's number format allows."""
    if isinstance(value, dict):
        return {key: approximate(one) for key, one in value.items()}
    return pytest.approx(value, abs=of_commands(1e-9)) if isinstance(value, float) else value


@pytest.mark.parametrize("model", ["basic1", "several"])
def test_all_fields_are_of_the_schema(client: httpx.Client, golden: Path, model: str) -> None:
    """With every field, for a model of one label a clip and one of several."""
    data = (golden / "long.flac").read_bytes()
    fields = {"windows": "1", "events": "1", "top": "2", "model": model}
    answer = client.post("/v1/predict", files={"file": ("x", data)}, data=fields).json()
    checked(schemas.Predicted, answer)
    assert len(answer["each_window"]) == answer["windows"] > 1
    assert len(answer["top"]) == 2
    assert ("labels" in answer) == (model == "several")
    assert isinstance(answer["events"], list)


def test_the_other_examples(client: httpx.Client, stated: dict[str, Any]) -> None:
    models = client.get("/v1/models").json()
    checked(schemas.Models, models)
    assert models["models"][:1] == example(stated, "/v1/models")["models"]
    devices = client.get("/v1/devices").json()
    checked(schemas.Devices, devices)
    assert devices == example(stated, "/v1/devices")
    health = client.get("/healthz").json()
    checked(schemas.Health, health)
    assert health == {**example(stated, "/healthz"), "models": 2}


def test_the_example_of_a_refusal(client: httpx.Client, stated: dict[str, Any]) -> None:
    refusal = client.get("/v1/devices", params={"model": "basic2"})
    wanted = example(stated, "/v1/devices", status=404)
    assert refusal.status_code == 404
    assert refusal.json() == {**wanted, "expected": "one of basic1, several"}
    checked(schemas.Problem, refusal.json())


def checked(schema: type[BaseModel], answer: dict[str, Any]) -> None:
    """Fail where an answer has other fields, or values of other types, than its schema."""
    schema.model_validate(answer, strict=True)
