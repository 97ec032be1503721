"""Servers of files on this machine, for tests of URLs."""

from __future__ import annotations

import http.server
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, with lists of links; some names are answered otherwise."""

    def do_GET(self) -> None:
        """Send half of what is stated for half.wav, and refuse secret.wav."""
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        name = self.path.partition("?")[0].rpartition("/")[2]
        if name == "half.wav":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(bytes(500))
        elif name == "secret.wav":
            self.send_error(403)
        else:
            super().do_GET()

    def log_message(self, format: str, *arguments: object) -> None:
        """Print nothing."""


class Server(http.server.ThreadingHTTPServer):
    """Keeps the paths that were asked for, in `asked`."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), partial(Handler, directory=os.fspath(folder)))

    @property
    def url(self) -> str:
        """The address of the folder."""
        return f"http://127.0.0.1:{self.server_address[1]}/"


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Serve a folder."""
    with Server(folder) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
