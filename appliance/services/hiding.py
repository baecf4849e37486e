"""Texts of a config that somebody reads: what looks like a secret in them is hidden, by its name or by its form.

A config is no place for secrets, so there are many in configs: variables, labels, arguments of build steps. Whoever may
see an image, but not pull it, shall not learn them, and a page that two people look at shall not show them.
"""

import functools
import re

from appliance.scan import secrets
from appliance.scan.secrets import SecretSearch

HIDDEN = "****"
_SECRET_NAME = re.compile(
    r"passw(?:or)?d|passphrase|secret|token(?!iz)|credential|authorization|api[_.-]?key|access[_.-]?key|private[_.-]?key"
    r"|signing[_.-]?key|encryption[_.-]?key|(?:^|[_.-])(?:pwd|pass|auth|salt)$",
    re.IGNORECASE,
)
# What only tells where a secret is, or how it is treated.
_HARMLESS_NAME = re.compile(r"[_.-](?:file|path|dir|url|uri|ttl|name|expiry|timeout|length)$", re.IGNORECASE)
_VALUE = r'(?:(?:bearer|basic)\s+)?(?:"[^"]*(?:"|$)|\'[^\']*(?:\'|$)|[^\s"\',;&|]+)'
# Each starts where a word does, so that a long word is looked at once and not once a letter.
_ASSIGNED = re.compile(rf'(?<![\w.-])([\w.-]+)("?\s*[=:]\s*)({_VALUE})', re.IGNORECASE)
_OPTION = re.compile(rf"(?<![\w.-])(--?[A-Za-z][\w-]*)(\s+)({_VALUE})", re.IGNORECASE)
_IN_ADDRESS = re.compile(r"(?<=://)[^/\s@]{1,500}(?=@)")


def is_secret_name(name: str) -> bool:
    """Whether what is called `name` is likely to be a secret."""
    return _SECRET_NAME.search(name) is not None and _HARMLESS_NAME.search(name) is None


def hide(text: str) -> str:
    """Return `text` with what looks like a secret in it hidden."""
    for pattern in (_ASSIGNED, _OPTION):
        text = pattern.sub(_hide_value, text)
    return _hide_forms(_IN_ADDRESS.sub(HIDDEN, text))


def _hide_value(found: re.Match[str]) -> str:
    name, between, value = found.groups()
    return name + between + (HIDDEN if is_secret_name(name) else value)


def _hide_forms(text: str) -> str:
    """Hide what the rules for secrets in files know by its form: keys of clouds, tokens of services."""
    content = text.encode(errors="replace")
    for span in reversed(_search().spans("", content)):
        content = content[: span.begin] + HIDDEN.encode() + content[span.end :]
    return content.decode(errors="replace")


@functools.cache
def _search() -> SecretSearch:
    return SecretSearch(secrets.default_rules())
