"""What the configuration says about how layers are read: of all that `scr scan PATH` needs, it loads no more."""

from appliance.config import Config
from appliance.scan import prefilter
from appliance.services.scan_protocol import OwnRule, Setup
from appliance.services.scan_reading import ScanOptions


def options_of(config: Config) -> ScanOptions:
    """Return what `config` says about how layers are read."""
    scan = config.scan
    kinds = scan.secrets
    if kinds == "auto":
        kinds = "all" if prefilter.has_fast() else "manual"
    own = tuple(
        OwnRule(rule.id, rule.title, rule.pattern, tuple(rule.literals), rule.severity) for rule in config.secret_rule
    )
    setup = Setup(
        memory=int(scan.memory),
        cpu_s=max(1, int(scan.cpu_time.seconds)),
        lock_files=scan.lock_files,
        rules=kinds,
        own_rules=own,
        excluded=tuple(scan.secret_exclude),
    )
    return ScanOptions(setup, scan.timeout.seconds)
