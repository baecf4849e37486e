"""What `scr scan` prints of a result, whoever made it, and which exit code it comes to."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from appliance.cli.asking import count_text
from appliance.cli.terminal import BOLD, RED, YELLOW, paint, say, show, show_table
from appliance.domain.foreign import seen
from appliance.domain.vulnerability import Severity

_UPGRADES = 10  # that are listed


class Vulnerability(msgspec.Struct, rename="camel"):
    """A finding, as the API tells it."""

    id: str
    title: str
    severity: str
    category: str
    type: str
    package: str
    version: str
    fixed: str
    status: str
    path: str
    is_new: bool
    excluded: str | None
    blocks: bool = False


class Secret(msgspec.Struct, rename="camel"):
    """A secret, as the API tells it."""

    file: str
    rule: str
    title: str
    severity: str
    line: int
    match: str
    is_excluded: bool
    is_hidden: bool = False


class Upgrade(msgspec.Struct):
    """What one package would have to become."""

    version: str
    fixes: int


class Package(msgspec.Struct):
    """A package with findings, as the API tells it."""

    name: str
    version: str
    upgrade: Upgrade | None


class Result(msgspec.Struct):
    """The result for one manifest."""

    name: str
    digest: str
    state: str
    system: str  # the distribution, as people write it; "" for none
    data: str  # when the vulnerability data were made; "" for none
    packages: int
    limits: Sequence[str]
    uncovered: Sequence[str]
    refusal: str | None
    vulnerabilities: list[Vulnerability]
    secrets: list[Secret]
    affected: list[Package]


def show_result(result: Result, least: Severity, *, everything: bool) -> None:
    """Print one result as a table: what is at least as bad as `least`; excluded findings only with `everything`."""
    show(paint(seen(f"{result.name}  {result.digest[:19]}  {result.system or 'no distribution'}"), BOLD))
    found = [one for one in result.vulnerabilities if Severity(one.severity) >= least]
    shown = [one for one in found if everything or one.excluded is None]
    if shown:
        heads = ("SEVERITY", "ID", "PACKAGE", "VERSION", "FIXED", "STATUS", "NOTE")
        show_table(heads, [_cells(one) for one in shown])
    if result.secrets:
        show_table(("SECRET", "FILE", "LINE", "RULE", "MATCH", "NOTE"), [_secret_cells(one) for one in result.secrets])
    for package in result.affected[:_UPGRADES]:
        if package.upgrade is not None:
            fixes = f"fixes {package.upgrade.fixes}"
            show(seen(f"upgrade {package.name} {package.version} to {package.upgrade.version}: {fixes}"))
    show(total_text(result))


def _secret_cells(one: Secret) -> tuple[str, ...]:
    note = "hidden by a layer above" if one.is_hidden else ""
    return one.severity, one.file, str(one.line), one.rule, one.match, note


def _cells(one: Vulnerability) -> tuple[str, ...]:
    note = one.excluded or ", ".join(filter(None, ("new" if one.is_new else "", "blocks pulls" if one.blocks else "")))
    return one.severity, one.id, one.package, one.version, one.fixed or "-", one.status.replace("_", " "), note


def total_text(result: Result) -> str:
    """Return the totals in one line, and what makes them less than the whole truth."""
    counted = Counter(one.severity for one in result.vulnerabilities if one.excluded is None)
    excluded = Counter(one.excluded for one in result.vulnerabilities if one.excluded is not None)
    accepted = excluded.pop("accepted", 0)
    listed = [f"{counted[one.value]} {one.value}" for one in sorted(Severity, reverse=True) if counted[one.value]]
    none = "none known" if result.uncovered else "none"
    parts = [f"vulnerabilities: {', '.join(listed) or none}" if result.data else "vulnerabilities: unknown"]
    if excluded:
        parts.append(f"{excluded.total()} excluded")
    if accepted:
        parts.append(f"{accepted} accepted")
    parts += [count_text(len(result.secrets), "secret"), count_text(result.packages, "package")]
    return "; ".join(parts)


def say_shortcomings(result: Result) -> None:
    """Tell the person what the result does not say."""
    if not result.data:
        say(paint("no vulnerability data yet: packages and secrets only; see: scr vulndb import --help", RED))
    for sentence in (*result.limits, *result.uncovered):
        say(paint(seen(f"not complete: {sentence}"), YELLOW))
    if result.refusal:
        say(paint(f"pulls are refused: {result.refusal}", RED))


def fails(result: Result, limit: Severity | None) -> bool:
    """Whether the result is as bad as `limit`, or cannot tell: what was not read is never taken for clean."""
    if limit is None:
        return False
    if result.state != "complete":
        return True
    worst = [Severity(one.severity) for one in result.vulnerabilities if one.excluded is None]
    worst += [Severity(one.severity) for one in result.secrets if not one.is_excluded]
    return any(severity >= limit for severity in worst)
