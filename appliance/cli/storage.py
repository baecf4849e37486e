"""`scr storage`: the stores in use, a check of the bucket, moves, keys, and the configuration for Litestream."""

import argparse
import asyncio
import secrets
from pathlib import Path

import msgspec

from appliance.cli import following, settings
from appliance.cli.asking import add_asking, count_text, time_text
from appliance.cli.client import connect
from appliance.cli.parser import Parser
from appliance.cli.terminal import GREEN, RED, paint, say, show, show_json
from appliance.domain.sizes import size_text
from appliance.errors import Invalid

EXAMPLES = ("scr storage status", "scr storage check --offline")


class _Place(msgspec.Struct):
    driver: str
    form: str
    blobs: int
    bytes: int


class _Cache(msgspec.Struct):
    limit: int
    size: int
    blobs: int
    hits: int
    misses: int


class _Bucket(msgspec.Struct, rename="camel"):
    endpoint: str
    name: str
    prefix: str
    region: str
    server_side_encryption: str
    fault: str
    cache: _Cache | None


class _Keys(msgspec.Struct, rename="camel"):
    master: str
    data_keys: int
    active: str
    made_at: str
    is_settled: bool


class _Storage(msgspec.Struct, rename="camel"):
    driver: str
    is_encrypting: bool
    places: list[_Place]
    elsewhere: int
    bucket: _Bucket | None
    keys: _Keys | None


class _Step(msgspec.Struct, rename="camel"):
    name: str
    ok: bool
    took_ms: float
    detail: str


class _Checked(msgspec.Struct):
    ok: bool
    steps: list[_Step]


class _Moved(msgspec.Struct):
    blobs: int
    bytes: int
    manifests: int
    left: int


def add(parser: Parser) -> None:
    """Add the verbs."""
    verbs = parser.add_verbs()
    examples = ("scr storage status", "scr storage status --json")
    add_asking(verbs.add_parser("status", help="show the stores, what lies where, keys and cache", examples=examples))
    examples = ("scr storage check", "scr storage check --offline --config scr.toml")
    checking = verbs.add_parser("check", help="try everything that is asked of the bucket", examples=examples)
    checking.add_argument("--offline", action="store_true", help="ask no server: use the bucket that scr.toml names")
    add_asking(checking)
    examples = ("scr storage move", "scr storage move --renew-keys")
    moving = verbs.add_parser(
        "move", help="bring all blobs to where new ones go, in the form new ones have", examples=examples
    )
    moving.add_argument("--renew-keys", action="store_true", help="encrypt anew what an older data key encrypts")
    add_asking(moving)
    examples = ("scr storage rekey --new-master new.key", "scr storage rekey --new-data-key")
    keys = verbs.add_parser("rekey", help="wrap the data keys with a new master key, or add one", examples=examples)
    which = keys.add_mutually_exclusive_group(required=True)
    which.add_argument("--new-master", type=Path, metavar="FILE", help="the file that holds the new master key")
    which.add_argument("--new-data-key", action="store_true", help="encrypt new blobs with a new data key")
    add_asking(keys)
    examples = ("scr storage key > /etc/scr/master.key", "(umask 077; scr storage key > master.key)")
    verbs.add_parser("key", help="print a new master key", examples=examples)
    examples = ("scr storage litestream --config scr.toml > litestream.yml", "scr storage litestream")
    settings.add(verbs.add_parser("litestream", help="print the configuration for Litestream", examples=examples))


def run(options: argparse.Namespace) -> int:
    """Do what the verb says."""
    verbs = {"status": _status, "check": _check, "move": _move, "rekey": _rekey, "key": _key, "litestream": _litestream}
    return verbs[options.verb](options)


def _status(options: argparse.Namespace) -> int:
    with connect(options) as client:
        found = client.get("/api/v1/storage", _Storage)
    if options.json:
        show_json(found)
        return 0
    for name, value in _lines(found):
        show(f"{name:9} {value}".rstrip())
    if found.elsewhere:
        say(
            f"{count_text(found.elsewhere, 'blob')} in another place or form than new ones; move them: scr storage move"
        )
    return 1 if found.bucket is not None and found.bucket.fault else 0


def _lines(found: _Storage) -> list[tuple[str, str]]:
    lines = [("store", found.driver), ("encrypts", "yes" if found.is_encrypting else "no")]
    for place in found.places:
        form = "plain" if place.form == "plain" else "encrypted"
        lines.append(
            ("holds", f"{size_text(place.bytes)} in {count_text(place.blobs, 'blob')}, {place.driver}, {form}")
        )
    if (bucket := found.bucket) is not None:
        where = f"{bucket.name}/{bucket.prefix} at {bucket.endpoint or f'AWS, {bucket.region}'}"
        lines.append(("bucket", where if not bucket.fault else f"{where}: {paint(bucket.fault, RED)}"))
        if bucket.server_side_encryption:
            lines.append(("", f"encrypted by the store too: {bucket.server_side_encryption}"))
        if (cache := bucket.cache) is not None:
            lines.append(("cache", f"{size_text(cache.size)} of {size_text(cache.limit)}, {_rate(cache)}"))
    if (keys := found.keys) is not None:
        made = f"data key {keys.active} since {time_text(keys.made_at)}"
        lines.append(("keys", f"{made}, {count_text(keys.data_keys, 'data key')}, master key {keys.master}"))
        if not keys.is_settled:
            lines.append(("", "two master keys open the keyring: restart scr with the new one"))
    return lines


def _rate(cache: _Cache) -> str:
    asked = cache.hits + cache.misses
    return f"had {100 * cache.hits // asked} % of {asked} reads" if asked else "not asked yet"


def _check(options: argparse.Namespace) -> int:
    if options.offline:
        from appliance.assemble.storage import check_bucket  # noqa: PLC0415 - its clients; most runs ask the server

        steps = asyncio.run(check_bucket(settings.load_from(options).config))
        found = msgspec.convert({"ok": all(step.ok for step in steps), "steps": msgspec.to_builtins(steps)}, _Checked)
    else:
        with connect(options) as client:
            found = client.post("/api/v1/storage/checks", {}, _Checked)
    if options.json:
        show_json(found)
        return 0 if found.ok else 1
    for step in found.steps:
        word = paint("ok    ", GREEN) if step.ok else paint("failed", RED)
        show(f"{step.name:17} {word}  {step.took_ms:7.1f} ms  {step.detail}".rstrip())
    if not found.ok:
        say("blobs cannot be kept there as it is; see what failed first")
    return 0 if found.ok else 1


def _move(options: argparse.Namespace) -> int:
    with connect(options) as client:
        done = following.run(client, "move", {"renewKeys": options.renew_keys}, _Moved)
    if options.json:
        show_json(done)
    else:
        moved = f"{size_text(done.bytes)} in {count_text(done.blobs, 'blob')}"
        show(f"moved {moved} and {count_text(done.manifests, 'copy', 'copies')} of manifests")
        say("what lay there before is deleted by the next collection (scr gc)")
    if done.left:
        say(f"{done.left} could not be read and stayed; see: scr job list --kind move, and scr verify")
    return 1 if done.left else 0


def _rekey(options: argparse.Namespace) -> int:
    order: dict[str, object] = (
        {"newDataKey": True} if options.new_data_key else {"newMaster": _read(options.new_master)}
    )
    with connect(options) as client:
        keys = client.post("/api/v1/storage/keys", order, _Keys)
    if options.json:
        show_json(keys)
    elif options.new_data_key:
        show(f"new blobs are encrypted with the data key {keys.active}")
        say("to encrypt the old ones anew too: scr storage move --renew-keys")
    else:
        show("the keyring opens with both master keys now")
        say("name the new one in [storage.key] and restart scr: from then on the old one opens nothing")
    return 0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} cannot be read as a key: {error}; make one with: scr storage key > {path}") from error


def _key(options: argparse.Namespace) -> int:
    del options
    show(secrets.token_hex(32))
    say("keep it in two places, none of them the data folder: without it nothing that is encrypted can be read")
    return 0


def _litestream(options: argparse.Namespace) -> int:
    from appliance.assemble.litestream import configuration  # noqa: PLC0415 - the same

    show(configuration(settings.load_from(options).config).rstrip("\n"))
    return 0
