"""CSV: a vulnerability a line, with the columns of the manual (2.3), then secrets as lines of a kind of their own."""

import csv
import io

from appliance.domain.vulnerability import Secret
from appliance.scan.exports.told import Row, Told

HEADS = (
    "kind",
    "id",
    "severity",
    "cvss",
    "vector",
    "category",
    "os or language",
    "package",
    "current version",
    "fixed version",
    "fixable",
    "status",
    "path",
    "title",
    "excluded",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run (OWASP, CSV injection)


def write(told: Told) -> bytes:
    """Return a table with a line of heads."""
    target = io.StringIO()
    table = csv.writer(target, lineterminator="\r\n")
    table.writerow(HEADS)
    system = told.report.inventory.distribution
    name = "" if system is None else f"{system.family} {system.version}".strip()
    for row in told.rows:
        table.writerow(map(_tame, _finding(row, name)))
    for secret in told.report.inventory.secrets:
        table.writerow(map(_tame, _secret(secret)))
    return target.getvalue().encode(errors="replace")


def _finding(row: Row, system: str) -> tuple[str, ...]:
    finding = row.finding
    package, cvss = finding.package, finding.cvss
    is_language = package.ecosystem.is_language
    return (
        "vulnerability",
        finding.id,
        finding.severity.value,
        "" if cvss is None or cvss.score is None else str(cvss.score),
        "" if cvss is None else cvss.vector,
        "language" if is_language else "os",
        package.ecosystem.value if is_language else system,
        package.name,
        package.version,
        finding.fixed,
        "yes" if finding.is_fixable else "no",
        finding.status.value,
        package.found_in,
        finding.title,
        row.excluded,
    )


def _secret(secret: Secret) -> tuple[str, ...]:
    blank = ("",) * 5
    title = secret.title or secret.rule
    return (
        "secret", secret.rule, secret.severity.value, "", "", secret.category, *blank, "",
        f"{secret.found_in}:{secret.line}", title, "",
    )  # fmt: skip


def _tame(cell: str) -> str:
    """Return `cell` as a text that no spreadsheet runs."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
