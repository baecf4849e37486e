"""What is told of one image, whatever the form; and what several forms write in the same way."""

import hashlib
import uuid
from datetime import UTC, datetime
from urllib.parse import quote

import msgspec

from appliance.domain.moment import SECOND, Timestamp
from appliance.domain.names import Digest
from appliance.domain.vulnerability import Finding, Package, Report, Severity

SCORES = {  # of a level, where nobody has scored: the middle of its range
    Severity.CRITICAL: 9.5,
    Severity.HIGH: 8.0,
    Severity.MEDIUM: 5.5,
    Severity.LOW: 2.0,
    Severity.NEGLIGIBLE: 0.5,
}


class Row(msgspec.Struct, frozen=True):
    """A finding as an image counts it."""

    finding: Finding
    excluded: str = ""  # why it does not count; "": it does
    reason: str = ""  # of whoever accepted it


class Told(msgspec.Struct, frozen=True):
    """A scan of an image. `name` is without tag and digest, as `registry.example.com/pay/api`."""

    name: str
    digest: Digest
    report: Report
    rows: tuple[Row, ...]
    program: str  # version of this program

    @property
    def identity(self) -> str:
        """Return a UUID that is the same for the same image, contents and data, and another for others."""
        data = self.report.data.digest if self.report.data else ""
        text = f"{self.name}@{self.digest} {self.report.read_at} {self.report.matched_at} {data}"
        return str(uuid.UUID(bytes=hashlib.sha256(text.encode()).digest()[:16], version=5))

    @property
    def purl(self) -> str:
        """Return the package URL of the image (purl-spec, type oci)."""
        last = self.name.rpartition("/")[2]
        return f"pkg:oci/{quote(last)}@{quote(self.digest, safe='')}?repository_url={quote(self.name, safe='')}"


def moment_text(moment: Timestamp) -> str:
    """Return a time to the second, in UTC: what every form takes."""
    return datetime.fromtimestamp(moment // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def score_of(finding: Finding) -> float | None:
    """Return its CVSS score, else the middle of its level; None where it has neither."""
    if finding.cvss is not None and finding.cvss.score is not None:
        return finding.cvss.score
    return SCORES.get(finding.severity)


def place_of(package: Package) -> tuple[str, str, str, str]:
    """Return what tells a package from others of an image."""
    return package.ecosystem.value, package.name, package.version, package.found_in


def advice_of(finding: Finding) -> str:
    """Return what to do about it, a sentence."""
    name, version = finding.package.name, finding.package.version
    if finding.fixed:
        return f"Upgrade {name} from {version or 'an unknown version'} to {finding.fixed}."
    return f"No version of {name} mends it yet ({finding.status.value.replace('_', ' ')})."
