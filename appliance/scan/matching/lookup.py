"""What matching asks the vulnerability data for. Whoever keeps them answers; here is no SQL."""

from collections.abc import Collection, Iterable
from typing import Protocol

from appliance.domain.vulnerability import Advisory, Platform, PlatformKind, Vulnerability


class AdvisoryLookup(Protocol):
    """Vulnerability data of one version. Sets go in whole, so that each question is one query."""

    def covers(self, namespace: str) -> bool:
        """Return whether there is any advisory in `namespace`."""

    def advisories(self, namespace: str, names: Collection[str]) -> Iterable[Advisory]:
        """Return the advisories of these packages, in any order."""

    def vulnerabilities(self, ids: Collection[str]) -> Iterable[Vulnerability]:
        """Return what is known of these ids; nothing for one that is not known."""

    def platforms(self, kind: PlatformKind, keys: Collection[str]) -> Iterable[Platform]:
        """Return the Red Hat platforms that these content sets or builds stand for."""
