"""`scr tag list|show|history|add|restore|rename|lock|unlock|delete`."""

import argparse

import msgspec

from appliance.cli.asking import Page, confirm, show_all, show_list, time_text, walk
from appliance.cli.client import Client, connect
from appliance.cli.image_change import add_place, address_of
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show, show_json
from appliance.domain.names import parse_tag
from appliance.domain.sizes import size_text
from appliance.errors import ManifestUnknown, TagInvalid

EXAMPLES = ("scr tag list pay/api", "scr tag show pay/api:latest@{tuesday}")
_SORTS = ("name", "natural", "pushed")


class Tag(msgspec.Struct, rename="camel"):
    """A tag as the API shows it."""

    name: str
    path: str
    digest: str
    media_type: str
    artifact_type: str
    size: int
    locked: bool
    own_lock: bool
    pushed_at: str
    pushed_by: str


class _Named(msgspec.Struct, rename="camel"):
    digest: str
    since: str
    pushed_by: str
    pushed_from: str
    until: str | None
    ended_by: str | None
    reason: str | None
    is_there: bool


def add(parser: Parser) -> None:
    """Add the verbs."""
    verbs = parser.add_verbs()
    list_ = verbs.add_parser(
        "list", help="list the tags of an image", examples=("scr tag list pay/api", "scr tag list pay/api --name rc")
    )
    list_.add_argument("image", metavar="IMAGE")
    list_.add_argument("--name", default="", metavar="TEXT", help="only tags with TEXT in them")
    list_.add_argument(
        "--sort", choices=_SORTS, default="name", help="order; natural puts 1.9 before 1.10, pushed the newest first"
    )
    add_place(list_)
    examples = ("scr tag show pay/api:1", "scr tag show pay/api:latest@{2026-11-20T12:00}")
    show_ = verbs.add_parser("show", help="show a tag, as it is or as it was", examples=examples)
    show_.add_argument("tag", metavar="IMAGE:TAG[@{MOMENT}]", help="MOMENT: 2026-11-20T12:00, tuesday, 2 hours ago")
    add_place(show_)
    history = verbs.add_parser(
        "history",
        help="list which digests a tag named, and when",
        examples=("scr tag history pay/api:latest", "scr tag history pay/api:1 --json"),
    )
    history.add_argument("tag", metavar="IMAGE:TAG")
    add_place(history)
    _add_changes(verbs)
    delete = verbs.add_parser(
        "delete",
        help="delete a tag; its manifest stays, by digest",
        examples=("scr tag delete pay/api:1 --dry-run", "scr tag delete pay/api:1 --yes"),
    )
    delete.add_argument("tag", metavar="IMAGE:TAG")
    add_place(delete, deletes=True)


def _add_changes(verbs: "argparse._SubParsersAction[Parser]") -> None:
    adding = verbs.add_parser(
        "add",
        help="give a manifest one more tag, or move a tag to it",
        examples=("scr tag add pay/api:1 stable", "scr tag add pay/api@sha256:0a1b… stable --move"),
    )
    adding.add_argument("source", metavar="IMAGE:TAG|IMAGE@DIGEST", help="what it is to name")
    adding.add_argument("name", metavar="TAG", help="the tag")
    adding.add_argument("--move", action="store_true", help="take it from what it names now")
    add_place(adding)
    restore = verbs.add_parser(
        "restore",
        help="put a tag back to what it named",
        examples=("scr tag restore pay/api:latest@{tuesday}", "scr tag restore pay/api:1@{1.day.ago}"),
    )
    restore.add_argument("tag", metavar="IMAGE:TAG@{MOMENT}")
    add_place(restore)
    rename = verbs.add_parser(
        "rename", help="rename a tag", examples=("scr tag rename pay/api:1 1.0", "scr tag rename pay/api:rc 2.0")
    )
    rename.add_argument("tag", metavar="IMAGE:TAG")
    rename.add_argument("name", metavar="TAG", help="its new name")
    add_place(rename)
    for verb, about in (("lock", "keep a tag and what it names as they are"), ("unlock", "let a tag be changed again")):
        one = verbs.add_parser(verb, help=about, examples=(f"scr tag {verb} pay/api:1", f"scr tag {verb} alpine:3"))
        one.add_argument("tag", metavar="IMAGE:TAG")
        add_place(one)


def run(options: argparse.Namespace) -> int:
    """Do what the verb says."""
    verbs = {
        "list": _list,
        "show": _show,
        "history": _history,
        "add": _add,
        "restore": _restore,
        "rename": _rename,
        "lock": _lock,
        "unlock": _lock,
        "delete": _delete,
    }
    with connect(options) as client:
        return verbs[options.verb](client, options)


def _list(client: Client, options: argparse.Namespace) -> int:
    sort = "-pushed" if options.sort == "pushed" else options.sort
    query = {"path": options.image, "name": options.name, "sort": sort, "registry": options.registry}

    def cells(one: Tag) -> tuple[str, ...]:
        lock = "locked" if one.locked else ""
        return (one.name, one.digest[:19], size_text(one.size), lock, time_text(one.pushed_at), one.pushed_by)

    heads = ("TAG", "DIGEST", "SIZE", "LOCK", "PUSHED", "BY")
    show_all(client, options, "/api/v1/tags", Tag, heads, cells, **query)
    return 0


def _show(client: Client, options: argparse.Namespace) -> int:
    one = find(client, options.tag, options.registry)
    if options.json:
        show_json(one)
        return 0
    show(f"tag         {one.path}\ndigest      {one.digest}\nmedia type  {one.media_type or 'not here any more'}")
    show(f"artifact    {one.artifact_type or '-'}\nsize        {size_text(one.size)}")
    show(f"locked      {'yes' if one.locked else 'no'}\npushed      {time_text(one.pushed_at)} by {one.pushed_by}")
    return 0


def _history(client: Client, options: argparse.Namespace) -> int:
    path, _, tag = options.tag.rpartition(":")
    found = list(walk(client, f"{address_of(client, path, options.registry)}/tags/{parse_tag(tag)}/history", _Named))
    cells = [
        (
            one.digest[:19],
            time_text(one.since),
            one.pushed_by,
            "now" if one.until is None else time_text(one.until),
            one.reason or "",
            "" if one.is_there else "gone",
        )
        for one in found
    ]
    show_list(options, ("DIGEST", "FROM", "BY", "UNTIL", "ENDED", "MANIFEST"), found, cells)
    if not found and not options.json:
        say(f"nothing is known of {options.tag}; see: scr tag list {path}")
    return 0


def _add(client: Client, options: argparse.Namespace) -> int:
    path, digest = _source(client, options)
    name, address = parse_tag(options.name), address_of(client, path, options.registry)
    if options.move:
        client.ask("PUT", f"{address}/tags/{name}", msgspec.json.encode({"digest": digest}), _JSON)
    else:
        client.ask("PATCH", f"{address}/manifests/{digest}", msgspec.json.encode({"add": [name]}), _JSON)
    return _said(client, options, f"{path}:{name}", "is")


def _restore(client: Client, options: argparse.Namespace) -> int:
    path, at, moment = options.tag.partition("@")
    if not at:
        raise TagInvalid(f"{options.tag!r} names no moment; write {options.tag}@{{tuesday}}; see: scr tag history")
    image, _, tag = path.rpartition(":")
    order = {"asOf": moment.removeprefix("{").removesuffix("}")}
    client.ask(
        "PUT", f"{address_of(client, image, options.registry)}/tags/{parse_tag(tag)}", msgspec.json.encode(order), _JSON
    )
    return _said(client, options, path, "is again")


def _rename(client: Client, options: argparse.Namespace) -> int:
    one, name = find(client, options.tag, options.registry), parse_tag(options.name)
    path = options.tag.rpartition(":")[0]
    order = {"add": [name], "remove": [one.name]}
    address = f"{address_of(client, path, options.registry)}/manifests/{one.digest}"
    client.ask("PATCH", address, msgspec.json.encode(order), _JSON)
    return _said(client, options, f"{path}:{name}", "is")


def _lock(client: Client, options: argparse.Namespace) -> int:
    path, _, tag = options.tag.rpartition(":")
    order = {"locked": options.verb == "lock"}
    address = f"{address_of(client, path, options.registry)}/tags/{parse_tag(tag)}"
    found = client.change("PATCH", address, order, Tag)
    if options.json:
        show_json(found)
    else:
        say(f"{options.verb}ed {found.path}")
    return 0


def _delete(client: Client, options: argparse.Namespace) -> int:
    one = find(client, options.tag, options.registry)
    what = f"this deletes the tag {one.path} of {one.digest[:19]}"
    if options.dry_run:
        say(f"{what}; nothing was deleted (--dry-run)")
        return 0
    confirm(options, what)
    path = options.tag.rpartition(":")[0]
    client.ask("DELETE", f"{address_of(client, path, options.registry)}/tags/{one.name}")
    say(f"deleted {one.path}; the manifest stays: {path}@{one.digest}")
    return 0


_JSON = {"Content-Type": "application/json"}


def find(client: Client, path: str, registry: str) -> Tag:
    """Return the tag `IMAGE:TAG`, or what it was at `@{MOMENT}`. Raises TagInvalid, ManifestUnknown."""
    if ":" not in path.partition("@")[0]:
        raise TagInvalid(f"{path!r} names no tag; write {path}:<tag>")
    page = client.get("/api/v1/tags", Page[Tag], path=path, registry=registry)
    if not page.items:
        raise ManifestUnknown(f"there is no tag {path}; see: scr tag list {path.partition('@')[0].rpartition(':')[0]}")
    return page.items[0]


def _source(client: Client, options: argparse.Namespace) -> tuple[str, str]:
    """Return image and digest of `IMAGE:TAG[@{MOMENT}]` or `IMAGE@DIGEST`."""
    path, at, digest = options.source.partition("@")
    if at and not digest.startswith("{"):
        return path, digest
    return path.rpartition(":")[0], find(client, options.source, options.registry).digest


def _said(client: Client, options: argparse.Namespace, path: str, verb: str) -> int:
    one = find(client, path, options.registry)
    if options.json:
        show_json(one)
    else:
        say(f"{one.path} {verb} {one.digest}")
    return 0
