"""Several files of vulnerability data as one: what matching asks is asked of each, and the answers are put together."""

from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from appliance.db.advisories import AdvisoryFile
from appliance.db.foreign import ForeignFile
from appliance.domain.vulnerability import Advisory, Platform, PlatformKind, Vulnerability
from appliance.scan.feeds.java_db import JavaArchive
from appliance.scan.feeds.merging import merge


class Lookup:
    """The advisories of a data set, for one thread at a time."""

    def __init__(self, paths: Iterable[Path]) -> None:
        """Open the files. Raises FeedInvalid."""
        self._files: list[AdvisoryFile] = []
        try:
            for path in paths:
                self._files.append(AdvisoryFile(path))
        except BaseException:
            self.close()
            raise

    @property
    def namespaces(self) -> set[str]:
        """What there are advisories in."""
        return {namespace for file in self._files for namespace in file.namespaces}

    def covers(self, namespace: str) -> bool:
        """Return whether there is any advisory in `namespace`."""
        return any(file.covers(namespace) for file in self._files)

    def advisories(self, namespace: str, names: Collection[str]) -> Iterator[Advisory]:
        """Yield the advisories of these packages."""
        for file in self._files:
            yield from file.advisories(namespace, names)

    def vulnerabilities(self, ids: Collection[str]) -> Iterable[Vulnerability]:
        """Return what is known of these ids but for long texts, each once; the file that came first counts."""
        return _merged(self._files, lambda file: file.vulnerabilities(ids))

    def whole_vulnerabilities(self, ids: Collection[str]) -> Iterable[Vulnerability]:
        """Return the same with description and references."""
        return _merged(self._files, lambda file: file.whole_vulnerabilities(ids))

    def platforms(self, kind: PlatformKind, keys: Collection[str]) -> Iterator[Platform]:
        """Yield the Red Hat platforms that these content sets or builds stand for."""
        for file in self._files:
            yield from file.platforms(kind, keys)

    def close(self) -> None:
        """Let the files go."""
        for file in self._files:
            file.close()


class JavaArchives:
    """A Java database, for one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Open it. Raises FeedInvalid."""
        self._file = ForeignFile(path, "the Java database")

    def by_sha1(self, sums: Collection[str]) -> list[JavaArchive]:
        """Return the archives with these SHA-1 sums."""
        return [JavaArchive(*row) for row in self._file.archives_by_sha1(sums)]

    def by_artifact(self, artifacts: Collection[str]) -> list[JavaArchive]:
        """Return all jars whose artifact has one of these names, whatever their group."""
        return [JavaArchive(*row) for row in self._file.archives_by_artifact(artifacts)]

    def close(self) -> None:
        """Let it go."""
        self._file.close()


def _merged(
    files: Iterable[AdvisoryFile], ask: Callable[[AdvisoryFile], Iterable[Vulnerability]]
) -> Iterable[Vulnerability]:
    found: dict[str, Vulnerability] = {}
    for file in files:
        for told in ask(file):
            found[told.id] = merge(found[told.id], told) if told.id in found else told
    return found.values()
