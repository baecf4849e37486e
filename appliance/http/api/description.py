"""The OpenAPI document of the management API: what handlers say of themselves, and the refusals all of them share."""

import http
from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Litestar
from litestar.di import Provide
from litestar.openapi.config import OpenAPIConfig
from litestar.types import ControllerRouterHandler

from appliance import __version__
from appliance.http.api.problem import MEDIA_TYPE, Problem

_OF_ALL = (400, 401, 403, 404, 421, 429, 500, 503)  # what any request may be refused with
_OF_CHANGES = (405, 409, 412, 413, 507)  # 405: the operation exists, and not for this thing
_READING = frozenset({"get", "head"})

Document = dict[str, Any]  # JSON, as OpenAPI 3.1 shapes it


def make_document(handlers: Sequence[ControllerRouterHandler], dependencies: dict[str, Provide]) -> bytes:
    """Return the document, made from the handlers' own signatures."""
    config = OpenAPIConfig("scr management API", __version__)
    # an application that only describes: the one that serves has no schema routes, for Litestar's are pages
    described = Litestar(handlers, dependencies=dependencies, openapi_config=config, logging_config=None)
    document: Document = described.openapi_schema.to_schema()
    _, components = msgspec.json.schema_components([Problem], ref_template="#/components/schemas/{name}")
    document["components"]["schemas"].update(components)
    for operations in document["paths"].values():
        for method, operation in operations.items():
            _tell_files(operation["responses"])
            _tell_refusals(operation["responses"], method)
    return msgspec.json.encode(document)


def _tell_files(responses: Document) -> None:
    """Tell what a handler sends as bytes for what it is, a file in a form of its own, and no text in JSON."""
    for response in responses.values():
        if response.get("content") == {"application/json": {"schema": {"type": "string"}}}:
            response["content"] = {"*/*": {"schema": {}}}


def _tell_refusals(responses: Document, method: str) -> None:
    """Add the refusals of a route; Litestar's own of a wrong shape is one of them here."""
    for status in (*_OF_ALL, *(() if method in _READING else _OF_CHANGES)):
        responses[str(status)] = {
            "description": http.HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}},
        }
    # an address longer than any is refused by the connection, before anybody knows what it is for
    responses["414"] = {"description": "URI Too Long", "content": {"text/plain": {"schema": {"type": "string"}}}}
