"""What every request passes before the application: origin, token, rate, size, time and number."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import logging
import time
from collections import OrderedDict
from collections.abc import Collection, Mapping
from http import HTTPStatus

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from anymic.errors import AnymicError
from anymic.serving.limits import Limits
from anymic.serving.metrics import Metrics
from anymic.serving.refusals import Refusal, internal_error, refused, too_busy

LOG = logging.getLogger("anymic.serving")
OPEN = ("/", "/healthz")  # without a token, as what is below /page/
ALWAYS = ("/healthz", "/metrics")  # also while the service is busy
ADDRESSES = 4096  # whose rate is known


class Guard:
    """An application around another one that refuses requests before they use anything.

    Parameters
    ----------
    application : ASGI application
    limits : Limits
    metrics : Metrics
    token : str, optional
        Which requests must show as `Authorization: Bearer TOKEN`.
    hosts : collection of str
        Names, beside localhost and every address, by which clients may call this service. A page
        of another site that resolves its own name to this address (DNS rebinding) is refused.
    """

    def __init__(
        self,
        application: ASGIApp,
        *,
        limits: Limits,
        metrics: Metrics,
        token: str | None = None,
        hosts: Collection[str] = (),
    ) -> None:
        self.application, self.limits, self.metrics = application, limits, metrics
        self.token, self.hosts = token, {"localhost", *(name.lower() for name in hosts)}
        self.rates = _Rates(limits.per_minute)
        self.running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        status, begun = 0, time.perf_counter()

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        counted = scope["path"] not in ALWAYS
        self.metrics.begun()
        self.running += counted
        try:
            await self._answer(scope, receive, seen, counted=counted)
        except ClientDisconnect:
            status = status or 499
        except Exception as error:
            LOG.error("a request failed", exc_info=error)
            if not status:
                await refused(internal_error())(scope, receive, seen)
        finally:
            self.running -= counted
            route = getattr(scope.get("route"), "path", "other")
            self.metrics.answered(route, status, time.perf_counter() - begun)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, *, counted: bool) -> None:
        headers = {key: value.decode("latin-1") for key, value in scope["headers"]}
        try:
            self._check_site(headers)
            self._check_token(scope["path"], headers)
            if counted:
                self.rates.count(scope["client"][0] if scope.get("client") else "")
                if self.running > self.limits.concurrent:
                    raise too_busy()
            self._check_size(headers)
        except AnymicError as error:
            await refused(error)(scope, receive, send)
            return
        await self.application(scope, _Body(receive, self.limits).receive, send)

    def _check_site(self, headers: Mapping[bytes, str]) -> None:
        host = headers.get(b"host", "")
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
        if not (name.lower() in self.hosts or _is_address(name)):
            raise Refusal(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"the service is called by the name {name[:100]!r}",
                expected=f"an address, or one of {', '.join(sorted(self.hosts))}",
                fix="add this name to the host names, if it is right",
            )
        origin = headers.get(b"origin")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            raise Refusal(
                HTTPStatus.FORBIDDEN,
                f"the request comes from a page of {origin[:100]!r}",
                expected="the page of this service, or a program",
                fix="call the service from a program of your own site",
            )

    def _check_token(self, path: str, headers: Mapping[bytes, str]) -> None:
        if self.token is None or path in OPEN or path.startswith("/page/"):
            return
        kind, _, shown = headers.get(b"authorization", "").partition(" ")
        same = hmac.compare_digest(shown.strip().encode("latin-1"), self.token.encode())
        if kind.lower() != "bearer" or not same:
            raise Refusal(
                HTTPStatus.UNAUTHORIZED,
                "the request has no valid token",
                expected="the header Authorization: Bearer TOKEN",
                fix="send the token that the service was started with",
            )

    def _check_size(self, headers: Mapping[bytes, str]) -> None:
        stated = headers.get(b"content-length", "")
        if stated.isdecimal() and (len(stated) > 18 or int(stated) > self.limits.body_bytes):
            raise too_large(self.limits)


def too_large(limits: Limits) -> Refusal:
    """Return the refusal of a body that is too large."""
    return Refusal(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body has more than {limits.body_mb:g} MB",
        expected=f"at most {limits.body_mb:g} MB",
        fix="send a shorter recording, or a compressed one such as FLAC",
    )


class _Body:
    """The body of a request, of which the bytes and the time are limited."""

    def __init__(self, receive: Receive, limits: Limits) -> None:
        self._receive, self.limits = receive, limits
        self.bytes, self.ended = 0, False
        self.until = time.monotonic() + limits.body_s

    async def receive(self) -> Message:
        """Return the next message; Refusal (413, 408) beyond a limit."""
        if self.ended:
            return await self._receive()
        left = max(self.until - time.monotonic(), 0.0)
        try:
            message = await asyncio.wait_for(self._receive(), left)
        except asyncio.TimeoutError:
            raise Refusal(
                HTTPStatus.REQUEST_TIMEOUT,
                f"the body did not arrive within {self.limits.body_s:g} s",
                expected="all of it in that time",
                fix="send a shorter recording, or a compressed one",
            ) from None
        self.bytes += len(message.get("body", b""))
        if self.bytes > self.limits.body_bytes:
            raise too_large(self.limits)
        self.ended = not message.get("more_body", False)
        return message


class _Rates:
    """Counts the requests of each address; the least recent addresses are forgotten."""

    def __init__(self, per_minute: float) -> None:
        self.per_minute = per_minute
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def count(self, address: str) -> None:
        """Count a request; Refusal (429) if the address sends more than it may."""
        if self.per_minute == float("inf"):
            return
        now = time.monotonic()
        left, before = self._left.pop(address, (self.per_minute, now))
        left = min(left + (now - before) * self.per_minute / 60, self.per_minute)
        self._left[address] = (max(left - 1, 0), now)
        if len(self._left) > ADDRESSES:
            self._left.popitem(last=False)
        if left < 1:
            wait_s = max(1, round((1 - left) * 60 / self.per_minute))
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"more than {self.per_minute:g} requests in a minute come from this address",
                expected="fewer",
                fix=f"wait for {wait_s} s",
                headers={"Retry-After": str(wait_s)},
            )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
