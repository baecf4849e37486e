"""Edits: `ETag` and `If-Match` against lost updates, and PATCH bodies of which only the fields that were sent count.

An edit's body is a struct of its own, every field `T | UnsetType = UNSET`, with `forbid_unknown_fields`. Its handler
takes `if_match: IfMatch = None`, hands `expected(if_match)` to the service, which checks it in the transaction of the
change, and answers by `with_etag`.
"""

import re
from typing import Annotated, TypeVar

import msgspec
from litestar import Response
from litestar.params import HeaderParameter

from appliance.domain.revision import ANY, Expected

Shown = TypeVar("Shown")
Edited = TypeVar("Edited", bound=msgspec.Struct)

IfMatch = Annotated[
    str | None,
    HeaderParameter(name="If-Match", max_length=1000, description="`ETag` of what is edited: 412 if it changed since"),
]
_STRONG = re.compile(r'(?<!W/)"([0-9]{1,18})"')


def expected(if_match: str | None) -> Expected:
    """Return what `If-Match` asks for (RFC 9110, 13.1.1); an ETag that is none of ours matches nothing."""
    if if_match is None or if_match.strip() == "*":
        return ANY
    return Expected(frozenset(int(one) for one in _STRONG.findall(if_match)))


def with_etag(shown: Shown, revision: int, status_code: int = 200) -> Response[Shown]:
    """Return the answer that shows a resource at `revision`."""
    return Response(shown, status_code=status_code, headers={"ETag": f'"{revision}"'})


def apply(order: msgspec.Struct, current: Edited) -> Edited:
    """Return `current` with the fields that `order` sets; what `current` has no field for is the handler's."""
    given = {name: getattr(order, name, msgspec.UNSET) for name in current.__struct_fields__}
    return msgspec.structs.replace(
        current, **{name: value for name, value in given.items() if value is not msgspec.UNSET}
    )
