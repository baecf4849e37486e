"""The base score of a CVSS 3.0 or 3.1 vector, for data that carry only the vector (CVSS v3.1 Specification, 7.1)."""

import math

_VERSIONS = frozenset({"CVSS:3.0", "CVSS:3.1"})

_VECTOR = {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2}
_COMPLEXITY = {"L": 0.77, "H": 0.44}
_PRIVILEGES = {"N": 0.85, "L": 0.62, "H": 0.27}
_PRIVILEGES_BEYOND = {"N": 0.85, "L": 0.68, "H": 0.5}  # where the scope changes
_INTERACTION = {"N": 0.85, "R": 0.62}
_IMPACT = {"H": 0.56, "L": 0.22, "N": 0.0}
_SCOPE = frozenset({"U", "C"})


def base_score(vector: str) -> float | None:
    """Return the base score, 0.0 to 10.0, of `vector`; None where it is no whole CVSS 3 vector."""
    version, *metrics = vector.strip().rstrip("/").split("/")
    values = dict(metric.partition(":")[::2] for metric in metrics)
    if version not in _VERSIONS or len(values) != len(metrics) or values.get("S") not in _SCOPE:
        return None
    is_beyond = values["S"] == "C"
    try:
        exploitability = (
            8.22
            * _VECTOR[values["AV"]]
            * _COMPLEXITY[values["AC"]]
            * (_PRIVILEGES_BEYOND if is_beyond else _PRIVILEGES)[values["PR"]]
            * _INTERACTION[values["UI"]]
        )
        spared = math.prod(1 - _IMPACT[values[metric]] for metric in ("C", "I", "A"))
    except KeyError:
        return None
    loss = 1 - spared
    if is_beyond:
        impact = 7.52 * (loss - 0.029) - 3.25 * (loss - 0.02) ** 15
        return _round_up(min(1.08 * (impact + exploitability), 10)) if impact > 0 else 0.0
    impact = 6.42 * loss
    return _round_up(min(impact + exploitability, 10)) if impact > 0 else 0.0


def _round_up(score: float) -> float:
    """Return the smallest number of one decimal that is not below `score`, free of binary noise (Appendix A)."""
    hundred_thousandths = round(score * 100_000)
    if hundred_thousandths % 10_000 == 0:
        return hundred_thousandths / 100_000
    return (hundred_thousandths // 10_000 + 1) / 10
