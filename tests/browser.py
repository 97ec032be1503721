"""A real browser for tests: headless Chromium, and files over HTTP on this machine.

`make browser` installs Chromium and ONNX Runtime Web. Tests skip, with the reason, where one of
them is missing.
"""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS: tuple[str, ...] = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")
FLAGS += ("--disable-background-networking", "--disable-component-update", "--disable-sync")
RUNTIME = Path(sys.prefix) / "browser/node_modules/onnxruntime-web/dist"
RUNTIME_FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")


@contextmanager
def chromium(*flags: str) -> Iterator[Browser]:
    """Start headless Chromium with an empty profile, and more flags; skip where there is none.

    Until it ends, nothing in this thread can call `asyncio.run`.
    """
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("no Chromium on this machine: make browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*FLAGS, *flags])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Browser, **options: Any) -> Iterator[tuple[Page, list[str]]]:
    """Open an empty tab; yield it and its errors, which grow: console, exceptions, requests.

    `options` are those of the browser's context, such as its size.
    """
    context = browser.new_context(**options)
    page, errors = context.new_page(), list[str]()
    page.on("console", lambda one: errors.append(one.text) if one.type == "error" else None)
    page.on("pageerror", lambda one: errors.append(str(one)))
    page.on("requestfailed", lambda one: errors.append(f"{one.url}: {one.failure}"))
    try:
        yield page, errors
    finally:
        context.close()


class _Quiet(SimpleHTTPRequestHandler):
    # What the system's table of types may lack, without which a browser refuses a module.
    extensions_map = {  # noqa: RUF012
        **SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, *arguments: Any) -> None:
        """Write nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on a free port of this machine; yield its address, without a slash."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def copy_runtime(folder: Path) -> None:
    """Copy ONNX Runtime Web (WebAssembly) to a folder; skip the test where it is not installed."""
    if not all((RUNTIME / name).is_file() for name in RUNTIME_FILES):
        pytest.skip("ONNX Runtime Web is not installed: make browser")
    for name in RUNTIME_FILES:
        shutil.copyfile(RUNTIME / name, folder / name)
