"""Is this version vulnerable by this advisory? The one decision that all distributions and ecosystems share."""

from collections.abc import Collection, Iterable

import msgspec

from appliance.domain.vulnerability import Advisory, Package, Span, Status, Unjudged
from appliance.scan.versions import Scheme, VersionInvalid

_EVERY_VERSION = Span()


class Hit(msgspec.Struct, frozen=True):
    """A package that an advisory makes vulnerable."""

    package: Package
    advisory: Advisory


def judge(scheme: Scheme, package: Package, version: str, advisory: Advisory) -> Hit | Unjudged | None:
    """Return a hit, None where `version` is safe, or why that cannot be said."""
    if advisory.status is Status.NOT_AFFECTED:
        return None
    try:
        return Hit(package, advisory) if is_vulnerable(scheme, version, advisory) else None
    except VersionInvalid as error:
        return Unjudged(advisory.id, package, str(error))


def is_vulnerable(scheme: Scheme, version: str, advisory: Advisory) -> bool:
    """Return whether `advisory` concerns `version`.

    Raises VersionInvalid: a version or constraint that decides it cannot be read.
    """
    if advisory.spans or advisory.vulnerable or advisory.versions:
        is_named = (
            version in advisory.versions  # letter by letter: even where no order can be read from it
            or is_within(scheme, version, advisory.spans)
            or _is_listed(scheme, version, advisory.versions)
            or _satisfies_any(scheme, version, advisory.vulnerable)
        )
    elif advisory.patched or advisory.unaffected:
        is_named = True
    else:
        return _is_below_the_fix(scheme, version, advisory)
    return is_named and not _satisfies_any(scheme, version, advisory.patched + advisory.unaffected)


def _is_below_the_fix(scheme: Scheme, version: str, advisory: Advisory) -> bool:
    if not advisory.fixed and not advisory.introduced:
        return True  # whatever the version: even one that cannot be read
    scheme.key(version)
    if advisory.introduced and scheme.compare(version, advisory.introduced) < 0:
        return False
    return not advisory.fixed or scheme.compare(version, advisory.fixed) < 0


def is_within(scheme: Scheme, version: str, spans: Collection[Span]) -> bool:
    """Return whether `version` lies in one of `spans`. Raises VersionInvalid."""
    if _EVERY_VERSION in spans:
        return True
    scheme.key(version)
    return any(_is_in(scheme, version, span) for span in spans)


def _is_in(scheme: Scheme, version: str, span: Span) -> bool:
    if span.introduced and scheme.compare(version, span.introduced) < 0:
        return False
    if span.fixed:
        return scheme.compare(version, span.fixed) < 0
    return not span.last or scheme.compare(version, span.last) <= 0


def _is_listed(scheme: Scheme, version: str, listed: tuple[str, ...]) -> bool:
    """Return whether `version` is one of `listed`, however spelled; what cannot be read among them equals nothing."""
    own = scheme.key(version)
    return any(_key_or_none(scheme, one) == own for one in listed)


def _key_or_none(scheme: Scheme, version: str) -> tuple[object, ...] | None:
    try:
        return scheme.key(version)
    except VersionInvalid:
        return None


def _satisfies_any(scheme: Scheme, version: str, constraints: Iterable[str]) -> bool:
    """Return whether one of `constraints` holds.

    Raises VersionInvalid: none holds that can be read, and one cannot.
    """
    unread: VersionInvalid | None = None
    for constraint in constraints:
        try:
            if scheme.satisfies(version, constraint):
                return True
        except VersionInvalid as error:
            unread = error
    if unread is not None:
        raise unread
    return False
