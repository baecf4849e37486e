"""Access policies as documents, from JSON or TOML: read strictly, checked, resources written out; narrowing.

A document is `{"statements": [{"effect": "allow", "actions": [...], "resources": [...], "conditions": {...}}]}`.
Resources may be written short, `registry/local/repository/pay`, for this appliance; they are kept whole.
"""

import ipaddress
import re
from collections.abc import Sequence
from difflib import get_close_matches

import msgspec

from appliance.domain.access import BUILT_IN, AccessPolicy, Action, Conditions, Holder, Statement, matches
from appliance.errors import PolicyInvalid

MAX_STATEMENTS = 200
MAX_ACTIONS = 100  # of a statement
MAX_RESOURCES = 1000  # of a statement
MAX_ADDRESSES = 1000  # of a list of a condition
MAX_TEXT = 1024  # characters of a resource; a name is at most 255
_PREFIX = "srn:scr:"
_KINDS = ("registry", *Holder)
_ONE = re.compile(r"registry/(?P<registry>[^/*]+)(?:/repository/(?P<repository>[^/*]+)(?:/image/(?P<image>[^*]+))?)?")
_OF_REGISTRY = (Action.LOGIN, Action.VIEW_REGISTRY, Action.MANAGE_REGISTRY)
_OF_REPOSITORY = (
    Action.PULL,
    Action.PUSH,
    Action.DELETE,
    Action.SCAN,
    Action.VIEW_REPOSITORY,
    Action.MANAGE_REPOSITORY,
)


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The statements of a policy, as API, command line and `scr.toml` carry them."""

    statements: tuple[Statement, ...]


_DECODER = msgspec.json.Decoder(Document)


def parse_document(text: bytes | str, appliance: str) -> Document:
    """Return the document that is written in JSON. Raises PolicyInvalid."""
    try:
        return check_document(_DECODER.decode(text), appliance)
    except msgspec.DecodeError as error:  # a ValidationError is one, too
        raise PolicyInvalid(f"the policy cannot be read: {error}") from error


def convert_document(tree: object, appliance: str) -> Document:
    """Return the document of a parsed TOML or JSON value. Raises PolicyInvalid."""
    try:
        return check_document(msgspec.convert(tree, Document), appliance)
    except msgspec.ValidationError as error:
        raise PolicyInvalid(f"the policy cannot be read: {error}") from error


def convert_form(tree: object) -> Document:
    """Return the document of a parsed value, checked but for its resources: whose they are is not known yet.

    Raises PolicyInvalid.
    """
    try:
        document = msgspec.convert(tree, Document)
    except msgspec.ValidationError as error:
        raise PolicyInvalid(f"the policy cannot be read: {error}") from error
    _check_count(document)
    for number, one in enumerate(document.statements, 1):
        _check_form(one, f"statement {number}")
    return document


def encode_document(document: Document) -> str:
    """Return the JSON that is kept."""
    return msgspec.json.encode(document).decode()


def decode_document(text: str) -> Document:
    """Return what `encode_document` wrote."""
    return _DECODER.decode(text)


def statements_of(name: str, document: str, *, enabled: bool) -> tuple[Statement, ...]:
    """Return the statements of a policy that count: of a built-in one the program's, of one switched off the denies."""
    built_in = BUILT_IN.get(name)
    statements = built_in.statements if built_in is not None else decode_document(document).statements
    return statements if enabled else tuple(one for one in statements if one.effect != "allow")


def check_document(document: Document, appliance: str) -> Document:
    """Return `document` with its resources written out for `appliance`. Raises PolicyInvalid."""
    _check_count(document)
    return Document(tuple(_check(one, number, appliance) for number, one in enumerate(document.statements, 1)))


def _check_count(document: Document) -> None:
    if not 1 <= len(document.statements) <= MAX_STATEMENTS:
        raise PolicyInvalid(f"a policy has 1 to {MAX_STATEMENTS} statements, this one {len(document.statements)}")


def _check(statement: Statement, number: int, appliance: str) -> Statement:
    where = f"statement {number}"
    _check_form(statement, where)
    resources = tuple(_resource(text, where, appliance) for text in statement.resources)
    return msgspec.structs.replace(statement, resources=resources)


def _check_form(statement: Statement, where: str) -> None:
    if statement.effect not in ("allow", "deny"):
        raise PolicyInvalid(f'{where}: effect is {statement.effect[:40]!r}; write "allow" or "deny"')
    if not 1 <= len(statement.actions) <= MAX_ACTIONS:
        raise PolicyInvalid(f"{where}: write 1 to {MAX_ACTIONS} actions")
    for action in statement.actions:
        _check_action(action, where)
    if not 1 <= len(statement.resources) <= MAX_RESOURCES:
        raise PolicyInvalid(f"{where}: write 1 to {MAX_RESOURCES} resources")
    _check_conditions(statement.conditions, where)


def _check_action(text: str, where: str) -> None:
    """Refuse what names no action; `*` may stand at the end only, so that nobody is surprised by what it takes in."""
    if not text.removesuffix("*") and text:
        return
    stem = text.removesuffix("*")
    known = [str(action) for action in Action]
    if "*" not in stem and (text in known or (text != stem and any(name.startswith(stem) for name in known))):
        return
    near = get_close_matches(stem, known, 1)
    hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"
    raise PolicyInvalid(f"{where}: there is no action {text[:80]!r}{hint}")


def _resource(text: str, where: str, appliance: str) -> str:
    """Return `text` as a whole SRN pattern. Raises PolicyInvalid for what could never match here."""
    if not text or len(text) > MAX_TEXT or not text.isprintable() or any(letter.isspace() for letter in text):
        raise PolicyInvalid(f"{where}: {text[:80]!r} is no resource; write registry/local/repository/pay, or *")
    if text.startswith("*"):
        return text
    whole = text if text.startswith("srn:") else f"{_PREFIX}{appliance}:{text}"
    owner, colon, rest = whole.removeprefix(_PREFIX).partition(":")
    if not whole.startswith(_PREFIX) or not matches(owner, appliance):
        raise PolicyInvalid(f"{where}: {text[:200]!r} is no resource of this appliance; it is {_PREFIX}{appliance}:…")
    if not colon:  # srn:scr:*
        return whole
    kind = rest.partition("/")[0]
    if "*" not in kind and (kind not in _KINDS or "/" not in rest):
        raise PolicyInvalid(
            f"{where}: {text[:200]!r} names no {', '.join(_KINDS)}; write registry/<name> or user/<name>"
        )
    if "*" not in rest and kind == "registry" and not _ONE.fullmatch(rest):
        raise PolicyInvalid(
            f"{where}: {text[:200]!r} is no resource; write registry/<name>[/repository/<name>[/image/<name>]]"
        )
    return whole


def _check_conditions(conditions: Conditions, where: str) -> None:
    for text in (*conditions.applied_addresses, *conditions.excluded_addresses):
        try:
            ipaddress.ip_network(text)
        except ValueError as error:
            raise PolicyInvalid(f"{where}: {text[:80]!r} is no address or network: {error}") from error
    if max(len(conditions.applied_addresses), len(conditions.excluded_addresses)) > MAX_ADDRESSES:
        raise PolicyInvalid(
            f"{where}: write at most {MAX_ADDRESSES} addresses; an allowlist of the registry takes more"
        )
    first, last = conditions.not_before, conditions.not_after
    if first is not None and last is not None and first >= last:
        raise PolicyInvalid(f"{where}: notBefore must come before notAfter, or the statement never counts")


def single_resources(document: Document, appliance: str) -> tuple[str, ...]:
    """Return the registries, repositories and images that statements name alone, without the SRN's beginning.

    These are meant by their ids: `registry/local/repository/pay`.
    """
    start = f"{_PREFIX}{appliance}:"
    named = (text.removeprefix(start) for one in document.statements for text in one.resources if start in text)
    return tuple(dict.fromkeys(text for text in named if _ONE.fullmatch(text)))


def split_resource(resource: str) -> tuple[str, str, str]:
    """Return registry, repository and image of what `single_resources` returned; "" where it has none."""
    found = _ONE.fullmatch(resource)
    if found is None:
        raise PolicyInvalid(f"{resource[:200]!r} names no registry, repository or image")
    return found["registry"], found["repository"] or "", found["image"] or ""


def narrow(policy: AccessPolicy, registries: Sequence[str], repositories: Sequence[tuple[str, str]]) -> Document:
    """Return a copy of a loaded policy that means only the chosen registries and repositories (registry, name).

    `LoginContainerRegistry` goes on the registries, image actions on the repositories, or on all of a registry from
    which none was chosen; whatever else the policy says on what was chosen. The caller checks the document.
    Raises PolicyInvalid when nothing was chosen.
    """
    chosen = tuple(dict.fromkeys((*registries, *(registry for registry, _ in repositories))))
    if not chosen:
        raise PolicyInvalid("choose a registry or a repository that the policy is to mean")
    bare = [name for name in chosen if all(name != registry for registry, _ in repositories)]
    places = tuple(f"registry/{registry}/repository/{name}" for registry, name in dict.fromkeys(repositories))
    wide = tuple(f"registry/{name}/repository/*" for name in bare)
    whole = tuple(f"registry/{name}" for name in chosen)
    statements: list[Statement] = []
    for statement in policy.statements:
        named = _named(statement)
        above = tuple(action for action in named if action in _OF_REGISTRY)
        inside = tuple(action for action in named if action in _OF_REPOSITORY)
        for actions, resources in ((above, whole), (inside, (*places, *wide))):
            if actions:
                statements.append(msgspec.structs.replace(statement, actions=actions, resources=resources))
    return Document(tuple(statements))


def _named(statement: Statement) -> tuple[str, ...]:
    """Return the actions on registries, repositories and images that a statement means, patterns written out."""
    return tuple(
        action
        for action in (*_OF_REGISTRY, *_OF_REPOSITORY)
        if any(matches(pattern, action) for pattern in statement.actions)
    )
