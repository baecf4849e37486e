"""`scr verify`: compare the store with the database."""

import argparse
import asyncio
from pathlib import Path

import msgspec

from appliance.cli import following, settings
from appliance.cli.asking import add_asking, count_text
from appliance.cli.client import connect
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show, show_json
from appliance.domain.sizes import size_text
from appliance.errors import ConfigInvalid

EXAMPLES = ("scr verify", "scr verify --backup /mnt/backup --deep")


class _Fault(msgspec.Struct, rename="camel"):
    kind: str
    subject: str
    detail: str
    is_repaired: bool


class _Verified(msgspec.Struct, rename="camel"):
    blobs: int
    bytes: int
    manifests: int
    faults: int
    repaired: int
    listed: list[_Fault]


def add(parser: Parser) -> None:
    """Add the options."""
    parser.add_argument("--offline", action="store_true", help="work on the data folder itself; no server may run")
    parser.add_argument("--backup", type=Path, metavar="PATH", help="check a backup or a snapshot instead")
    parser.add_argument("--deep", action="store_true", help="read and hash every byte")
    parser.add_argument("--repair", action="store_true", help="mend what can be mended without a guess")
    add_asking(parser)


def run(options: argparse.Namespace) -> int:
    """Verify; 1 where something is wrong and was not mended."""
    if options.backup is not None:
        return _verify_backup(options)
    if options.offline:
        found = asyncio.run(_verify_offline(options))
    else:
        order: dict[str, object] = {"deep": options.deep, "repair": options.repair}
        with connect(options) as client:
            found = following.run(client, "check", order, _Verified)
    if options.json:
        show_json(found)
        return _code(found)
    for fault in found.listed:
        show(f"{fault.kind}  {fault.subject}  {fault.detail}{' (mended)' if fault.is_repaired else ''}")
    if found.faults > len(found.listed):
        show(f"... and {found.faults - len(found.listed)} more")
    read = f", {size_text(found.bytes)} read and hashed" if options.deep else ""
    left = found.faults - found.repaired
    say(
        f"looked at {count_text(found.blobs, 'blob')} and {count_text(found.manifests, 'manifest')}{read}:"
        f" {count_text(found.faults, 'fault')}, {found.repaired} mended"
    )
    if left and not options.repair:
        say("mend what is safe to mend with: scr verify --repair")
    return _code(found)


def _verify_backup(options: argparse.Namespace) -> int:
    from appliance.services.backup_check import check_backup, find_backup  # noqa: PLC0415 - as below

    found = check_backup(find_backup(options.backup.absolute()), deep=options.deep, progress=lambda _, __: None)
    if options.json:
        show_json(found)
        return 1 if found.faults else 0
    for line in found.listed:
        show(line)
    if found.faults > len(found.listed):
        show(f"... and {found.faults - len(found.listed)} more")
    read = "read and hashed" if options.deep else "looked at"
    say(f"{found.backup} of {found.taken_at}: {count_text(found.blobs, 'blob')} with {size_text(found.bytes)} {read}")
    say(f"{count_text(found.faults, 'fault')}" if found.faults else "it can be restored")
    return 1 if found.faults else 0


def _code(found: _Verified) -> int:
    return 1 if found.faults > found.repaired else 0


async def _verify_offline(options: argparse.Namespace) -> _Verified:
    from appliance.assemble.offline import open_offline  # noqa: PLC0415 - the database and all; most runs ask the server
    from appliance.services.verify import verify  # noqa: PLC0415 - the same

    def check(folder: Path) -> None:
        if not (folder / "scr.sqlite").exists():
            raise ConfigInvalid(f"{folder} has no scr.sqlite: the database is lost; make a new one with: scr rebuild")

    async with open_offline(settings.load_from(options).config, check) as stock:
        found = await verify(stock, deep=options.deep, repair=options.repair)
    return msgspec.convert(msgspec.to_builtins(found), _Verified)
