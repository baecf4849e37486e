"""The addresses of the distribution API: kind, image name and reference of a request."""

from appliance.errors import NameInvalid, PageUnknown
from appliance.http.v2.call import Scope


def match(scope: Scope) -> tuple[str, str, str]:
    """Return kind, `<name>` and reference of the request's path below `/v2/`.

    No name, tag or digest needs encoding, so `%` is refused but for an encoded colon: no two spellings of one path, no
    hidden slash. Raises NameInvalid, PageUnknown.
    """
    path: str = scope["path"]
    if b"%" in scope["raw_path"] and b"%" in scope["raw_path"].replace(b"%3A", b"").replace(b"%3a", b""):
        raise NameInvalid("the path has encoded characters; names, tags and digests need none")
    rest = path[4:]  # behind "/v2/"
    parts = rest.rsplit("/", 2)
    if len(parts) == 3:
        name, kind, reference = parts
        if kind in ("manifests", "blobs", "referrers"):
            return kind, name, reference
        if kind == "uploads" and name.endswith("/blobs"):
            return kind, name[:-6], reference
        if kind == "tags" and reference == "list":
            return kind, name, ""
    if rest in ("", "_catalog"):
        return rest, "", ""
    raise PageUnknown(f"{path[:200]!r} is no address of the distribution API")
