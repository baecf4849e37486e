"""Users, roles, keys and policies in the data folder of a server before it runs, and tokens from one that runs."""

import asyncio
import io
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

import msgspec

from appliance.assemble.timetable import Clock
from appliance.blobstore.files import Files
from appliance.blobstore.local import LocalStore
from appliance.blobstore.upload import Uploads
from appliance.db.database import Database
from appliance.domain.access import Account, Holder, Principal, PrincipalKind
from appliance.domain.accounts import SignIn
from appliance.domain.admission import FULL_ACCESS, AccountGrant, Caller
from appliance.domain.policy_document import convert_document
from appliance.logs import Log
from appliance.services import access_policies, accounts, credentials
from appliance.services.accounts import NewAccount
from appliance.services.keys import hash_password
from appliance.services.provision import claim_site
from appliance.services.stock import Rules, Stock
from tests.make.client import Client, Reply

_BY = Caller(Principal(PrincipalKind.OPERATOR, "test"), FULL_ACCESS, "local")


class Key(msgspec.Struct, frozen=True):
    """An access key and its secret."""

    access_key: str
    secret_key: str


class Member(msgspec.Struct, frozen=True):
    """A user or role to be made; `policies` by name, `statements` become a policy of its own (`<name>-own`)."""

    name: str
    policies: Sequence[str] = ()
    statements: Sequence[Mapping[str, object]] = ()
    kind: Holder = Holder.USER
    password: str = ""
    sign_in: SignIn = SignIn()


class TokenReply(msgspec.Struct, frozen=True):
    """What `/token` answers."""

    token: str
    access_token: str
    expires_in: int
    issued_at: str
    scope: str = ""
    refresh_token: str = ""


def make_accounts(data: Path, members: Sequence[Member]) -> dict[str, Key]:
    """Make `members` in the data folder `data`; return an access key of each, by name."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    return asyncio.run(_make(data, members))


async def _make(data: Path, members: Sequence[Member]) -> dict[str, Key]:
    log = Log(out=io.StringIO())
    clock = Clock(log)
    with ThreadPoolExecutor(2) as threads:
        database = Database(data / "scr.sqlite", threads, log)
        try:
            files = Files()
            store, uploads = LocalStore(data, files, threads), Uploads(data / "uploads", files, threads, 0)
            stock = Stock(database, store, uploads, Rules(), log, clock.now)
            site = await database.write(lambda tx: claim_site(tx, "test", clock.now()))
            return {one.name: await _member(stock, site.appliance, one) for one in members}
        finally:
            await asyncio.get_running_loop().run_in_executor(None, database.close)


async def _member(stock: Stock, appliance: str, member: Member) -> Key:
    account = Account(member.kind, member.name)
    grant = AccountGrant(_BY, account)
    known = hash_password(member.password) if member.password else None
    await accounts.create(stock, grant, NewAccount("", known, member.sign_in), stock.clock())
    names = list(member.policies)
    if member.statements:
        own = AccountGrant(_BY, Account(Holder.POLICY, f"{member.name}-own"))
        document = convert_document({"statements": list(member.statements)}, appliance)
        await access_policies.create(stock, own, document, stock.clock())
        names.append(own.account.name)
    for name in names:
        policy = AccountGrant(_BY, Account(Holder.POLICY, name))
        await access_policies.attach(stock, policy, grant, stock.clock())
    made = await credentials.create(stock, grant, "test", stock.clock())
    return Key(made.row.access_key, made.secret_key)


def ask_token(client: Client, *scopes: str, **parameters: str) -> TokenReply:
    """Return a token for `scopes`, asked for with the client's own credentials."""
    return token_reply(client, *scopes, headers=None, **parameters).expect(200).decode(TokenReply)


def token_reply(client: Client, *scopes: str, headers: Mapping[str, str] | None = None, **parameters: str) -> Reply:
    """Return the answer to a GET for a token."""
    query = urlencode([("service", client.address), *(("scope", one) for one in scopes), *parameters.items()])
    return client.get(f"/token?{query}", headers)


def bearer(token: str) -> dict[str, str]:
    """Return the header that shows a token."""
    return {"Authorization": f"Bearer {token}"}
