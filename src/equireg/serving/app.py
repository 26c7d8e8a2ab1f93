"""The server's application: its paths, and one line for every error."""

import logging
import re
from typing import Annotated

from fastapi import APIRouter, FastAPI, Form, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from equireg._version import __version__
from equireg.config import ServeConfig
from equireg.errors import EquiregError
from equireg.folders.origin import in_text
from equireg.serving.desk import Desk
from equireg.serving.errors import RequestError
from equireg.serving.guard import App, Guard, same
from equireg.serving.page import page_routes
from equireg.serving.routes import routes

log = logging.getLogger("equireg")

LOCAL = ("localhost", "127.0.0.1", "::1")
"""Names of this machine that no other machine has."""


def make_app(desk: Desk, config: ServeConfig, token: str | None) -> App:
    """Return the application behind its guard.

    Args:
        desk: what all requests share.
        config: options of the server.
        token: secret that each request must bring; None for none.
    """
    app = FastAPI(title="equireg", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(routes(desk))
    app.include_router(page_routes(desk))
    app.include_router(_login(token))
    _answer_errors(app, desk)
    hosts = (*LOCAL, config.host) if config.host in LOCAL else None
    return Guard(app, token, int(config.max_upload_mb * 1e6), hosts)


def _login(token: str | None) -> APIRouter:
    """Return the paths by which Slicer logs in: the password is the token, the user's name is not looked at."""
    router = APIRouter(prefix="/auth")

    @router.get("/")
    def enabled() -> dict[str, object]:
        return {"enabled": token is not None, "client_id": "equireg", "realm": ""}

    @router.post("/token")
    def log_in(password: Annotated[str, Form()] = "") -> dict[str, str]:
        if token is not None and not same(password, token):
            raise RequestError(401, "the password is not the token that the server printed as it started.")
        return {"access_token": password, "token_type": "bearer"}

    @router.get("/token/valid")
    def valid() -> dict[str, str]:
        return {"username": "annotator"}

    return router


def _answer_errors(app: FastAPI, desk: Desk) -> None:
    """Answer errors by one line as ``detail``, without the server's paths."""

    @app.exception_handler(EquiregError)
    def ours(request: Request, error: EquiregError) -> JSONResponse:
        status = error.status if isinstance(error, RequestError) else 400
        # What was sent lies under names of the server's own, which tell a client nothing.
        line = re.sub(rf"\S*{re.escape(desk.scratch.name)}/(?:\S*/)?", "", " ".join(str(error).split()))
        return JSONResponse({"detail": in_text(line, desk.roots)}, status)

    @app.exception_handler(RequestValidationError)
    def misfit(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place, *names = map(str, first["loc"])
        where = ".".join(names) or "the request"
        if first["type"] != "missing":
            return JSONResponse({"detail": f"{where}: {first['msg']}."}, 422)
        how = f"in the address, as ?{where}=NAME" if place == "query" else f"as the field {where} of a form"
        return JSONResponse({"detail": f"{where} is missing; expected it {how}."}, 422)

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s: %s: %s", request.method, request.url.path, type(error).__name__, error)
        return JSONResponse({"detail": f"unexpected {type(error).__name__}; the server's log says more."}, 500)
