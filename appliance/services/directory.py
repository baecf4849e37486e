"""Who there is and what they may do, as of the last commit: what the doors ask on every request.

Everything here is remembered until the access epoch moves. It is looked at once a commit (`Database.epoch`), so that a
change counts for the first request after it was acknowledged, and a request costs two comparisons.
"""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from appliance.db import access_epoch, access_keys, access_policies, principals, registries
from appliance.db.access_policies import InForce
from appliance.db.database import Database
from appliance.domain.access import AccessPolicy, Holder, KeyId, PolicyId, PrincipalId, PrincipalKind
from appliance.domain.accounts import Credential, KeyProof, Proof
from appliance.domain.moment import Timestamp
from appliance.domain.policy_document import statements_of
from appliance.domain.registry import Visibility
from appliance.domain.rights import Rights

_REMEMBERED = 10_000  # of each sort: principals, keys, names that nobody has
_COMPILED = 1000  # different sets of policies
K = TypeVar("K")
V = TypeVar("V")


class Standing(msgspec.Struct, frozen=True):
    """Somebody whose credential counts now, and until when it does at most (None: no end is known)."""

    owner: Proof
    until: Timestamp | None
    access_key: str  # "" for a password


class Directory:
    """Reads of accounts and policies, remembered. Used on the loop only."""

    def __init__(self, db: Database, appliance: str) -> None:
        """Read from `db`; resources are those of `appliance`."""
        self._db = db
        self._appliance = appliance
        self._commit = -1
        self.epoch = -1
        self._texts: dict[PolicyId, tuple[int, AccessPolicy]] = {}
        self._compiled: dict[tuple[object, ...], Rights] = {}
        self._clear()

    def look(self) -> int:
        """Return the epoch that decisions count for; forget what is older. Call it first in every request."""
        commit = self._db.epoch
        if commit != self._commit:
            self._commit = commit
            epoch = access_epoch.find(self._db.reader)
            if epoch != self.epoch:
                self.epoch = epoch
                self._clear()
        return self.epoch

    def _clear(self) -> None:
        self._users: dict[str, Proof | None] = {}
        self._principals: dict[PrincipalId, Proof | None] = {}
        self._keys: dict[str, KeyProof | None] = {}
        self._keys_by_row: dict[KeyId, KeyProof | None] = {}
        self._rights: dict[PrincipalId, Rights] = {}
        self._ended: dict[PolicyId, frozenset[str]] | None = None
        self._public: tuple[tuple[str, str], ...] | None = None
        self._is_anybody: bool | None = None
        self._anonymous: Rights | None = None

    def is_anybody_in_force(self) -> bool:
        """Whether anybody could sign in."""
        if self._is_anybody is None:
            self._is_anybody = principals.is_any_in_force(self._db.reader)
        return self._is_anybody

    def find_user(self, name: str) -> Proof | None:
        """Return the user `name`, or None."""
        return _remember(self._users, name, lambda: principals.find_user_proof(self._db.reader, name))

    def find_key(self, access_key: str) -> KeyProof | None:
        """Return the access key, or None."""
        return _remember(self._keys, access_key, lambda: access_keys.find_proof(self._db.reader, access_key))

    def judge(self, credential: Credential, now: Timestamp) -> Standing | None:
        """Return whose credential it is and until when it counts; None if it does not count any more."""
        if credential.key is None:
            owner = self._principal(credential.principal)
            is_good = owner is not None and owner.enabled and owner.generation == credential.generation
            return Standing(owner, None, "") if owner is not None and is_good else None
        key = self._key(credential.key)
        if key is None or not key.is_valid(now) or key.owner.principal != credential.principal:
            return None
        until = key.until_of(credential.generation, now)
        return None if until is not None and until <= now else Standing(key.owner, until, key.access_key)

    def rights_of(self, owner: Proof) -> Rights:
        """Return the rights of a user or role, with those of its groups."""
        rights = self._rights.get(owner.principal)
        if rights is None:
            holder = Holder.ROLE if owner.kind is PrincipalKind.ROLE else Holder.USER
            found = access_policies.list_in_force(self._db.reader, holder, owner.principal)
            rights = _put(self._rights, owner.principal, self._compile(found))
        return rights

    def rights_of_anonymous(self) -> Rights:
        """Return what anybody may do: pull from public registries."""
        if self._anonymous is None:
            self._anonymous = self._compile([])
        return self._anonymous

    def _compile(self, found: list[InForce]) -> Rights:
        """Return the rights of a set of policies, shared by all who have just these."""
        ended = self._all_ended()
        public = self._public_registries()
        signature = (public, *((one.id, one.version, ended.get(one.id)) for one in found))
        rights = self._compiled.get(signature)
        if rights is None:
            if len(self._compiled) >= _COMPILED:
                self._compiled.clear()
            policies = [_without(self._policy(one), ended.get(one.id, frozenset()), self._appliance) for one in found]
            rights = self._compiled[signature] = Rights(policies, public)
        return rights

    def _policy(self, one: InForce) -> AccessPolicy:
        known = self._texts.get(one.id)
        if known is not None and known[0] == one.version:
            return known[1]
        policy = AccessPolicy(one.name, statements_of(one.name, one.document, enabled=one.enabled))
        _put(self._texts, one.id, (one.version, policy))
        return policy

    def _all_ended(self) -> dict[PolicyId, frozenset[str]]:
        if self._ended is None:
            self._ended = access_policies.list_all_ended(self._db.reader)
        return self._ended

    def _public_registries(self) -> tuple[tuple[str, str], ...]:
        if self._public is None:
            every = registries.list_all(self._db.reader)
            self._public = tuple(
                (self._appliance, one.name) for one in every if one.settings.visibility is Visibility.PUBLIC
            )
        return self._public

    def _principal(self, principal: PrincipalId) -> Proof | None:
        return _remember(self._principals, principal, lambda: principals.find_proof(self._db.reader, principal))

    def _key(self, key: KeyId) -> KeyProof | None:
        return _remember(self._keys_by_row, key, lambda: access_keys.find_proof_by_row(self._db.reader, key))


def _without(policy: AccessPolicy, ended: frozenset[str], appliance: str) -> AccessPolicy:
    """Return `policy` without the single resources whose names belong to something else by now."""
    if not ended:
        return policy
    gone = {f"srn:scr:{appliance}:{resource}" for resource in ended}
    statements = tuple(
        msgspec.structs.replace(one, resources=tuple(name for name in one.resources if name not in gone))
        for one in policy.statements
    )
    return AccessPolicy(policy.name, statements)


def _remember(known: dict[K, V], key: K, find: Callable[[], V]) -> V:
    if key in known:
        return known[key]
    return _put(known, key, find())


def _put(known: dict[K, V], key: K, value: V) -> V:
    if len(known) >= _REMEMBERED:
        known.clear()
    known[key] = value
    return value
