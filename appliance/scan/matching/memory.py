"""What was judged before, for a run over many images: they share most of their packages, and the data do not change."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

from msgspec.structs import replace

from appliance.domain.vulnerability import Package, Unjudged, Vulnerability
from appliance.scan.matching.lookup import AdvisoryLookup
from appliance.scan.matching.verdict import Hit

_MOST = 50_000  # packages, verdicts and vulnerabilities together: some tens of megabytes
Verdict = Hit | Unjudged
_Key = tuple[Hashable, ...]


class Memory:
    """Belongs to one version of the data and to one thread at a time. What grows too large is begun anew."""

    def __init__(self, most: int = _MOST) -> None:
        """Know nothing yet."""
        self._most = most
        self._verdicts: dict[_Key, list[Verdict]] = {}
        self._vulnerabilities: dict[str, Vulnerability | None] = {}
        self._size = 0

    def judge(
        self,
        place: Hashable,
        packages: Sequence[Package],
        tell_apart: Callable[[Package], _Key],
        judge: Callable[[list[Package]], Iterable[Verdict]],
    ) -> Iterator[Verdict]:
        """Yield the verdicts on `packages`: `judge` is asked for those that are new here, one of each kind.

        Packages that `tell_apart` gives the same key are alike in all that `judge` looks at.
        """
        self._bound()
        keys = [(place, tell_apart(package)) for package in packages]
        new = {key: package for key, package in zip(keys, packages, strict=True) if key not in self._verdicts}
        found: dict[int, list[Verdict]] = {id(package): [] for package in new.values()}
        for verdict in judge(list(new.values())):
            found[id(verdict.package)].append(verdict)
        self._verdicts.update({key: found[id(package)] for key, package in new.items()})  # only once all are judged
        self._size += len(new) + sum(map(len, found.values()))
        for key, package in zip(keys, packages, strict=True):
            for verdict in self._verdicts[key]:
                yield verdict if verdict.package is package else replace(verdict, package=package)

    def vulnerabilities(self, ids: set[str], lookup: AdvisoryLookup) -> dict[str, Vulnerability]:
        """Return what is known of `ids`; `lookup` is asked for those that are new here."""
        known = self._vulnerabilities
        if new := ids - known.keys():
            known.update(dict.fromkeys(new))
            known.update({one.id: one for one in lookup.vulnerabilities(new)})
            self._size += len(new)
        return {one: told for one in ids if (told := known[one]) is not None}

    def _bound(self) -> None:
        if self._size > self._most:
            self._verdicts.clear()
            self._vulnerabilities.clear()
            self._size = 0
