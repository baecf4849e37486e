"""`/api/v1/access-keys`: made, listed, edited, rotated with an overlap, deleted. A secret key is told once.

Everybody sees their own keys. Who signed in with a password makes and changes them, too; a key that asks may be
rotated, switched off and deleted by itself, and makes no others: whoever found one cannot stay behind. Policies with
`ManageAccessKey` on a user or role say more, and may deny even that.
"""

import enum
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import Controller, Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter

from appliance.db import access_keys, principals
from appliance.db.access_keys import WantedKeys
from appliance.domain.access import Account, Action, Holder, KeyId, PrincipalId, PrincipalKind
from appliance.domain.accounts import KeyRow
from appliance.domain.admission import AccountGrant
from appliance.domain.moment import SECOND, Timestamp, from_datetime
from appliance.errors import AccountUnknown, QueryInvalid
from appliance.http.api.accounts import Enabled, Text
from appliance.http.api.asking import Asking, InAsking, InStock
from appliance.http.api.editing import IfMatch, expected, with_etag
from appliance.http.api.page import Cursor, Limit, Name, Page, collect_page, moment, moment_or_none, number_in
from appliance.services import credentials
from appliance.services.credentials import MAX_OVERLAP, KeyEdit
from appliance.services.stock import Stock

KeyName = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
OwnerText = Annotated[str, msgspec.Meta(min_length=1, max_length=140)]
Owner = Annotated[
    str | None, QueryParameter(max_length=140, description="only of this user or role, as user:ann or role:ci")
]
KeySort = Annotated[
    Literal["owner", "-owner", "name", "-name", "expires", "-expires", "used", "-used"] | None,
    QueryParameter(name="sort", description="the order; `-` turns it round. Without it: what each owner has, by name"),
]
Expiry = Annotated[datetime, msgspec.Meta(tz=True)]
_DAY_S = 24 * 3600
_NOBODY = PrincipalId(0)
_UNTOLD = {"cache-control": "no-store"}


class KeyState(enum.StrEnum):
    """Whether a key opens anything."""

    ACTIVE = "active"
    DISABLED = "disabled"
    EXPIRED = "expired"


class KeyView(msgspec.Struct, frozen=True, rename="camel"):
    """An access key. `earlierUntil`: how long the secret before the rotation is good, too."""

    access_key: str
    owner: str  # user:ann, role:ci
    name: str
    description: str
    enabled: bool
    state: KeyState
    expires_at: datetime | None
    earlier_until: datetime | None
    managed: bool
    last_used_at: datetime | None
    last_used_from: str
    created_at: datetime
    created_by: str
    modified_at: datetime
    modified_by: str


class MadeKeyView(KeyView, frozen=True, rename="camel"):
    """A key with its secret, which is told this once and cannot be found again."""

    secret_key: str


class KeyOrder(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """An access key to be made for `owner`, as user:ann or role:ci."""

    owner: OwnerText
    name: KeyName
    description: Text = ""
    expires_at: Expiry | None = None


class KeyChange(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What to change of a key; what is left out stays. `expiresAt` null: it never expires."""

    name: KeyName | msgspec.UnsetType = msgspec.UNSET
    description: Text | msgspec.UnsetType = msgspec.UNSET
    enabled: bool | msgspec.UnsetType = msgspec.UNSET
    expires_at: Expiry | msgspec.UnsetType | None = msgspec.UNSET


class RotationOrder(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A new secret. The one before stays good for `overlapSeconds`, so that nothing stops meanwhile; 0 ends it."""

    overlap_seconds: Annotated[int, msgspec.Meta(ge=0, le=MAX_OVERLAP // SECOND)] = _DAY_S


class AccessKeys(Controller):
    """Access keys."""

    path = "/api/v1/access-keys"
    tags = ["accounts"]  # noqa: RUF012 - Litestar's way

    @get()
    async def list(
        self,
        stock: InStock,
        asking: InAsking,
        owner: Owner = None,
        name: Name = "",
        enabled: Enabled = None,
        sort: KeySort = None,
        cursor: Cursor = "",
        limit: Limit = 100,
    ) -> Page[KeyView]:
        """List access keys by owner and name: one's own, and those of whom one may view the keys."""
        whose = None if owner is None else _owner_row(stock, parse_owner(owner))
        wanted = WantedKeys(whose, name, enabled)

        async def fetch(last: str, count: int) -> list[KeyRow]:
            if sort is None:
                return await stock.db.read(lambda reader: access_keys.list_page(reader, wanted, _place(last), count))
            place = _place_in(sort, last)
            return await stock.db.read(lambda reader: access_keys.list_sorted(reader, wanted, sort, place, count))

        page = await collect_page(
            fetch,
            lambda row: f"{row.owner}/{row.name}" if sort is None else "{1}/{0}".format(*access_keys.key_in(sort, row)),
            lambda row: _may_view(asking, row),
            cursor,
            limit,
        )
        now = stock.clock()
        return Page([show_key(row, now) for row in page.items], page.next)

    @post(status_code=201)
    async def create(self, stock: InStock, asking: InAsking, data: JSONBody[KeyOrder]) -> Response[MadeKeyView]:
        """Make an access key. One of that name that its owner has already is a 409."""
        grant = _grant(asking, parse_owner(data.owner), "")
        now = stock.clock()
        made = await credentials.create(
            stock,
            grant,
            data.name,
            now,
            description=data.description,
            expires_at=None if data.expires_at is None else _time(data.expires_at),
        )
        answer = _tell(made, now, 201)
        answer.headers["Location"] = f"/api/v1/access-keys/{made.row.access_key}"
        return answer

    @get("/{access_key:str}")
    async def show(self, stock: InStock, asking: InAsking, access_key: FromPath[str]) -> Response[KeyView]:
        """Show an access key, without its secret."""
        row = _find(stock, asking, access_key)
        return with_etag(show_key(row, stock.clock()), row.revision)

    @patch("/{access_key:str}")
    async def edit(
        self,
        stock: InStock,
        asking: InAsking,
        access_key: FromPath[str],
        data: JSONBody[KeyChange],
        if_match: IfMatch = None,
    ) -> Response[KeyView]:
        """Change a key. Disabled, it has lost its tokens and sessions at once, and for good."""
        row = _find(stock, asking, access_key)
        grant = _grant(asking, row.holder, access_key)
        now = stock.clock()
        edited = await credentials.edit(stock, grant, access_key, _edit(data), now, expected(if_match))
        return with_etag(show_key(edited, now), edited.revision)

    @post("/{access_key:str}/rotation", status_code=200)
    async def rotate(
        self, stock: InStock, asking: InAsking, access_key: FromPath[str], data: JSONBody[RotationOrder]
    ) -> Response[MadeKeyView]:
        """Give a key a new secret; the one before stays good for the overlap."""
        row = _find(stock, asking, access_key)
        grant = _grant(asking, row.holder, access_key)
        now = stock.clock()
        return _tell(await credentials.rotate(stock, grant, access_key, data.overlap_seconds * SECOND, now), now, 200)

    @delete("/{access_key:str}")
    async def delete(
        self, stock: InStock, asking: InAsking, access_key: FromPath[str], if_match: IfMatch = None
    ) -> None:
        """Delete a key: what it opened ends at once."""
        row = _find(stock, asking, access_key)
        grant = _grant(asking, row.holder, access_key)
        await credentials.delete(stock, grant, access_key, stock.clock(), expected(if_match))


def parse_owner(text: str) -> Account:
    """Return whom `user:ann` or `role:ci` names. Raises QueryInvalid."""
    kind, colon, name = text.partition(":")
    if not (colon and name) or kind not in (Holder.USER, Holder.ROLE):
        raise QueryInvalid(f"{text[:80]!r} is no owner of keys; write user:ann or role:ci")
    return Account(Holder(kind), name)


def show_key(row: KeyRow, now: Timestamp) -> KeyView:
    """Return what the API shows of a key."""
    expired = row.expires_at is not None and now >= row.expires_at
    is_overlapping = row.earlier_until is not None and now < row.earlier_until
    return KeyView(
        access_key=row.access_key,
        owner=str(row.holder),
        name=row.name,
        description=row.description,
        enabled=row.enabled,
        state=KeyState.EXPIRED if expired else KeyState.ACTIVE if row.enabled else KeyState.DISABLED,
        expires_at=moment_or_none(row.expires_at),
        earlier_until=moment_or_none(row.earlier_until) if is_overlapping else None,
        managed=row.managed,
        last_used_at=moment_or_none(row.last_used_at),
        last_used_from=row.last_used_from,
        created_at=moment(row.created_at),
        created_by=row.created_by,
        modified_at=moment(row.modified_at),
        modified_by=row.modified_by,
    )


def _tell(made: credentials.MadeKey, now: Timestamp, status_code: int) -> Response[MadeKeyView]:
    shown = MadeKeyView(**msgspec.structs.asdict(show_key(made.row, now)), secret_key=made.secret_key)
    answer = with_etag(shown, made.row.revision, status_code)
    answer.headers.update(_UNTOLD)
    return answer


def _find(stock: Stock, asking: Asking, access_key: str) -> KeyRow:
    """Return the key, if the asker may view it. Raises AccountUnknown."""
    row = access_keys.find(stock.db.reader, access_key)
    if row is None or not _may_view(asking, row):
        raise AccountUnknown(f"there is no access key {access_key[:40]!r}; see: scr key list")
    return row


def _may_view(asking: Asking, row: KeyRow) -> bool:
    return asking.may_own(row.holder, Action.VIEW_KEY) or asking.may_account(row.holder, Action.VIEW_KEY)


def _grant(asking: Asking, owner: Account, access_key: str) -> AccountGrant:
    """Return the grant to change the key of `owner`, "" to make one. Raises AccessDenied."""
    caller = asking.caller
    is_own = asking.own_account == owner and caller.credential is not None
    if is_own and (not caller.access_key or caller.access_key == access_key):
        return asking.grant_own(owner, Action.MANAGE_KEY)
    return asking.grant_for(owner, Action.MANAGE_KEY)


def _owner_row(stock: Stock, owner: Account) -> PrincipalId:
    row = principals.find(stock.db.reader, PrincipalKind(owner.kind.value), owner.name)
    return row.row if row is not None else _NOBODY


def _edit(data: KeyChange) -> KeyEdit:
    expiry = data.expires_at
    return KeyEdit(
        name=None if data.name is msgspec.UNSET else data.name,
        description=None if data.description is msgspec.UNSET else data.description,
        enabled=None if data.enabled is msgspec.UNSET else data.enabled,
        expires_at=None if expiry is msgspec.UNSET or expiry is None else _time(expiry),
        has_expiry=expiry is not None,
    )


def _time(at: datetime) -> Timestamp:
    """Return a time that was sent. Raises QueryInvalid for one of another age."""
    try:
        return from_datetime(at)
    except (OverflowError, ValueError) as error:
        raise QueryInvalid(f"expiresAt {at} is no time that can be kept") from error


def _place(last: str) -> tuple[int, str]:
    """Return owner and name of a cursor. Raises QueryInvalid."""
    owner, _, name = last.partition("/")
    return (number_in(owner) if last else 0), name


def _place_in(sort: str, last: str) -> tuple[str | int, KeyId] | None:
    """Return what stands in a cursor of the list in the order `sort`. Raises QueryInvalid."""
    if not last:
        return None
    number, _, key = last.partition("/")
    is_number = sort.removeprefix("-") in ("expires", "used")
    return (number_in(key) if is_number else key), KeyId(number_in(number))
