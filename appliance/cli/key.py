"""`scr key list|show|create|edit|disable|enable|rotate|delete`: what clients sign in with."""

import argparse
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import msgspec

from appliance.cli.accounts import API, Act
from appliance.cli.asking import add_asking, confirm, show_list, time_text, walk
from appliance.cli.client import Client, connect
from appliance.cli.editing import Order, edit, given, kind, read
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show, show_json
from appliance.config.quantities import parse_duration
from appliance.domain.accounts import new_access_key
from appliance.errors import QueryInvalid
from appliance.services.credentials import hash_secret, new_secret_key

EXAMPLES = ("scr key create role:ci --name build --expires 90d", "scr key rotate SCRABCDEFGHIJKLMNOPQ --overlap 1d")

_PATH = f"{API}/access-keys"
_NEVER = "never"


class Key(msgspec.Struct, rename="camel"):
    """An access key as the API shows it."""

    access_key: str
    owner: str
    name: str
    description: str
    enabled: bool
    state: str
    expires_at: str | None
    earlier_until: str | None
    managed: bool
    last_used_at: str | None
    last_used_from: str
    created_at: str
    created_by: str
    modified_at: str
    modified_by: str


class MadeKey(Key, rename="camel"):
    """A key with its secret."""

    secret_key: str


class Generated(msgspec.Struct, rename="camel"):
    """A key that was made up."""

    access_key: str
    secret_key: str
    secret_hash: str


class Me(msgspec.Struct):
    """Who asks."""

    kind: str
    name: str


def add(parser: Parser) -> None:
    """Add the verbs."""
    verbs = parser.add_verbs()
    list_ = verbs.add_parser("list", help="list access keys", examples=("scr key list", "scr key list user:ann --json"))
    list_.add_argument("owner", nargs="?", default="", metavar="OWNER", help="only of user:NAME or role:NAME")
    list_.add_argument("--name", default="", metavar="TEXT", help="only names with TEXT in them")
    list_.add_argument("--disabled", action="store_true", help="only those that are disabled")
    add_asking(list_)
    key = "SCRABCDEFGHIJKLMNOPQ"
    show_ = verbs.add_parser(
        "show", help="show an access key", examples=(f"scr key show {key}", f"scr key show {key} --json")
    )
    _add_key(show_)
    create = verbs.add_parser(
        "create",
        help="make an access key and print its secret, this once",
        examples=(EXAMPLES[0], "scr key create user:ann --name laptop"),
    )
    whose = "user:NAME or role:NAME; else whoever asks"
    create.add_argument("owner", nargs="?", default="", metavar="OWNER", help=whose)
    create.add_argument("--name", required=True, metavar="NAME", help="what its owner calls it")
    create.add_argument("--description", default="", metavar="TEXT", help="what it is for")
    create.add_argument("--expires", type=kind(_expiry), metavar="TIME", help="after 90d, 12h, or at 2027-01-31")
    add_asking(create)
    generate = verbs.add_parser(
        "generate",
        help="make up an access key for [[access_key]] of scr.toml, and print its secret; asks no server",
        examples=("scr key generate", "scr key generate --json"),
    )
    generate.add_argument("--json", action="store_true", help="print JSON for programs")
    _add_changes(verbs, key)


def _add_changes(verbs: "argparse._SubParsersAction[Parser]", key: str) -> None:
    absent = argparse.SUPPRESS
    edit_ = verbs.add_parser(
        "edit",
        help="change an access key",
        examples=(f"scr key edit {key} --expires 30d", f"scr key edit {key} --name desk --dry-run"),
    )
    edit_.add_argument("--name", default=absent, metavar="NAME", help="what its owner calls it")
    edit_.add_argument("--description", default=absent, metavar="TEXT", help="what it is for")
    when = "after 90d, 12h, at 2027-01-31, or never"
    edit_.add_argument("--expires", default=absent, type=kind(_expiry), metavar="TIME", help=when)
    edit_.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    _add_key(edit_)
    for verb, about in (
        ("disable", "let a key open nothing: every token of it ends at once"),
        ("enable", "let a disabled key open again"),
    ):
        switch = verbs.add_parser(verb, help=about, examples=(f"scr key {verb} {key}", f"scr key {verb} {key} --json"))
        switch.set_defaults(dry_run=False)
        _add_key(switch)
    rotate = verbs.add_parser(
        "rotate",
        help="give a key a new secret and print it, this once; the earlier one stays good for the overlap",
        examples=(f"scr key rotate {key} --overlap 1d", f"scr key rotate {key} --overlap 0"),
    )
    overlap = "how long the earlier secret stays good, up to 90d (default 1d; 0 ends it at once)"
    rotate.add_argument("--overlap", type=kind(parse_duration), default="1d", metavar="TIME", help=overlap)
    _add_key(rotate)
    delete = verbs.add_parser(
        "delete",
        help="delete an access key",
        examples=(f"scr key delete {key} --dry-run", f"scr key delete {key} --yes"),
    )
    _add_key(delete, deletes=True)


def _add_key(parser: Parser, *, deletes: bool = False) -> None:
    parser.add_argument("key", metavar="KEY", help="the access key, as scr key list shows it")
    add_asking(parser, deletes=deletes)


def run(options: argparse.Namespace) -> int:
    """Do what the verb says."""
    if options.verb == "generate":
        return _generate(options)
    verbs: dict[str, Act] = {
        "list": _list,
        "show": _show,
        "create": _create,
        "edit": _edit,
        "disable": lambda client, options: _change(client, options, {"enabled": False}),
        "enable": lambda client, options: _change(client, options, {"enabled": True}),
        "rotate": _rotate,
        "delete": _delete,
    }
    with connect(options) as client:
        verbs[options.verb](client, options)
    return 0


def _list(client: Client, options: argparse.Namespace) -> None:
    enabled = "false" if options.disabled else ""
    found = [*walk(client, _PATH, Key, owner=options.owner, name=options.name, enabled=enabled)]
    cells = [(one.access_key, one.owner, one.name, one.state, time_text(one.expires_at), _used(one)) for one in found]
    show_list(options, ("ACCESS KEY", "OWNER", "NAME", "STATE", "EXPIRES", "LAST USED"), found, cells)


def _show(client: Client, options: argparse.Namespace) -> None:
    one = client.get(_address(options.key), Key)
    if options.json:
        show_json(one)
        return
    rows = {
        "access key": one.access_key,
        "owner": one.owner,
        "name": one.name,
        "description": one.description,
        "state": one.state,
        "expires": time_text(one.expires_at),
        "overlap": f"the secret before the rotation is good until {time_text(one.earlier_until)}"
        if one.earlier_until
        else "",
        "last used": _used(one),
        "created": f"{time_text(one.created_at)} by {one.created_by}",
        "modified": f"{time_text(one.modified_at)} by {one.modified_by}",
    }
    for name, value in rows.items():
        show(f"{name:<12}{value or '-'}")


def _create(client: Client, options: argparse.Namespace) -> None:
    expiry = options.expires if options.expires != _NEVER else None
    order = {
        "owner": options.owner or _me(client),
        "name": options.name,
        "description": options.description,
        "expiresAt": expiry,
    }
    _tell(options, client.post(_PATH, order, MadeKey))


def _generate(options: argparse.Namespace) -> int:
    secret_key = new_secret_key()
    made = Generated(new_access_key(), secret_key, hash_secret(secret_key).hex())
    if options.json:
        show_json(made)
        return 0
    show(f"access key   {made.access_key}")
    show(f"secret key   {made.secret_key}")
    show(f"secret hash  {made.secret_hash}")
    say("put key and secret_hash into [[access_key]] of scr.toml; the secret key is shown this once, for the client")
    return 0


def _edit(client: Client, options: argparse.Namespace) -> None:
    order = given(options, {"name": "name", "description": "description", "expires": "expiresAt"})
    if order.get("expiresAt") == _NEVER:
        order["expiresAt"] = None
    _change(client, options, order)


def _change(client: Client, options: argparse.Namespace, order: Order) -> None:
    path = _address(options.key)
    edit(client, options, path, read(client, path), order, f"access key {options.key}")
    if options.json:
        show_json(client.get(path, Key))


def _rotate(client: Client, options: argparse.Namespace) -> None:
    order = {"overlapSeconds": options.overlap // 1000}
    rotated = client.post(f"{_address(options.key)}/rotation", order, MadeKey)
    _tell(options, rotated)
    if not options.json:
        until = f"is good until {time_text(rotated.earlier_until)}" if rotated.earlier_until else "has ended"
        say(f"the earlier secret key {until}")


def _delete(client: Client, options: argparse.Namespace) -> None:
    one = client.get(_address(options.key), Key)
    what = f"this deletes the access key {one.access_key} ({one.name} of {one.owner}, last used {_used(one)})"
    if options.dry_run:
        say(f"{what}; nothing was deleted (--dry-run)")
        return
    confirm(options, what)
    client.ask("DELETE", _address(one.access_key))
    say(f"deleted access key {one.access_key}; what it opened has ended")


def _tell(options: argparse.Namespace, made: MadeKey) -> None:
    """Print a key with its secret."""
    if options.json:
        show_json(made)
        return
    show(f"access key  {made.access_key}")
    show(f"secret key  {made.secret_key}")
    say(f"the secret key is shown this once; sign in with: docker login --username {made.access_key}")


def _me(client: Client) -> str:
    """Return whoever asks, as an owner of keys. Raises QueryInvalid through the operator's door."""
    me = client.get(f"{API}/self", Me)
    if me.kind not in ("user", "role"):
        raise QueryInvalid("say whose key it is to be: scr key create user:ann, or role:ci")
    return f"{me.kind}:{me.name}"


def _address(key: str) -> str:
    return f"{_PATH}/{quote(key, safe='')}"


def _used(one: Key) -> str:
    return f"{time_text(one.last_used_at)} from {one.last_used_from}" if one.last_used_at else "never"


def _expiry(text: str) -> str:
    """Return the time of `90d`, `2027-01-31` or a full one as RFC 3339; `never` as it is. Raises ValueError."""
    if text == _NEVER:
        return text
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        try:
            at = datetime.now(UTC) + timedelta(milliseconds=parse_duration(text))
        except ValueError as error:
            raise ValueError(f"{text!r} is not {error}, and no day like 2027-01-31") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat()
