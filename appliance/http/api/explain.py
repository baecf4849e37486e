"""`/api/v1/explain`: whether something would be allowed, and why."""

from typing import Annotated

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.params import Body, SkipValidation

from appliance.domain.access import Account, Action, Holder
from appliance.domain.accounts import is_access_key
from appliance.domain.admission import admit_account, may_account
from appliance.domain.decision import Stage, Step
from appliance.domain.endpoint import Endpoint
from appliance.domain.names import (
    Digest,
    ImageName,
    ImagePath,
    Tag,
    is_digest,
    parse_digest,
    parse_image_path,
    parse_repository_name,
    parse_tag,
)
from appliance.domain.rights import parse_address
from appliance.domain.scope import WORDS
from appliance.errors import AccountUnknown, QueryInvalid
from appliance.http.api.asking import Asking, InAsking, InStock
from appliance.http.api.blocked import Blocked, find_blocked
from appliance.http.explain import AS_ANONYMOUS, Explainer, Question, Subject

_ACTIONS = {**WORDS, "login": Action.LOGIN, **{str(action): action for action in Action}}
InExplainer = NamedDependency[SkipValidation[Explainer]]


class Asked(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A request that is not sent: who, from where, which action, on what.

    `as` is an access key, `user:ann`, `role:ci` or `anonymous`; `action` is pull, push, delete, login or the name of an
    action; `name` is `pay/api:1`, a repository, or "" for the registry itself.
    """

    as_: Annotated[str, msgspec.Meta(max_length=256)] = msgspec.field(default=AS_ANONYMOUS, name="as")
    from_: Annotated[str, msgspec.Meta(max_length=100)] = msgspec.field(default="127.0.0.1", name="from")
    action: Annotated[str, msgspec.Meta(max_length=100)] = "pull"
    name: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    registry: str | None = None
    endpoint: Endpoint = Endpoint.PRIVATE


class Explained(msgspec.Struct, frozen=True):
    """Whether it is allowed; the decisions in their order, the last one refused where it is not.

    `blocked` is what a pull limit holds back, where that refuses, for whoever may view the image.
    """

    allowed: bool
    principal: str
    steps: list[Step]
    blocked: Blocked | None = None


@post("/api/v1/explain", status_code=200, tags=["access"])
async def explain(
    stock: InStock, asking: InAsking, explainer: InExplainer, data: Annotated[Asked, Body()]
) -> Explained:
    """Say whether somebody would be allowed to do something, and why: each decision with the rule behind it."""
    here = asking.at_name(stock, data.registry)
    here.check(Action.VIEW_REGISTRY)
    subject = _find(asking, explainer, data.as_)
    action = _ACTIONS.get(data.action)
    if action is None:
        raise QueryInvalid(f"{data.action[:80]!r} is no action; write pull, push, delete, login or the name of one")
    if parse_address(data.from_) is None:
        raise QueryInvalid(f"{data.from_[:80]!r} is no address; write one as 192.0.2.7")
    path, reference = _parse(data.name, strict=stock.rules.strict)
    question = Question(data.as_, data.from_, action, path, reference, data.endpoint)
    found = await explainer.explain(question, subject, here.site)
    is_limit = not found.allowed and found.steps[-1].stage is Stage.PULL_LIMIT
    blocked = find_blocked(stock, here, path, reference) if is_limit and path is not None and reference else None
    return Explained(found.allowed, found.principal, list(found.steps), blocked)


def _find(asking: Asking, explainer: Explainer, who: str) -> Subject:
    """Return whom `who` names, if the asker may know what that one may do; everybody may ask about oneself.

    Raises AccessDenied, and AccountUnknown: for a key of somebody who may not be seen as for none.
    """
    caller = asking.caller
    if who == AS_ANONYMOUS or who in (str(caller.principal), caller.access_key):
        return explainer.find(who)
    if not is_access_key(who):
        account, action = _viewed(who)
        admit_account(caller, asking.site.appliance, account, action)
        return explainer.find(who)
    subject = explainer.find(who)
    account, action = _viewed(subject.name)
    if not may_account(caller, asking.site.appliance, account, action):
        raise AccountUnknown(f"there is no access key {who}")
    return subject


def _viewed(who: str) -> tuple[Account, Action]:
    """Return the user or role that `who` names, and what it takes to look at it."""
    kind, colon, name = who.partition(":")
    if colon and kind == "role":
        return Account(Holder.ROLE, name), Action.VIEW_ROLE
    return Account(Holder.USER, name if colon else who), Action.VIEW_USER


def _parse(text: str, *, strict: bool) -> tuple[ImagePath | None, Tag | Digest | None]:
    """Return image (or repository) and reference of `pay/api:1`, `pay/api@sha256:…`, `pay` or ""."""
    if not text:
        return None, None
    name, at, digest = text.partition("@")
    colon = name.rfind(":")
    tag = name[colon + 1 :] if colon > 0 and not at else ""
    bare = name[:colon] if tag else name
    if "/" not in bare and not (at or tag):
        return ImagePath(parse_repository_name(bare), ImageName("")), None
    path = parse_image_path(bare, strict=strict)
    if at and is_digest(digest):
        return path, parse_digest(digest)
    return path, parse_tag(tag) if tag else None
