"""Run the service until a signal ends it."""

from __future__ import annotations

import errno
import logging
import signal
import socket
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI

from anymic.errors import ConfigError
from anymic.serving.connection import Connection
from anymic.serving.limits import Limits


def bound(host: str, port: int) -> socket.socket:
    """Return a socket at an address; port 0 is any free one.

    Raises
    ------
    ConfigError
        If the port is taken, or there is no such address.
    """
    if not 0 <= port <= 65535:  # getaddrinfo would take it modulo 65536
        raise ConfigError(
            f"port {port} does not exist",
            expected="a port from 0 to 65535",
            fix="pass another port, such as 0 for any",
        )
    try:
        family, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # The protocol is stated so that asyncio sets TCP_NODELAY: else each answer waits 40 ms.
        found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(place)
        except OSError:
            found.close()
            raise
    except (OSError, OverflowError, UnicodeError) as error:
        taken = getattr(error, "errno", None) == errno.EADDRINUSE
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"port {port} of {host} is taken"
            if taken
            else f"{host}:{port} cannot be used: {reason}",
            expected="a free port" if taken else "an address of this machine",
            fix="pass another port, such as 0 for any" if taken else "correct the host or the port",
        ) from None
    return found


def url_of(place: socket.socket) -> str:
    """Return the address of a socket for a browser on this machine."""
    host, port = place.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(
    app: FastAPI, place: socket.socket, limits: Limits, *, ready: Callable[[], None] | None = None
) -> None:
    """Serve until SIGTERM, or SIGINT, which is then raised as KeyboardInterrupt.

    Requests that are being processed are finished first, at most for `limits.end_s`.

    Parameters
    ----------
    app : FastAPI
    place : socket
        From `bound`.
    limits : Limits
    ready : callable, optional
        Called when connections are accepted.
    """
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s: %(message)s", level="WARNING")
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=round(limits.end_s) or 1,
    )
    server = _Server(config, ready or (lambda: None))
    server.run(sockets=[place])
    if server.interrupted:
        raise KeyboardInterrupt


class _Server(uvicorn.Server):
    """A server that says when it is ready, and ends with the status of the command line."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.ready, self.interrupted = ready, False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and not self.should_exit:
            self.ready()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Handle both signals meanwhile; uvicorn would raise them again at the end."""
        handled = (signal.SIGINT, signal.SIGTERM)
        before = {one: signal.signal(one, self.handle_exit) for one in handled}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; at the second SIGINT, without waiting for requests."""
        self.interrupted = self.interrupted or sig == signal.SIGINT
        super().handle_exit(sig, frame)
