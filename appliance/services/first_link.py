"""The one-time link by which the first administrator is made, where nobody else could get in.

Its secret is kept in memory only, as a hash: another start has another link. It is good for a day, for one use, and
only as long as nobody can sign in, which is looked at in the transaction that makes the administrator.
"""

import hmac
import secrets

from appliance.db import principals
from appliance.db.database import Transaction
from appliance.domain.access import Account, Holder, Principal, PrincipalKind
from appliance.domain.accounts import PrincipalRow
from appliance.domain.admission import FULL_ACCESS, AccountGrant, Caller
from appliance.domain.moment import DAY, Timestamp
from appliance.errors import AccessDenied
from appliance.services import access_policies as policies
from appliance.services import accounts
from appliance.services.accounts import NewAccount
from appliance.services.credentials import hash_secret
from appliance.services.stock import Stock

GOOD_FOR = DAY
PATH = "/first-administrator?secret="  # of the page; not in the path itself, which records show
_ADMINISTRATOR = "ScrFullAccess"
_ENDED = "this link is good no more: it was used, its day is over, or somebody can sign in; an administrator helps"


class FirstLink:
    """Holds the link, if there is one."""

    def __init__(self) -> None:
        """Hold none."""
        self._hash = b""
        self._until = Timestamp(0)

    def make(self, now: Timestamp) -> str:
        """Return the secret of a new link; one made before ends."""
        secret = secrets.token_urlsafe(32)
        self._hash, self._until = hash_secret(secret), Timestamp(now + GOOD_FOR)
        return secret

    def check(self, secret: str, now: Timestamp) -> None:
        """Raise AccessDenied unless `secret` is that of the link, and it has not ended."""
        is_it = hmac.compare_digest(hash_secret(secret), self._hash or bytes(32))
        if not (is_it and self._hash and now < self._until):
            raise AccessDenied(_ENDED)

    async def redeem(
        self, stock: Stock, secret: str, name: str, password_hash: str, address: str, client: str
    ) -> PrincipalRow:
        """Make the administrator `name`; the link has ended then.

        Raises AccessDenied where it had before, AccountInvalid, AccountExists.
        """
        now = stock.clock()
        self.check(secret, now)
        grant = AccountGrant(
            Caller(Principal(PrincipalKind.OPERATOR, "first link"), FULL_ACCESS, address, client),
            Account(Holder.USER, name),
        )

        def write(tx: Transaction) -> PrincipalRow:
            if principals.is_any_in_force(tx):  # by another way, or by the same link a moment ago
                raise AccessDenied(_ENDED)
            row = accounts.create_in(tx, grant, NewAccount("the first administrator", password_hash), now)
            policy = AccountGrant(grant.caller, Account(Holder.POLICY, _ADMINISTRATOR))
            policies.attach_in(tx, policy, grant, now, is_attached=True, declared_in=stock.declared_in)
            return row

        made = await stock.db.write(write)
        self._hash = b""
        return made
