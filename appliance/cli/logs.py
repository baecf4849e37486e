"""`scr logs`: who pulled and pushed what, in the registries that keep it."""

import argparse
from urllib.parse import quote

import msgspec

from appliance.cli.asking import Page, time_text, walk
from appliance.cli.client import Client, connect
from appliance.cli.happenings import add_following, show_entries, time_of
from appliance.cli.parser import Parser
from appliance.cli.terminal import say
from appliance.domain.sizes import size_text
from appliance.errors import QueryInvalid, RegistryUnknown

EXAMPLES = ("scr logs --registry local --follow", "scr logs --digest sha256:6c3c624b58db --since 30d")
_HEADS = ("TIME", "KIND", "WHO", "FROM", "WHAT", "DIGEST", "SIZE", "CLIENT")


class Transfer(msgspec.Struct, rename="camel"):
    """A manifest or blob that went out or came in, as the API shows it."""

    seq: int
    at: str
    kind: str
    registry: str
    path: str
    tag: str
    digest: str
    size: int
    principal: str
    address: str
    client: str


class _Registry(msgspec.Struct, rename="camel"):
    id: str
    name: str
    log_traffic: bool


def add(parser: Parser) -> None:
    """Add the options."""
    parser.add_argument("--registry", default="", metavar="NAME", help="of this registry only")
    parser.add_argument("--digest", default="", metavar="DIGEST", help="of this manifest or blob only")
    parser.add_argument("--image", default="", metavar="IMAGE", help="of this image only")
    parser.add_argument("--kind", default="", metavar="NOUN.VERB", help="of this kind only, as manifest.pulled")
    parser.add_argument("--principal", default="", metavar="WHO", help="by whom, as user:ann")
    parser.add_argument("--on", action="store_true", help="keep the traffic of --registry from now on")
    parser.add_argument("--off", action="store_true", help="keep it no longer; what was kept stays its time")
    add_following(parser)


def run(options: argparse.Namespace) -> int:
    """Print the traffic, or switch it on or off."""
    query = {
        "registry": options.registry,
        "digest": options.digest,
        "path": options.image,
        "kind": options.kind,
        "principal": options.principal,
        "since": time_of(options.since),
        "until": time_of(options.until),
    }
    with connect(options) as client:
        if options.on or options.off:
            return _switch(client, options)
        count = show_entries(client, options, "/api/v1/traffic", Transfer, query, (_HEADS, _cells))
        if not count and not options.json and not options.follow:
            _explain(client)
    return 0


def _switch(client: Client, options: argparse.Namespace) -> int:
    if not options.registry or (options.on and options.off):
        raise QueryInvalid("name the registry whose traffic is kept or not: --registry NAME, and --on or --off")
    page = client.get("/api/v1/registries", Page[_Registry], path=options.registry)
    if not page.items:
        raise RegistryUnknown(f"there is no registry {options.registry!r}; see: scr registry list")
    one = page.items[0]
    body = msgspec.json.encode({"logTraffic": bool(options.on)})
    client.ask("PATCH", f"/api/v1/registries/{quote(one.id)}", body, {"Content-Type": "application/json"})
    say(f"the traffic of registry {one.name} is kept{'' if options.on else ' no longer'}")
    return 0


def _explain(client: Client) -> None:
    keeping = [one.name for one in walk(client, "/api/v1/registries", _Registry) if one.log_traffic]
    if keeping:
        say(f"nothing of that kind went out or came in; kept is the traffic of {', '.join(keeping)}")
    else:
        say("no registry keeps its traffic; begin with: scr logs --registry <NAME> --on")


def _cells(one: Transfer) -> tuple[str, ...]:
    what = f"{one.registry} {one.path}{f':{one.tag}' if one.tag else ''}"
    return (
        time_text(one.at),
        one.kind,
        one.principal,
        one.address,
        what,
        one.digest[:19],
        size_text(one.size),
        one.client,
    )
