"""Licences as packages record them -> SPDX identifiers where the name is a known spelling, else as recorded."""

import re
from collections.abc import Iterable

_SPELLINGS = {
    "agpl-3": "AGPL-3.0-only",
    "agpl-3+": "AGPL-3.0-or-later",
    "apache": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache-2": "Apache-2.0",
    "artistic": "Artistic-1.0",
    "artistic-2": "Artistic-2.0",
    "asl 2.0": "Apache-2.0",
    "boost-1.0": "BSL-1.0",
    "bsd license": "BSD-3-Clause",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "bsd-4-clause": "BSD-4-Clause",
    "cc0": "CC0-1.0",
    "expat": "MIT",
    "gfdl-1.2": "GFDL-1.2-only",
    "gfdl-1.2+": "GFDL-1.2-or-later",
    "gfdl-1.3": "GFDL-1.3-only",
    "gfdl-1.3+": "GFDL-1.3-or-later",
    "gpl": "GPL-1.0-or-later",
    "gpl-1": "GPL-1.0-only",
    "gpl-1+": "GPL-1.0-or-later",
    "gpl-2": "GPL-2.0-only",
    "gpl-2+": "GPL-2.0-or-later",
    "gpl-2.0": "GPL-2.0-only",
    "gpl-2.0+": "GPL-2.0-or-later",
    "gpl-3": "GPL-3.0-only",
    "gpl-3+": "GPL-3.0-or-later",
    "gpl-3.0": "GPL-3.0-only",
    "gpl-3.0+": "GPL-3.0-or-later",
    "gplv2": "GPL-2.0-only",
    "gplv2+": "GPL-2.0-or-later",
    "gplv3": "GPL-3.0-only",
    "gplv3+": "GPL-3.0-or-later",
    "isc license (iscl)": "ISC",
    "lgpl-2": "LGPL-2.0-only",
    "lgpl-2+": "LGPL-2.0-or-later",
    "lgpl-2.0": "LGPL-2.0-only",
    "lgpl-2.0+": "LGPL-2.0-or-later",
    "lgpl-2.1": "LGPL-2.1-only",
    "lgpl-2.1+": "LGPL-2.1-or-later",
    "lgpl-3": "LGPL-3.0-only",
    "lgpl-3+": "LGPL-3.0-or-later",
    "lgplv2": "LGPL-2.0-only",
    "lgplv2+": "LGPL-2.0-or-later",
    "lgplv3": "LGPL-3.0-only",
    "lgplv3+": "LGPL-3.0-or-later",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "mplv2.0": "MPL-2.0",
    "new bsd license": "BSD-3-Clause",
    "psf": "PSF-2.0",
    "python software foundation license": "PSF-2.0",
    "the apache license, version 2.0": "Apache-2.0",
    "the apache software license, version 2.0": "Apache-2.0",
    "the mit license": "MIT",
    "zlib": "Zlib",
    "zlib/libpng": "Zlib",
    "zpl 2.1": "ZPL-2.1",
}
IDENTIFIERS = frozenset(  # of SPDX's list, as packages write them most
    {*_SPELLINGS.values(), "0BSD", "BlueOak-1.0.0", "CC-BY-3.0", "CC-BY-4.0", "ISC", "MIT", "MIT-0", "Python-2.0"}
    | {"Unlicense", "WTFPL", "BSD-2-Clause-Patent", "EPL-1.0", "EPL-2.0", "CDDL-1.0", "OFL-1.1", "curl"}
)
_LONGEST = 120  # characters; some packages put the whole licence text into the field
_LONGEST_LIST = 1000  # characters of several licences together
_WORDS = re.compile(r"\s+(?:and|or|AND|OR)\s+|\s*[,|;]\s*")


def known(name: str) -> str:
    """Return the SPDX identifier of a spelling that is known, else `name` itself, trimmed."""
    name = " ".join(name.split())
    return _SPELLINGS.get(name.lower(), name)


def gather(names: Iterable[str]) -> tuple[str, ...]:
    """Return `names` without the empty, the repeated, and those too long to be names."""
    found = dict.fromkeys(known(name) for name in names if name and len(name) <= _LONGEST)
    found.pop("", None)
    return tuple(found)


def split(text: str) -> tuple[str, ...]:
    """Return the licences that `text` joins by "and", "or" or a comma; none of a text too long for that."""
    text = text.strip()
    if len(text) > _LONGEST_LIST:
        return ()
    return gather(_WORDS.split(text.replace("(", " ").replace(")", " ")))
