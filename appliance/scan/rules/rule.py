"""One rule for a kind of secret, and how a rule of the operator's own becomes one."""

import functools
import re
from collections.abc import Sequence

import msgspec

from appliance.domain.vulnerability import Severity
from appliance.errors import ConfigInvalid

_SHORTEST = 3  # characters of a literal: shorter ones are in every file, and the search would be no faster for them


class Rule(msgspec.Struct, frozen=True):
    """A kind of secret.

    Every match of `pattern` contains one of `literals`; only windows around them are looked at, `before` bytes before
    a literal's first byte and `after` bytes behind its last. The group `secret`, else the whole match, is what is
    hidden in reports. A secret with fewer than `distinct` different characters is a placeholder. `path`, if there is
    one, must be found in the file's path.
    """

    id: str
    category: str
    title: str
    severity: Severity
    literals: tuple[bytes, ...]
    pattern: str
    is_caseless: bool = False  # the literals; the pattern says so itself
    before: int = 128
    after: int = 512
    distinct: int = 6
    path: str = ""

    @property
    def regex(self) -> re.Pattern[bytes]:
        """Return the compiled pattern; nearly all rules are never met, so it is made when first needed."""
        return _compiled(self.pattern)

    def is_placeholder(self, secret: bytes) -> bool:
        """Whether `secret` is an example such as `sk_live_xxxx`: its literal aside, it has too few characters."""
        literal = next((literal for literal in self.literals if secret.startswith(literal)), b"")
        return len(set(secret[len(literal) :])) < self.distinct


@functools.cache
def _compiled(pattern: str) -> re.Pattern[bytes]:
    return re.compile(pattern.encode())


def token(id_: str, category: str, title: str, literal: str, rest: str, severity: Severity = Severity.CRITICAL) -> Rule:
    """Return the rule for a token that begins with `literal` and goes on as `rest`, and stands by itself."""
    return Rule(
        id_,
        category,
        title,
        severity,
        (literal.encode(),),
        rf"(?<![A-Za-z0-9_-])(?P<secret>{re.escape(literal)}{rest})(?![A-Za-z0-9])",
    )


def own_rule(id_: str, title: str, pattern: str, literals: Sequence[str], severity: Severity) -> Rule:
    """Return a rule that the operator wrote in `scr.toml`.

    Raises ConfigInvalid where the pattern is no regular expression or the literals could not narrow the search.
    """
    try:
        re.compile(pattern.encode())
    except re.error as error:
        raise ConfigInvalid(f"secret rule {id_}: the pattern is no regular expression: {error}") from error
    if not literals or any(len(literal) < _SHORTEST for literal in literals):
        raise ConfigInvalid(
            f"secret rule {id_}: name at least one literal of {_SHORTEST} characters or more that is in every match"
        )
    return Rule(
        id_,
        "Own rule",
        title or id_,
        severity,
        tuple(literal.lower().encode() for literal in literals),
        pattern,
        is_caseless=True,
        distinct=1,
    )
