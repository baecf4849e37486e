"""`scr registry list|show|create|edit|delete|restore`."""

import argparse

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
    time_text,
    walk,
)
from appliance.cli.client import Client, connect
from appliance.cli.editing import (
    add_tags,
    edit,
    given,
    kind,
    number_or_none,
    pick_removed,
    read,
    size_or_none,
    switch,
    tags_of,
)
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show_json
from appliance.domain.sizes import size_text
from appliance.errors import RegistryUnknown

EXAMPLES = ("scr registry create pay --quota 50GiB", "scr registry list")

_API = "/api/v1/registries"
_FIELDS = {
    "description": "description",
    "endpoint": "endpoint",
    "private_access_control": "privateAccessControl",
    "public_access_control": "publicAccessControl",
    "port": "port",
    "quota": "quotaBytes",
    "quota_images": "quotaImages",
    "log_traffic": "logTraffic",
}


class Usage(msgspec.Struct, rename="camel"):
    """What a registry uses, in bytes."""

    blob_bytes: int
    sole_bytes: int
    apparent_bytes: int
    manifest_bytes: int


class Urls(msgspec.Struct):
    """How its endpoints are called."""

    private: list[str]
    public: list[str]


class Registry(msgspec.Struct, rename="camel"):
    """A registry as the API shows it."""

    id: str
    srn: str
    name: str
    state: str
    description: str
    visibility: str
    endpoint: str
    bucket: str
    urls: Urls
    private_access_control: bool
    public_access_control: bool
    port: int | None
    quota_bytes: int | None
    quota_images: int | None
    log_traffic: bool
    repositories: int
    images: int
    usage: Usage
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
        "list", help="list registries", examples=("scr registry list", "scr registry list --resource-tag team=pay")
    )
    list_.add_argument("--name", default="", metavar="TEXT", help="only names with TEXT in them")
    list_.add_argument("--resource-tag", default="", metavar="KEY[=VALUE]", help="only those with this resource tag")
    add_order(list_)
    list_.add_argument("--removed", action="store_true", help="those that were deleted and can be restored")
    add_asking(list_)
    show_ = verbs.add_parser(
        "show", help="show a registry", examples=("scr registry show local", "scr registry show pay --json")
    )
    show_.add_argument("name", metavar="NAME")
    add_asking(show_)
    create = verbs.add_parser(
        "create",
        help="make a registry",
        examples=("scr registry create pay --quota 50GiB", "scr registry create hub --public --port 5443"),
    )
    create.add_argument("name", metavar="NAME", help="3 to 25 of a-z and 0-9, a letter first")
    create.add_argument("--public", action="store_true", help="let everybody pull without signing in; only now")
    _add_settings(create)
    add_tags(create, edits=False)
    add_asking(create)
    _add_changes(verbs)


def _add_changes(verbs: "argparse._SubParsersAction[Parser]") -> None:
    edit_ = verbs.add_parser(
        "edit",
        help="change a registry",
        examples=("scr registry edit pay --quota 100GiB", "scr registry edit hub --private --dry-run"),
    )
    edit_.add_argument("name", metavar="NAME")
    edit_.add_argument("--private", action="store_true", help="let nobody pull without signing in, for good")
    _add_settings(edit_)
    add_tags(edit_, edits=True)
    edit_.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    add_asking(edit_)
    delete = verbs.add_parser(
        "delete",
        help="delete a registry with all its data",
        examples=("scr registry delete pay --dry-run", "scr registry delete pay --force --yes"),
    )
    delete.add_argument("name", metavar="NAME")
    delete.add_argument("--force", action="store_true", help="also where it holds repositories: they go with it")
    delete.add_argument(
        "--purge", action="store_true", help="free the bytes at the next collection, not after the recycle time"
    )
    add_asking(delete, deletes=True)
    restore = verbs.add_parser(
        "restore",
        help="give a deleted registry back, with all that was in it",
        examples=("scr registry restore pay", "scr registry list --removed"),
    )
    restore.add_argument("name", metavar="NAME|ID", help="its name, or its id where several of that name were deleted")
    add_asking(restore)


def _add_settings(parser: Parser) -> None:
    absent = argparse.SUPPRESS
    parser.add_argument("--description", default=absent, metavar="TEXT", help="what it is for")
    parser.add_argument(
        "--endpoint", default=absent, choices=("private", "private+public"), help="which endpoints it is served at"
    )
    for name in ("private", "public"):
        parser.add_argument(
            f"--{name}-access-control",
            default=absent,
            type=kind(switch),
            metavar="on|off",
            help=f"whether its allowlist decides who may use the {name} endpoint",
        )
    parser.add_argument(
        "--port", default=absent, type=kind(number_or_none), metavar="PORT|none", help="a listener of its own"
    )
    parser.add_argument(
        "--quota", default=absent, type=kind(size_or_none), metavar="SIZE|none", help="bytes it may hold, e.g. 50GiB"
    )
    parser.add_argument(
        "--quota-images", default=absent, type=kind(number_or_none), metavar="N|none", help="images it may hold"
    )
    parser.add_argument(
        "--log-traffic", default=absent, type=kind(switch), metavar="on|off", help="keep its pulls and pushes: scr logs"
    )


def run(options: argparse.Namespace) -> int:
    """Do what the verb says."""
    verbs = {"list": _list, "show": _show, "create": _create, "edit": _edit, "delete": _delete, "restore": _restore}
    with connect(options) as client:
        verbs[options.verb](client, options)
    return 0


def _list(client: Client, options: argparse.Namespace) -> None:
    removed = "true" if options.removed else ""

    def cells(one: Registry) -> tuple[str, ...]:
        return (
            one.name,
            one.id,
            one.state,
            one.visibility,
            str(one.repositories),
            str(one.images),
            size_text(one.usage.blob_bytes),
            size_text(one.quota_bytes),
            time_text(one.restorable_until if options.removed else one.created_at),
        )

    last = "RESTORABLE UNTIL" if options.removed else "CREATED"
    heads = ("NAME", "ID", "STATE", "VISIBILITY", "REPOSITORIES", "IMAGES", "SIZE", "QUOTA", last)
    query = {"name": options.name, "resourceTag": options.resource_tag, "removed": removed}
    query["sort"] = order_of(options)
    show_all(client, options, _API, Registry, heads, cells, **query)


def _show(client: Client, options: argparse.Namespace) -> None:
    one = _find(client, options.name)
    if options.json:
        show_json(read(client, f"{_API}/{one.id}").fields)
    else:
        _describe(one)


def _describe(one: Registry) -> None:
    images = "no limit" if one.quota_images is None else f"at most {one.quota_images}"
    tags = ", ".join(f"{key}={value}" for key, value in one.resource_tags.items())
    rows = {
        "name": one.name,
        "id": one.id,
        "srn": one.srn,
        "state": one.state,
        "description": one.description,
        "visibility": one.visibility,
        "endpoint": one.endpoint,
        "private": ", ".join(one.urls.private),
        "public": ", ".join(one.urls.public),
        "allowlists": f"private {_on(one.private_access_control)}, public {_on(one.public_access_control)}",
        "port": str(one.port or ""),
        "holds": f"{count_text(one.repositories, 'repository', 'repositories')}, {count_text(one.images, 'image')}",
        "bucket": one.bucket or "none: its data is in the data folder",
        "uses": f"{size_text(one.usage.blob_bytes)}; deleting it would free {size_text(one.usage.sole_bytes)}",
        "apparent": f"{size_text(one.usage.apparent_bytes)}, each image counted in full",
        "quota": f"{size_text(one.quota_bytes)}; {images} images" if one.quota_images else size_text(one.quota_bytes),
        "traffic": "kept in the log: scr logs" if one.log_traffic else "not logged",
        "managed": "by scr.toml" if one.managed else "",
        "tags": tags,
        "created": f"{time_text(one.created_at)} by {one.created_by}",
        "modified": f"{time_text(one.modified_at)} by {one.modified_by}",
        "deleted": f"{time_text(one.removed_at)}, restorable until {time_text(one.restorable_until)}"
        if one.removed_at
        else "",
    }
    show_fields(rows)


def _create(client: Client, options: argparse.Namespace) -> None:
    order = {"name": options.name, **given(options, _FIELDS), "resourceTags": tags_of(options, {})}
    if options.public:
        order["visibility"] = "public"
    made = client.post(_API, order, Registry)
    if options.json:
        show_json(made)
        return
    say(f"made registry {made.name} (id {made.id}); push to it at {', '.join(made.urls.private) or 'its endpoint'}")
    if not (made.urls.private or made.urls.public):
        say("it has no address yet: give it a port (scr registry edit --port), or set [endpoint.private] domain")


def _edit(client: Client, options: argparse.Namespace) -> None:
    one = _find(client, options.name)
    path = f"{_API}/{one.id}"
    current = read(client, path)
    order = given(options, _FIELDS)
    if options.private:
        order["visibility"] = "private"
    if options.resource_tag or options.no_resource_tag:
        order["resourceTags"] = tags_of(options, one.resource_tags)
    edit(client, options, path, current, order, f"registry {one.name}")
    if options.json:
        show_json(_find(client, options.name))


def _delete(client: Client, options: argparse.Namespace) -> None:
    one = _find(client, options.name)
    held = count_text(one.repositories, "repository", "repositories")
    what = f"this deletes the registry {one.name} with {held}, {count_text(one.images, 'image')}"
    what += f" and {size_text(one.usage.sole_bytes)} that no other registry uses"
    if options.dry_run:
        say(f"{what}; nothing was deleted (--dry-run)")
        return
    confirm(options, what, one.name)
    query = "".join(f"&{name}=true" for name in ("force", "purge") if getattr(options, name))
    client.ask("DELETE", f"{_API}/{one.id}?confirm={one.name}{query}")
    if options.purge:
        say(f"deleted {one.name}; its bytes go with the next collection")
    else:
        say(f"deleted {one.name}; until its recycle time is over it comes back with: scr registry restore {one.id}")


def _restore(client: Client, options: argparse.Namespace) -> None:
    found = pick_removed(walk(client, _API, Registry, removed="true"), options.name, "registry")
    restored = client.post(f"{_API}/{found.id}/restoration", {}, Registry)
    if options.json:
        show_json(restored)
    say(f"restored registry {restored.name}; it is {restored.state}")


def _find(client: Client, name: str) -> Registry:
    page = client.get(_API, Page[Registry], path=name)
    if not page.items:
        raise RegistryUnknown(f"there is no registry {name!r}; see: scr registry list")
    return page.items[0]


def _on(value: bool) -> str:  # noqa: FBT001 - the value itself
    return "on" if value else "off"
