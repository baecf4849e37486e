"""Carries images between the server's `/v2` and an OCI image layout, so that every rule of a push and a pull applies.

Both ways are streams: no blob is ever whole in memory. Out: manifests first (they say how large everything is), then
blobs, each checked as it is written. In: blobs, manifests from below, tags last; so what breaks off shows nothing.
"""

import http.client
import re
import sys
from collections.abc import Iterable, Iterator
from urllib.parse import quote

import msgspec

from appliance.cli.client import Client
from appliance.domain.manifest import Descriptor, Manifest, parse_manifest
from appliance.domain.names import (
    Digest,
    ImagePath,
    Tag,
    algorithm_of,
    hex_of,
    is_digest,
    parse_digest,
    parse_image_path,
)
from appliance.errors import LayoutInvalid, NameInvalid, Unavailable, Unknown
from appliance.services.layout import CONTAINERD_NAME, MANIFESTS, REF_NAME, Carried, is_manifest
from appliance.services.layout_source import Source, pieces
from appliance.services.layout_writer import Writer, add_blob, add_index

CHUNK = 1 << 20  # bytes read from the server at once
_SIGNATURES = (".sig", ".att", ".sbom")  # tags that cosign gives what belongs to a digest
_ACCEPT = {"Accept": ", ".join(sorted(MANIFESTS))}
_NEXT = re.compile(r'<([^>]*)>; *rel="?next"?')


class Wanted(msgspec.Struct, frozen=True):
    """An image to carry out: by tag or by digest."""

    path: ImagePath
    reference: Tag | Digest


class Target(msgspec.Struct, frozen=True):
    """Where an entry of a layout goes; no tag: by its digest alone."""

    path: ImagePath
    tag: Tag | None


class _Place(msgspec.Struct, frozen=True):
    """An image being carried out, how its registry is called, and whether it is the only one."""

    path: ImagePath
    host: str
    is_one_image: bool


class _Listed(msgspec.Struct):
    manifests: list[Descriptor]


class Gathered(msgspec.Struct):
    """What is to be written: manifests; blobs with their size and an image that has them; what index.json lists."""

    manifests: dict[Digest, Manifest] = msgspec.field(default_factory=dict)
    blobs: dict[Digest, tuple[int, ImagePath]] = msgspec.field(default_factory=dict)
    entries: list[Descriptor] = msgspec.field(default_factory=list)
    missing: list[Digest] = msgspec.field(default_factory=list)  # listed by an index, and not in the registry


class Progress:
    """One line on a terminal that says how far it is; nothing elsewhere."""

    def __init__(self, total: int) -> None:
        """Begin; `total` is in bytes."""
        self._total = max(total, 1)
        self._done = 0
        self._shown = -1
        self._is_on = sys.stderr.isatty()

    def of(self, content: Iterable[bytes]) -> Iterator[bytes]:
        """Yield `content`, counting it."""
        for piece in content:
            yield piece
            self._done += len(piece)
            percent = 100 * self._done // self._total
            if self._is_on and percent != self._shown:
                self._shown = percent
                sys.stderr.write(f"\r{percent} % of {self._total >> 20} MiB ")
                sys.stderr.flush()

    def finish(self) -> None:
        """Take the line away."""
        if self._is_on and self._shown >= 0:
            sys.stderr.write("\r\x1b[K")


def gather(client: Client, wanted: list[Wanted], host: str, *, referrers: bool) -> Gathered:
    """Ask for everything reachable from `wanted`, and with `referrers` for what refers to it (signatures, SBOMs).

    Raises Unknown and LayoutInvalid.
    """
    gathered = Gathered()
    is_one_image = len({one.path for one in wanted}) == 1
    for one in wanted:
        manifest = _follow(client, gathered, one.path, one.reference)
        gathered.entries.append(_entry(manifest, one, host, is_one_image=is_one_image))
    if referrers:
        listed = {Digest(entry.digest) for entry in gathered.entries}
        for path in dict.fromkeys(one.path for one in wanted):
            _add_referrers(client, gathered, _Place(path, host, is_one_image), listed)
    return gathered


def write(client: Client, gathered: Gathered, writer: Writer) -> int:
    """Write the layout; return how many bytes of blobs it has."""
    total = sum(size for size, _ in gathered.blobs.values())
    progress = Progress(total)
    with writer:
        add_index(writer, gathered.entries)
        for digest, manifest in gathered.manifests.items():
            add_blob(writer, digest, len(manifest.body), [manifest.body])
        for digest, (size, path) in gathered.blobs.items():
            add_blob(writer, digest, size, progress.of(_blob(client, path, digest)))
        progress.finish()
    return total


def _blob(client: Client, path: ImagePath, digest: Digest) -> Iterator[bytes]:
    response = client.stream(f"/v2/{path}/blobs/{digest}")
    try:
        while piece := response.read(CHUNK):
            yield piece
    except (OSError, http.client.HTTPException) as error:
        client.close()
        raise Unavailable(f"{client.name} broke off in {digest}: {error}; see its log, and: scr scrub") from error


def _follow(client: Client, gathered: Gathered, path: ImagePath, reference: Tag | Digest) -> Manifest:
    """Add the manifest `reference` and all below it; return it."""
    top = _manifest(client, path, reference)
    open_ = [top]
    while open_:
        manifest = open_.pop()
        if manifest.digest in gathered.manifests:
            continue
        gathered.manifests[manifest.digest] = manifest
        for part in manifest.blobs:
            gathered.blobs.setdefault(Digest(part.digest), (part.size, path))
        for part in manifest.foreign:  # the registry may have these, or not
            if client.ask("HEAD", f"/v2/{path}/blobs/{part.digest}", accept=(404,)).status == 200:
                gathered.blobs.setdefault(Digest(part.digest), (part.size, path))
        for part in manifest.children:
            digest = Digest(part.digest)
            if not is_manifest(part.media_type):
                gathered.blobs.setdefault(digest, (part.size, path))
                continue
            try:
                open_.append(_manifest(client, path, digest))
            except Unknown:
                gathered.missing.append(digest)
    return top


def _manifest(client: Client, path: ImagePath, reference: Tag | Digest) -> Manifest:
    answer = client.ask("GET", f"/v2/{path}/manifests/{reference}", headers=_ACCEPT)
    told = parse_digest(answer.headers.get("docker-content-digest", ""))
    wanted = Digest(reference) if is_digest(reference) else told
    manifest = parse_manifest(answer.body, answer.headers.get("content-type", ""), algorithm_of(wanted))
    if manifest.digest != wanted:
        raise LayoutInvalid(f"{path}@{wanted} arrived with other bytes; try again")
    return manifest


def _entry(manifest: Manifest, one: Wanted, host: str, *, is_one_image: bool) -> Descriptor:
    annotations = None
    if not is_digest(one.reference):
        annotations = {
            CONTAINERD_NAME: f"{host}/{one.path}:{one.reference}",
            REF_NAME: one.reference if is_one_image else f"{one.path}:{one.reference}",
        }
    elif not is_one_image or host:
        annotations = {CONTAINERD_NAME: f"{host}/{one.path}@{one.reference}"}
    return Descriptor(manifest.digest, len(manifest.body), manifest.media_type, "", annotations)


def _add_referrers(client: Client, gathered: Gathered, place: _Place, listed: set[Digest]) -> None:
    """Add all that refers to what is gathered, and what refers to that; `listed` are the entries so far."""
    path, host = place.path, place.host
    asked: set[Digest] = set()
    while open_ := [digest for digest in gathered.manifests if digest not in asked]:
        for digest in open_:
            asked.add(digest)
            for suffix in _SIGNATURES:
                tag = Tag(f"{algorithm_of(digest)}-{hex_of(digest)[:64]}{suffix}")
                if client.ask("HEAD", f"/v2/{path}/manifests/{tag}", headers=_ACCEPT, accept=(404,)).status == 200:
                    manifest = _follow(client, gathered, path, tag)
                    if manifest.digest not in listed:
                        listed.add(manifest.digest)
                        gathered.entries.append(_entry(manifest, Wanted(path, tag), host, is_one_image=False))
            for found in _referrers(client, path, digest):
                manifest = _follow(client, gathered, path, parse_digest(found.digest))
                if manifest.digest not in listed:
                    listed.add(manifest.digest)
                    size = len(manifest.body)
                    annotations = dict(found.annotations or {})
                    if not place.is_one_image:  # else nobody could tell to which of them it belongs
                        annotations[CONTAINERD_NAME] = f"{host}/{path}@{manifest.digest}"
                    gathered.entries.append(
                        Descriptor(manifest.digest, size, manifest.media_type, found.artifact_type, annotations)
                    )


def _referrers(client: Client, path: ImagePath, digest: Digest) -> Iterator[Descriptor]:
    address: str | None = f"/v2/{path}/referrers/{digest}"
    while address is not None:
        answer = client.ask("GET", address, accept=(404,))
        if answer.status == 404:  # the manifest is another image's
            return
        yield from msgspec.json.decode(answer.body, type=_Listed).manifests
        following = _NEXT.search(answer.headers.get("link", ""))
        address = following[1] if following else None


def place(carried: Carried, into: Target | None) -> dict[Digest, list[Target]]:
    """Return where each entry of a layout goes: by its own name, or `into` where that is given.

    What has no name and refers to something goes where that goes. Raises NameInvalid for an entry without a place.
    """
    placed: dict[Digest, list[Target]] = {}
    nameless = []
    for entry in carried.entries:
        target = _target(entry.name, into)
        if target is not None:
            placed.setdefault(entry.digest, []).append(target)
        else:
            nameless.append(entry.digest)
    covered = {digest for top in placed for digest in below(carried, top)}
    nameless = [digest for digest in nameless if digest not in covered]  # oras lists the children of an index as well
    is_settled = False
    while nameless and not is_settled:
        is_settled = True
        for digest in [*nameless]:
            subject = carried.manifests[digest].subject
            paths = {one.path for top, targets in placed.items() if subject in below(carried, top) for one in targets}
            if paths:
                placed.setdefault(digest, []).extend(Target(path, None) for path in sorted(paths, key=str))
                nameless.remove(digest)
                is_settled = False
    for digest in nameless:
        if into is None:
            raise NameInvalid(f"the layout gives {digest} no name; say which image it is: scr image import FILE NAME")
        is_only = len(carried.entries) == 1
        placed.setdefault(digest, []).append(Target(into.path, into.tag or (Tag("latest") if is_only else None)))
    return placed


def below(carried: Carried, top: Digest) -> list[Digest]:
    """Return `top` and all manifests below it, whoever lists others behind them."""
    wanted = {top}
    open_ = [top]
    while open_:
        for child in carried.needs[open_.pop()]:
            if child in carried.manifests and child not in wanted:
                wanted.add(child)
                open_.append(child)
    return [digest for digest in carried.manifests if digest in wanted]


def parse_target(text: str) -> Target:
    """Return `<image>[:<tag>]` as a target; a host in front and a digest behind are left out. Raises NameInvalid."""
    name = text.partition("@")[0]
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        name = rest
    image, _, tag = name.partition(":")
    return Target(parse_image_path(image), Tag(tag) if tag else None)


def _target(name: str, into: Target | None) -> Target | None:
    is_bare_tag = "/" not in name and ":" not in name
    if not name or (is_bare_tag and into is None):
        return None
    own = Target(into.path, Tag(name)) if into is not None and is_bare_tag else parse_target(name)
    if into is None:
        return own
    return Target(into.path, into.tag or own.tag)


def send(client: Client, source: Source, carried: Carried, placed: dict[Digest, list[Target]]) -> int:
    """Push everything `placed`; return how many bytes of blobs were sent (what was there already is not)."""
    manifests: dict[ImagePath, dict[Digest, None]] = {}
    for top, targets in placed.items():
        for target in targets:
            manifests.setdefault(target.path, {}).update(dict.fromkeys(below(carried, top)))
    sent = _send_blobs(client, source, carried, manifests)
    for path, digests in manifests.items():
        for digest in carried.manifests:  # from below
            if digest in digests:
                _put(client, path, digest, carried.manifests[digest])
    for top, targets in placed.items():
        for target in targets:
            if target.tag is not None:
                _put(client, target.path, target.tag, carried.manifests[top])
    return sent


def _put(client: Client, path: ImagePath, reference: Tag | Digest, manifest: Manifest) -> None:
    headers = {"Content-Type": manifest.media_type}
    client.ask("PUT", f"/v2/{path}/manifests/{reference}", manifest.body, headers)


def _send_blobs(
    client: Client, source: Source, carried: Carried, manifests: dict[ImagePath, dict[Digest, None]]
) -> int:
    waiting: dict[Digest, list[ImagePath]] = {}
    for path, digests in manifests.items():
        for digest in _blobs_of(carried, digests):
            if client.ask("HEAD", f"/v2/{path}/blobs/{digest}", accept=(404,)).status == 404:
                waiting.setdefault(digest, []).append(path)
    total = sum(carried.blobs[digest] for digest in waiting)
    progress = Progress(total)
    while waiting:
        before = sum(map(len, waiting.values()))
        for member in source.members():
            digest_or_none = carried.members.get(member.name)
            if member.link or digest_or_none not in waiting:
                continue
            first, *others = waiting.pop(digest_or_none)
            _upload(client, first, digest_or_none, member.size, progress.of(pieces(member.stream)))
            if left := [path for path in others if not _mount(client, path, digest_or_none, first)]:
                waiting[digest_or_none] = left
        if sum(map(len, waiting.values())) == before:
            raise LayoutInvalid(f"{next(iter(waiting))} was there a moment ago: the layout changed while it was read")
    progress.finish()
    return total


def _blobs_of(carried: Carried, digests: Iterable[Digest]) -> dict[Digest, None]:
    """Return the blobs that the layout has of these manifests."""
    found: dict[Digest, None] = {}
    for digest in digests:
        manifest = carried.manifests[digest]
        for part in (*manifest.blobs, *manifest.foreign, *manifest.children):
            if part.digest in carried.blobs:
                found[Digest(part.digest)] = None
    return found


def _upload(client: Client, path: ImagePath, digest: Digest, size: int, content: Iterable[bytes]) -> None:
    location = client.ask("POST", f"/v2/{path}/blobs/uploads/", b"").headers["location"]
    join = "&" if "?" in location else "?"
    headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
    client.ask("PUT", f"{location}{join}digest={quote(digest)}", content, headers)


def _mount(client: Client, path: ImagePath, digest: Digest, source: ImagePath) -> bool:
    """Let `path` use the blob of `source`; False where the server wants it uploaded instead."""
    query = f"mount={quote(digest)}&from={quote(str(source), safe='')}"
    answer = client.ask("POST", f"/v2/{path}/blobs/uploads/?{query}", b"")
    if answer.status != 201:
        client.ask("DELETE", answer.headers["location"])
    return answer.status == 201
