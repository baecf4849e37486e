"""`scr tag list|show|delete`."""

import argparse

import msgspec

from appliance.cli.asking import Page, add_asking, confirm, show_list, time_text, walk
from appliance.cli.client import Client, connect
from appliance.cli.image import find_image
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show, show_json
from appliance.domain.sizes import size_text
from appliance.errors import ManifestUnknown, TagInvalid

EXAMPLES = ("scr tag list pay/api", "scr tag delete pay/api:1")


class Tag(msgspec.Struct, rename="camel"):
    """A tag as the API shows it."""

    name: str
    path: str
    digest: str
    media_type: str
    artifact_type: str
    size: int
    locked: bool
    pushed_at: str
    pushed_by: str


def add(parser: Parser) -> None:
    """Add the verbs."""
    verbs = parser.add_verbs()
    list_ = verbs.add_parser(
        "list", help="list the tags of an image", examples=("scr tag list pay/api", "scr tag list pay/api --name rc")
    )
    list_.add_argument("image", metavar="IMAGE")
    list_.add_argument("--name", default="", metavar="TEXT", help="only tags with TEXT in them")
    add_asking(list_)
    show_ = verbs.add_parser("show", help="show a tag", examples=("scr tag show pay/api:1", "scr tag show alpine:3"))
    show_.add_argument("tag", metavar="IMAGE:TAG")
    add_asking(show_)
    delete = verbs.add_parser(
        "delete",
        help="delete a tag; its manifest stays, by digest",
        examples=("scr tag delete pay/api:1 --dry-run", "scr tag delete pay/api:1 --yes"),
    )
    delete.add_argument("tag", metavar="IMAGE:TAG")
    add_asking(delete, deletes=True)


def run(options: argparse.Namespace) -> int:
    """Do what the verb says."""
    with connect(options) as client:
        return {"list": _list, "show": _show, "delete": _delete}[options.verb](client, options)


def _list(client: Client, options: argparse.Namespace) -> int:
    found = list(walk(client, "/api/v1/tags", Tag, path=options.image, name=options.name))
    cells = [
        (
            one.name,
            one.digest[:19],
            size_text(one.size),
            "locked" if one.locked else "",
            time_text(one.pushed_at),
            one.pushed_by,
        )
        for one in found
    ]
    show_list(options, ("TAG", "DIGEST", "SIZE", "LOCK", "PUSHED", "BY"), found, cells)
    return 0


def _show(client: Client, options: argparse.Namespace) -> int:
    one = _find(client, options.tag)
    if options.json:
        show_json(one)
        return 0
    show(f"tag         {one.path}\ndigest      {one.digest}\nmedia type  {one.media_type}")
    show(f"artifact    {one.artifact_type or '-'}\nsize        {size_text(one.size)}")
    show(f"locked      {'yes' if one.locked else 'no'}\npushed      {time_text(one.pushed_at)} by {one.pushed_by}")
    return 0


def _delete(client: Client, options: argparse.Namespace) -> int:
    one = _find(client, options.tag)
    what = f"this deletes the tag {one.path} of {one.digest[:19]}"
    if options.dry_run:
        say(f"{what}; nothing was deleted (--dry-run)")
        return 0
    confirm(options, what)
    image = find_image(client, options.tag.rpartition(":")[0])
    client.ask("DELETE", f"/api/v1/images/{image.id}/tags/{one.name}")
    say(f"deleted {one.path}; the manifest stays: {image.path}@{one.digest}")
    return 0


def _find(client: Client, path: str) -> Tag:
    if ":" not in path:
        raise TagInvalid(f"{path!r} names no tag; write {path}:<tag>")
    page = client.get("/api/v1/tags", Page[Tag], path=path)
    if not page.items:
        raise ManifestUnknown(f"there is no tag {path}; see: scr tag list {path.rpartition(':')[0]}")
    return page.items[0]
