"""Every page of the console as one application; who is asked to sign in; what becomes of an error on the way."""

import secrets
from collections.abc import Callable
from typing import Any, cast

from litestar import Litestar, Response
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.types import ControllerRouterHandler

from appliance.errors import ScrError
from appliance.http.api import problem
from appliance.http.api.app import MAX_BODY
from appliance.http.api.asking import InAsking, provide_asking
from appliance.http.noting import Noting
from appliance.http.ui.backend import AsgiApp, Refused
from appliance.http.ui.deletion_test import DeletionTestPages
from appliance.http.ui.first import make_first, show_first
from appliance.http.ui.home import choose_language, show_home
from appliance.http.ui.images import ImagePages
from appliance.http.ui.index import INDEX
from appliance.http.ui.locks import LockPages
from appliance.http.ui.manifests import show_manifest
from appliance.http.ui.registries import RegistryPages
from appliance.http.ui.render import query
from appliance.http.ui.repositories import RepositoryPages
from appliance.http.ui.scan_files import FilePages, search_contents
from appliance.http.ui.scans import ScanPages, list_accepted, reopen_accepted
from appliance.http.ui.sign_in import show_sign_in, sign_in, sign_out
from appliance.http.ui.static import send_asset
from appliance.http.ui.tags import TagPages
from appliance.http.ui.vex import VexPages
from appliance.http.ui.view import HEADERS, HtmlRequest, View, make_view
from appliance.http.ui.vulnerability_data import VulnerabilityDataPages, scan_registry, scan_repository
from appliance.logs import Log

_PAGES: list[ControllerRouterHandler] = [
    send_asset,
    show_home,
    choose_language,
    show_sign_in,
    sign_in,
    sign_out,
    show_first,
    make_first,
    RegistryPages,
    *INDEX,
    RepositoryPages,
    ImagePages,
    TagPages,
    LockPages,
    show_manifest,
    ScanPages,
    FilePages,
    search_contents,
    list_accepted,
    VexPages,
    VulnerabilityDataPages,
    scan_registry,
    scan_repository,
    reopen_accepted,
    DeletionTestPages,
]
_NO_PAGES = ("/api/", "/health/", "/metrics", "/token")
_FOR_STRANGERS = ("/static/", "/sign-in", "/language", "/first-administrator")
_HEADINGS = {
    401: "Sign in first",
    403: "Not allowed",
    404: "Not found",
    409: "Not possible now",
    412: "Changed meanwhile",
}
_PROBLEMS = {403: "denied", 404: "page-unknown", 405: "unsupported", 413: "too-large", 500: "failed"}


def make_console(api: AsgiApp, noting: Noting, log: Log) -> AsgiApp:
    """Return the application that serves `api` under its paths, and pages everywhere else."""
    console = _make_pages(api, noting, log)

    async def serve(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's own loosely typed values
        await (console if _is_page(scope) else api)(scope, receive, send)

    return serve


def _is_page(scope: Any) -> bool:  # noqa: ANN401 - as above
    """Whether the request is for a page. `/why/` is one for a browser, and a text for every other client."""
    path: str = scope["path"]
    if path.startswith("/why/"):
        return b"text/html" in scope["scr.headers"].get(b"accept", b"")
    return not path.startswith(_NO_PAGES) and path != "/api"


def _make_pages(api: AsgiApp, noting: Noting, log: Log) -> Litestar:
    def provide_view(request: HtmlRequest, asking: InAsking) -> View:
        return make_view(request, api, asking)

    def tell(request: HtmlRequest, status: int, message: str, log_id: str = "") -> Response[Any]:
        heading = _HEADINGS.get(status, "Not possible" if status < 500 else "scr failed on this page")
        if "text/html" not in request.headers.get("accept", ""):
            return _problem(status, message, log_id)
        view = make_view(request, api, provide_asking(request.scope))
        return view.page("pages/error.html", status=status, heading=heading, message=message, log_id=log_id)

    def refuse(request: HtmlRequest, error: ScrError) -> Response[Any]:
        scope = cast("Any", request.scope)
        noting.refusal(error, scope, scope.get("scr.caller"), scope.get("scr.site"))
        return tell(request, problem.status_of(error), error.message + error.why)

    def pass_on(request: HtmlRequest, error: Refused) -> Response[Any]:
        return tell(request, error.status, error.detail)

    def refuse_as_http(request: HtmlRequest, error: HTTPException) -> Response[Any]:
        return tell(request, error.status_code, "There is no such page." if error.status_code == 404 else error.detail)

    def fail(request: HtmlRequest, error: Exception) -> Response[Any]:
        log_id = secrets.token_hex(8)
        log.error("request.failed", id=log_id, path=request.scope["path"], error=repr(error))
        return tell(request, 500, "Try it again.", log_id)

    handlers: dict[Any, Callable[..., Response[Any]]] = {
        ScrError: refuse,
        Refused: pass_on,
        HTTPException: refuse_as_http,
        Exception: fail,
    }
    return Litestar(
        _PAGES,
        dependencies={
            "asking": Provide(provide_asking, sync_to_thread=False),
            "view": Provide(provide_view, sync_to_thread=False),
        },
        before_request=_invite,
        exception_handlers=cast("Any", handlers),
        openapi_config=None,
        logging_config=None,  # its own would take over the log of the whole process
        request_max_body_size=MAX_BODY,
    )


def _invite(request: HtmlRequest) -> Response[str] | None:
    """Send who has not signed in to the page for that, and back afterwards; everybody else goes on."""
    path = request.scope["path"]
    if not cast("Any", request.scope).get("scr.is_stranger") or path.startswith(_FOR_STRANGERS):
        return None
    back = path if request.method == "GET" else "/"
    asked = request.scope["query_string"].decode()
    address = query("/sign-in", next=f"{back}?{asked}" if asked and back != "/" else back)
    return Response("", status_code=303, headers={**HEADERS, "Location": address})


def _problem(status: int, message: str, log_id: str) -> Response[bytes]:
    """Return the answer for a program that came to a page."""
    code, headers, body = problem.make_answer(_PROBLEMS.get(status, "invalid"), status, message, log_id)
    told = {name.decode(): value.decode() for name, value in headers}
    return Response(body, status_code=code, headers=told, media_type=told["content-type"])
