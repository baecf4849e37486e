"""`/api/v1/search`: registries, repositories, images, tags and digests by a part of what they are called."""

import enum
from typing import Annotated

import msgspec
from litestar import get
from litestar.params import QueryParameter

from appliance.db import search
from appliance.db.database import Reader
from appliance.db.search import Hit
from appliance.domain.access import Action
from appliance.domain.names import RegistryName, RepositoryName, of_repository, parse_image_path
from appliance.domain.registry import RegistryId
from appliance.http.api.asking import Asking, InAsking, InStock
from appliance.http.api.page import Page
from appliance.http.api.viewing import may_view

_MOST = 20  # of each kind
_LOOKED_AT = 1000  # of each kind: what the asker may not view is passed over
Question = Annotated[
    str, QueryParameter(max_length=300, description="a part of a name, `image:tag`, or the beginning of a digest")
]


class Kind(enum.StrEnum):
    """What was found."""

    REGISTRY = "registry"
    REPOSITORY = "repository"
    IMAGE = "image"
    TAG = "tag"
    MANIFEST = "manifest"
    BLOB = "blob"  # an image that uses it


class Found(msgspec.Struct, frozen=True):
    """Something found; `id` is that of the registry, the repository or the image."""

    kind: Kind
    id: str
    registry: str
    name: str  # of the registry or repository; the image's path
    reference: str  # the tag or the digest, "" for the other kinds


@get("/api/v1/search", tags=["search"])
async def find(stock: InStock, asking: InAsking, q: Question = "") -> Page[Found]:
    """List what has the words in its name, tags that begin so, and digests that do: up to 20 of each kind."""
    text = q.strip()
    return Page(await stock.db.read(lambda reader: _find(reader, asking, text)) if text else [], None)


def _find(reader: Reader, asking: Asking, text: str) -> list[Found]:
    name, colon, tag = text.rpartition(":")
    of_tags = (name if colon else "", tag if colon else text)
    hits = {
        Kind.REGISTRY: search.find_registries(reader, text, _LOOKED_AT),
        Kind.REPOSITORY: search.find_repositories(reader, text, _LOOKED_AT),
        Kind.IMAGE: search.find_images(reader, text, _LOOKED_AT),
        Kind.TAG: search.find_tags(reader, *of_tags, _LOOKED_AT),
        Kind.MANIFEST: search.find_manifests(reader, text, _LOOKED_AT),
        Kind.BLOB: search.find_blobs(reader, text, _LOOKED_AT),
    }
    found = []
    for kind, those in hits.items():
        seen = [one for one in those if _may_see(asking, kind, one)]
        found += [Found(kind, one.id, one.registry, one.image or one.name, _reference(one)) for one in seen[:_MOST]]
    return found


def _may_see(asking: Asking, kind: Kind, hit: Hit) -> bool:
    there = asking.at(RegistryId(hit.registry_row), RegistryName(hit.registry))
    if kind is Kind.REGISTRY:
        return may_view(there)
    is_image = kind is not Kind.REPOSITORY
    path = parse_image_path(hit.image) if is_image else of_repository(RepositoryName(hit.name))
    return there.may(path, Action.VIEW_REPOSITORY)


def _reference(hit: Hit) -> str:
    return hit.name if hit.image else ""
