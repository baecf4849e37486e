"""The Litestar application: `/api/v1`, its description at `/api/schema`, `/health`."""

import secrets
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, cast

from litestar import Litestar, Request, Response, get
from litestar.di import Provide
from litestar.enums import ParamType
from litestar.exceptions import HTTPException, ValidationException
from litestar.handlers import BaseRouteHandler
from litestar.types import ControllerRouterHandler

from appliance.domain.access import Action
from appliance.errors import QueryInvalid, ScrError, Unauthorized
from appliance.http.api import problem
from appliance.http.api.acceptances import Acceptances
from appliance.http.api.access_keys import AccessKeys
from appliance.http.api.activity import ACTIVITY
from appliance.http.api.allowlists import ManagementAllowlist, RegistryAllowlists, list_allowlists
from appliance.http.api.asking import InAsking, InRunning, provide_asking
from appliance.http.api.comparison import compare_scans
from appliance.http.api.declarations import plan_declaration
from appliance.http.api.defaults import show_defaults
from appliance.http.api.deletions import Deletions
from appliance.http.api.description import make_document
from appliance.http.api.explain import explain
from appliance.http.api.first import make_first
from appliance.http.api.groups import Groups
from appliance.http.api.images import Images
from appliance.http.api.jobs import Jobs, list_schedules
from appliance.http.api.leaving import list_leaving
from appliance.http.api.locks import set_locks
from appliance.http.api.manifests import Manifests
from appliance.http.api.metrics import list_metrics, show_metrics
from appliance.http.api.own import Self
from appliance.http.api.policies import Policies
from appliance.http.api.refusals import Refusals, tell_why
from appliance.http.api.registries import Registries
from appliance.http.api.registry_making import check_registry
from appliance.http.api.repositories import Repositories
from appliance.http.api.retention import Retention
from appliance.http.api.roles import Roles
from appliance.http.api.scan_exports import SCAN_EXPORTS
from appliance.http.api.scan_files import SCAN_FILES
from appliance.http.api.scan_search import SEARCHES
from appliance.http.api.scanning import SCAN_ORDERS
from appliance.http.api.scans import Scans
from appliance.http.api.search import find
from appliance.http.api.session import Sessions, provide_entry
from appliance.http.api.settings import show_settings
from appliance.http.api.snapshots import show_snapshots
from appliance.http.api.status import show_status
from appliance.http.api.storage import STORAGE
from appliance.http.api.storage_use import list_use
from appliance.http.api.tags import Tags
from appliance.http.api.traffic import TRAFFIC
from appliance.http.api.upkeep import run_collection, run_scrub, run_verification
from appliance.http.api.users import Users
from appliance.http.api.vex import VexDocuments
from appliance.http.api.vulndb import VULNDB
from appliance.http.explain import Explainer
from appliance.http.health import Health
from appliance.http.meter import Meter
from appliance.http.noting import Noting
from appliance.http.running import Running
from appliance.services.describe import Describer
from appliance.services.stock import Stock

MAX_BODY = 1 << 20  # bytes of a request of the management API: no resource is near it
_HANDLERS: list[ControllerRouterHandler] = [
    show_status,
    Registries,
    check_registry,
    plan_declaration,
    RegistryAllowlists,
    ManagementAllowlist,
    list_allowlists,
    Repositories,
    show_defaults,
    Images,
    Manifests,
    set_locks,
    Tags,
    Deletions,
    Retention,
    Scans,
    *SCAN_EXPORTS,
    Acceptances,
    VexDocuments,
    *SEARCHES,
    *SCAN_FILES,
    compare_scans,
    *SCAN_ORDERS,
    Jobs,
    list_schedules,
    show_snapshots,
    Sessions,
    Users,
    Roles,
    Groups,
    Policies,
    AccessKeys,
    Self,
    make_first,
    explain,
    list_leaving,
    run_collection,
    run_scrub,
    run_verification,
    *STORAGE,
    *VULNDB,
    list_use,
    find,
    show_settings,
    *ACTIVITY,
    Refusals,
    *TRAFFIC,
    list_metrics,
]
PARTS = ("books", "meter", "stock", "running", "describer", "explainer", "noting")  # that handlers ask for by name
_CHANGING = ("POST", "PUT", "PATCH", "DELETE")
Parts = Mapping[str, Callable[[], object]]
_ANY: Any = None  # in the place of a path parameter's own definition: only its name is looked at
_Asked = Request[Any, Any, Any]  # Litestar's own type of a request without users, tokens and state


@get("/health/live", sync_to_thread=False, include_in_schema=False)
def live() -> Health:
    """Say that the process is there."""
    return Health("live", ())


@get("/health/ready", include_in_schema=False)
async def ready(running: InRunning) -> Response[Health]:
    """Say whether it can serve: 200 for ready and degraded, else 503."""
    health = await running.ready()
    return Response(health, status_code=503 if health.status == "down" else 200)


def make_app(stock: Stock, running: Running, noting: Noting, meter: Meter, explainer: Explainer) -> Litestar:
    """Return the application over `stock`."""
    describer = Describer(stock)
    parts: Parts = {
        "books": lambda: noting.books,
        "meter": lambda: meter,
        "stock": lambda: stock,
        "running": lambda: running,
        "describer": lambda: describer,
        "explainer": lambda: explainer,
        "noting": lambda: noting,
    }

    @get("/api/schema", sync_to_thread=False, include_in_schema=False, media_type="application/vnd.oai.openapi+json")
    def describe(asking: InAsking) -> bytes:
        """Return the OpenAPI description of the management API: one document, no page, nothing from elsewhere."""
        asking.check(Action.VIEW_REGISTRY)
        return describe_api()

    def fail(request: _Asked, error: Exception) -> Response[bytes]:
        log_id = secrets.token_hex(8)
        stock.log.error("request.failed", id=log_id, path=request.scope["path"], error=repr(error))
        detail = f"scr failed on this request; its log has the reason under id {log_id}"
        return _answer(problem.make_answer("failed", 500, detail, log_id))

    def refuse(request: _Asked, error: ScrError) -> Response[bytes]:
        scope = cast("dict[str, Any]", request.scope)
        noting.refusal(error, scope, scope.get("scr.caller"), scope.get("scr.site"))
        answer = _answer(problem.answer_to(error))
        if isinstance(error, Unauthorized):
            entry = provide_entry(request.scope)
            for name, value in entry.callers.challenger.headers(scope, entry.site, error):
                answer.headers[name.decode()] = value.decode()  # the last one is the token's: who asks here has one
        return answer

    return Litestar(
        [live, ready, describe, show_metrics, tell_why, *_HANDLERS],
        dependencies=provide(parts),
        before_request=_check_shape,
        exception_handlers={ScrError: refuse, HTTPException: _refuse_as_http, Exception: fail},
        openapi_config=None,
        logging_config=None,  # its own would take over the log of the whole process
        request_max_body_size=MAX_BODY,
    )


def describe_api() -> bytes:
    """Return the OpenAPI document of the management API."""
    return make_document(_HANDLERS, provide(no_parts()))


def provide(parts: Parts) -> dict[str, Provide]:
    """Return what handlers ask for by name: the parts, and what each request brings."""
    given = {name: Provide(parts[name], sync_to_thread=False) for name in PARTS}
    return {
        **given,
        "asking": Provide(provide_asking, sync_to_thread=False),
        "way_in": Provide(provide_entry, sync_to_thread=False),
    }


def no_parts() -> Parts:
    """Return what stands for the parts where no handler runs."""
    return {name: (lambda: None) for name in PARTS}  # one each: Litestar wants every provider to be another


async def _check_shape(request: _Asked) -> None:
    """Refuse what no handler should see: parameters that the route does not know, and bodies that are no text.

    A misspelt `confirm` or `limit` must not be ignored.
    """
    known = _parameters(request.route_handler, tuple(request.path_params)).values()
    for name in request.query_params:
        if name not in known:
            raise QueryInvalid(f"this route has no parameter {name[:40]!r}; see /api/schema")
    if request.method in _CHANGING:
        try:
            (await request.body()).decode()
        except UnicodeDecodeError as error:
            raise QueryInvalid("the body is no text in UTF-8; see /api/schema") from error


@lru_cache(maxsize=512)  # there are fewer routes than that
def _parameters(handler: BaseRouteHandler, path_parameters: tuple[str, ...]) -> dict[str, str]:
    """Return the query parameters that a route takes, those of its dependencies too: Python's name -> the API's."""
    found = handler.create_kwargs_model(dict.fromkeys(path_parameters, _ANY)).expected_query_params
    return {one.field_name: one.field_alias for one in found if one.param_type is ParamType.QUERY}


def _refuse_as_http(request: _Asked, error: HTTPException) -> Response[bytes]:
    """Answer what Litestar itself refuses: no such route, another method, a parameter or body of another shape."""
    detail = error.detail
    if isinstance(error, ValidationException) and isinstance(error.extra, list):
        detail = "; ".join(_sentence(request, one) for one in error.extra) or detail
    elif error.status_code == 404:
        detail = f"there is nothing at {request.scope['path'][:200]}; see /api/schema"
    elif error.status_code == 405:
        detail = f"{request.method} is not possible here; see /api/schema"
    name = {400: "invalid", 404: "page-unknown", 405: "unsupported", 413: "too-large"}.get(error.status_code, "refused")
    answer = _answer(problem.make_answer(name, error.status_code, detail))
    answer.headers.update(error.headers or {})
    return answer


def _sentence(request: _Asked, mistake: dict[str, str]) -> str:
    """Return what is wrong with a parameter or the body, in the words of the API."""
    key, message = mistake.get("key", "request"), mistake.get("message", "")
    if key == "data":
        return "this route needs a body of JSON; see /api/schema" if message == "'data'" else f"body: {message}"
    known = _parameters(request.route_handler, tuple(request.path_params))
    return f"{known.get(key, key.removeprefix('data.'))}: {message}"


def _answer(made: tuple[int, list[tuple[bytes, bytes]], bytes]) -> Response[bytes]:
    status, headers, body = made
    told = {name.decode(): value.decode() for name, value in headers}
    return Response(body, status_code=status, headers=told, media_type=told["content-type"])
