"""SARIF 2.1.0 (OASIS): findings as results of rules, for code hosts and editors."""

from urllib.parse import quote

import msgspec

from appliance.domain.vulnerability import Finding, Secret, Severity
from appliance.scan.exports.told import SCORES, Row, Told, advice_of, score_of

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.UNKNOWN: "warning",
    Severity.LOW: "note",
    Severity.NEGLIGIBLE: "note",
    Severity.NONE: "none",
}
_UNREAD = "the scan is not complete: "

Json = dict[str, object]


class _Rules:
    """The rules that results name, each once, in the order they came."""

    def __init__(self) -> None:
        self.listed: list[Json] = []
        self._places: dict[str, int] = {}

    def place(self, identity: str, rule: Json) -> int:
        """Return the place of the rule, which is `rule` where it is new."""
        if identity not in self._places:
            self._places[identity] = len(self.listed)
            self.listed.append({"id": identity, **rule})
        return self._places[identity]


def write(told: Told) -> bytes:
    """Return one run; a scan that is not complete says so in its notifications."""
    rules = _Rules()
    results = [_finding(row, rules) for row in told.rows]
    results += [_secret(secret, rules) for secret in told.report.inventory.secrets]
    driver: Json = {"name": "scr", "version": told.program, "rules": rules.listed}
    blind = () if told.report.data is not None else ("there were no vulnerability data",)
    shortcomings = (*blind, *told.report.inventory.limits, *told.report.uncovered)
    run: Json = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"{told.name}/", "guid": told.identity},
        "invocations": [
            {
                "executionSuccessful": told.report.is_complete,
                "toolExecutionNotifications": [
                    {"level": "error", "message": {"text": _UNREAD + text}} for text in shortcomings
                ],
            }
        ],
        "results": results,
        "columnKind": "unicodeCodePoints",
        "properties": {"image": told.name, "digest": told.digest},
    }
    return msgspec.json.format(msgspec.json.encode({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}), indent=1)


def _finding(row: Row, rules: _Rules) -> Json:
    finding, package = row.finding, row.finding.package
    place = rules.place(finding.id, _rule(finding))
    path = package.found_in or f"packages/{package.ecosystem.value}/{package.name}"
    about = f"{package.name} {package.version} has {finding.id}"
    text = f"{about} ({finding.severity.value}): {finding.title or 'no title'}. {advice_of(finding)}"
    result = _result(finding.id, place, finding.severity, text, path, 1)
    result["partialFingerprints"] = {"finding/v1": f"{finding.id}:{package.purl or package.name}:{package.found_in}"}
    if row.excluded:
        result["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": row.reason or row.excluded}
        ]
    return result


def _rule(finding: Finding) -> Json:
    score = score_of(finding)
    properties: Json = {"tags": ["vulnerability", "security", finding.severity.value], "precision": "high"}
    if score is not None:
        properties["security-severity"] = f"{score:.1f}"
    return {
        "name": "VulnerablePackage",
        "shortDescription": {"text": finding.title or finding.id},
        "defaultConfiguration": {"level": _LEVELS[finding.severity]},
        "properties": properties,
    }


def _secret(secret: Secret, rules: _Rules) -> Json:
    score = SCORES.get(secret.severity)
    properties: Json = {"tags": ["secret", "security", secret.severity.value]}
    if score is not None:
        properties["security-severity"] = f"{score:.1f}"
    rule: Json = {
        "name": "Secret",
        "shortDescription": {"text": secret.title or secret.rule},
        "defaultConfiguration": {"level": _LEVELS[secret.severity]},
        "properties": properties,
    }
    place = rules.place(secret.rule, rule)
    text = f"{secret.title or secret.rule} in {secret.found_in}: {secret.match}"
    return _result(secret.rule, place, secret.severity, text, secret.found_in, secret.line)


def _result(identity: str, place: int, severity: Severity, text: str, path: str, line: int) -> Json:
    return {
        "ruleId": identity,
        "ruleIndex": place,
        "level": _LEVELS[severity],
        "message": {"text": text},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(path.lstrip("/") or "."), "uriBaseId": "ROOTPATH"},
                    "region": {"startLine": max(1, line)},
                }
            }
        ],
    }
