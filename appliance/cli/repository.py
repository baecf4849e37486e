"""`scr repository list|show|delete`."""

import argparse

import msgspec

from appliance.cli.asking import Page, add_asking, confirm, count_text, show_list, time_text, walk
from appliance.cli.client import Client, connect
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show, show_json
from appliance.errors import NameUnknown

EXAMPLES = ("scr repository list", "scr repository delete pay")


class Repository(msgspec.Struct, rename="camel"):
    """A repository as the API shows it."""

    id: str
    name: str
    images: int
    locked: bool
    created_at: str
    created_by: str


def add(parser: Parser) -> None:
    """Add the verbs."""
    verbs = parser.add_verbs()
    list_ = verbs.add_parser(
        "list", help="list repositories", examples=("scr repository list", "scr repository list --name pay --json")
    )
    list_.add_argument("--name", default="", metavar="TEXT", help="only names with TEXT in them")
    add_asking(list_)
    show_ = verbs.add_parser(
        "show", help="show a repository", examples=("scr repository show pay", "scr repository show pay --json")
    )
    show_.add_argument("name", metavar="NAME")
    add_asking(show_)
    delete = verbs.add_parser(
        "delete",
        help="delete a repository with all its images",
        examples=("scr repository delete pay --dry-run", "scr repository delete pay --yes"),
    )
    delete.add_argument("name", metavar="NAME")
    delete.add_argument(
        "--purge", action="store_true", help="free the bytes at the next collection, not after the recycle time"
    )
    add_asking(delete, deletes=True)


def run(options: argparse.Namespace) -> int:
    """Do what the verb says."""
    with connect(options) as client:
        return {"list": _list, "show": _show, "delete": _delete}[options.verb](client, options)


def _list(client: Client, options: argparse.Namespace) -> int:
    found = list(walk(client, "/api/v1/repositories", Repository, name=options.name))
    cells = [
        (one.name, str(one.images), "locked" if one.locked else "", time_text(one.created_at), one.created_by)
        for one in found
    ]
    show_list(options, ("NAME", "IMAGES", "LOCK", "CREATED", "BY"), found, cells)
    if not found and not options.json:
        say("nothing yet; the first push makes a repository: docker push <host>/<repository>/<image>:<tag>")
    return 0


def _show(client: Client, options: argparse.Namespace) -> int:
    one = _find(client, options.name)
    if options.json:
        show_json(one)
        return 0
    show(f"name     {one.name}\nid       {one.id}\nimages   {one.images}\nlocked   {'yes' if one.locked else 'no'}")
    show(f"created  {time_text(one.created_at)} by {one.created_by}")
    return 0


def _delete(client: Client, options: argparse.Namespace) -> int:
    one = _find(client, options.name)
    what = f"this deletes the repository {one.name} with {count_text(one.images, 'image')}"
    if options.dry_run:
        say(f"{what}; nothing was deleted (--dry-run)")
        return 0
    confirm(options, what, one.name)
    purge = "&purge=true" if options.purge else ""
    client.ask("DELETE", f"/api/v1/repositories/{one.id}?confirm={one.name}{purge}")
    say(
        f"deleted {one.name}; its bytes go with a collection{'' if options.purge else ' once the recycle time is over'}"
    )
    return 0


def _find(client: Client, name: str) -> Repository:
    page = client.get("/api/v1/repositories", Page[Repository], path=name)
    if not page.items:
        raise NameUnknown(f"there is no repository {name!r}; see: scr repository list")
    return page.items[0]
