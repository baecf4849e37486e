"""`scr restore`: put a backup, or a snapshot of the database, into a data folder that nobody serves."""

import argparse
import asyncio
import sys
from pathlib import Path

from appliance.assemble.offline import open_offline
from appliance.cli import settings
from appliance.cli.asking import count_text
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show, show_json
from appliance.config import Config
from appliance.domain.sizes import size_text
from appliance.errors import ConfigInvalid
from appliance.services.backup_check import Found, check_database, find_backup
from appliance.services.restore import Restored, lay_database, lay_extras, restore

EXAMPLES = ("scr restore /mnt/backup --data-dir /srv/scr", "scr restore backups/20261125T230000Z.sqlite --force")


def add(parser: Parser) -> None:
    """Add the options."""
    parser.add_argument("backup", type=Path, help="a backup, a folder of backups (the newest is taken), or a snapshot")
    parser.add_argument("--config", type=Path, metavar="FILE", help="read FILE (else ./scr.toml, if there is one)")
    parser.add_argument("--data-dir", metavar="DIR", help="the data folder; no server may run on it")
    parser.add_argument(
        "--force", action="store_true", help="set the database that is there aside, and restore over it"
    )
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    parser.set_defaults(listen=None)


def run(options: argparse.Namespace) -> int:
    """Restore; 1 where something is lost."""
    found = find_backup(options.backup.absolute())
    if fault := check_database(found):
        raise ConfigInvalid(f"{found.database} cannot be restored: {fault}; choose another backup")
    config = settings.load_from(options).config
    done = asyncio.run(_restore(config, found, force=options.force))
    if options.json:
        show_json(done)
    else:
        _tell(done, config.storage.data_dir)
    return 1 if done.lost else 0


async def _restore(config: Config, found: Found, *, force: bool) -> Restored:
    set_aside = ""

    def prepare(folder: Path) -> None:
        nonlocal set_aside
        drivers = ("local",) if not config.storage.s3.bucket else (config.storage.driver, "local", "s3")
        set_aside = lay_database(folder, found, drivers, force=force)
        lay_extras(folder, found)

    async with open_offline(config, prepare, is_restore=True) as stock:
        done = await restore(stock, found, set_aside, _show_progress)
    _show_progress(0, 0)
    return done


def _show_progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{size_text(done)} of {size_text(total)}" if total else "\r\x1b[K")
        sys.stderr.flush()


def _tell(done: Restored, folder: Path) -> None:
    show(f"restored {done.backup} of {done.taken_at} into {folder}")
    show(f"{count_text(done.blobs, 'blob')} with {size_text(done.bytes)}, {done.present} of them were there already")
    if done.set_aside:
        show(f"the database that was there is now {done.set_aside}")
    for digest in done.lost:
        show(f"lost: the bytes of {digest}; push its images again")
    if done.unknown:
        say(f"{count_text(done.unknown, 'blob')} in the folder came later: a sweep deletes them when `grace` is over")
        say("to keep what came later instead, move scr.sqlite away and run: scr rebuild")
    say("what was revoked since then (users, keys, policies) is in force again: look through it")
