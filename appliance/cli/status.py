"""`scr status`: the server at a glance."""

import argparse

import msgspec

from appliance.cli.asking import add_asking, count_text, time_text
from appliance.cli.client import connect
from appliance.cli.parser import Parser
from appliance.cli.terminal import GREEN, RED, YELLOW, paint, show, show_json
from appliance.domain.sizes import size_text

EXAMPLES = ("scr status", "scr status --json")
_COLOURS = {"ready": GREEN, "degraded": YELLOW, "down": RED}


class _Check(msgspec.Struct):
    name: str
    ok: bool
    detail: str = ""


class _Usage(msgspec.Struct, rename="camel"):
    repositories: int
    images: int
    manifests: int
    tags: int
    blobs: int
    bytes: int
    apparent_bytes: int
    quarantined: int


class _Storage(msgspec.Struct, rename="camel"):
    driver: str
    free_bytes: int | None
    wal_bytes: int
    is_encrypted: bool


class _Awaiting(msgspec.Struct):
    manifests: int
    blobs: int
    bytes: int


class _Last(msgspec.Struct):
    collection: str | None
    scrub: str | None
    backup: str | None


class _Lately(msgspec.Struct, rename="camel"):
    pulls: int
    pulls_denied: int
    pushes: int
    pushes_denied: int
    logins: int
    logins_denied: int


class _Status(msgspec.Struct, rename="camel"):
    version: str
    registry: str
    uptime_seconds: int
    listeners: list[str]
    public_url: str
    health: str
    checks: list[_Check]
    usage: _Usage
    storage: _Storage
    awaiting_collection: _Awaiting
    lately: _Lately
    last: _Last


def add(parser: Parser) -> None:
    """Add the options."""
    add_asking(parser)


def run(options: argparse.Namespace) -> int:
    """Print the status; 1 where the server is not well."""
    with connect(options) as client:
        answer = client.ask("GET", "/api/v1/status")
    status = msgspec.json.decode(answer.body, type=_Status)
    if options.json:
        show_json(msgspec.Raw(answer.body))
    else:
        for name, value in _lines(status):
            show(f"{name:11} {value}".rstrip())
    return 0 if status.health != "down" else 1


def _lines(status: _Status) -> list[tuple[str, str]]:
    usage, waiting, storage = status.usage, status.awaiting_collection, status.storage
    stored = f"{size_text(usage.bytes)} in {count_text(usage.blobs, 'blob')}"
    holds = (
        count_text(usage.repositories, "repository", "repositories"),
        count_text(usage.images, "image"),
        count_text(usage.manifests, "manifest"),
        count_text(usage.tags, "tag"),
    )
    lines = [
        ("scr", f"{status.version}, up {_duration(status.uptime_seconds)}"),
        ("health", paint(status.health, _COLOURS.get(status.health, RED))),
        *(("", f"{check.name}: {check.detail}") for check in status.checks if check.detail),
        ("listening", ", ".join(status.listeners)),
        *([("public", status.public_url)] if status.public_url else []),
        ("registry", status.registry),
        ("holds", ", ".join(holds)),
        ("stored", f"{stored} ({size_text(usage.apparent_bytes)} without sharing)"),
        ("to collect", f"{size_text(waiting.bytes)} in {count_text(waiting.blobs, 'blob')}"),
        ("free", size_text(storage.free_bytes)),
        ("encrypted", "yes" if storage.is_encrypted else "no"),
        ("log of db", size_text(storage.wal_bytes)),
        ("last 24 h", _counts(status.lately)),
        ("collected", time_text(status.last.collection)),
        ("scrubbed", time_text(status.last.scrub)),
        ("backed up", time_text(status.last.backup)),
    ]
    if usage.quarantined:
        lines.append(("broken", f"{count_text(usage.quarantined, 'blob')} in quarantine; push their images again"))
    return lines


def _counts(lately: _Lately) -> str:
    """Return `12 pulls, 1 denied; 3 pushes; 2 sign-ins`."""
    parts = (
        (count_text(lately.pulls, "pull"), lately.pulls_denied),
        (count_text(lately.pushes, "push", "pushes"), lately.pushes_denied),
        (count_text(lately.logins, "sign-in"), lately.logins_denied),
    )
    return "; ".join(f"{allowed}, {denied} denied" if denied else allowed for allowed, denied in parts)


def _duration(seconds: int) -> str:
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return count_text(seconds // size, unit)
    return count_text(seconds, "second")
