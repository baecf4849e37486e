"""How sign-ins end: keys, passwords, tokens, refresh tokens and sessions against a real database and a held clock."""

from pathlib import Path

import pytest

from appliance.blobstore.files import Files
from appliance.db import access_keys, principals
from appliance.db.sign_ins import SignInKind
from appliance.domain.access import Account, Action, Holder
from appliance.domain.accounts import EVERYWHERE, Credential, Method, Place, SignIn
from appliance.domain.admission import AccountGrant, may_image
from appliance.domain.moment import DAY, HOUR, MINUTE, Timestamp
from appliance.domain.policy_document import convert_document
from appliance.domain.registry import RegistryId
from appliance.domain.scope import Scopes
from appliance.errors import TokenInvalid, Unauthorized
from appliance.services import access_policies, accounts, credentials, groups, sign_ins
from appliance.services.access_policies import PolicyEdit
from appliance.services.accounts import Edit
from appliance.services.credentials import KeyEdit
from appliance.services.keys import hash_password
from appliance.services.signing import LIFE, ROTATION, Claims, Signer
from tests.http.gate import ANN, CALLER, HERE, OPS, PASSWORD, PAY, PULLS, Gate

pytestmark = pytest.mark.anyio


async def test_a_disabled_key_ends_with_all_its_tokens_and_does_not_revive_them(gate: Gate) -> None:
    made = await gate.make_ann()
    token = gate.token(await gate.by_key(made))
    assert (await gate.bearer(token)).principal.name == "ann"

    await credentials.edit(gate.stock, ANN, made.row.access_key, KeyEdit(enabled=False), gate.now)
    with pytest.raises(TokenInvalid):
        await gate.bearer(token)
    with pytest.raises(Unauthorized, match="disabled"):
        await gate.by_key(made)
    await credentials.edit(gate.stock, ANN, made.row.access_key, KeyEdit(enabled=True), gate.now)

    with pytest.raises(TokenInvalid):
        await gate.bearer(token)
    assert (await gate.by_key(made)).access_key == made.row.access_key


async def test_a_rotation_with_an_overlap_logs_nobody_out_before_it_ends(gate: Gate) -> None:
    first = await gate.make_ann()
    caller = await gate.by_key(first)
    token = gate.token(caller)
    assert caller.credential is not None
    refresh = await sign_ins.keep(gate.stock, SignInKind.REFRESH, caller.credential, gate.now, address=HERE)

    second = await credentials.rotate(gate.stock, ANN, first.row.access_key, 5 * MINUTE, gate.now)
    both = [await gate.by_key(made) for made in (first, second)]
    later = gate.token(both[0])
    await gate.bearer(token)
    gate.house.now += 5 * MINUTE

    for ended in (token, later):
        with pytest.raises(TokenInvalid):
            await gate.bearer(ended)
    with pytest.raises(Unauthorized):
        await gate.by_key(first)
    kept = sign_ins.find(gate.stock.db.reader, SignInKind.REFRESH, refresh.secret, gate.now)
    assert kept is not None
    assert gate.keeper.directory.judge(sign_ins.credential_of(kept), gate.now) is None
    assert (await gate.by_key(second)).principal.name == "ann"


async def test_a_rotation_without_overlap_ends_everything_at_once(gate: Gate) -> None:
    first = await gate.make_ann()
    token = gate.token(await gate.by_key(first))

    second = await credentials.rotate(gate.stock, ANN, first.row.access_key, 0, gate.now)

    with pytest.raises(TokenInvalid):
        await gate.bearer(token)
    with pytest.raises(Unauthorized):
        await gate.by_key(first)
    await gate.by_key(second)


async def test_a_token_ends_with_the_key_it_came_from(gate: Gate) -> None:
    made = await gate.make_ann()
    ends = Timestamp(gate.now + 3 * MINUTE)
    await credentials.edit(gate.stock, ANN, made.row.access_key, KeyEdit(expires_at=ends), gate.now)
    token = gate.token(await gate.by_key(made))
    await gate.bearer(token)

    gate.house.now += 3 * MINUTE

    with pytest.raises(TokenInvalid):
        await gate.bearer(token)
    with pytest.raises(Unauthorized, match="expired"):
        await gate.by_key(made)


async def test_a_change_of_policy_counts_for_the_next_request_with_the_same_token(gate: Gate) -> None:
    made = await gate.make_ann()
    token = gate.token(await gate.by_key(made), "repository:pay/api:pull,push")

    async def may(action: Action) -> bool:
        return may_image(await gate.bearer(token), gate.house.site, PAY, action)

    assert await may(Action.PULL)
    await access_policies.detach(gate.stock, PULLS, ANN, gate.now)
    assert not await may(Action.PULL)
    await groups.create(gate.stock, OPS, "", gate.now)
    pushes = AccountGrant(CALLER, Account(Holder.POLICY, "ScrPullPushOnlyAccess"))
    await access_policies.attach(gate.stock, pushes, OPS, gate.now)
    assert not await may(Action.PUSH)
    await groups.add_member(gate.stock, OPS, ANN, gate.now)
    assert await may(Action.PUSH)
    deny = AccountGrant(CALLER, Account(Holder.POLICY, "no-push"))
    statement = {"effect": "deny", "actions": ["Push*"], "resources": ["registry/local/repository/pay"]}
    await access_policies.create(gate.stock, deny, convert_document({"statements": [statement]}, "a1"), gate.now)
    await access_policies.attach(gate.stock, deny, ANN, gate.now)
    assert not await may(Action.PUSH)
    statement["resources"] = ["registry/local/repository/web"]
    document = convert_document({"statements": [statement]}, "a1")
    await access_policies.edit(gate.stock, deny, PolicyEdit(document=document), gate.now)
    assert await may(Action.PUSH)
    await groups.remove_member(gate.stock, OPS, ANN, gate.now)
    assert not await may(Action.PUSH)


async def test_a_new_password_ends_what_the_old_one_opened(gate: Gate) -> None:
    await gate.make_ann()
    caller = await gate.basic("ann", PASSWORD)
    token = gate.token(caller)
    assert caller.credential is not None
    session = await sign_ins.keep(gate.stock, SignInKind.SESSION, caller.credential, gate.now, address=HERE)
    assert gate.keeper.know_session(session.secret, HERE) is not None

    await accounts.set_password(gate.stock, ANN, hash_password("another horse"), gate.now)

    assert gate.keeper.know_session(session.secret, HERE) is None
    with pytest.raises(TokenInvalid):
        await gate.bearer(token)
    with pytest.raises(Unauthorized):
        await gate.basic("ann", PASSWORD)
    assert (await gate.basic("ann", "another horse")).principal.name == "ann"


async def test_a_wrong_password_that_becomes_right_is_right_at_once(gate: Gate) -> None:
    await gate.make_ann()
    with pytest.raises(Unauthorized):
        await gate.basic("ann", "another horse")

    await accounts.set_password(gate.stock, ANN, hash_password("another horse"), gate.now)

    assert (await gate.basic("ann", "another horse")).principal.name == "ann"


async def test_who_is_made_again_inherits_no_token(gate: Gate) -> None:
    made = await gate.make_ann()
    token = gate.token(await gate.by_key(made))
    await accounts.delete(gate.stock, ANN, gate.now)
    again = await gate.make_ann()

    with pytest.raises(TokenInvalid):
        await gate.bearer(token)
    with pytest.raises(Unauthorized):
        await gate.by_key(made)
    assert (await gate.by_key(again)).principal.name == "ann"


async def test_who_got_the_id_of_somebody_else_by_a_restored_backup_gets_nothing_else(gate: Gate) -> None:
    await gate.make_ann()
    token = gate.token(await gate.basic("ann", PASSWORD))
    await accounts.delete(gate.stock, ANN, gate.now)
    await gate.stock.db.write(lambda tx: tx.execute("DELETE FROM sqlite_sequence"))
    await gate.make_ann()

    with pytest.raises(TokenInvalid):
        await gate.bearer(token)


async def test_a_disabled_user_is_out_by_every_way(gate: Gate) -> None:
    made = await gate.make_ann()
    token = gate.token(await gate.by_key(made))
    session = await sign_ins.keep(
        gate.stock, SignInKind.SESSION, gate.keeper.standing_of(await gate.by_key(made))[0], gate.now, address=HERE
    )

    await accounts.edit(gate.stock, ANN, Edit(enabled=False), gate.now)

    with pytest.raises(TokenInvalid):
        await gate.bearer(token)
    with pytest.raises(Unauthorized):
        await gate.by_key(made)
    with pytest.raises(Unauthorized):
        await gate.basic("ann", PASSWORD)
    assert gate.keeper.know_session(session.secret, HERE) is None


async def test_signing_keys_rotate_and_a_start_reads_them_without_logging_anybody_out(gate: Gate) -> None:
    made = await gate.make_ann()
    token = gate.token(await gate.by_key(made))
    assert not gate.keeper.signer.is_due(gate.now)
    assert gate.keeper.signer.is_due(Timestamp(gate.now + ROTATION))

    gate.keeper.signer.rotate(gate.now)
    await gate.bearer(token)
    gate.keeper = gate.open()

    assert len(gate.keeper.signer.keys) == 2
    await gate.bearer(token)
    gate.house.now += 2 * HOUR
    gate.keeper.signer.rotate(gate.now)
    assert len(gate.keeper.signer.keys) == 2  # the first one has no token any more
    assert gate.house.folder.joinpath("tokens").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"rubbish\n", b"a" * 100_000, b"\xff\xfe", b"k3f9aaaa 12 00\n"])
async def test_signing_keys_that_nobody_can_read_are_made_anew_and_said(gate: Gate, content: bytes) -> None:
    made = await gate.make_ann()
    token = gate.token(await gate.by_key(made))
    gate.house.folder.joinpath("tokens").write_bytes(content)
    gate.keeper = gate.open()

    with pytest.raises(TokenInvalid):
        await gate.bearer(token)
    await gate.bearer(gate.token(await gate.by_key(made)))
    assert "keys.replaced" in gate.house.printed.getvalue()


@pytest.mark.parametrize("offset", [-1, LIFE + 2 * MINUTE, 365 * DAY])
async def test_a_token_that_has_ended_or_lies_in_the_future_opens_nothing(gate: Gate, offset: int) -> None:
    made = await gate.make_ann()
    credential, _ = gate.keeper.standing_of(await gate.by_key(made))
    until = Timestamp(gate.now + offset)
    token = gate.keeper.signer.sign(Claims(credential, RegistryId(1), Scopes(), until))

    with pytest.raises(TokenInvalid):
        await gate.bearer(token)


async def test_a_token_is_forgotten_when_it_ends_though_it_was_known(gate: Gate) -> None:
    made = await gate.make_ann()
    token = gate.token(await gate.by_key(made))
    await gate.bearer(token)

    gate.house.now += LIFE

    with pytest.raises(TokenInvalid):
        await gate.bearer(token)


async def test_a_token_of_one_registry_opens_no_other(gate: Gate) -> None:
    made = await gate.make_ann()
    token = gate.token(await gate.by_key(made))

    await gate.bearer(token)
    with pytest.raises(TokenInvalid, match="another registry"):
        await gate.bearer(token, registry=2)


async def test_a_token_of_another_appliance_opens_nothing(gate: Gate, tmp_path: Path) -> None:
    await gate.make_ann()
    other = Signer(tmp_path / "other", Files(), gate.stock.log, gate.now)
    ann = principals.find_user_proof(gate.stock.db.reader, "ann")
    assert ann is not None
    until = Timestamp(gate.now + MINUTE)
    credential = Credential(ann.principal, None, ann.generation)
    token = other.sign(Claims(credential, RegistryId(1), Scopes(), until))

    with pytest.raises(TokenInvalid):
        await gate.bearer(token)


@pytest.mark.parametrize("place", list(Place))
async def test_security_settings_say_what_opens_what(gate: Gate, place: Place) -> None:
    only_here = {Place.REGISTRY: SignIn((), (), ()), Place.API: SignIn((), (), ()), Place.CONSOLE: SignIn((), (), ())}
    only_here[Place.REGISTRY] = SignIn((Method.PASSWORD,), (), ())
    only_here[Place.API] = SignIn((), (Method.PASSWORD,), ())
    only_here[Place.CONSOLE] = SignIn((), (), (Method.PASSWORD,))
    made = await gate.make_ann(only_here[place])

    for asked in Place:
        if asked is place:
            await gate.basic("ann", PASSWORD, asked)
        else:
            with pytest.raises(Unauthorized, match="may not sign in"):
                await gate.basic("ann", PASSWORD, asked)
        with pytest.raises(Unauthorized, match="may not sign in"):
            await gate.basic(made.row.access_key, made.secret_key, asked)


async def test_a_setting_that_is_taken_away_ends_tokens_of_that_method(gate: Gate) -> None:
    await gate.make_ann(EVERYWHERE)
    token = gate.token(await gate.basic("ann", PASSWORD))
    await gate.bearer(token)

    await accounts.edit(gate.stock, ANN, Edit(sign_in=SignIn()), gate.now)

    with pytest.raises(Unauthorized, match="may not sign in"):
        await gate.bearer(token)


async def test_a_session_lasts_while_it_is_used_and_a_week_at_most(gate: Gate) -> None:
    made = await gate.make_ann()
    credential, _ = gate.keeper.standing_of(await gate.by_key(made))
    session = await sign_ins.keep(gate.stock, SignInKind.SESSION, credential, gate.now, address=HERE)

    lasted = 0
    while gate.keeper.know_session(session.secret, HERE) is not None:
        await gate.uses.flush(gate.stock.db)
        gate.house.now += 11 * HOUR
        lasted += 11
    assert 7 * 24 <= lasted <= 7 * 24 + 11

    idle = await sign_ins.keep(gate.stock, SignInKind.SESSION, credential, gate.now, address=HERE)
    gate.house.now += 12 * HOUR
    assert gate.keeper.know_session(idle.secret, HERE) is None
    assert await sign_ins.forget(gate.stock, Timestamp(gate.now + 1)) == 2


async def test_the_oldest_sign_ins_of_a_principal_give_way(gate: Gate) -> None:
    made = await gate.make_ann()
    credential, _ = gate.keeper.standing_of(await gate.by_key(made))
    sessions = [
        await sign_ins.keep(gate.stock, SignInKind.SESSION, credential, gate.now, address=HERE) for _ in range(101)
    ]

    assert gate.keeper.know_session(sessions[0].secret, HERE) is None
    assert gate.keeper.know_session(sessions[1].secret, HERE) is not None


async def test_uses_are_noted_and_written_without_ending_anything(gate: Gate) -> None:
    made = await gate.make_ann()
    await gate.by_key(made)
    epoch = gate.keeper.directory.look()

    await gate.uses.flush(gate.stock.db)

    row = access_keys.find(gate.stock.db.reader, made.row.access_key)
    assert row is not None
    assert (row.last_used_at, row.last_used_from) == (gate.now, HERE)
    assert gate.keeper.directory.look() == epoch
