"""Where more is told of a vulnerability: links for people, which the program itself never follows."""

_PLACES = (  # beginning of the id -> where its pages are
    ("CVE-", "https://nvd.nist.gov/vuln/detail/{id}"),
    ("CVE-", "https://www.cve.org/CVERecord?id={id}"),
    ("GHSA-", "https://github.com/advisories/{id}"),
    ("GO-", "https://pkg.go.dev/vuln/{id}"),
    ("RUSTSEC-", "https://rustsec.org/advisories/{id}"),
    ("PYSEC-", "https://osv.dev/vulnerability/{id}"),
    ("RHSA-", "https://access.redhat.com/errata/{id}"),
    ("ALAS", "https://alas.aws.amazon.com/{id}.html"),
)
_BY_FEED = {  # who published it -> where that vendor's word on the id is
    "debian": "https://security-tracker.debian.org/tracker/{id}",
    "ubuntu": "https://ubuntu.com/security/{id}",
    "redhat": "https://access.redhat.com/security/cve/{id}",
    "alpine": "https://security.alpinelinux.org/vuln/{id}",
    "suse": "https://www.suse.com/security/cve/{id}.html",
}


def links_of(vulnerability: str, feed: str) -> tuple[str, ...]:
    """Return the addresses of pages about `vulnerability`, that of the vendor who published it first."""
    if not vulnerability.replace("-", "").replace(":", "").isalnum():
        return ()
    found = [_BY_FEED[feed]] if feed in _BY_FEED and vulnerability.startswith("CVE-") else []
    found += [place for start, place in _PLACES if vulnerability.startswith(start)]
    return tuple(place.format(id=vulnerability) for place in found)
