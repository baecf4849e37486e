"""Uploads and PUT of manifests: the wire's side of services/push.py."""

from appliance.blobstore.upload import Upload
from appliance.domain.access import Action
from appliance.domain.admission import Grant, may_mount
from appliance.domain.moment import Timestamp
from appliance.domain.names import (
    Digest,
    ImageName,
    ImagePath,
    RepositoryName,
    is_digest,
    parse_digest,
    parse_image_path,
    parse_tag,
)
from appliance.domain.registry import ImageRef
from appliance.errors import (
    DigestInvalid,
    NameInvalid,
    OutOfRange,
    PageUnknown,
    QueryInvalid,
    QuotaExceeded,
    SizeInvalid,
)
from appliance.http.noting import Noting
from appliance.http.v2.asking import allow
from appliance.http.v2.call import Call, Headers
from appliance.http.v2.problems import warnings_of
from appliance.http.v2.ranges import parse_chunk
from appliance.services import push, quota
from appliance.services.push import ManifestPut
from appliance.services.stock import Stock

# `tag` parameters of one PUT: the specification asks for at least 10; each is answered by a header, and Python's
# clients give up at 100 headers
MAX_TAGS = 50
_ALGORITHMS = ("sha256", "sha512")


class Pushing:
    """Handlers that take things in. Spec: distribution-spec 1.1.1, "Push"."""

    def __init__(self, stock: Stock, noting: Noting) -> None:
        """Take things into `stock`; `noting` keeps what came."""
        self.stock = stock
        self.noting = noting

    async def start(self, call: Call, name: str, reference: str) -> None:
        """Begin an upload, take a whole blob, or mount one (end-4a, 4b, 4c, 11)."""
        grant = allow(self.stock, call, name, Action.PUSH)
        if reference:
            raise PageUnknown("POST begins an upload at …/blobs/uploads/; it takes no session id")
        now = self.stock.clock()
        if (mount := call.parameter("mount")) is not None and await self._mount(call, grant, mount, now):
            digest = parse_digest(mount)
            self.noting.passage(call, grant, "blob.mounted", digest, 0)
            await self._created(call, name, "blobs", digest)
            return
        algorithm = call.parameter("digest-algorithm") or "sha256"
        text = call.parameter("digest")
        wanted = None if text is None else parse_digest(text)
        if wanted is not None:
            algorithm = wanted.partition(":")[0]
        if algorithm not in _ALGORITHMS:
            raise DigestInvalid(f"digest-algorithm {algorithm[:40]!r} is not known; use sha256 or sha512")
        length = None if wanted is None else call.content_length()
        upload = await push.start_upload(self.stock, grant, algorithm, now, length or 0)
        if wanted is None:
            await call.reply(202, _session(name, upload))
            return
        upload.claim()
        try:
            await upload.receive(quota.watch(self.stock, upload, call.pieces(length)), closes=True)
            blob = await push.finish_upload(self.stock, grant, upload, wanted, now)
        except BaseException:  # a single request that failed leaves no session behind
            await upload.cancel()
            raise
        self.noting.passage(call, grant, "blob.pushed", wanted, blob.size)
        await self._created(call, name, "blobs", wanted)

    async def status(self, call: Call, name: str, session: str) -> None:
        """Say how far an upload is (end-13)."""
        grant = allow(self.stock, call, name, Action.PUSH)
        upload = await push.find_upload(self.stock, grant, session)
        await call.reply_empty(204, _session(name, upload))

    async def cancel(self, call: Call, name: str, session: str) -> None:
        """Drop an upload (end-14)."""
        grant = allow(self.stock, call, name, Action.PUSH)
        upload = await push.find_upload(self.stock, grant, session)
        upload.claim()
        await upload.cancel()
        await call.reply_empty(204)

    async def append(self, call: Call, name: str, session: str) -> None:
        """Take a chunk, or a stream of unknown length (end-5)."""
        grant = allow(self.stock, call, name, Action.PUSH)
        upload = await push.find_upload(self.stock, grant, session)
        upload.claim()
        try:
            await self._receive(call, name, upload)
        finally:
            upload.release()
        await call.reply(202, _session(name, upload))

    async def finish(self, call: Call, name: str, session: str) -> None:
        """Close an upload, with the whole blob, the last chunk or nothing as its body (end-6)."""
        grant = allow(self.stock, call, name, Action.PUSH)
        digest = call.parameter("digest")
        if digest is None:
            raise DigestInvalid("the closing PUT needs ?digest=<digest of the whole blob>")
        wanted = parse_digest(digest)
        upload = await push.find_upload(self.stock, grant, session)
        upload.claim()
        try:
            await self._receive(call, name, upload, closes=True)
            blob = await push.finish_upload(self.stock, grant, upload, wanted, self.stock.clock())
        finally:
            upload.release()
        self.noting.passage(call, grant, "blob.pushed", wanted, blob.size)
        await self._created(call, name, "blobs", wanted)

    async def put_manifest(self, call: Call, name: str, reference: str) -> None:
        """Store a manifest under a tag, a digest, or a digest and several tags (end-7a, 7b)."""
        grant = allow(self.stock, call, name, Action.PUSH)
        extra = [parse_tag(text) for text in call.parameters().get("tag", [])]
        if len(extra) > MAX_TAGS:
            raise QueryInvalid(f"{len(extra)} tags in one request are too many; send at most {MAX_TAGS}")
        digest = parse_digest(reference) if is_digest(reference) else None
        tags = extra if digest else [parse_tag(reference), *extra]
        body = await call.body(self.stock.rules.manifest_bytes)
        put = ManifestPut(body, call.header(b"content-type"), digest, tuple(tags))
        now = self.stock.clock()
        placed = await push.put_manifest(self.stock, grant, put, now)
        self.noting.books.tally.pushed(grant, placed.manifest, now, tagged=bool(tags))
        digest, named = placed.manifest.digest, tags[0] if tags else None
        self.noting.passage(call, grant, "manifest.pushed", digest, len(body), named)
        headers: Headers = [(b"oci-tag", tag.encode()) for tag in extra]
        if placed.manifest.subject:
            headers.append((b"oci-subject", placed.manifest.subject.encode()))
        headers += warnings_of(placed.warnings)
        await self._created(call, name, "manifests", placed.manifest.digest, headers)

    async def _receive(self, call: Call, name: str, upload: Upload, *, closes: bool = False) -> None:
        """Append the body to `upload`. Raises OutOfRange when it does not continue where the session ends."""
        length = call.content_length()
        text = call.header(b"content-range")
        if text:
            first, last = parse_chunk(text)
            announced = last - first + 1
            if first != upload.offset or (length is not None and length != announced and length > 0):
                raise OutOfRange(
                    f"the chunk is {text[:60]}, and the upload has {upload.offset} bytes; go on from there",
                    upload.offset,
                    _location(name, "blobs/uploads", upload.session.id),
                )
            length = length or announced
        if call.content_length() == 0:
            return
        before = upload.offset
        try:
            await upload.receive(quota.watch(self.stock, upload, call.pieces(length)), closes=closes)
        except QuotaExceeded:  # it cannot be finished; what came would use up the quota until it expires
            await upload.cancel()
            raise
        if length is not None and upload.offset - before != length:
            raise SizeInvalid(f"{upload.offset - before} of {length} announced bytes came; ask the session, then go on")

    async def _mount(self, call: Call, grant: Grant, text: str, now: Timestamp) -> bool:
        """Try to mount; False: go on with an upload. A source that is missing, foreign or unreadable is no error."""
        digest = parse_digest(text)
        named = None
        if (source := call.parameter("from")) is not None:
            try:
                path = parse_image_path(source, strict=self.stock.rules.strict)
            except NameInvalid:
                return False
            if not may_mount(call.caller, call.site, path):
                return False
            named = ImageRef(grant.image.registry, path)

        def readable(paths: list[str]) -> list[ImageRef]:
            found = []
            for one in paths:
                repository, _, image = one.partition("/")
                path = ImagePath(RepositoryName(repository), ImageName(image))
                if may_mount(call.caller, call.site, path):
                    found.append(ImageRef(grant.image.registry, path))
            return found

        return await push.mount_blob(self.stock, grant, digest, readable, named, now)

    async def _created(self, call: Call, name: str, kind: str, digest: Digest, headers: Headers | None = None) -> None:
        location = (b"location", _location(name, kind, digest).encode())
        await call.reply(201, [location, (b"docker-content-digest", digest.encode()), *(headers or [])])


def _location(name: str, kind: str, reference: str) -> str:
    """Return a relative address, which no proxy can break, in the client's own spelling of the name."""
    return f"/v2/{name}/{kind}/{reference}"


def _session(name: str, upload: Upload) -> Headers:
    """Return the headers that tell a client where its upload stands.

    `0-0` stands for an empty session and for one byte alike (distribution-spec#577), so the offset is told too.
    """
    return [
        (b"location", _location(name, "blobs/uploads", upload.session.id).encode()),
        (b"range", b"0-%d" % max(upload.offset - 1, 0)),
        (b"docker-upload-uuid", upload.session.id.encode()),
        (b"scr-upload-offset", b"%d" % upload.offset),
    ]
