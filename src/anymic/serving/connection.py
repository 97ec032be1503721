"""A connection with limits that the server has none for."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 10.0  # in which the head of the first request must have arrived
MOST = 512


class Connection(H11Protocol):
    """Closes a connection without a request, and one that there are too many of."""

    _waits: asyncio.TimerHandle | None = None
    cycle: Any

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; see the superclass."""
        super().connection_made(transport)
        if len(self.connections) > MOST:
            transport.abort()
            return
        self._waits = self.loop.call_later(HEAD_S, self._close_without_request)

    def connection_lost(self, exc: Exception | None) -> None:
        """End; see the superclass."""
        if self._waits is not None:
            self._waits.cancel()
        super().connection_lost(exc)

    def _close_without_request(self) -> None:
        if self.cycle is None and not self.transport.is_closing():
            self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request of HTTP in the three parts, too."""
        body = {
            "problem": "the request is not valid HTTP/1.1",
            "expected": "a request of HTTP/1.1",
            "fix": "use a client of HTTP",
        }
        data = json.dumps(body).encode()
        headers: list[tuple[bytes, bytes]] = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(data)).encode()),
            (b"connection", b"close"),
        ]
        events: list[Any] = [
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=data),
            h11.EndOfMessage(),
        ]
        for event in events:
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
