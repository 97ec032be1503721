"""The fields of requests and the bodies of responses, as OpenAPI states them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from anymic.serving.uploads import BYTES, FORM, RAW


class Strict(BaseModel):
    """Values without others beside them."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class SoundFields(Strict):
    """What every request with a recording may state."""

    model: str | None = Field(None, description="Name of the model; by default the first one.")
    rate_hz: int | None = Field(None, ge=1, description="Of raw samples: their rate in Hz.")
    channels: int | None = Field(
        None, ge=1, le=64, description="Of raw samples: their number; by default 1."
    )
    encoding: Literal["s16le", "f32le"] | None = Field(
        None, description="Of raw samples: 16-bit integers or 32-bit floats, little-endian."
    )


class PredictFields(SoundFields):
    """The fields of `POST /v1/predict`."""

    device: str | None = Field(None, description="The device that recorded it, if it is known.")
    windows: bool = Field(False, description="State the answer of each window, too.")
    events: bool = Field(False, description="State the events: labels with start and end.")
    top: int = Field(1, ge=1, le=1000, description="From 2 on: so many most probable labels.")


class CorrectFields(SoundFields):
    """The fields of `POST /v1/correct`."""

    device: str = Field(description="The device that recorded it: one of the model's profile.")
    gain_db: float = Field(0.0, ge=-120, le=120, description="A change of the level, in dB.")


class Problem(Strict):
    """Why a request was refused."""

    problem: str
    expected: str
    fix: str


class RankedLabel(Strict):
    """One of the most probable labels."""

    label: str
    probability: float


class WindowAnswer(Strict):
    """The answer of one window."""

    start_s: float
    answer: str | None = None
    labels: list[str] | None = None
    probabilities: dict[str, float]


class EventAnswer(Strict):
    """One sound in the recording."""

    start_s: float
    end_s: float
    label: str
    probability: float


class StretchAnswer(Strict):
    """A part of a recording that one device recorded, with one bandwidth."""

    start_s: float
    end_s: float
    device: str | None
    device_from: Literal["stated", "manifest", "identified", "assumed"]
    device_policy: Literal["profile", "identity", "blind"]
    device_probability: float | None
    bandwidth_hz: float | None


class Predicted(Strict):
    """The prediction of a recording, as `anymic predict` states it in JSON.

    A model of several labels a clip states `labels` in place of `label`, `probability` and
    `answer`.
    """

    model: str
    path: str = Field(description="The name that the client gave the recording.")
    label: str | None = Field(None, description="The most probable label.")
    probability: float | None = None
    labels: list[str] | None = None
    probabilities: dict[str, float]
    device: str | None = Field(description="Stated or identified; null if unknown.")
    device_from: Literal["stated", "manifest", "identified", "assumed"]
    device_policy: Literal["profile", "identity", "blind"] = Field(
        description="The gains that were applied: of the profile, none, or estimated ones."
    )
    device_probability: float | None
    bandwidth_hz: float | None = Field(
        description="The highest frequency at which the recording holds sound."
    )
    windows: int
    start_s: float
    duration_s: float
    notes: list[str] = Field(description="What was done to fit the recording to the model.")
    min_confidence: float
    thresholds: dict[str, float] | None = Field(
        None, description="With several labels a clip: from which each is named."
    )
    stretches: list[StretchAnswer] = Field(
        description="Where the device or the bandwidth changes: the parts of the recording."
    )
    answer: str | None = None
    top: list[RankedLabel] | None = None
    each_window: list[WindowAnswer] | None = None
    events: list[EventAnswer] | None = None


class ModelFacts(Strict):
    """One model of the service."""

    name: str
    form: Literal["folder", "onnx"] = Field(
        description="onnx: a file that anymic exported; it can classify, and nothing else."
    )
    labels: list[str]
    targets: Literal["one", "several"] = Field(description="Labels of a clip.")
    devices: list[str] = Field(description="The devices that it has gains for.")
    identifies_devices: bool
    unknown_device: Literal["identity", "blind", "refuse"]
    rate_hz: int
    clip_s: float
    members: int = Field(description="Of an ensemble; else 1.")


class Models(Strict):
    """The models of the service; the first one answers requests that name none."""

    models: list[ModelFacts]


class DeviceFacts(Strict):
    """One device of a model."""

    name: str
    reference: bool = Field(description="Whether other devices are corrected towards it.")
    source: Literal["takes", "blind", "response"] | None = Field(
        description="What its gains were estimated from; null where no profile is stored."
    )
    clips: int | None


class Devices(Strict):
    """The devices of a model, and what is done with recordings of others."""

    model: str
    devices: list[DeviceFacts]
    unknown_device: Literal["identity", "blind", "refuse"]
    identifies_devices: bool


class Health(Strict):
    """That the service runs."""

    status: Literal["ok"]
    models: int
    decoders: int = Field(description="Processes for decoding that run.")


def documented_body(fields: type[BaseModel]) -> dict[str, Any]:
    """Return what OpenAPI states of a request with a recording: in a form, or as the body.

    With the recording as the body, the fields are in the query.
    """
    schema = fields.model_json_schema()
    properties = dict(schema["properties"])
    parameters = [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": one.get("description", ""),
            "schema": {key: value for key, value in one.items() if key != "description"},
        }
        for name, one in properties.items()
    ]
    binary = {"type": "string", "format": "binary"}
    form = {
        "type": "object",
        "properties": {"file": binary, **properties},
        "required": ["file", *schema.get("required", [])],
        "additionalProperties": False,
    }
    kinds = [f"{kind}*" if kind.endswith("/") else kind for kind in (RAW, *BYTES)]
    content = {FORM: {"schema": form}, **{kind: {"schema": binary} for kind in kinds}}
    return {"parameters": parameters, "requestBody": {"required": True, "content": content}}
