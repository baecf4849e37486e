"""`scr image list|show|edit|lock|unlock|policy|delete|export|import`."""

import argparse
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from appliance.cli import carry, image_change
from appliance.cli.asking import Page, confirm, count_text, show_all, show_fields, show_policy, time_text
from appliance.cli.client import Client, add_options, connect
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show, show_json
from appliance.domain.image_policy import ImagePolicy
from appliance.domain.names import Tag, parse_digest, parse_image_path, parse_tag
from appliance.domain.sizes import size_text
from appliance.errors import NameUnknown, ScrError
from appliance.services import layout
from appliance.services.layout_source import open_source
from appliance.services.layout_writer import open_writer

EXAMPLES = ("scr image list --repository pay", "scr image export pay/api:1 api.tar")


class Image(msgspec.Struct, rename="camel"):
    """An image as the API shows it."""

    id: str
    srn: str
    path: str
    state: str
    description: str
    manifests: int
    tags: int
    size: int
    pulls: int
    locked: bool
    own_lock: bool
    pushed_at: str | None
    last_pulled_at: str | None
    created_at: str
    created_by: str
    modified_at: str
    modified_by: str
    resource_tags: dict[str, str]


class _Full(Image, rename="camel"):
    policy: ImagePolicy
    template: ImagePolicy
    retention_due_at: str | None


_SORTS = ("path", "pushed", "pulls", "created")


class _TagList(msgspec.Struct):
    tags: list[str]


class _Server(msgspec.Struct, rename="camel"):
    public_url: str
    listeners: list[str]


def add(parser: Parser) -> None:
    """Add the verbs."""
    verbs = parser.add_verbs()
    list_ = verbs.add_parser(
        "list", help="list images", examples=("scr image list", "scr image list --repository pay --json")
    )
    list_.add_argument("--repository", default="", metavar="NAME", help="only images of this repository")
    list_.add_argument("--name", default="", metavar="TEXT", help="only paths with TEXT in them")
    list_.add_argument("--resource-tag", default="", metavar="KEY[=VALUE]", help="only those with this resource tag")
    list_.add_argument(
        "--sort", choices=_SORTS, default="path", help="order; pushed, pulls and created count downwards"
    )
    image_change.add_place(list_)
    show_ = verbs.add_parser("show", help="show an image", examples=("scr image show pay/api", "scr image show alpine"))
    show_.add_argument("image", metavar="IMAGE")
    image_change.add_place(show_)
    image_change.add(verbs)
    delete = verbs.add_parser(
        "delete",
        help="delete an image with all its tags",
        examples=("scr image delete pay/api --dry-run", "scr image delete pay/api --yes"),
    )
    delete.add_argument("image", metavar="IMAGE")
    delete.add_argument(
        "--purge", action="store_true", help="free the bytes at the next collection, not after the recycle time"
    )
    image_change.add_place(delete, deletes=True)
    _add_carrying(verbs)


def _add_carrying(verbs: "argparse._SubParsersAction[Parser]") -> None:
    export = verbs.add_parser(
        "export",
        help="write images as an OCI image layout: a folder, .tar, .tar.gz or .tgz",
        examples=("scr image export pay/api:1 pay/web:2 release.tar", "scr image export pay/api:1 --referrers layout"),
    )
    export.add_argument("images", nargs="+", metavar="IMAGE[:TAG|@DIGEST]", help="what to write (tag: latest)")
    export.add_argument("file", type=Path, metavar="FILE|FOLDER", help="where to; it must not be there yet")
    export.add_argument("--referrers", action="store_true", help="with signatures, SBOMs and all that refers to them")
    export.add_argument("--all-tags", action="store_true", help="every tag of the images named without one")
    add_options(export)
    import_ = verbs.add_parser(
        "import",
        help="push what an OCI image layout or an archive of `docker save` holds",
        examples=("scr image import release.tar", "scr image import layout pay/api:1"),
    )
    import_.add_argument("file", type=Path, metavar="FILE|FOLDER")
    import_.add_argument("name", nargs="?", metavar="IMAGE[:TAG]", help="which image it becomes; else its own name")
    import_.add_argument("--sparse", action="store_true", help="take an index of which some platforms are not there")
    add_options(import_)


def run(options: argparse.Namespace) -> int:
    """Do what the verb says."""
    verbs = {"list": _list, "show": _show, "delete": _delete, "export": _export, "import": _import}
    verbs |= image_change.VERBS
    with connect(options) as client:
        return verbs[options.verb](client, options)


def find_image(client: Client, path: str, registry: str) -> Image:
    """Return the image at `path` of `registry` ("": the default one). Raises NameUnknown."""
    page = client.get("/api/v1/images", Page[Image], path=path, registry=registry)
    if not page.items:
        raise NameUnknown(f"there is no image {path}; see: scr image list")
    return page.items[0]


def _list(client: Client, options: argparse.Namespace) -> int:
    sort = options.sort if options.sort == "path" else f"-{options.sort}"
    query = {"registry": options.registry, "repository": options.repository, "name": options.name, "sort": sort}
    query["resourceTag"] = options.resource_tag

    def cells(one: Image) -> tuple[str, ...]:
        return (one.path, str(one.tags), size_text(one.size), str(one.pulls), _lock(one), time_text(one.pushed_at))

    heads = ("IMAGE", "TAGS", "SIZE", "PULLS", "LOCK", "PUSHED")
    count = show_all(client, options, "/api/v1/images", Image, heads, cells, **query)
    if not count and not options.json:
        say("nothing yet; push the first one: docker push <host>/<repository>/<image>:<tag>")
    return 0


def _show(client: Client, options: argparse.Namespace) -> int:
    address = image_change.address_of(client, options.image, options.registry)
    if options.json:
        show_json(client.get(address, dict[str, object]))
    else:
        _describe(client.get(address, _Full))
    return 0


def _describe(one: _Full) -> None:
    rows = {
        "image": one.path,
        "id": one.id,
        "srn": one.srn,
        "state": one.state,
        "description": one.description,
        "tags": str(one.tags),
        "manifests": str(one.manifests),
        "size": size_text(one.size),
        "locked": _lock(one) or "no",
        "pushed": time_text(one.pushed_at),
        "pulls": f"{one.pulls}, last {time_text(one.last_pulled_at)}",
        "labels": ", ".join(f"{key}={value}" for key, value in one.resource_tags.items()),
        "created": f"{time_text(one.created_at)} by {one.created_by}",
        "modified": f"{time_text(one.modified_at)} by {one.modified_by}",
    }
    show_fields(rows)
    show("policy")
    show_policy(one.policy)
    if one.retention_due_at:
        say(f"tag deletion is due at {time_text(one.retention_due_at)}; see: scr retention test {one.path}")


def _lock(one: Image) -> str:
    if one.own_lock:
        return "locked"
    return "locked by its repository" if one.locked else ""


def _delete(client: Client, options: argparse.Namespace) -> int:
    one = find_image(client, options.image, options.registry)
    what = f"this deletes the image {one.path} with {count_text(one.tags, 'tag')} and {size_text(one.size)}"
    if options.dry_run:
        say(f"{what}; nothing was deleted (--dry-run)")
        return 0
    confirm(options, what, one.path)
    client.ask("DELETE", f"/api/v1/images/{one.id}{'?purge=true' if options.purge else ''}")
    say(
        f"deleted {one.path}; its bytes go with the next collection"
        if options.purge
        else f"deleted {one.path}; until the recycle time is over it can come back: scr deletion list {one.path}"
    )
    return 0


def _export(client: Client, options: argparse.Namespace) -> int:
    writer = open_writer(options.file)
    wanted = [one for text in options.images for one in _wanted(client, text, all_tags=options.all_tags)]
    gathered = carry.gather(client, wanted, _host(client, options.server), referrers=options.referrers)
    size = carry.write(client, gathered, writer)
    say(
        f"wrote {options.file}: {count_text(len(gathered.manifests), 'manifest')},"
        f" {count_text(len(gathered.blobs), 'blob')}, {size_text(size)}"
    )
    if gathered.missing:
        many = count_text(len(gathered.missing), "manifest")
        say(
            f"{many} that an index lists are not in this registry, {gathered.missing[0]} among them;"
            " import the rest with --sparse"
        )
    say(f"carry it over, then: scr image import {options.file}")
    return 0


def _wanted(client: Client, text: str, *, all_tags: bool) -> list[carry.Wanted]:
    """Return what `IMAGE[:TAG|@DIGEST]` means. Raises NameInvalid, TagInvalid, DigestInvalid, NameUnknown."""
    name, at, digest = text.partition("@")
    name, colon, tag = name.partition(":")
    path = parse_image_path(name)
    if at:
        return [carry.Wanted(path, parse_digest(digest))]
    if colon:
        return [carry.Wanted(path, parse_tag(tag))]
    if not all_tags:
        return [carry.Wanted(path, Tag("latest"))]
    found: list[carry.Wanted] = []
    while True:
        last = f"&last={found[-1].reference}" if found else ""
        page = client.get(f"/v2/{path}/tags/list?n=1000{last}", _TagList).tags
        found += [carry.Wanted(path, Tag(one)) for one in page]
        if len(page) < 1000:
            return found


def _host(client: Client, url: str | None) -> str:
    """Return how the registry is called in image names: `registry.example:5000`."""
    if url:
        return urlsplit(url).netloc
    status = client.get("/api/v1/status", _Server)
    return urlsplit(status.public_url or next(iter(status.listeners), "http://localhost")).netloc


def _import(client: Client, options: argparse.Namespace) -> int:
    try:
        source = open_source(options.file)
        carried = layout.inspect(source, sparse=options.sparse)
    except ScrError as error:
        raise type(error)(f"{error.message}; nothing was imported") from error
    placed = carry.place(carried, carry.parse_target(options.name) if options.name else None)
    size = carry.send(client, source, carried, placed)
    for digest, targets in placed.items():
        for target in targets:
            show(f"{target.path}{f':{target.tag}' if target.tag else ''}@{digest}")
    say(f"imported {count_text(len(carried.manifests), 'manifest')}; {size_text(size)} of blobs were new")
    return 0
