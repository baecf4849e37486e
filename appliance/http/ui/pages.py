"""Every page of the console as one application, and what becomes of an error on the way to one."""

import secrets
from collections.abc import Callable
from typing import Any, cast

from litestar import Litestar, Response
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.types import ControllerRouterHandler

from appliance.errors import AccessDenied, ScrError, Unknown
from appliance.http.api import problem
from appliance.http.api.app import MAX_BODY
from appliance.http.api.asking import provide_asking
from appliance.http.api.running import Running
from appliance.http.noting import Noting
from appliance.http.ui.home import choose_language, show_home
from appliance.http.ui.static import send_asset
from appliance.http.ui.view import HtmlRequest, provide_view
from appliance.services.stock import Stock

AsgiApp = Callable[[Any, Any, Any], Any]
_PAGES: list[ControllerRouterHandler] = [send_asset, show_home, choose_language]
_NO_PAGES = ("/api/", "/health/", "/metrics", "/token", "/why/")


def make_console(stock: Stock, running: Running, noting: Noting) -> Litestar:
    """Return the console over `stock`."""

    def refuse(request: HtmlRequest, error: ScrError) -> Response[Any]:
        heading = "Not found" if isinstance(error, Unknown) else "Not possible"
        if isinstance(error, AccessDenied):
            heading = "Not allowed"
        scope = cast("dict[str, Any]", request.scope)
        noting.refusal(error, scope, scope.get("scr.caller"), scope.get("scr.site"))
        return _show_error(stock, request, problem.status_of(error), heading, error.message + error.why)

    def refuse_as_http(request: HtmlRequest, error: HTTPException) -> Response[Any]:
        if error.status_code == 404:
            return _show_error(stock, request, 404, "Not found", "There is no such page.")
        return _show_error(stock, request, error.status_code, "Not possible", str(error.detail))

    def fail(request: HtmlRequest, error: Exception) -> Response[Any]:
        log_id = secrets.token_hex(8)
        stock.log.error("request.failed", id=log_id, path=request.scope["path"], error=repr(error))
        return _show_error(stock, request, 500, "scr failed on this page", "Try it again.", log_id)

    return Litestar(
        _PAGES,
        dependencies={
            "stock": Provide(lambda: stock, sync_to_thread=False),
            "running": Provide(lambda: running, sync_to_thread=False),
            "asking": Provide(provide_asking, sync_to_thread=False),
            "view": Provide(provide_view, sync_to_thread=False),
        },
        exception_handlers={ScrError: refuse, HTTPException: refuse_as_http, Exception: fail},
        openapi_config=None,
        logging_config=None,  # its own would take over the log of the whole process
        request_max_body_size=MAX_BODY,
    )


def beside(api: AsgiApp, console: AsgiApp) -> AsgiApp:
    """Return the application that serves both: what is for programs under their paths, pages everywhere else."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's own loosely typed values
        path: str = scope["path"]
        await (api if path.startswith(_NO_PAGES) or path == "/api" else console)(scope, receive, send)

    return serve


def _show_error(
    stock: Stock, request: HtmlRequest, status: int, heading: str, message: str, log_id: str = ""
) -> Response[Any]:
    """Return the page of an error; to who asks for no page, a problem document."""
    if "text/html" not in request.headers.get("accept", ""):
        name = {403: "denied", 404: "page-unknown", 405: "unsupported", 413: "too-large", 500: "failed"}
        code, headers, body = problem.make_answer(name.get(status, "invalid"), status, message, log_id)
        told = {key.decode(): value.decode() for key, value in headers}
        return Response(body, status_code=code, headers=told, media_type=told["content-type"])
    view = provide_view(request, stock, provide_asking(request.scope))
    return view.page("pages/error.html", status=status, heading=heading, message=message, log_id=log_id)
