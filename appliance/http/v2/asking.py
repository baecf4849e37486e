"""What the caller asks for, as a grant: the access decision of the distribution API, taken on the path alone."""

from functools import lru_cache

from appliance.domain.access import Action
from appliance.domain.admission import Grant, admit
from appliance.domain.names import parse_image_path
from appliance.http.v2.call import Call
from appliance.services.stock import Stock

_parse = lru_cache(maxsize=10_000)(parse_image_path)  # the same images are asked for again and again


def allow(stock: Stock, call: Call, name: str, *actions: Action) -> Grant:
    """Return the grant for `actions` on the image `name`, decided before any look-up.

    Raises NameInvalid, AccessDenied.
    """
    return admit(call.caller, call.site, _parse(name, strict=stock.rules.strict), actions)
