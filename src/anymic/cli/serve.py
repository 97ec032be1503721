"""``anymic serve``: a service over HTTP, and its page."""

from __future__ import annotations

import os
from pathlib import Path

from anymic._internal.optional import extra
from anymic._internal.terminal import print_line
from anymic.cli.printing import note
from anymic.errors import ConfigError


def serve(
    models: list[Path],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    open_page: bool = False,
    token_file: Path | None = None,
    host_names: list[str] | None = None,
    most_mb: float = 50.0,
    most_s: float = 600.0,
    body_s: float = 30.0,
    decoding_s: float = 10.0,
    decoding_mb: int = 1024,
    concurrent: int = 64,
    per_minute: float | None = None,
    wait_ms: float = 5.0,
    decoders: int = 2,
    accelerator: str = "auto",
) -> None:
    """Serve models over HTTP, with a page for a browser.

    POST /v1/predict classifies a recording, which is a file in a form or the whole body, of any
    format that `anymic predict` reads. GET /openapi.json describes all routes. The page is at /.

    The service accepts connections of this machine only, unless --host states another address of
    it; set a token then. Its token is the content of --token-file, or of the environment variable
    ANYMIC_TOKEN. Recordings are decoded in processes of their own, with limits of time and memory.

    SIGTERM ends it after the requests that are being processed, with status 0.

    Example: anymic serve run --open
    """
    with extra("serve"):
        from anymic.serving import running
        from anymic.serving.app import create_app
        from anymic.serving.limits import Limits
        from anymic.serving.served import Service

    limits = Limits(
        body_mb=most_mb,
        body_s=body_s,
        clip_s=most_s,
        decoding_s=decoding_s,
        decoding_mb=decoding_mb,
        concurrent=concurrent,
        per_minute=float("inf") if per_minute is None else per_minute,
        wait_ms=wait_ms,
        decoders=decoders,
    )
    token = _token(token_file)
    place = running.bound(host, port)
    url = running.url_of(place)

    def ready() -> None:
        print_line(url)
        if open_page:
            import webbrowser

            webbrowser.open(url)

    with place:
        if token is None and host not in ("127.0.0.1", "localhost", "::1"):
            note(f"everyone who reaches {host} can use the service: it has no token")
        service = Service(models, limits=limits, accelerator=accelerator)
        app = create_app(service, token=token, host_names=host_names or ())
        running.serve(app, place, limits, ready=ready)


def _token(file: Path | None) -> str | None:
    text = os.environ.get("ANYMIC_TOKEN")
    if file is not None:
        text = file.read_text(encoding="utf-8", errors="replace")
    if text is None:
        return None
    token = text.strip()
    if not (16 <= len(token) <= 1000 and token.isascii() and token.isprintable()):
        raise ConfigError(
            f"the token in {file or 'ANYMIC_TOKEN'} has {len(token)} characters",
            expected="16 to 1000 characters of ASCII",
            fix="make one: openssl rand -hex 16",
        )
    return token
