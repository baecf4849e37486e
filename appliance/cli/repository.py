"""`scr repository list|show|create|edit|delete|restore`."""

import argparse
from collections.abc import Mapping

import msgspec

from appliance.cli.asking import (
    Page,
    add_asking,
    add_order,
    confirm,
    count_text,
    order_of,
    show_all,
    show_fields,
    show_policy,
    time_text,
    walk,
)
from appliance.cli.client import Client, connect
from appliance.cli.editing import (
    Order,
    add_policy,
    add_tags,
    edit,
    given,
    kind,
    pick_removed,
    policy_of,
    read,
    switch,
    tags_of,
)
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show, show_json
from appliance.domain.image_policy import ImagePolicy
from appliance.errors import NameUnknown

EXAMPLES = ("scr repository create pay --policy tag_deletion.enabled=on", "scr repository list")

_API = "/api/v1/repositories"
_FIELDS = {"description": "description", "locked": "locked"}


class Repository(msgspec.Struct, rename="camel"):
    """A repository as the API shows it."""

    id: str
    srn: str
    registry: str
    name: str
    state: str
    description: str
    images: int
    locked: bool
    policy: ImagePolicy
    by_push: bool
    managed: bool
    resource_tags: dict[str, str]
    created_at: str
    created_by: str
    modified_at: str
    modified_by: str
    removed_at: str | None
    restorable_until: str | None


def add(parser: Parser) -> None:
    """Add the verbs."""
    verbs = parser.add_verbs()
    list_ = verbs.add_parser(
        "list", help="list repositories", examples=("scr repository list", "scr repository list --name pay --json")
    )
    list_.add_argument("--name", default="", metavar="TEXT", help="only names with TEXT in them")
    list_.add_argument("--resource-tag", default="", metavar="KEY[=VALUE]", help="only those with this resource tag")
    add_order(list_)
    list_.add_argument("--removed", action="store_true", help="those that were deleted and can be restored")
    _add_registry(list_)
    show_ = verbs.add_parser(
        "show", help="show a repository", examples=("scr repository show pay", "scr repository show pay --json")
    )
    show_.add_argument("name", metavar="NAME")
    _add_registry(show_)
    create = verbs.add_parser(
        "create",
        help="make a repository",
        examples=("scr repository create pay", "scr repository create pay --policy pull_limit.refuse_critical=on"),
    )
    create.add_argument("name", metavar="NAME")
    _add_settings(create)
    add_tags(create, edits=False)
    _add_registry(create)
    _add_changes(verbs)


def _add_changes(verbs: "argparse._SubParsersAction[Parser]") -> None:
    edit_ = verbs.add_parser(
        "edit",
        help="change a repository; its policy is the template of images that are new from then on",
        examples=("scr repository edit pay --lock on", "scr repository edit pay --policy scan.on_push=off --dry-run"),
    )
    edit_.add_argument("name", metavar="NAME")
    _add_settings(edit_)
    add_tags(edit_, edits=True)
    edit_.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    _add_registry(edit_)
    delete = verbs.add_parser(
        "delete",
        help="delete a repository with all its images",
        examples=("scr repository delete pay --dry-run", "scr repository delete pay --yes"),
    )
    delete.add_argument("name", metavar="NAME")
    delete.add_argument(
        "--purge", action="store_true", help="free the bytes at the next collection, not after the recycle time"
    )
    _add_registry(delete, deletes=True)
    restore = verbs.add_parser(
        "restore",
        help="give a deleted repository back, with all that was in it",
        examples=("scr repository restore pay", "scr repository list --removed"),
    )
    restore.add_argument("name", metavar="NAME|ID", help="its name, or its id where several of that name were deleted")
    _add_registry(restore)


def _add_registry(parser: Parser, *, deletes: bool = False) -> None:
    parser.add_argument("--registry", default="", metavar="NAME", help="the registry it is in (else the default one)")
    add_asking(parser, deletes=deletes)


def _add_settings(parser: Parser) -> None:
    absent = argparse.SUPPRESS
    parser.add_argument("--description", default=absent, metavar="TEXT", help="what it is for")
    parser.add_argument(
        "--lock",
        dest="locked",
        default=absent,
        type=kind(switch),
        metavar="on|off",
        help="hold every image in it: none is deleted, no tag is moved",
    )
    add_policy(parser)


def run(options: argparse.Namespace) -> int:
    """Do what the verb says."""
    verbs = {"list": _list, "show": _show, "create": _create, "edit": _edit, "delete": _delete, "restore": _restore}
    with connect(options) as client:
        verbs[options.verb](client, options)
    return 0


def _list(client: Client, options: argparse.Namespace) -> None:
    removed = "true" if options.removed else ""
    query = {"registry": options.registry, "name": options.name, "resourceTag": options.resource_tag}
    query["sort"] = order_of(options)

    def cells(one: Repository) -> tuple[str, ...]:
        when = one.restorable_until if options.removed else one.created_at
        lock = "locked" if one.locked else ""
        return (one.name, one.id, one.state, str(one.images), lock, time_text(when), one.created_by)

    heads = ("NAME", "ID", "STATE", "IMAGES", "LOCK", "RESTORABLE UNTIL" if options.removed else "CREATED", "BY")
    count = show_all(client, options, _API, Repository, heads, cells, removed=removed, **query)
    if not count and not options.json and not options.removed:
        say(
            "nothing yet; make one (scr repository create NAME), or push: docker push <host>/<repository>/<image>:<tag>"
        )


def _show(client: Client, options: argparse.Namespace) -> None:
    one = _find(client, options)
    if options.json:
        show_json(read(client, f"{_API}/{one.id}").fields)
    else:
        _describe(one)


def _describe(one: Repository) -> None:
    rows = {
        "name": one.name,
        "registry": one.registry,
        "id": one.id,
        "srn": one.srn,
        "state": one.state,
        "description": one.description,
        "images": str(one.images),
        "locked": "yes" if one.locked else "no",
        "made by": "a push" if one.by_push else "scr.toml" if one.managed else "hand",
        "tags": ", ".join(f"{key}={value}" for key, value in one.resource_tags.items()),
        "created": f"{time_text(one.created_at)} by {one.created_by}",
        "modified": f"{time_text(one.modified_at)} by {one.modified_by}",
    }
    show_fields(rows)
    show("policy of new images")
    show_policy(one.policy)


def _create(client: Client, options: argparse.Namespace) -> None:
    order: Order = {"name": options.name, **_changes(options, {})}
    if options.registry:
        order["registry"] = options.registry
    made = client.post(_API, order, Repository)
    if options.json:
        show_json(made)
    say(f"made repository {made.name} in registry {made.registry}; push to it: docker push <host>/{made.name}/<image>")


def _edit(client: Client, options: argparse.Namespace) -> None:
    one = _find(client, options)
    path = f"{_API}/{one.id}"
    current = read(client, path)
    edit(client, options, path, current, _changes(options, one.resource_tags), f"repository {one.name}")
    if options.json:
        show_json(_find(client, options))


def _changes(options: argparse.Namespace, tags: Mapping[str, str]) -> Order:
    order = given(options, _FIELDS)
    if policy := policy_of(options):
        order["policy"] = policy
    if options.resource_tag or getattr(options, "no_resource_tag", []):
        order["resourceTags"] = tags_of(options, tags)
    return order


def _delete(client: Client, options: argparse.Namespace) -> None:
    one = _find(client, options)
    what = f"this deletes the repository {one.name} with {count_text(one.images, 'image')}"
    if options.dry_run:
        say(f"{what}; nothing was deleted (--dry-run)")
        return
    confirm(options, what, one.name)
    purge = "&purge=true" if options.purge else ""
    client.ask("DELETE", f"{_API}/{one.id}?confirm={one.name}{purge}")
    if options.purge:
        say(f"deleted {one.name}; its bytes go with the next collection")
    else:
        say(f"deleted {one.name}; until its recycle time is over it comes back with: scr repository restore {one.id}")


def _restore(client: Client, options: argparse.Namespace) -> None:
    removed = walk(client, _API, Repository, removed="true", registry=options.registry)
    found = pick_removed(removed, options.name, "repository")
    restored = client.post(f"{_API}/{found.id}/restoration", {}, Repository)
    if options.json:
        show_json(restored)
    say(f"restored repository {restored.name} with {count_text(restored.images, 'image')}")


def _find(client: Client, options: argparse.Namespace) -> Repository:
    page = client.get(_API, Page[Repository], path=options.name, registry=options.registry)
    if not page.items:
        raise NameUnknown(f"there is no repository {options.name!r}; see: scr repository list")
    return page.items[0]
