"""THE HOT PATH, top to bottom: match the route, admit, find, send.

A bare ASGI application for `/v2/`: GET and HEAD of manifests and blobs are all here; uploads are in push.py, lists and
deletes in listing.py. Point reads run on the loop (budget 200 us), everything that waits runs in a thread.
"""

import functools
import secrets
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from time import perf_counter

from appliance.db import blobs
from appliance.domain.access import ANONYMOUS, Action
from appliance.domain.admission import Caller, Grant, Site, admit_sign_in
from appliance.domain.names import Tag, is_digest, parse_digest
from appliance.domain.registry import FoundManifest, StoredBlob
from appliance.errors import (
    BlobUnknown,
    ManifestUnknown,
    NameInvalid,
    PageUnknown,
    PullDenied,
    ScrError,
    StoreFailed,
    Unauthorized,
    Unsupported,
)
from appliance.http.challenge import Challenger
from appliance.http.meter import Meter
from appliance.http.noting import Noting
from appliance.http.v2.asking import allow
from appliance.http.v2.call import Call, ClientLeft, Headers, Receive, Scope, Send
from appliance.http.v2.listing import Listing
from appliance.http.v2.problems import answer_to, body_of, warnings_of
from appliance.http.v2.push import Pushing
from appliance.http.v2.ranges import parse_range
from appliance.http.v2.remembered import Remembered
from appliance.http.v2.routes import match
from appliance.services import pull_limit, scrub
from appliance.services.stock import Stock

Handler = Callable[[Call, str, str], Awaitable[None]]


class DistributionApi:
    """The distribution API over one stock. Spec: distribution-spec 1.1.1, "API"."""

    def __init__(self, stock: Stock, noting: Noting, meter: Meter, challenger: Challenger) -> None:
        """Serve `stock`; `noting` and `meter` keep what is asked, `challenger` says where tokens are."""
        self.challenger = challenger
        self.stock = stock
        self.reader = stock.db.reader
        self.noting = noting
        self._remembered = Remembered(stock.db)
        self.tally, self.traffic = noting.books.tally, noting.books.traffic
        self.meter = meter
        pushing, listing = Pushing(stock, noting), Listing(stock)
        self.routes: dict[tuple[str, str], Handler] = {
            ("manifests", "GET"): self.get_manifest,
            ("manifests", "HEAD"): self.get_manifest,
            ("manifests", "PUT"): pushing.put_manifest,
            ("manifests", "DELETE"): listing.delete_manifest,
            ("blobs", "GET"): self.get_blob,
            ("blobs", "HEAD"): self.get_blob,
            ("blobs", "DELETE"): listing.delete_blob,
            ("uploads", "POST"): pushing.start,
            ("uploads", "GET"): pushing.status,
            ("uploads", "PATCH"): pushing.append,
            ("uploads", "PUT"): pushing.finish,
            ("uploads", "DELETE"): pushing.cancel,
            ("uploads", "HEAD"): pushing.status,
            ("tags", "GET"): listing.tags,
            ("tags", "HEAD"): listing.tags,
            ("referrers", "GET"): listing.referrers,
            ("referrers", "HEAD"): listing.referrers,
            ("_catalog", "GET"): listing.catalog,
            ("_catalog", "HEAD"): listing.catalog,
            ("", "GET"): self.ping,
            ("", "HEAD"): self.ping,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send, caller: Caller, site: Site) -> None:
        """Answer one request of `caller`, admitted by the front, to the registry `site`."""
        began = perf_counter()
        call = Call(scope, receive, send, caller, site)
        route = "other", call.method
        try:
            kind, name, reference = match(scope)
            route = kind, call.method
            handler = self.routes.get(route)
            if handler is None:
                await self._refuse_method(call, kind)
            else:
                await handler(call, name, reference)
        except ClientLeft:
            return
        except (NameInvalid, PageUnknown) as error:
            await self._refuse(call, self._refusal_of(call) or error)
        except ScrError as error:
            self.noting.refusal(error, scope, caller, site)
            await self._refuse(call, error)
        except Exception as error:  # noqa: BLE001 - the last border: logged once, with an id, and its text not sent
            request = secrets.token_hex(8)
            self.stock.log.error("request.failed", id=request, path=scope["path"], error=repr(error))
            if not call.is_started:
                body = body_of("UNKNOWN", f"scr failed on this request; its log has the reason under id {request}")
                await call.reply(500, [(b"content-type", b"application/json"), (b"connection", b"close")], body)
        finally:
            self.meter.observe(route, call.status, perf_counter() - began, call.received, call.sent)

    async def get_manifest(self, call: Call, name: str, text: str) -> None:
        """One point query, one send. Spec: "Pulling manifests" (end-3)."""
        grant = allow(self.stock, call, name, Action.PULL)
        found = self._remembered.find(grant.image, name, text)
        if found is None:
            raise ManifestUnknown(f"{grant.path} has no {text}; see its tag list, or push it")
        if found.is_limited and not call.is_head:
            await self._check_limit(grant, text, found)
        digest = found.digest.encode()
        headers = [
            (b"content-type", found.media_type.encode()),
            (b"docker-content-digest", digest),
            (b"etag", b'"%b"' % digest),
        ]
        if _is_held(call, digest):
            await call.reply_empty(304, headers[1:])
            return
        if not call.is_head:
            # in memory: a pull never waits for the writer
            registry = grant.image.registry
            self.tally.fetched(self.reader, registry, grant.principal, found, self.stock.clock())
            if registry in self.traffic.registries:
                asked = found.digest if is_digest(text) else Tag(text)
                self.noting.passage(call, grant, "manifest.pulled", found.digest, len(found.body), asked)
        await call.reply(200, headers, found.body)

    async def _check_limit(self, grant: Grant, reference: str, found: FoundManifest) -> None:
        """Raise PullDenied where the image's pull limit refuses the manifest, whoever asks."""
        judge = functools.partial(pull_limit.find_refusal, image=found.image, manifest=found.id, body=found.body)
        refusal = await self.stock.db.read(judge) if pull_limit.is_heavy(found) else judge(self.reader)
        if refusal is not None:
            at = "@" if is_digest(reference) else ":"
            names = pull_limit.list_blocking(self.reader, found.image, found.id)
            raise PullDenied(f"{grant.path}{at}{reference} cannot be pulled: {refusal}", names)

    async def get_blob(self, call: Call, name: str, text: str) -> None:
        """One point query; the bytes in checked chunks, small ones from memory. Spec: "Pulling blobs" (end-2)."""
        grant = allow(self.stock, call, name, Action.PULL)
        found = blobs.find(self.reader, grant.image, parse_digest(text))
        if found is None:
            raise BlobUnknown(f"{grant.path} has no blob {text}; push it")
        blob = found.stored
        digest = blob.digest.encode()
        headers: Headers = [
            (b"docker-content-digest", digest),
            (b"etag", b'"%b"' % digest),
            (b"accept-ranges", b"bytes"),
        ]
        # a client that is told the blob is there will not push it
        if call.is_head and not self.stock.leases.give(found.image, blob.id, self.stock.clock()):
            raise BlobUnknown(f"{grant.path} has no blob {text}; push it")
        if _is_held(call, digest):
            await call.reply_empty(304, headers)
            return
        part = None
        if not call.is_head and b"range" in call.headers and _range_holds(call, digest):  # of GET only: RFC 9110, 14.2
            part = parse_range(call.header(b"range"), blob.size)
        start, end = part or (0, blob.size)
        headers += [(b"content-type", b"application/octet-stream"), (b"content-length", b"%d" % (end - start))]
        if part is not None:
            headers.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, blob.size)))
        status = 200 if part is None else 206
        if call.is_head or start == end:
            await call.begin(status, headers)
            await call.send(b"", more=False)
            return
        try:
            await self._send(call, blob, (start, end), (status, headers))
            self.noting.passage(call, grant, "blob.pulled", blob.digest, call.sent)
        except StoreFailed as error:
            await scrub.judge(self.stock, blob, error)
            if not call.is_started:
                raise
            # the connection ends here, before the broken chunk: the client sees a short body, never wrong bytes

    async def _send(self, call: Call, blob: StoredBlob, span: tuple[int, int], answer: tuple[int, Headers]) -> None:
        """Send the bytes of `span`, each chunk checked just before."""
        left = span[1] - span[0]
        async with aclosing(self.stock.store.chunks(blob, *span)) as chunks:
            async for chunk in chunks:
                if not call.is_started:  # only now: a first chunk that is broken still gets a proper answer
                    await call.begin(*answer)
                left -= len(chunk)
                await call.send(chunk, more=left > 0)
                if call.is_lost():
                    return

    async def ping(self, call: Call, name: str, reference: str) -> None:
        """Say that this is a registry, to who has signed in or got a token. Spec: "Determining Support" (end-1).

        Without either it is always challenged, at a public registry too: that is how clients find the token endpoint.
        """
        del name, reference
        if call.caller.principal == ANONYMOUS and call.caller.scopes is None:
            raise Unauthorized("sign in first, or fetch a token for what anybody may pull")
        admit_sign_in(call.caller, call.site)
        await call.reply(200, [(b"content-type", b"application/json")], b"{}")

    async def _refuse(self, call: Call, error: ScrError, told: Headers | None = None) -> None:
        if call.is_started:
            self.stock.log.warn("request.broken_off", reason=error.message)
            return
        if isinstance(error, Unauthorized):
            error = self.challenger.reword(call.scope, error)
        status, headers, body = answer_to(error)
        headers += told or []
        if call.is_head and status == 403:  # without a body; a 404 is no warning: pushes begin with many
            headers += warnings_of([error.message])
        if isinstance(error, Unauthorized):
            headers += self.challenger.headers(call.scope, call.site, error)
        try:
            if not await call.drain():
                headers.append((b"connection", b"close"))
        except ClientLeft:
            return
        await call.reply(status, headers, body)

    async def _refuse_method(self, call: Call, kind: str) -> None:
        allowed = ", ".join(sorted(known for place, known in self.routes if place == kind))
        error = Unsupported(f"{call.method[:40]} is not for this address; it takes {allowed}")
        if (refusal := self._refusal_of(call)) is not None:
            await self._refuse(call, refusal)
        else:
            await self._refuse(call, error, [(b"allow", allowed.encode())])

    def _refusal_of(self, call: Call) -> ScrError | None:
        """Return why the caller may not use the API at all, or None: what is wrong with a request is for who may."""
        try:
            admit_sign_in(call.caller, call.site)
        except ScrError as error:
            self.noting.refusal(error, call.scope, call.caller, call.site)
            return error
        return None


def _is_held(call: Call, digest: bytes) -> bool:
    """Whether If-None-Match says that the client has it (RFC 9110, 13.1.2)."""
    held = call.headers.get(b"if-none-match")
    return held is not None and (held.strip() == b"*" or digest in held)


def _range_holds(call: Call, digest: bytes) -> bool:
    """Whether If-Range lets the Range count (RFC 9110, 13.1.5)."""
    condition = call.headers.get(b"if-range")
    return condition is None or condition.strip(b' "') == digest
