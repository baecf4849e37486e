"""A doorkeeper over a real database and a clock that the test holds, and what tests do to both in few words."""

import base64
from concurrent.futures import ThreadPoolExecutor

from appliance.blobstore.files import Files
from appliance.domain.access import LOCAL, Account, Holder
from appliance.domain.accounts import EVERYWHERE, Place, SignIn
from appliance.domain.admission import FULL_ACCESS, AccountGrant, Caller
from appliance.domain.moment import Timestamp
from appliance.domain.names import parse_image_path
from appliance.domain.registry import RegistryId
from appliance.domain.scope import parse_scopes
from appliance.http.admit import Doorkeeper
from appliance.http.verify import Verifier
from appliance.services import access_policies, accounts, credentials
from appliance.services.accounts import NewAccount
from appliance.services.credentials import MadeKey
from appliance.services.directory import Directory
from appliance.services.keys import hash_password
from appliance.services.signing import LIFE, Claims, Signer
from appliance.services.uses import Uses
from tests.services.conftest import House

CALLER = Caller(LOCAL, FULL_ACCESS, "127.0.0.1")
HERE = "192.0.2.7"
PAY = parse_image_path("pay/api")
ANN = AccountGrant(CALLER, Account(Holder.USER, "ann"))
OPS = AccountGrant(CALLER, Account(Holder.GROUP, "ops"))
PULLS = AccountGrant(CALLER, Account(Holder.POLICY, "ScrPullOnlyAccess"))
PASSWORD = "correct horse"  # noqa: S105 - of a user that lives for one test


class Gate:
    """A house with a doorkeeper, and what a test does to both in few words."""

    def __init__(self, house: House, executor: ThreadPoolExecutor) -> None:
        self.house = house
        self.executor = executor
        self.stock = house.stock
        self.uses = Uses()
        self.keeper = self.open()

    def open(self) -> Doorkeeper:
        """A doorkeeper that has just started."""
        directory = Directory(self.stock.db, self.house.site.appliance)
        signer = Signer(self.house.folder / "tokens", Files(), self.stock.log, self.now)
        verifier = Verifier(self.stock, directory, self.executor)
        return Doorkeeper(directory, signer, verifier, self.uses, self.stock.db.reader, self.stock.clock)

    @property
    def now(self) -> Timestamp:
        return Timestamp(self.house.now)

    async def make_ann(self, sign_in: SignIn = EVERYWHERE, password_hash: str | None = None) -> MadeKey:
        known = password_hash or hash_password(PASSWORD)
        await accounts.create(self.stock, ANN, NewAccount("", known, sign_in), self.now)
        await access_policies.attach(self.stock, PULLS, ANN, self.now)
        return await credentials.create(self.stock, ANN, "laptop", self.now)

    async def basic(self, name: str, secret: str, place: Place = Place.REGISTRY) -> Caller:
        text = base64.b64encode(f"{name}:{secret}".encode())
        return await self.keeper.know(b"Basic " + text, HERE, place, self.house.site.registry)

    async def by_key(self, made: MadeKey) -> Caller:
        return await self.basic(made.row.access_key, made.secret_key)

    async def bearer(self, token: str, registry: int = 1, place: Place = Place.REGISTRY) -> Caller:
        return await self.keeper.know(b"Bearer " + token.encode(), HERE, place, RegistryId(registry))

    def token(self, caller: Caller, *scopes: str) -> str:
        credential, standing = self.keeper.standing_of(caller)
        until = (
            Timestamp(self.now + LIFE) if standing.until is None else min(Timestamp(self.now + LIFE), standing.until)
        )
        return self.keeper.signer.sign(Claims(credential, RegistryId(1), parse_scopes(scopes), until))
