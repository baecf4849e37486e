"""Manifest GET by who has signed in, against nobody asked; with a few accounts, and with ten thousand."""

import asyncio
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import msgspec

from appliance.db.access_keys import NewKey
from appliance.db.database import Database, Transaction
from appliance.domain.access import Account, Holder, Principal, PrincipalId, PrincipalKind
from appliance.domain.accounts import new_access_key
from appliance.domain.admission import FULL_ACCESS, AccountGrant, Caller
from appliance.domain.moment import Timestamp
from appliance.domain.policy_document import Document, convert_document
from appliance.logs import Log
from appliance.services import access_policies, accounts, credentials
from appliance.services.accounts import NewAccount
from appliance.services.provision import claim_site
from tests.bench.content import APP, Content
from tests.bench.jobs import Ask
from tests.bench.measurements import Bench, Measurement, Turn, measured
from tests.bench.registries import Registry, Scr
from tests.bench.sample import Sample, Unit
from tests.make.accounts import ask_token, bearer
from tests.make.client import Client, basic

_CLIENTS = 16
_USERS, _POLICIES = 10_000, 1000
_SECRET = credentials.SECRET_PREFIX + "of-a-benchmark"
_NOON = Timestamp(1_750_000_000_000)
_BY = Caller(Principal(PrincipalKind.OPERATOR, "bench"), FULL_ACCESS, "local")
_ROWS = (
    ("open", "nobody is asked", 0),
    ("basic", "access key, Basic", 1),
    ("token", "token", 1),
    ("token-crowd", f"token, {_USERS} users, {_POLICIES} policies", _USERS),
)


class Guarded(Scr):
    """scr with accounts: without credentials it answers 401."""

    answers = (401,)


def all_of(content: Content) -> Iterator[Measurement]:
    """Yield a row for each way to ask. distribution has no accounts: its turns are without."""
    for name, label, users in _ROWS:
        yield Measurement(
            name=f"access-{name}",
            section="Signed in: manifest by tag",
            label=label,
            unit=Unit.REQUESTS,
            turn=_asking(content, name, users),
            is_quick=False,
        )


def _asking(content: Content, name: str, users: int) -> Turn:
    path = content.manifest_path("latest")

    def turn(bench: Bench, registry: Registry) -> Sample:
        if not isinstance(registry, Scr):
            return measured(registry, lambda: bench.generator.do(_job(bench, registry, path, {})))
        with _server(bench, users) as (own, headers):
            job = _job(bench, own, path, _token(own, headers) if name.startswith("token") else headers)
            bench.generator.do_own(msgspec.structs.replace(job, seconds=0.2))
            return measured(own, lambda: bench.generator.do(job))

    return turn


def _token(registry: Registry, headers: dict[str, str]) -> dict[str, str]:
    """Return the header that shows a token for the image."""
    with Client(registry.plain.url, headers=headers) as client:
        return bearer(ask_token(client, f"repository:{APP}:pull").token)


def _job(bench: Bench, registry: Registry, path: str, headers: dict[str, str]) -> Ask:
    shown = headers.get("Authorization", "")
    return Ask(registry.plain, [path], "GET", _CLIENTS, bench.wrk_s, authorization=shown)


@contextmanager
def _server(bench: Bench, users: int) -> Iterator[tuple[Registry, dict[str, str]]]:
    """Start a server of its own with so many users, made at the first turn; the headers are those of one of them."""
    folder = bench.folder / f"users-{users}"
    key = folder / "key"
    is_new = not key.exists()
    if is_new:
        folder.mkdir()
        (folder / "data").mkdir(mode=0o700)
        key.write_text(_furnish(folder / "data", users) if users else "")
    headers = basic(key.read_text(), _SECRET) if users else {}
    own = (Guarded if users else Scr)(folder)
    own.start()
    try:
        if is_new:
            with Client(own.plain.url, headers=headers) as client:
                client.push(APP, bench.content.app, "latest")
        yield own, headers
    finally:
        own.stop()


def _furnish(data: Path, users: int) -> str:
    """Make `users` users, the first of them with every policy there is; return its access key."""
    with ThreadPoolExecutor(1) as threads:
        database = Database(data / "scr.sqlite", threads, Log(out=io.StringIO()))
        try:
            return asyncio.run(database.write(lambda tx: _make(tx, users)))
        finally:
            database.close()


def _make(tx: Transaction, users: int) -> str:
    appliance = claim_site(tx, "bench", _NOON).appliance
    first = _grant(Holder.USER, "user0")
    for number in range(users):
        accounts.create_in(tx, _grant(Holder.USER, f"user{number}"), NewAccount(), _NOON)
    full = _grant(Holder.POLICY, "ScrPullPushOnlyAccess")
    access_policies.attach_in(tx, full, first, _NOON, is_attached=True, declared_in="")
    for number in range(_POLICIES if users > 1 else 0):
        policy = _grant(Holder.POLICY, f"policy{number}")
        access_policies.create_in(tx, policy, _document(number, appliance), _NOON)
        for holder in (first, _grant(Holder.USER, f"user{number + 1}")):
            access_policies.attach_in(tx, policy, holder, _NOON, is_attached=True, declared_in="")
    new = NewKey(
        access_key=new_access_key(),
        owner=PrincipalId(0),
        name="bench",
        description="",
        secret_hash=credentials.hash_secret(_SECRET),
        expires_at=None,
        managed=False,
        by="bench",
        now=_NOON,
    )
    return credentials.create_in(tx, first, new, _NOON).access_key


def _document(number: int, appliance: str) -> Document:
    """Return a policy as teams have them: a repository alone, its neighbours by a pattern, and something it denies."""
    here = f"registry/local/repository/team{number}"
    return convert_document(
        {
            "statements": [
                {"effect": "allow", "actions": ["PullRepositoryImages", "PushRepositoryImages"], "resources": [here]},
                {"effect": "allow", "actions": ["PullRepositoryImages"], "resources": [f"{here}-*/image/*-public"]},
                {"effect": "deny", "actions": ["DeleteRepositoryImages"], "resources": [f"{here}/image/kept*"]},
            ]
        },
        appliance,
    )


def _grant(kind: Holder, name: str) -> AccountGrant:
    return AccountGrant(_BY, Account(kind, name))
