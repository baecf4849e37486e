"""Errors as problem documents (RFC 9457): the one table of statuses of the management API."""

import http

import msgspec

from appliance import errors
from appliance.errors import ScrError, kind_of

MEDIA_TYPE = "application/problem+json"

# a family decides; a leaf stands here only where its status is another
STATUSES: dict[type[ScrError], int] = {
    ScrError: 500,
    errors.Unknown: 404,
    errors.Invalid: 400,
    errors.ConfigInvalid: 500,
    errors.TooLarge: 413,
    errors.OutOfRange: 416,
    errors.Unauthorized: 401,
    errors.Denied: 403,
    errors.TagLocked: 409,
    errors.Removed: 409,
    errors.Misdirected: 421,
    errors.Unsupported: 405,
    errors.Conflict: 409,
    errors.Stale: 412,
    errors.FolderBusy: 500,
    errors.Unavailable: 503,
    errors.TooManyRequests: 429,
    errors.StorageFull: 507,
}
_RETRY_AFTER_S = b"10"


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """A problem document. `type` is stable and for programs, `detail` says what happened and what to do."""

    type: str
    title: str
    status: int
    detail: str
    id: str = ""  # of the line in the log, where there is one


def status_of(error: ScrError) -> int:
    """Return the HTTP status of `error`: its own, else its nearest family's."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def answer_to(error: ScrError) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return status, headers and body of the problem document for `error`."""
    status = status_of(error)
    return make_answer(kind_of(error), status, error.message + error.why)


def make_answer(name: str, status: int, detail: str, log_id: str = "") -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return status, headers and body of a problem document of the kind `name`."""
    headers = [(b"content-type", MEDIA_TYPE.encode())]
    if status in (429, 503, 507):
        headers.append((b"retry-after", _RETRY_AFTER_S))
    title = http.HTTPStatus(status).phrase
    problem = Problem(f"urn:scr:problem:{name}", title, status, detail, log_id)
    return status, headers, msgspec.json.encode(problem)
