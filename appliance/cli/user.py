"""`scr user list|show|create|edit|disable|enable|password|delete|import|hash`."""

import argparse
import getpass
import sys
from pathlib import Path

import msgspec

from appliance.cli import accounts
from appliance.cli.accounts import API, Account, Act, Held
from appliance.cli.asking import add_asking, count_text, show_list, time_text
from appliance.cli.client import Client, connect
from appliance.cli.editing import given, kind
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show, show_json
from appliance.domain.accounts import Method
from appliance.errors import ConfigInvalid, Invalid
from appliance.services.keys import hash_password

EXAMPLES = ("scr user create ann --admin", "scr user list --policy ScrFullAccess")

_ADMIN = "ScrFullAccess"
_AT_ONCE = 500  # users of an import that the server makes together
_PLACES = ("registry", "api", "console")
_NONE = "none"


class SignIn(msgspec.Struct):
    """The security settings."""

    registry: list[str]
    api: list[str]
    console: list[str]


class User(Account, rename="camel"):
    """A user as the API shows it."""

    enabled: bool
    has_password: bool
    sign_in: SignIn
    guidance: str
    groups: list[Held]
    policies: list[Held]
    access_keys: int
    last_used_at: str | None
    last_used_from: str


class Imported(msgspec.Struct):
    """What an import did."""

    created: list[str]
    skipped: list[str]


def add(parser: Parser) -> None:
    """Add the verbs."""
    verbs = parser.add_verbs()
    list_ = accounts.add_list(verbs, "user")
    accounts.add_having(list_)
    list_.add_argument("--group", default="", metavar="NAME", help="only who is in this group")
    accounts.add_show(verbs, "user", "ann")
    _add_create(verbs)
    edit = accounts.add_edit(verbs, "user", "ann")
    for place in _PLACES:
        edit.add_argument(
            f"--{place}-sign-in",
            default=argparse.SUPPRESS,
            type=kind(_methods),
            metavar="METHODS",
            help=f"what opens the {place}: access-key, password, both with a comma, or none",
        )
    off = "let a user in no more: every session, token and key of it ends at once"
    accounts.add_switches(verbs, "user", "ann", off, "let a disabled user in again")
    _add_password(verbs)
    accounts.add_delete(verbs, "user", "ann", "delete a user with its access keys")
    _add_import(verbs)
    line = "print the hash of a password: asked for on a terminal, else the first line of stdin"
    verbs.add_parser("hash", help=line, examples=("scr user hash > admin.hash", "scr user hash < password.txt"))


def _add_create(verbs: "argparse._SubParsersAction[Parser]") -> None:
    create = verbs.add_parser(
        "create",
        help="make a user; its password is asked for on a terminal",
        examples=("scr user create ann --admin", "scr user create bob --password-file bob.txt --policy pull-pay"),
    )
    create.add_argument("name", metavar="NAME")
    create.add_argument("--description", default="", metavar="TEXT", help="who it is")
    create.add_argument("--admin", action="store_true", help=f"an administrator: attach {_ADMIN}")
    accounts.add_policies(create)
    _add_secret(create)
    create.add_argument("--no-password", action="store_true", help="none: it signs in with access keys only")
    add_asking(create)


def _add_password(verbs: "argparse._SubParsersAction[Parser]") -> None:
    password = verbs.add_parser(
        "password",
        help="give a user another password, asked for on a terminal, or none",
        examples=("scr user password ann", "scr user password ann --none"),
    )
    password.add_argument("name", metavar="NAME")
    _add_secret(password)
    password.add_argument("--none", action="store_true", help="take the password away: access keys only")
    add_asking(password)


def _add_import(verbs: "argparse._SubParsersAction[Parser]") -> None:
    import_ = verbs.add_parser(
        "import",
        help="make the users of an htpasswd file (bcrypt): they keep their passwords, at the registry too",
        examples=("scr user import htpasswd --policy ScrPullPushOnlyAccess", "scr user import htpasswd --dry-run"),
    )
    import_.add_argument("file", type=Path, metavar="FILE", help="as htpasswd -B writes it")
    accounts.add_policies(import_)
    import_.add_argument("--dry-run", action="store_true", help="read the file, and make nobody")
    add_asking(import_)


def _add_secret(parser: Parser) -> None:
    parser.add_argument(
        "--password-file", type=Path, metavar="FILE", help="take the password from the first line of FILE, - for stdin"
    )


def run(options: argparse.Namespace) -> int:
    """Do what the verb says."""
    if options.verb == "hash":
        return _hash()
    verbs: dict[str, Act] = {
        "list": _list,
        "show": _show,
        "create": _create,
        "edit": _edit,
        "disable": lambda client, options: accounts.change(client, options, "user", {"enabled": False}, User),
        "enable": lambda client, options: accounts.change(client, options, "user", {"enabled": True}, User),
        "password": _password,
        "delete": lambda client, options: accounts.remove(
            client, options, "user", User, lambda one: accounts.keys_text(one.access_keys)
        ),
        "import": _import,
    }
    with connect(options) as client:
        verbs[options.verb](client, options)
    return 0


def _list(client: Client, options: argparse.Namespace) -> None:
    found = accounts.list_accounts(client, options, "user", User)
    cells = [
        (
            one.name,
            accounts.on_off(one.enabled),
            accounts.named(one.policies) or "-",
            accounts.named(one.groups) or "-",
            str(one.access_keys),
            "yes" if one.has_password else "no",
            time_text(one.last_used_at),
        )
        for one in found
    ]
    heads = ("NAME", "STATE", "POLICIES", "GROUPS", "KEYS", "PASSWORD", "PASSWORD USED")
    show_list(options, heads, found, cells)


def _show(client: Client, options: argparse.Namespace) -> None:
    one = accounts.find(client, "user", options.name, User)
    settings = "; ".join(f"{place} {' or '.join(getattr(one.sign_in, place)) or _NONE}" for place in _PLACES)
    used = f"{time_text(one.last_used_at)} from {one.last_used_from}" if one.last_used_at else "never used"
    rows = {
        "state": accounts.on_off(one.enabled),
        "password": used if one.has_password else "",
        "sign-in": settings,
        "groups": accounts.named(one.groups),
        "policies": accounts.named(one.policies),
        "keys": f"{one.access_keys}; see: scr key list user:{one.name}" if one.access_keys else "",
    }
    accounts.describe(options, one, rows)
    if one.guidance:
        say(one.guidance)


def _create(client: Client, options: argparse.Namespace) -> None:
    password = None if options.no_password else _secret(options, f"a password for {options.name}")
    policies = [*options.policy, *([_ADMIN] if options.admin else [])]
    order = {"name": options.name, "description": options.description, "password": password, "policies": policies}
    made = client.post(f"{API}/users", order, User)
    if options.json:
        show_json(made)
        return
    say(f"made user {made.name} with {accounts.named(made.policies) or 'no policy'}")
    if not policies:
        say(f"it may do nothing yet: scr policy attach ScrPullOnlyAccess user:{made.name}")
    say(f"clients sign in with an access key: scr key create user:{made.name} --name laptop")


def _edit(client: Client, options: argparse.Namespace) -> None:
    order = given(options, {"description": "description"})
    changed = {place: getattr(options, f"{place}_sign_in", None) for place in _PLACES}
    if any(methods is not None for methods in changed.values()):
        one = accounts.find(client, "user", options.name, User)
        wanted = {place: methods for place, methods in changed.items() if methods is not None}
        order["signIn"] = {**msgspec.to_builtins(one.sign_in), **wanted}
    accounts.change(client, options, "user", order, User)


def _password(client: Client, options: argparse.Namespace) -> None:
    one = accounts.find(client, "user", options.name, User)
    password = None if options.none else _secret(options, f"another password for {one.name}", needed=True)
    changed = client.change("PUT", f"{API}/users/{one.id}/password", {"password": password}, User)
    if options.json:
        show_json(changed)
    else:
        say(f"changed the password of {one.name}: what the earlier one opened has ended")


def _import(client: Client, options: argparse.Namespace) -> None:
    lines = [line for line in _read(options.file).splitlines() if line.strip() and not line.startswith("#")]
    done = Imported([], [])
    for start in range(0, len(lines), _AT_ONCE):
        text = "\n".join(lines[start : start + _AT_ONCE])
        order = {"htpasswd": text, "policies": options.policy, "dryRun": options.dry_run}
        part = client.post(f"{API}/users/imports", order, Imported)
        done.created += part.created
        done.skipped += part.skipped
    if options.json:
        show_json(done)
        return
    verb = "would make" if options.dry_run else "made"
    say(f"{verb} {count_text(len(done.created), 'user')}; {len(done.skipped)} were there already and stay as they are")
    for name in done.created:
        show(name)


def _hash() -> int:
    """Print the hash of the password that is given. Raises Invalid."""
    password = _ask("the password") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise Invalid("there is no password on stdin; write one line, or run scr user hash on a terminal")
    show(hash_password(password))
    say('put the line into a file and name it in scr.toml: [[user]] password_file = "..."')
    return 0


def _secret(options: argparse.Namespace, what: str, *, needed: bool = False) -> str | None:
    """Return the password of the file, or one that is asked for; None where nobody gives one. Raises Invalid."""
    if options.password_file is not None:
        password = (_read(options.password_file).splitlines() or [""])[0]
        if not password:
            raise Invalid(f"{options.password_file} has no password on its first line")
        return password
    if sys.stdin.isatty():
        return _ask(f"{what}{'' if needed else ' (nothing: access keys only)'}") or None
    if needed:
        raise Invalid("nobody can be asked for a password here; give it by --password-file, or take it away by --none")
    return None


def _ask(what: str) -> str:
    """Return a password that was typed twice alike. Raises Invalid."""
    password = getpass.getpass(f"{what}: ")
    if password and getpass.getpass("once more: ") != password:
        raise Invalid("the two passwords differ; try again")
    return password


def _read(path: Path) -> str:
    """Return the text of a file, of stdin for `-`. Raises ConfigInvalid."""
    if str(path) == "-":
        return sys.stdin.read()
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"{path} cannot be read: {error}") from error


def _methods(text: str) -> list[str]:
    """Return the methods of `access-key,password`; none for `none`. Raises ValueError."""
    if text == _NONE:
        return []
    methods = [one.strip() for one in text.split(",")]
    known = [str(method) for method in Method]
    for one in methods:
        if one not in known:
            raise ValueError(f"{one!r} is no way to sign in; write {' or '.join(known)}, or none")
    return methods
