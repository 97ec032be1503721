"""The fields of requests and the bodies of responses, as OpenAPI states them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class SoundFields(BaseModel):
    """What every request with a recording may state."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(None, description="Name of the model; by default the first one.")
    rate_hz: int | None = Field(None, ge=1, description="Of raw samples: their rate in Hz.")
    channels: int | None = Field(None, ge=1, le=64, description="Of raw samples. Default: 1.")
    encoding: Literal["s16le", "f32le"] | None = Field(
        None, description="Of raw samples: 16-bit integers or 32-bit floats, little-endian."
    )


class PredictFields(SoundFields):
    """The fields of `POST /v1/predict`."""

    device: str | None = Field(None, description="The device that recorded it, if it is known.")
    windows: bool = Field(False, description="Answer for each window, too.")
    top: int = Field(1, ge=1, le=1000, description="The most probable labels to name.")
