"""Refused requests: a status and, in JSON, the problem, what was expected, and the fix."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import JSONResponse

from anymic.errors import AnymicError, BundleError, DependencyError, readable

# Headers that belong to a status.
HEADERS = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": "Bearer"},
    HTTPStatus.REQUEST_TIMEOUT: {"Connection": "close"},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "1"},
}


class Refusal(AnymicError):
    """A request that is refused with a status of HTTP.

    Parameters
    ----------
    status : HTTPStatus
    problem, expected, fix : str
        As of an `AnymicError`.
    headers : mapping of str to str
        Of the response, beside those of its status.
    """

    def __init__(
        self,
        status: HTTPStatus,
        problem: str,
        *,
        expected: str = "",
        fix: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(problem, expected=expected, fix=fix)
        self.status, self.headers = status, {**HEADERS.get(status, {}), **(headers or {})}


def refused(error: AnymicError) -> JSONResponse:
    """Return the response to an error of the library: 422, or the status of a `Refusal`."""
    status, headers = HTTPStatus.UNPROCESSABLE_ENTITY, {}
    if isinstance(error, Refusal):
        status, headers = error.status, error.headers
    elif isinstance(error, BundleError | DependencyError):  # of the service, not of the request
        status = HTTPStatus.INTERNAL_SERVER_ERROR
    parts = {"problem": error.problem, "expected": error.expected, "fix": error.fix}
    body = {name: readable(part) for name, part in parts.items()}
    return JSONResponse(body, status_code=int(status), headers=headers)


def too_busy() -> Refusal:
    """Return the refusal where more requests came than are processed at the same time."""
    return Refusal(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "the service is busy",
        expected="fewer requests at the same time",
        fix="try again in a second",
    )


def internal_error() -> Refusal:
    """Return what is answered where something unforeseen happened; the log has it."""
    return Refusal(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "the service could not process the request",
        expected="no error within the service",
        fix="see the log of the service",
    )
