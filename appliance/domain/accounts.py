"""Users, roles, groups, access policies and access keys as values, and the grammar of their names."""

import enum
import re
import secrets

import msgspec

from appliance.domain.access import Account, GroupId, KeyId, PolicyId, PrincipalId, PrincipalKind
from appliance.domain.moment import Timestamp
from appliance.errors import AccountInvalid

MAX_DESCRIPTION = 1000
MIN_PASSWORD = 8  # characters; NIST SP 800-63B 5.1.1
_NAME = re.compile(r"[a-z0-9A-Z](?:[a-zA-Z0-9._@+-]{0,126}[a-zA-Z0-9])?")  # of groups, roles and policies
_USER = re.compile(r"[^\s:*/](?:[^:*/]{0,126}[^\s:*/])?")  # Basic credentials end a name at a colon
_ACCESS_KEY = re.compile(r"SCR[A-Z2-7]{17}")
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


class Method(enum.StrEnum):
    """What somebody signs in with."""

    KEY = "access-key"
    PASSWORD = "password"  # noqa: S105 - the method's name


class Place(enum.StrEnum):
    """Where somebody signs in."""

    REGISTRY = "registry"
    API = "api"
    CONSOLE = "console"


class Credential(msgspec.Struct, frozen=True):
    """What somebody signed in with: a key, or (None) the password; and which generation of its secret."""

    principal: PrincipalId
    key: KeyId | None
    generation: int

    @property
    def method(self) -> Method:
        """How that is called in the security settings."""
        return Method.PASSWORD if self.key is None else Method.KEY


class SignIn(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The security settings of a user: which methods open registry, API and console.

    A password is typed by people and reused elsewhere, so that it opens the registry, where machines keep what they
    sign in with, only where somebody wants that.
    """

    registry: tuple[Method, ...] = (Method.KEY,)
    api: tuple[Method, ...] = (Method.KEY, Method.PASSWORD)
    console: tuple[Method, ...] = (Method.KEY, Method.PASSWORD)

    def opens(self, place: Place, method: Method) -> bool:
        """Whether `method` opens `place`."""
        methods: dict[Place, tuple[Method, ...]] = {
            Place.REGISTRY: self.registry,
            Place.API: self.api,
            Place.CONSOLE: self.console,
        }
        return method in methods[place]


GUIDANCE = (
    "Clients keep in a file what they sign in to the registry with: let it be an access key there, which can expire,"
    " be rotated and be disabled by itself, and leave the password to API and console."
)
BY_DEFAULT = SignIn()
EVERYWHERE = SignIn(registry=(Method.KEY, Method.PASSWORD))


class PrincipalRow(msgspec.Struct, frozen=True):
    """A user or role."""

    row: PrincipalId
    id: str
    kind: PrincipalKind
    name: str
    description: str
    has_password: bool
    sign_in: SignIn
    enabled: bool
    managed: bool
    last_used_at: Timestamp | None  # of the password
    last_used_from: str
    created_at: Timestamp
    created_by: str
    modified_at: Timestamp
    modified_by: str
    revision: int


class Proof(msgspec.Struct, frozen=True):
    """What a user's password is checked against."""

    principal: PrincipalId
    kind: PrincipalKind
    name: str
    password_hash: str | None
    generation: int
    sign_in: SignIn
    enabled: bool
    managed: bool


class KeyProof(msgspec.Struct, frozen=True):
    """What a secret key is checked against, and whose it is."""

    key: KeyId
    access_key: str
    owner: Proof
    secret_hash: bytes
    generation: int
    earlier_hash: bytes | None
    earlier_until: Timestamp | None
    enabled: bool
    expires_at: Timestamp | None

    def is_valid(self, now: Timestamp) -> bool:
        """Whether the key opens anything at all."""
        return self.enabled and self.owner.enabled and (self.expires_at is None or now < self.expires_at)

    def until_of(self, generation: int, now: Timestamp) -> Timestamp | None:
        """Return until when a secret of `generation` is good: 0 if it is not, None without an end."""
        if generation == self.generation:
            return self.expires_at
        if generation == self.generation - 1 and self.earlier_until is not None and now < self.earlier_until:
            return self.earlier_until if self.expires_at is None else min(self.earlier_until, self.expires_at)
        return Timestamp(0)


class GroupRow(msgspec.Struct, frozen=True):
    """A group."""

    row: GroupId
    id: str
    name: str
    description: str
    members: int
    managed: bool
    created_at: Timestamp
    created_by: str
    modified_at: Timestamp
    modified_by: str
    revision: int


class PolicyRow(msgspec.Struct, frozen=True):
    """An access policy; `document` is its JSON, "" of a built-in one."""

    row: PolicyId
    id: str
    name: str
    description: str
    document: str
    version: int
    built_in: bool
    managed: bool
    enabled: bool  # where not, what it allows does not count; what it denies does
    attachments: int
    created_at: Timestamp
    created_by: str
    modified_at: Timestamp
    modified_by: str
    revision: int


class KeyRow(msgspec.Struct, frozen=True):
    """An access key, without anything secret."""

    row: KeyId
    access_key: str
    owner: PrincipalId
    holder: Account  # the owner by name
    name: str
    description: str
    enabled: bool
    expires_at: Timestamp | None
    earlier_until: Timestamp | None  # how long the secret before the rotation is good, too
    managed: bool
    last_used_at: Timestamp | None
    last_used_from: str
    created_at: Timestamp
    created_by: str
    modified_at: Timestamp
    modified_by: str
    revision: int


def new_access_key() -> str:
    """Return a new access key: `SCR` and 17 letters and digits. It is a name, not a secret."""
    return "SCR" + "".join(secrets.choice(_ALPHABET) for _ in range(17))


def is_access_key(text: str) -> bool:
    """Whether `text` has the form of an access key, and so is no user's name."""
    return _ACCESS_KEY.fullmatch(text) is not None


def is_user_name(text: str) -> bool:
    """Whether `text` may be the name of a user."""
    return _USER.fullmatch(text) is not None and text.isprintable() and not is_access_key(text)


def check_user_name(text: str) -> str:
    """Return the name of a user. Raises AccountInvalid."""
    if not is_user_name(text):
        raise AccountInvalid(
            f"{text[:80]!r} is no name of a user; use 1 to 128 characters without : * / and not like an access key"
        )
    return text


def check_name(text: str, what: str) -> str:
    """Return the name of a `what` (group, role, policy, access key). Raises AccountInvalid."""
    if not _NAME.fullmatch(text):
        raise AccountInvalid(f"{text[:80]!r} is no name of a {what}; use 1 to 128 letters, digits, . _ @ + -")
    return text


def check_password(text: str, name: str) -> str:
    """Return what somebody chose as the password of `name`. Raises AccountInvalid where it is no secret."""
    if len(text) < MIN_PASSWORD:
        raise AccountInvalid(f"the password is too short; use at least {MIN_PASSWORD} characters, a sentence of words")
    if text.lower() == name.lower():
        raise AccountInvalid("the password is the name; choose another")
    return text


def check_description(text: str) -> str:
    """Return `text`. Raises AccountInvalid where it is too long."""
    if len(text) > MAX_DESCRIPTION:
        raise AccountInvalid(f"the description has {len(text)} characters; use at most {MAX_DESCRIPTION}")
    return text
