"""What files of blobs and of manifests' copies are called, in a folder and below the prefix of a bucket alike."""

from appliance.blobstore.forms import PLAIN, SUFFIXES, form_of, size_in
from appliance.blobstore.store import Lying
from appliance.domain.names import Digest, algorithm_of, hex_of, parse_digest
from appliance.errors import DigestInvalid

BLOBS, MANIFESTS, QUARANTINE = "blobs", "manifests", "quarantine"


def path_of(digest: Digest, generation: str, kind: str = BLOBS, form: str = PLAIN) -> str:
    """Return `<kind>/<algorithm>/<two hex>/<hex>.<generation>` with what stands behind it for `form`."""
    text = hex_of(digest)
    return f"{kind}/{algorithm_of(digest)}/{text[:2]}/{text}.{generation}{SUFFIXES[form]}"


def lying_by_name(name: str, algorithm: str, size: int, written: float, driver: str) -> Lying | None:
    """Return what a file of `size` bytes is by its `name` without folders; None when it is not ours."""
    text, _, rest = name.partition(".")
    generation, dot, suffix = rest.partition(".")
    form = form_of(dot + suffix)
    if form is None and suffix.endswith("part"):  # a crash left it half written: nothing owns that generation
        generation, form = rest, PLAIN
    try:
        digest = parse_digest(f"{algorithm}:{text}")
    except DigestInvalid:
        return None
    return None if form is None else Lying(digest, generation, size_in(form, size), written, form, driver)
