"""Texts of a config that somebody reads: what looks like a secret in them is hidden, by its name or by its form.

A config is no place for secrets, so there are many in configs: variables, labels, arguments of build steps. Whoever may
see an image, but not pull it, shall not learn them, and a page that two people look at shall not show them.
"""

import functools
import re
from collections.abc import Sequence

import msgspec

from appliance.scan import secrets
from appliance.scan.secrets import SecretSearch
from appliance.services.build_history import Build

HIDDEN = "****"
_SECRET_NAME = re.compile(
    r"passw(?:or)?d|passphrase|secret|token(?!iz)|credential|authorization|api[_.-]?key|access[_.-]?key|private[_.-]?key"
    r"|signing[_.-]?key|encryption[_.-]?key|(?:^|[_.-])(?:pwd|pass|auth|salt)$",
    re.IGNORECASE,
)
# What only tells where a secret is, or how it is treated.
_HARMLESS_NAME = re.compile(r"[_.-](?:file|path|dir|url|uri|ttl|name|expiry|timeout|length)$", re.IGNORECASE)
_QUOTED = r"""(?:"(?:[^"\\]|\\[\s\S])*(?:"|\\?$)|'[^']*(?:'|$))"""
_BARE = r"""[^\s"',;&|]"""
# A value is a run of quoted and bare parts, as a shell reads it. A quote behind a bare part begins one only before a
# letter or digit: else it is the end of one that holds the whole, as in 'Authorization: ...'.
_VALUE = rf"""(?:(?:bearer|basic)\s+)?(?:{_QUOTED}(?:{_QUOTED}|{_BARE})*|{_BARE}(?:{_BARE}|(?=["']\w){_QUOTED})*)"""
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


def hide_words(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words of a command with what looks like a secret in them hidden: one behind its option, too."""
    found: list[str] = []
    option = ""
    for word in words:
        is_value = is_secret_name(option) and not word.startswith("-")
        found.append(HIDDEN if is_value else hide(word))
        option = word.lstrip("-") if word.startswith("-") and "=" not in word else ""
    return tuple(found)


def hide_variables(entries: Sequence[str]) -> tuple[str, ...]:
    """Return the variables `NAME=value` of an environment with what looks like a secret in their values hidden."""
    parts = (one.partition("=") for one in entries)
    return tuple(name + sign + _hide_named(name, value) for name, sign, value in parts)


def hide_build(build: Build) -> Build:
    """Return the build with what looks like a secret in it hidden. Up to a MiB of text: for a worker thread."""
    return msgspec.structs.replace(
        build,
        entrypoint=hide_words(build.entrypoint),
        command=hide_words(build.command),
        environment=hide_variables(build.environment),
        labels={name: _hide_named(name, value) for name, value in build.labels.items()},
        history=tuple(
            msgspec.structs.replace(step, created_by=hide(step.created_by), comment=hide(step.comment))
            for step in build.history
        ),
    )


def _hide_named(name: str, value: str) -> str:
    return HIDDEN if value and is_secret_name(name) else hide(value)


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
