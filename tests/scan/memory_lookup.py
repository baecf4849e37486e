"""Vulnerability data held in dictionaries: the lookup of tests, and the reference for the one over SQLite."""

from collections.abc import Collection, Iterable

from appliance.domain.vulnerability import Advisory, FeedRecord, Platform, PlatformKind, Vulnerability


class MemoryLookup:
    """All records of a feed, findable."""

    def __init__(self, records: Iterable[FeedRecord]) -> None:
        self._advisories: dict[tuple[str, str], list[Advisory]] = {}
        self._vulnerabilities: dict[str, Vulnerability] = {}
        self._platforms: dict[tuple[PlatformKind, str], Platform] = {}
        self._namespaces: set[str] = set()
        for record in records:
            if isinstance(record, Advisory):
                self._advisories.setdefault((record.namespace, record.name), []).append(record)
                self._namespaces.add(record.namespace)
            elif isinstance(record, Vulnerability):
                self._vulnerabilities[record.id] = record
            else:
                self._platforms[record.kind, record.key] = record

    def covers(self, namespace: str) -> bool:
        return namespace in self._namespaces

    def advisories(self, namespace: str, names: Collection[str]) -> Iterable[Advisory]:
        return [advisory for name in names for advisory in self._advisories.get((namespace, name), ())]

    def vulnerabilities(self, ids: Collection[str]) -> Iterable[Vulnerability]:
        return [self._vulnerabilities[one] for one in ids if one in self._vulnerabilities]

    def platforms(self, kind: PlatformKind, keys: Collection[str]) -> Iterable[Platform]:
        return [self._platforms[kind, key] for key in keys if (kind, key) in self._platforms]
