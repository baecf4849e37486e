"""`scr manifest list|show|referrers|commands|delete`: the digests of an image."""

import argparse

import msgspec

from appliance.cli import tag as tags
from appliance.cli.asking import Page, confirm, count_text, show_all, show_list, time_text
from appliance.cli.client import Client, connect
from appliance.cli.image_change import add_place, address_of
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show, show_json
from appliance.domain.names import parse_digest
from appliance.domain.sizes import size_text

EXAMPLES = ("scr manifest list pay/api", "scr manifest show pay/api:1")


class _TagName(msgspec.Struct):
    name: str
    locked: bool


class _Platform(msgspec.Struct, rename="camel"):
    platform: str
    digest: str
    size: int | None
    is_here: bool


class _Manifest(msgspec.Struct, rename="camel"):
    digest: str
    kind: str
    state: str
    media_type: str
    artifact_type: str
    tags: list[_TagName]
    tag_count: int
    platforms: list[_Platform]
    size: int
    manifest_size: int
    subject: str | None
    is_listed: bool
    pushed_at: str
    pushed_by: str
    modified_at: str
    pulls: int
    last_pulled_at: str | None


class _Step(msgspec.Struct, rename="camel"):
    created_by: str
    size: int


class _Build(msgspec.Struct):
    history: list[_Step]
    entrypoint: list[str]
    command: list[str]


class _Dependency(msgspec.Struct):
    name: str
    version: str
    repository: str


class _Chart(msgspec.Struct, rename="camel"):
    name: str
    version: str
    app_version: str
    description: str
    dependencies: list[_Dependency]
    values: str | None


class _Layer(msgspec.Struct, rename="camel"):
    media_type: str
    digest: str
    size: int


class _Full(_Manifest, rename="camel"):
    layers: list[_Layer]
    annotations: dict[str, str]
    build: _Build | None
    chart: _Chart | None
    notes: list[str]


class _Referrer(msgspec.Struct):
    digest: str
    kind: str
    size: int
    tag: str
    referrers: list["_Referrer"]


class _Command(msgspec.Struct):
    endpoint: str
    url: str
    tool: str
    command: str


class _Report(msgspec.Struct):
    deleted: list[str]
    tags: int
    refused: list[dict[str, str]]
    freed: int
    undo: str


def add(parser: Parser) -> None:
    """Add the verbs."""
    verbs = parser.add_verbs()
    list_ = verbs.add_parser(
        "list",
        help="list the digests of an image, the newest push first",
        examples=("scr manifest list pay/api", "scr manifest list pay/api --untagged"),
    )
    list_.add_argument("image", metavar="IMAGE")
    which = list_.add_mutually_exclusive_group()
    which.add_argument("--tagged", action="store_true", help="only those with tags")
    which.add_argument("--untagged", action="store_true", help="only those without")
    add_place(list_)
    for verb, about, examples in (
        (
            "show",
            "show platforms, layers, history or chart",
            ("scr manifest show pay/api:1", "scr manifest show alpine:3"),
        ),
        (
            "referrers",
            "show what refers to it: signatures, SBOMs",
            ("scr manifest referrers pay/api:1", "scr manifest referrers alpine:3 --json"),
        ),
        (
            "commands",
            "print the commands that pull it",
            ("scr manifest commands pay/api:1", "scr manifest commands pay/api@sha256:0a1b…"),
        ),
    ):
        one = verbs.add_parser(verb, help=about, examples=examples)
        one.add_argument("manifest", metavar="IMAGE:TAG|IMAGE@DIGEST")
        add_place(one)
    delete = verbs.add_parser(
        "delete",
        help="delete up to 50 digests with their tags, all or none",
        examples=(
            "scr manifest delete pay/api sha256:0a1b… --dry-run",
            "scr manifest delete pay/api sha256:0a1b… --yes",
        ),
    )
    delete.add_argument("image", metavar="IMAGE")
    delete.add_argument("digests", nargs="+", metavar="DIGEST")
    delete.add_argument("--skip-refused", action="store_true", help="delete the others where some are refused")
    add_place(delete, deletes=True)


def run(options: argparse.Namespace) -> int:
    """Do what the verb says."""
    verbs = {"list": _list, "show": _show, "referrers": _referrers, "commands": _commands, "delete": _delete}
    with connect(options) as client:
        return verbs[options.verb](client, options)


def _list(client: Client, options: argparse.Namespace) -> int:
    query = {"tagged": "true"} if options.tagged else {"tagged": "false"} if options.untagged else {}
    address = f"{address_of(client, options.image, options.registry)}/manifests"
    heads = ("DIGEST", "KIND", "TAGS", "PLATFORMS", "SIZE", "PUSHED", "PULLS")
    show_all(client, options, address, _Manifest, heads, _cells, **query)
    return 0


def _cells(one: _Manifest) -> tuple[str, ...]:
    return (
        one.digest[:19],
        one.kind,
        _names(one),
        ", ".join(platform.platform or "?" for platform in one.platforms[:4]),
        size_text(one.size),
        time_text(one.pushed_at),
        str(one.pulls),
    )


def _show(client: Client, options: argparse.Namespace) -> int:
    address = _address(client, options)
    if options.json:
        show_json(client.get(address, dict[str, object]))
        return 0
    one = client.get(address, _Full)
    show(f"digest    {one.digest}\nkind      {one.kind}\nstate     {one.state}\ntype      {one.media_type}")
    show(f"artifact  {one.artifact_type or '-'}\ntags      {_names(one) or '-'}\nsize      {size_text(one.size)}")
    show(f"manifest  {size_text(one.manifest_size)}{f', refers to {one.subject}' if one.subject else ''}")
    show(f"pushed    {time_text(one.pushed_at)} by {one.pushed_by}\nmodified  {time_text(one.modified_at)}")
    show(f"pulls     {one.pulls}, last {time_text(one.last_pulled_at)}")
    for platform in one.platforms:
        size = size_text(platform.size) if platform.is_here else "not here"
        show(f"platform  {platform.platform or '?'}  {platform.digest}  {size}")
    for layer in one.layers:
        show(f"layer     {layer.digest}  {size_text(layer.size)}  {layer.media_type}")
    if one.build is not None:
        for step in one.build.history:
            show(f"step      {size_text(step.size):>10}  {step.created_by[:100]}")
    if one.chart is not None:
        _show_chart(one.chart)
    for name, value in one.annotations.items():
        show(f"note      {name}={value[:200]}")
    for note in one.notes:
        say(note)
    return 0


def _show_chart(chart: _Chart) -> None:
    show(f"chart     {chart.name} {chart.version}, of the application {chart.app_version or '?'}")
    if chart.description:
        show(f"          {chart.description}")
    for one in chart.dependencies:
        show(f"needs     {one.name} {one.version} from {one.repository or '?'}")
    if chart.values is not None:
        show(f"values:\n{chart.values}")


def _referrers(client: Client, options: argparse.Namespace) -> int:
    found = client.get(f"{_address(client, options)}/referrers", Page[_Referrer]).items
    if options.json:
        show_json(found)
        return 0
    _show_tree(found, "")
    if not found:
        say("nothing refers to it")
    return 0


def _show_tree(found: list[_Referrer], indent: str) -> None:
    for one in found:
        show(f"{indent}{one.kind}  {one.digest}  {size_text(one.size)}{f'  by tag {one.tag}' if one.tag else ''}")
        _show_tree(one.referrers, indent + "  ")


def _commands(client: Client, options: argparse.Namespace) -> int:
    path, at, _ = options.manifest.partition("@")
    tag = "" if at else path.rpartition(":")[2]
    found = client.get(f"{_address(client, options)}/commands", Page[_Command], tag=tag).items
    show_list(options, ("ENDPOINT", "WITH", "COMMAND"), found, [(one.endpoint, one.tool, one.command) for one in found])
    return 0


def _delete(client: Client, options: argparse.Namespace) -> int:
    address = f"{address_of(client, options.image, options.registry)}/manifests/deletions"
    order = {"digests": [parse_digest(text) for text in options.digests], "skipRefused": options.skip_refused}
    plan = client.post(address, {**order, "dryRun": True}, _Report)
    for one in plan.refused:
        say(f"refused: {one['digest']}, for {one['reason']}")
    what = (
        f"this deletes {count_text(len(plan.deleted), 'manifest')} of {options.image} with"
        f" {count_text(plan.tags, 'tag')}, and frees {size_text(plan.freed)}"
    )
    if options.dry_run:
        if options.json:
            show_json(plan)
        say(f"{what}; nothing was deleted (--dry-run)")
        return 0
    confirm(options, what)
    done = client.post(address, order, _Report)
    if options.json:
        show_json(done)
    undo = f"; undo it with: scr deletion undo {done.undo}" if done.undo else ""
    say(f"deleted {count_text(len(done.deleted), 'manifest')}{undo}")
    return 0


def _names(one: _Manifest) -> str:
    names = ", ".join(tag.name for tag in one.tags[:4])
    return f"{names}, {one.tag_count - 4} more" if one.tag_count > 4 else names


def _address(client: Client, options: argparse.Namespace) -> str:
    """Return where the API has the manifest that `IMAGE:TAG` or `IMAGE@DIGEST` means."""
    path, at, digest = options.manifest.partition("@")
    if not at or digest.startswith("{"):
        path = path.rpartition(":")[0]
        digest = tags.find(client, options.manifest, options.registry).digest
    return f"{address_of(client, path, options.registry)}/manifests/{parse_digest(digest)}"
