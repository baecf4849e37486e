"""Which files of a distribution's packages a language's detector would read as well.

What apt, apk or rpm installed is judged by the distribution's advisories, which know its patches; the same thing seen
as a Python or Go package would be reported by its upstream version, mended or not.
"""

import re
from collections.abc import Iterable, Iterator

from appliance.domain.vulnerability import Ecosystem

ECOSYSTEMS = frozenset({Ecosystem.PYPI, Ecosystem.NPM, Ecosystem.GEM, Ecosystem.GOLANG, Ecosystem.CONDA})

_DESCRIBES = ("/METADATA", "/PKG-INFO", "/package.json", ".egg-info", ".gemspec")
_RUNS = re.compile(r"(?:^|/)(?:s?bin|libexec)/")
_CONDA = "/conda-meta/"


def choose(paths: Iterable[str]) -> Iterator[str]:
    """Yield those of `paths`, without their leading slash, that matter."""
    for path in paths:
        # A distribution lists 100 000 files and more: what two searches for plain text rule out needs no pattern.
        if (
            path.endswith(_DESCRIBES)
            or (("bin/" in path or "libexec/" in path) and _RUNS.search(path))
            or (_CONDA in path and path.endswith(".json"))
        ):
            yield path.lstrip("/")
