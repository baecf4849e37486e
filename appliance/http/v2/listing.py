"""Lists and deletes: tags, catalogue, referrers; DELETE of tags, manifests and blobs."""

import functools
from urllib.parse import quote

import msgspec

from appliance.db import images, manifests, referrers, tags
from appliance.db.database import Reader
from appliance.db.referrers import Referrer
from appliance.domain.access import Action
from appliance.domain.admission import Grant, admit_catalog, may_see
from appliance.domain.manifest import INDEXES, OCI_INDEX
from appliance.domain.names import (
    Digest,
    ImageName,
    ImagePath,
    RepositoryName,
    Tag,
    algorithm_of,
    from_bytes,
    hex_of,
    is_digest,
    parse_digest,
    parse_tag,
)
from appliance.domain.registry import RegistryId
from appliance.errors import NameUnknown, QueryInvalid
from appliance.http.v2.asking import allow
from appliance.http.v2.call import Call, Headers
from appliance.services import delete
from appliance.services.stock import Stock

PAGE = 1000  # entries of a page, asked for or not; more are behind `Link`
REFERRERS_PAGE = 500  # entries
REFERRERS_BYTES = 4 << 20  # of their manifests, whose annotations are copied: a page is kept in memory
_JSON = (b"content-type", b"application/json")


class _TagList(msgspec.Struct):
    name: str
    tags: list[Tag]


class _Catalog(msgspec.Struct):
    repositories: list[str]


class _Descriptor(msgspec.Struct, rename="camel", omit_defaults=True):
    media_type: str
    digest: str
    size: int
    artifact_type: str | None = None
    annotations: dict[str, str] | None = None


class _Index(msgspec.Struct, rename="camel"):
    schema_version: int
    media_type: str
    manifests: list[_Descriptor]


class _Annotated(msgspec.Struct):
    annotations: dict[str, str] | None = None


class _Fallback(msgspec.Struct):
    manifests: list[_Descriptor] = []


_ANNOTATIONS = msgspec.json.Decoder(_Annotated)
_FALLBACK = msgspec.json.Decoder(_Fallback)


class Listing:
    """Handlers that list and delete. Spec: distribution-spec 1.1.1, "Content Discovery", "Content Management"."""

    def __init__(self, stock: Stock) -> None:
        """List and delete in `stock`."""
        self.stock = stock

    async def tags(self, call: Call, name: str, reference: str) -> None:
        """List tags in ASCII order (end-8a, 8b)."""
        del reference
        grant = allow(self.stock, call, name, Action.PULL)
        count, last = _page(call)
        names = (
            await self.stock.db.read(lambda reader: tags.list_names(reader, grant.image, last, count + 1))
            if count
            else []
        )
        if not names and images.find_shown(self.stock.db.reader, grant.image) is None:
            raise NameUnknown(f"there is no image {grant.path}; push it first")
        headers: Headers = [_JSON]
        if len(names) > count:
            del names[count:]
            headers.append(_link(f"/v2/{name}/tags/list?n={count}&last={quote(names[-1])}"))
        await call.reply(200, headers, msgspec.json.encode(_TagList(name, names)))

    async def catalog(self, call: Call, name: str, reference: str) -> None:
        """List the images the caller may pull, in ASCII order."""
        del name, reference
        admit_catalog(call.caller, call.site)
        count, last = _page(call)
        found: list[str] = []
        is_end = not count
        while len(found) <= count and not is_end:
            paths = await self.stock.db.read(
                functools.partial(_paths, registry=call.site.registry, last=last, limit=count + 1)
            )
            is_end = len(paths) <= count
            found += [path for path in paths if may_see(call.caller, call.site, _split(path))]
            last = paths[-1] if paths else last
        headers: Headers = [_JSON]
        if count and len(found) > count:
            del found[count:]
            headers.append(_link(f"/v2/_catalog?n={count}&last={quote(found[-1])}"))
        await call.reply(200, headers, msgspec.json.encode(_Catalog(found)))

    async def referrers(self, call: Call, name: str, text: str) -> None:
        """List what names a digest as its subject; never 404 (end-12a, 12b)."""
        grant = allow(self.stock, call, name, Action.PULL)
        subject = parse_digest(text)
        # a media type has no space: that was a `+` which the client did not encode
        artifact_type = (call.parameter("artifactType") or "").replace(" ", "+")
        cursor = call.parameter("last") or "0"
        if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
            raise QueryInvalid("last is not a cursor of this list; follow the Link header")
        page = functools.partial(
            referrers.list_page,
            image=grant.image,
            subject=subject,
            artifact_type=artifact_type,
            last=int(cursor),
            limit=REFERRERS_PAGE,
            size=REFERRERS_BYTES,
        )
        found = await self.stock.db.read(page)
        headers: Headers = [(b"content-type", OCI_INDEX.encode())]
        if not found.is_last:
            kind = f"&artifactType={quote(artifact_type, safe='')}" if artifact_type else ""
            headers.append(_link(f"/v2/{name}/referrers/{subject}?last={found.referrers[-1].id}{kind}"))
        if artifact_type:
            headers.append((b"oci-filters-applied", b"artifactType"))
        listed = [_describe(one) for one in found.referrers]
        if cursor == "0":
            listed += self._left_by_older_clients(grant, subject, artifact_type, {one.digest for one in listed})
        await call.reply(200, headers, msgspec.json.encode(_Index(2, OCI_INDEX, listed)))

    async def delete_manifest(self, call: Call, name: str, reference: str) -> None:
        """Delete a tag, or a manifest with all its tags (end-9)."""
        grant = allow(self.stock, call, name, Action.DELETE)
        now = self.stock.clock()
        if is_digest(reference):
            await delete.delete_manifest(self.stock, grant, parse_digest(reference), now)
        else:
            await delete.delete_tag(self.stock, grant, parse_tag(reference), now)
        await call.reply(202)

    async def delete_blob(self, call: Call, name: str, text: str) -> None:
        """Delete a blob that no manifest of the image needs (end-10)."""
        grant = allow(self.stock, call, name, Action.DELETE)
        await delete.delete_blob(self.stock, grant, parse_digest(text), self.stock.clock())
        await call.reply(202)

    def _left_by_older_clients(
        self, grant: Grant, subject: Digest, artifact_type: str, known: set[str]
    ) -> list[_Descriptor]:
        """Return what stands in the index under the tag `sha256-<hex>`. Spec: "Referrers Tag Schema"."""
        tag = Tag(f"{algorithm_of(subject)}-{hex_of(subject)[:64]}")
        found = manifests.find(self.stock.db.reader, grant.image, tag)
        if found is None or found.media_type not in INDEXES:
            return []
        try:
            listed = _FALLBACK.decode(found.body).manifests
        except msgspec.ValidationError:  # an index of another make: its children are no referrers we could list
            return []
        return [one for one in listed if one.digest not in known and artifact_type in ("", one.artifact_type)]


def _paths(reader: Reader, *, registry: RegistryId, last: str, limit: int) -> list[str]:
    return images.list_paths(reader, registry, last, limit)


def _split(path: str) -> ImagePath:
    repository, _, image = path.partition("/")
    return ImagePath(RepositoryName(repository), ImageName(image))


def _describe(one: Referrer) -> _Descriptor:
    annotations = _ANNOTATIONS.decode(one.body).annotations
    return _Descriptor(one.media_type, from_bytes(one.digest), len(one.body), one.artifact_type or None, annotations)


def _page(call: Call) -> tuple[int, str]:
    """Return how many entries are asked for (at most PAGE), and behind which name. Raises QueryInvalid."""
    text = call.parameter("n")
    last = call.parameter("last") or ""
    if text is None:
        return PAGE, last
    if not (text.isascii() and text.isdigit()):
        raise QueryInvalid(f"n={text[:40]!r} is not a number of entries; use 0 or more")
    return (PAGE if len(text) > 4 else min(int(text), PAGE)), last


def _link(address: str) -> tuple[bytes, bytes]:
    """Return the Link header to the next page (RFC 8288)."""
    return b"link", f'<{address}>; rel="next"'.encode()
