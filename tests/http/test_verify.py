"""Failed sign-ins: alike in words and in time, slow for who guesses, and for nobody else."""

import asyncio
import base64

import bcrypt
import pytest

from appliance.domain.access import Account, Holder
from appliance.domain.accounts import EVERYWHERE, Place
from appliance.domain.admission import AccountGrant
from appliance.domain.moment import MINUTE
from appliance.domain.registry import RegistryId
from appliance.errors import Unauthorized
from appliance.http import verify
from appliance.http.verify import FLOOR_S
from appliance.services import accounts
from appliance.services.accounts import NewAccount
from appliance.services.keys import is_password
from tests.http.gate import CALLER, HERE, PASSWORD, Gate

pytestmark = pytest.mark.anyio


async def test_a_password_of_an_htpasswd_file_opens_and_becomes_argon2id(gate: Gate) -> None:
    imported = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$")
    await gate.make_ann(EVERYWHERE, imported)

    token = gate.token(await gate.basic("ann", PASSWORD))

    row = gate.stock.db.reader.one("SELECT password_hash FROM principals")
    assert row is not None
    assert row[0].startswith("$argon2id$")
    await gate.bearer(token)  # and nothing has ended by that
    gate.house.now += 2 * MINUTE
    gate.keeper = gate.open()
    await gate.basic("ann", PASSWORD)
    with pytest.raises(Unauthorized):
        await gate.basic("ann", PASSWORD + "x")


class Clocked:
    """Instead of sleeping, notes how long."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("ann", "wrong"),
        ("nobody", "wrong"),
        ("bob", "wrong"),  # imported, with a hash that is quick to compare
        ("SCR" + "A" * 17, "scrs_wrong"),
        ("the key", "scrs_wrong"),
    ],
)
async def test_unknown_and_wrong_are_answered_after_the_same_time(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, name: str, secret: str
) -> None:
    made = await gate.make_ann()
    bob = AccountGrant(CALLER, Account(Holder.USER, "bob"))
    quick = bcrypt.hashpw(b"x", bcrypt.gensalt(4)).decode()
    await accounts.create(gate.stock, bob, NewAccount("", quick, EVERYWHERE), gate.now)
    clocked = Clocked()
    monkeypatch.setattr("appliance.http.verify.asyncio.sleep", clocked.sleep)
    moments = iter([100.0, *[100.05] * 10])
    monkeypatch.setattr("appliance.http.verify.time.monotonic", lambda: next(moments))

    with pytest.raises(Unauthorized) as refused:
        await gate.basic(made.row.access_key if name == "the key" else name, secret)

    assert sum(clocked.slept) == pytest.approx(FLOOR_S - 0.05)
    assert refused.value.message == verify.WRONG


async def test_guessing_at_a_key_holds_its_owner_up_nowhere(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await gate.make_ann()
    clocked = Clocked()
    monkeypatch.setattr("appliance.http.verify.asyncio.sleep", clocked.sleep)
    for guess in range(20):
        with pytest.raises(Unauthorized):
            await gate.basic(made.row.access_key, f"scrs_{guess}")
    assert clocked.slept[-1] > 5 > clocked.slept[0]

    clocked.slept.clear()
    await gate.by_key(made)

    assert clocked.slept == []


async def test_many_at_once_with_one_password_verify_it_once(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    await gate.make_ann()
    seen: list[str] = []

    def counted(known: str | None, password: str) -> bool:
        seen.append(password)
        return is_password(known, password)

    monkeypatch.setattr("appliance.http.verify.is_password", counted)

    callers = await asyncio.gather(*(gate.basic("ann", PASSWORD) for _ in range(20)))

    assert {caller.principal.name for caller in callers} == {"ann"}
    assert seen == [PASSWORD]


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"Basic",
        b"Basic ",
        b"Basic !!!!",
        b"Basic " + base64.b64encode(b"nocolon"),
        b"Digest x",
        b"Basic \xff",
        b"Basic " + base64.b64encode(b"\xff\xfe:x"),
        b"Bearer",
        b"Negotiate abc",
    ],
)
async def test_a_header_that_is_none_is_refused(gate: Gate, header: bytes) -> None:
    with pytest.raises(Unauthorized):
        await gate.keeper.know(header, HERE, Place.REGISTRY, RegistryId(1))
