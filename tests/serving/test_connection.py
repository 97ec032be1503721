"""Connections of the service."""

from __future__ import annotations

import asyncio
import socket

import pytest

from anymic.errors import ConfigError
from anymic.serving.running import bound


def test_an_answer_does_not_wait_until_the_client_confirms_its_head() -> None:
    """Accepted connections have TCP_NODELAY: without it each answer is 40 ms later."""

    async def accepted() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            own = writer.get_extra_info("socket")
            found.set_result(own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        place = bound("127.0.0.1", 0)
        server = await asyncio.start_server(connected, sock=place)
        async with server:
            _, writer = await asyncio.open_connection(*place.getsockname())
            answer = await asyncio.wait_for(found, 10)
            writer.close()
        return answer

    assert asyncio.run(accepted()) == 1


@pytest.mark.parametrize("port", [-1, 65536, 99999])
def test_a_port_that_does_not_exist_is_refused(port: int) -> None:
    """The system would take it modulo 65536: 99999 was served as 34463."""
    with pytest.raises(ConfigError, match=f"Port {port} does not exist"):
        bound("127.0.0.1", port)
