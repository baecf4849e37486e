"""Several sources tell of one id: put together what they say, so that one record of it is kept."""

from collections.abc import Iterable
from typing import TypeVar

from appliance.domain.vulnerability import VendorSeverity, Vulnerability

T = TypeVar("T")


def merge(one: Vulnerability, other: Vulnerability) -> Vulnerability:
    """Return what both say of their id; where they contradict each other, `one` counts.

    It is withdrawn only if both say so: a source may drop its record because another has a better one.
    """
    opinions = {opinion.source: opinion for opinion in (*other.vendor_severities, *one.vendor_severities)}
    return Vulnerability(
        one.id,
        one.title or other.title,
        one.description or other.description,
        one.severity if one.severity is not None else other.severity,
        _ordered(opinions, (*one.vendor_severities, *other.vendor_severities)),
        _unique((*one.cvss, *other.cvss)),
        _unique((*one.cwes, *other.cwes)),
        _unique((*one.references, *other.references)),
        _unique((*one.aliases, *other.aliases)),
        one.published_at if one.published_at is not None else other.published_at,
        one.modified_at if one.modified_at is not None else other.modified_at,
        one.withdrawn and other.withdrawn,
        one.epss if one.epss is not None else other.epss,
        one.known_exploited or other.known_exploited,
    )


def _ordered(opinions: dict[str, VendorSeverity], order: Iterable[VendorSeverity]) -> tuple[VendorSeverity, ...]:
    return tuple(opinions[source] for source in dict.fromkeys(opinion.source for opinion in order))


def _unique(items: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(items))
