"""Would this be allowed, and why? The decisions of a request that was never sent, by the code that decides requests.

Listener, registry, endpoint type and allowlist are the entrance's own steps; sign-in, policies, pull limit and locks
are asked where the doors ask them. The first refusal is the last step, as it would be for a request.
"""

from collections.abc import Iterator

import msgspec

from appliance.db import access_policies, images, manifests, principals, tags
from appliance.domain.access import ANONYMOUS, LOCAL, Action, Holder, PrincipalKind
from appliance.domain.accounts import Credential, KeyProof, Method, Place, Proof, is_access_key
from appliance.domain.admission import FULL_ACCESS, Caller, Site, explain_action, is_loopback
from appliance.domain.decision import Stage, Step
from appliance.domain.endpoint import Endpoint
from appliance.domain.names import Digest, ImagePath, Tag
from appliance.domain.registry import ImageRef
from appliance.domain.rights import Rights
from appliance.errors import AccountUnknown, QueryInvalid, QuotaExceeded, ScrError
from appliance.http.callers import Callers
from appliance.http.door import make_door
from appliance.http.entrance import Entrance
from appliance.services import guard, pull_limit, quota
from appliance.services.stock import Stock

_IMAGE_ACTIONS = (Action.PULL, Action.PUSH, Action.DELETE)
_HOST = b"localhost"  # a registry's door is asked by itself: no name has to be known for it
AS_ANONYMOUS = "anonymous"


class Question(msgspec.Struct, frozen=True):
    """What somebody would do: `who` is an access key, `user:ann`, `role:ci`, a user's name, or `anonymous`."""

    who: str
    address: str
    action: Action
    path: ImagePath | None = None  # None: the registry itself
    reference: Tag | Digest | None = None
    endpoint: Endpoint = Endpoint.PRIVATE


class Answer(msgspec.Struct, frozen=True):
    """Whether it is allowed: the decisions in their order, the last one refused where it is not."""

    principal: str
    steps: tuple[Step, ...]

    @property
    def allowed(self) -> bool:
        """Whether every decision was for it."""
        return all(step.allowed for step in self.steps)


class Subject(msgspec.Struct, frozen=True):
    """Who is meant: nobody (`owner` None), or somebody, by a key or by any way it has."""

    name: str
    owner: Proof | None = None
    key: KeyProof | None = None


class Explainer:
    """Asks the parts of the doors what they would say."""

    def __init__(self, stock: Stock, entrance: Entrance, callers: Callers) -> None:
        """Ask `entrance` about registries and addresses, `callers` about people."""
        self._stock = stock
        self._reader = stock.db.reader
        self._entrance = entrance
        self._callers = callers
        self._directory = callers.doorkeeper.directory

    def find(self, who: str) -> Subject:
        """Return whom `who` names. Raises AccountUnknown."""
        self._directory.look()
        if who == AS_ANONYMOUS:
            return Subject(str(ANONYMOUS))
        if is_access_key(who):
            key = self._directory.find_key(who)
            if key is None:
                raise AccountUnknown(f"there is no access key {who}")
            return Subject(f"{key.owner.kind}:{key.owner.name}", key.owner, key)
        kind, colon, name = who.partition(":")
        if colon and kind not in (PrincipalKind.USER, PrincipalKind.ROLE):
            raise QueryInvalid(f"{who[:80]!r} is nobody; write an access key, user:ann, role:ci or anonymous")
        kind, name = (kind, name) if colon else (PrincipalKind.USER, who)
        row = principals.find(self._reader, PrincipalKind(kind), name)
        owner = principals.find_proof(self._reader, row.row) if row else None
        if owner is None:
            raise AccountUnknown(f"there is no {kind} {name[:80]!r}")
        return Subject(f"{owner.kind}:{owner.name}", owner)

    async def explain(self, question: Question, subject: Subject, site: Site) -> Answer:
        """Return the decisions about `question`, asked of the registry `site`."""
        steps: list[Step] = []
        for step in self._steps(question, subject, site):
            steps.append(step)
            if not step.allowed:
                return Answer(subject.name, tuple(steps))
        if question.action is Action.PUSH and (full := await self._quota(question, site)):
            steps = [step for step in steps if step.stage is not Stage.LOCK]
            steps.append(Step(Stage.LOCK, allowed=False, reason=full))
        return Answer(subject.name, tuple(steps))

    def _steps(self, question: Question, subject: Subject, site: Site) -> Iterator[Step]:
        is_image = question.action in (*_IMAGE_ACTIONS, Action.LOGIN)
        if is_image:
            door = make_door(question.endpoint, registry=site.name)
            yield from self._entrance.steps(door, _HOST, question.address)
        rights, sign_in = self._authenticate(question, subject, Place.REGISTRY if is_image else Place.API)
        yield sign_in
        now = self._stock.clock()
        principal = LOCAL if rights is FULL_ACCESS else ANONYMOUS
        caller = Caller(principal, rights, question.address, at=now)
        actions = (Action.LOGIN, question.action) if is_image else (question.action,)
        for action in dict.fromkeys(actions):
            path = None if action is Action.LOGIN else question.path
            verdict = explain_action(caller, site, path, action)
            reason = verdict.reason + self._group_of(subject, verdict.policy)
            yield Step(Stage.ACCESS_POLICY, allowed=verdict.allowed, reason=reason)
        if question.path is not None and question.action in _IMAGE_ACTIONS:
            yield from self._state(question, question.path, site)

    def _authenticate(self, question: Question, subject: Subject, place: Place) -> tuple[Rights, Step]:
        """Return with which rights the subject comes, and the decision whether it gets in."""
        owner = subject.owner
        if owner is None:
            if not self._callers.is_open():
                reason = "nobody signs in: what anybody may do is decided by the policies"
                return self._directory.rights_of_anonymous(), _sign_in(reason, allowed=True)
            here = is_loopback(question.address)
            reason = "nobody can sign in yet, so that this machine is served and no other"
            return (FULL_ACCESS if here else Rights(())), _sign_in(reason, allowed=here)
        fault = self._fault(subject, place)
        way = f"with access key {subject.key.access_key}" if subject.key else "with what it has"
        reason = fault or f"{subject.name} signs in {way}"
        return self._directory.rights_of(owner), _sign_in(reason, allowed=fault is None)

    def _fault(self, subject: Subject, place: Place) -> str | None:
        """Return why the subject cannot sign in at `place`, or None."""
        owner = subject.owner
        if owner is None or not owner.enabled:
            return f"{subject.name} is disabled"
        if subject.key is not None:
            return self._fault_of_key(subject.key, place)
        if owner.password_hash is not None and owner.sign_in.opens(place, Method.PASSWORD):
            return None
        has_key = principals.has_key_in_force(self._reader, owner.principal, self._stock.clock())
        if has_key and owner.sign_in.opens(place, Method.KEY):
            return None
        if owner.password_hash is None and not has_key:
            return f"{subject.name} has neither a password nor an access key in force"
        ways = "a password" if owner.password_hash is not None else "no password"
        held = "an access key" if has_key else "no access key in force"
        return f"{subject.name} has {ways} and {held}, and its security settings let neither in at the {place}"

    def _fault_of_key(self, key: KeyProof, place: Place) -> str | None:
        """Return why the key does not let in at `place`, or None."""
        credential = Credential(key.owner.principal, key.key, key.generation)
        standing = self._directory.judge(credential, self._stock.clock())
        if standing is None:
            return f"access key {key.access_key} is disabled or has expired"
        try:
            self._callers.doorkeeper.check_place(credential, standing, place)
        except ScrError as error:
            return error.message
        return None

    def _group_of(self, subject: Subject, policy: str) -> str:
        """Return which group hands the policy that decided to the subject, as a clause."""
        if subject.owner is None or not policy:
            return ""
        holder = Holder.ROLE if subject.owner.kind is PrincipalKind.ROLE else Holder.USER
        found = access_policies.list_in_force(self._reader, holder, subject.owner.principal)
        group = next((one.group for one in found if one.name == policy), "")
        return f"; the policy comes from group {group}" if group else ""

    def _state(self, question: Question, path: ImagePath, site: Site) -> Iterator[Step]:
        """Yield what the image itself says: its pull limit, or the locks on it."""
        ref, reference = ImageRef(site.registry, path), question.reference
        found = manifests.find(self._reader, ref, reference) if reference is not None else None
        if question.action is Action.PULL:
            if found is None:
                reason = f"{path} has no {reference}" if reference else "no tag or digest is asked about"
                yield Step(Stage.PULL_LIMIT, allowed=True, reason=f"nothing is judged: {reason}")
                return
            limit = pull_limit.find_refusal(self._reader, found.image, found.id, found.body)
            reason = f"{path} {reference}: {limit or 'its pull limit refuses nothing'}"
            yield Step(Stage.PULL_LIMIT, allowed=limit is None, reason=reason)
            return
        held = self._lock(ref, question)
        yield Step(Stage.LOCK, allowed=held is None, reason=held or "no quota and no lock is in the way")

    async def _quota(self, question: Question, site: Site) -> str | None:
        """Return which quota of the registry has no room for a single byte, or for an image more, or None."""
        try:
            await quota.check_start(self._stock, site.registry, 0)
            if question.path is not None and question.path.image:
                quota.check_new_image(self._reader, ImageRef(site.registry, question.path))
        except QuotaExceeded as error:
            return error.message
        return None

    def _lock(self, ref: ImageRef, question: Question) -> str | None:
        """Return which lock holds what would be moved or deleted, as a clause, or None."""
        image, reference = images.find(self._reader, ref), question.reference
        if image is None or reference is None:
            return None
        if ":" not in reference:
            tag = Tag(reference)
            known = tags.find(self._reader, image, tag)
            held = guard.find_tag_hold(self._reader, image, tag, is_locked=known[1]) if known else None
            return f"tag {tag}: {'the tag' if held == 'it' else held} is locked" if held else None
        found = manifests.find(self._reader, ref, reference)
        if found is None or question.action is not Action.DELETE:
            return None
        return guard.find_hold(self._reader, image, found.id)


def _sign_in(reason: str, *, allowed: bool) -> Step:
    return Step(Stage.AUTHENTICATION, allowed=allowed, reason=reason)
