"""What a pull limit holds back, for whoever was refused or asks: the image and digest whose findings tell why."""

import msgspec

from appliance.db import images, manifests
from appliance.domain.access import Action
from appliance.domain.names import Digest, ImagePath, Tag
from appliance.domain.registry import ImageRef
from appliance.http.api.asking import Asking
from appliance.services.stock import Stock


class Blocked(msgspec.Struct, frozen=True):
    """A manifest that a pull limit refuses; its findings: `/api/v1/images/<id>/manifests/<digest>/scan/…?blocks=true`.

    `id` is that of the image, `digest` what the reference names at present.
    """

    id: str
    path: str
    digest: str


def find_blocked(stock: Stock, there: Asking, path: ImagePath, reference: Tag | Digest) -> Blocked | None:
    """Return what `reference` names, if it is there and who asks may view the image."""
    if not there.may(path, Action.VIEW_REPOSITORY):
        return None
    reader = stock.db.reader
    found = manifests.find(reader, ImageRef(there.site.registry, path), reference)
    if found is None:
        return None
    return Blocked(images.find_seat(reader, found.image).public_id, str(path), found.digest)
