"""The application of the service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from anymic._internal.files import scratch_folder
from anymic._version import version
from anymic.errors import AnymicError
from anymic.serving import page_routes, routes
from anymic.serving.guard import Guard
from anymic.serving.refusals import Refusal, refused
from anymic.serving.served import Service

PAGE = Path(__file__).with_name("page")
FIXES = {
    404: "see /openapi.json",
    405: "use the method that /openapi.json states",
}


def create_app(
    service: Service, *, token: str | None = None, host_names: Collection[str] = ()
) -> FastAPI:
    """Return the application of a service, which is closed when the application ends.

    Parameters
    ----------
    service : Service
    token : str, optional
        Which requests must show, except for `/healthz` and the page.
    host_names : collection of str
        Names, beside localhost and every address, by which clients may call it.

    Examples
    --------
    >>> import uvicorn  # doctest: +SKIP
    >>> app = create_app(Service(["run"]))  # doctest: +SKIP
    >>> uvicorn.run(app, host="127.0.0.1")  # doctest: +SKIP
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with scratch_folder() as folder:
            app.state.folder = folder
            try:
                yield
            finally:
                service.close()

    app = FastAPI(
        title="anymic",
        version=version(),
        description="Sound classification through any microphone and any codec.",
        docs_url=None,  # these pages load scripts from another site
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service = service
    app.include_router(routes.router)
    app.include_router(page_routes.router, include_in_schema=False)
    app.mount("/page", StaticFiles(directory=PAGE))
    app.add_api_route("/", _page, include_in_schema=False)
    app.add_exception_handler(AnymicError, _refuse)
    app.add_exception_handler(HTTPException, _refuse_http)
    app.add_middleware(
        Guard, limits=service.limits, metrics=service.metrics, token=token, hosts=host_names
    )
    return app


async def _page() -> FileResponse:
    # A page's own policy cannot state who may embed it; only a header can.
    headers = {"Content-Security-Policy": "frame-ancestors 'none'"}
    return FileResponse(PAGE / "index.html", headers=headers)


async def _refuse(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AnymicError)
    return refused(error)


async def _refuse_http(_: Request, error: Exception) -> JSONResponse:
    """Answer what the framework refuses in the three parts, too."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    return refused(
        Refusal(
            status,
            str(error.detail) or status.phrase,
            expected="a request as /openapi.json describes it",
            fix=FIXES.get(error.status_code, "correct the request"),
            headers=error.headers,
        )
    )
