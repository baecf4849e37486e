"""Which files of a distribution's packages a language's detector would read as well.

What apt, apk or rpm installed is judged by the distribution's advisories, which know its patches; the same thing seen
as a Python or Go package would be reported by its upstream version, mended or not.
"""

import re
from collections.abc import Iterable, Iterator

from appliance.domain.vulnerability import Ecosystem

ECOSYSTEMS = frozenset({Ecosystem.PYPI, Ecosystem.NPM, Ecosystem.GEM, Ecosystem.GOLANG, Ecosystem.CONDA})

_DESCRIBES = re.compile(r"(?:/(?:METADATA|PKG-INFO|package\.json)|\.egg-info|\.gemspec|/conda-meta/[^/]+\.json)$")
_RUNS = re.compile(r"(?:^|/)(?:s?bin|libexec)/")


def choose(paths: Iterable[str]) -> Iterator[str]:
    """Yield those of `paths`, without their leading slash, that matter."""
    for path in paths:
        if _RUNS.search(path) or _DESCRIBES.search(path):
            yield path.lstrip("/")
