"""The recordings and fields of a request, from a form or from its body alone."""

from __future__ import annotations

import secrets
import shutil
import struct
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO, TypeVar

import anyio
from fastapi import Request
from pydantic import BaseModel, ValidationError
from python_multipart.exceptions import MultipartParseError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from anymic.errors import readable
from anymic.serving.refusals import Refusal

FORM = "multipart/form-data"
RAW = "audio/pcm"
BYTES = ("application/octet-stream", "application/ogg", "audio/", "video/")
MOST_FILES, MOST_FIELDS, MOST_FIELD_BYTES = 64, 32, 4096
MOST_AT_ONCE = 1 << 20  # bytes that the form holds in memory, and that are written at once
ENCODINGS = {"s16le": (1, 2), "f32le": (3, 4)}  # WAV's number of the format, bytes of a sample

Fields = TypeVar("Fields", bound=BaseModel)


@dataclass(frozen=True)
class Upload:
    """A recording that a request holds.

    Attributes
    ----------
    path : Path
        The file that the service wrote; its name is the service's own.
    name : str
        What the client calls it: only for messages and answers.
    """

    path: Path
    name: str


@dataclass
class Received:
    """The recordings and the fields of a request.

    Attributes
    ----------
    kind : str
        The media type of the body, in small letters, without parameters.
    files : dict of str to list of Upload
        By the name of the field; of a body without a form, in the field `file`.
    values : dict of str to str
        The fields of the form and of the query.
    """

    kind: str
    files: dict[str, list[Upload]] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)

    def fields(self, model: type[Fields]) -> Fields:
        """Return the fields, checked.

        Raises
        ------
        Refusal
            422, if one is unknown or has a value that it cannot have.
        """
        try:
            return model.model_validate({key: text for key, text in self.values.items() if text})
        except ValidationError as error:
            raise refused_fields(error.errors(), list(model.model_fields)) from None

    def one(self, name: str = "file") -> Upload:
        """Return the only recording of a field.

        Raises
        ------
        Refusal
            422, if there is none, there are several, or others.
        """
        found = self.files.get(name, [])
        if len(found) == 1 and len(self.files) == 1:
            return found[0]
        count = sum(map(len, self.files.values()))
        raise Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"the request has {count} recordings" if count else "the request has no recording",
            expected=f"one, in the field {name} of a form, or as the body",
            fix=f"send it as curl --form {name}=@clip.wav does",
        )


def refused_fields(errors: Sequence[object], known: list[str]) -> Refusal:
    """Return the refusal of fields, from the errors of pydantic."""
    texts = []
    for error in errors:
        assert isinstance(error, Mapping)
        name = ".".join(str(part) for part in error["loc"])
        if error["type"] == "extra_forbidden":
            texts.append(f"there is no field {name[:60]!r}")
        else:
            message = str(error["msg"])
            texts.append(f"the field {name} is {str(error['input'])[:60]!r}: {message.lower()}")
    return Refusal(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "; ".join(texts[:5]),
        expected=f"the fields {', '.join(known)}" if known else "other fields",
        fix="see /openapi.json",
    )


async def received(request: Request) -> AsyncIterator[Received]:
    """Read the body of a request into files, which are deleted when it is answered."""
    folder: Path = request.app.state.folder
    found = Received(request.headers.get("content-type", "").partition(";")[0].strip().lower())
    for key, text in request.query_params.multi_items():
        _add(found.values, key, text)
    try:
        if found.kind == FORM:
            try:
                await _read_form(request, found, folder)
            except MultipartParseError as error:  # starlette says it itself from 1.8 on
                raise HTTPException(HTTPStatus.BAD_REQUEST, "Invalid multipart data.") from error
        elif found.kind == RAW or found.kind.startswith(BYTES):
            await _read_body(request, found, folder)
        else:
            raise Refusal(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                f"the body is {found.kind[:60] or 'of no stated type'}",
                expected=f"{FORM} with a file, audio/*, video/* or application/octet-stream",
                fix="set the header Content-Type, or send a form: curl --form file=@clip.wav",
            )
        yield found
    finally:
        for one in (upload for uploads in found.files.values() for upload in uploads):
            with suppress(OSError):
                one.path.unlink()


def _add(values: dict[str, str], key: str, text: str) -> None:
    if key in values:
        raise Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"the field {key[:60]!r} is given twice",
            expected="each field once, in the form or in the query",
            fix="leave one out",
        )
    values[key] = text


async def _read_form(request: Request, found: Received, folder: Path) -> None:
    async with request.form(
        max_files=MOST_FILES, max_fields=MOST_FIELDS, max_part_size=MOST_FIELD_BYTES
    ) as form:
        for key, value in form.multi_items():
            if not isinstance(value, UploadFile):
                _add(found.values, key, value)
        for key, value in form.multi_items():
            if isinstance(value, UploadFile):
                one = Upload(folder / secrets.token_hex(16), value.filename or "")
                found.files.setdefault(key, []).append(one)
                if (value.size or 0) <= MOST_AT_ONCE:  # it is in memory; a thread takes longer
                    _copy(value.file, one.path, found.values)
                else:
                    await anyio.to_thread.run_sync(_copy, value.file, one.path, found.values)


def _copy(file: BinaryIO, path: Path, values: Mapping[str, str]) -> None:
    with _writing(path, values) as target:
        shutil.copyfileobj(file, target)


async def _read_body(request: Request, found: Received, folder: Path) -> None:
    if found.kind == RAW:
        found.values.setdefault("encoding", "s16le")
    one = Upload(folder / secrets.token_hex(16), "")
    found.files["file"] = [one]
    with _writing(one.path, found.values) as target:
        async for block in request.stream():
            target.write(block)


@contextmanager
def _writing(path: Path, values: Mapping[str, str]) -> Iterator[BinaryIO]:
    """Write a file; before samples without a header goes the header of a WAV file."""
    raw = _raw_format(values)
    with path.open("xb") as file:
        if raw:
            file.write(bytes(44))
        yield file
        if raw:
            data_bytes = file.tell() - 44
            file.seek(0)
            file.write(wav_header(*raw, data_bytes=data_bytes))


def _raw_format(values: Mapping[str, str]) -> tuple[int, int, str] | None:
    """Return rate, channels and encoding of samples without a header; None for a file."""
    encoding, rate, channels = (values.get(key, "") for key in ("encoding", "rate_hz", "channels"))
    if not (encoding or rate or channels):
        return None
    numbers = [text.isdecimal() and len(text) < 9 and int(text) for text in (rate, channels or "1")]
    if encoding not in ENCODINGS or not all(numbers) or int(channels or 1) > 64:
        raise Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            readable(
                f"raw samples with encoding {encoding[:40]!r}, rate_hz {rate[:40]!r} and channels "
                f"{(channels or '1')[:40]!r}"
            ),
            expected=f"encoding {' or '.join(ENCODINGS)}, a rate_hz in Hz, and 1 to 64 channels",
            fix="state all of them, or send a file with a header and none of them",
        )
    return int(numbers[0]), int(numbers[1]), encoding


def wav_header(rate_hz: int, channels: int, encoding: str, *, data_bytes: int) -> bytes:
    """Return the header of a WAV file, 44 bytes.

    Raises
    ------
    Refusal
        422, if the number of bytes is no multiple of those of a frame.
    """
    code, width = ENCODINGS[encoding]
    frame = width * channels
    if not data_bytes or data_bytes % frame:
        raise Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"there are {data_bytes} bytes of raw samples",
            expected=f"a multiple of {frame}, the bytes of one sample of each channel",
            fix="check encoding and channels",
        )
    kind = struct.pack("<HHIIHH", code, channels, rate_hz, rate_hz * frame, frame, 8 * width)
    sizes = (struct.pack("<I", size) for size in (36 + data_bytes, 16, data_bytes))
    riff, fmt, data = sizes
    return b"RIFF" + riff + b"WAVEfmt " + fmt + kind + b"data" + data
