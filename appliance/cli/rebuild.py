"""`scr rebuild`: make a database from what lies in the data folder, or in the bucket, after the old one is lost."""

import argparse
import asyncio
from pathlib import Path

from appliance.assemble.offline import open_offline
from appliance.cli import settings
from appliance.cli.asking import count_text
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show, show_json
from appliance.domain.sizes import size_text
from appliance.services.rebuild import Basis, Rebuilt, lay_basis, rebuild

EXAMPLES = ("scr rebuild --data-dir /srv/scr", "scr rebuild --config /etc/scr/scr.toml --json")


def add(parser: Parser) -> None:
    """Add the options."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="read FILE (else ./scr.toml, if there is one)")
    parser.add_argument("--data-dir", metavar="DIR", help="the data folder; no server may run on it")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    parser.set_defaults(listen=None)


def run(options: argparse.Namespace) -> int:
    """Rebuild; 1 where something is lost for good."""
    done = asyncio.run(_rebuild(options))
    if options.json:
        show_json(done)
    else:
        _tell(done)
    return 1 if done.lost or done.broken else 0


async def _rebuild(options: argparse.Namespace) -> Rebuilt:
    basis = Basis("", "")

    def prepare(folder: Path) -> None:
        nonlocal basis
        basis = lay_basis(folder)

    async with open_offline(settings.load_from(options).config, prepare, is_rebuild=True) as stock:
        return await rebuild(stock, basis)


def _tell(done: Rebuilt) -> None:
    if done.set_aside:
        show(f"the broken database is now {done.set_aside}")
    show(f"began with the snapshot {done.snapshot}" if done.snapshot else "began with nothing: no usable snapshot")
    show(f"registered {count_text(done.blobs, 'blob')} with {size_text(done.bytes)}")
    show(f"recovered {count_text(done.manifests, 'manifest')} in {count_text(len(done.images), 'image')}")
    for path in done.images:
        show(f"  {path}")
    for digest in done.lost:
        show(f"lost: the bytes of {digest}; push its images again")
    for digest in done.broken:
        show(f"broken: {digest} is not what its name says, and is in quarantine or left where it lies")
    since = "since the snapshot" if done.snapshot else "ever"
    say(f"not known: tags, names and deletions made {since}; who pushed; pull counts; locks and policies")
    if done.snapshot:
        say("users, keys and access policies are those of the snapshot: what was revoked since is in force again")
    say("every registry is private now. Look through them: scr serve, then: scr image list --repository recovered")
