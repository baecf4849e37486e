"""`scr scan PATH`: a layout, an archive or a folder of this host, with the vulnerability data of a data folder."""

import argparse
import asyncio
import time
from pathlib import Path

from appliance.cli.scan_result import Package, Result, Secret, Upgrade, Vulnerability
from appliance.config import Config
from appliance.domain.exclusion import Accepted
from appliance.domain.image_policy import DEFAULT_POLICY
from appliance.domain.moment import SECOND, Timestamp, to_text
from appliance.domain.scan import Scan
from appliance.errors import Invalid


def scan_path(path: Path, options: argparse.Namespace) -> tuple[list[Result], list[bytes]]:
    """Return the results for what lies at `path`, and each in the form that is asked for.

    Raises LayoutInvalid, ConfigInvalid, FeedInvalid, Invalid where there is no registry to keep a bill in.
    """
    from appliance.assemble.scan_options import options_of  # noqa: PLC0415 - most runs ask the server
    from appliance.cli import settings  # noqa: PLC0415 - the same
    from appliance.services import scan_path as scanning  # noqa: PLC0415 - the same
    from appliance.services.vulndb import FOLDER, open_folder  # noqa: PLC0415 - the same

    if options.attach:
        raise Invalid(f"{path} is of this host: a bill of materials is kept beside an image of a registry")
    config: Config = settings.load_from(options).config
    if options.lock_files:
        import msgspec  # noqa: PLC0415 - the same

        scan = msgspec.structs.replace(config.scan, lock_files=True)
        config = msgspec.structs.replace(config, scan=scan)
    data = open_folder(config.storage.data_dir / FOLDER)
    now = Timestamp(int(time.time() * SECOND))
    found = asyncio.run(scanning.scan_path(path, options_of(config), data, now))
    return [result_of(one.name, one.scan) for one in found], [
        _export(one.name, one.scan, options.form) for one in found if options.form
    ]


def _export(name: str, scan: Scan, form: str) -> bytes:
    from appliance.services.scan_export import form_of, tell  # noqa: PLC0415 - most runs ask the server
    from appliance.services.scan_shown import view  # noqa: PLC0415 - the same

    return form_of(form).write(tell(view(scan, DEFAULT_POLICY, Accepted(())), name))


def result_of(name: str, scan: Scan) -> Result:
    """Return a scan as it is printed; nothing is excluded where no image has a policy."""
    from appliance.services.scan_judging import state_of  # noqa: PLC0415 - most runs ask the server
    from appliance.services.scan_shown import view  # noqa: PLC0415 - the same

    shown = view(scan, DEFAULT_POLICY, Accepted(()))
    system = scan.report.inventory.distribution
    return Result(
        name=name,
        digest=scan.digest,
        state=state_of(scan.report).value,
        system="" if system is None else f"{system.family} {system.version}",
        data="" if scan.data is None else to_text(scan.data.built_at),
        packages=len(scan.inventory.packages),
        limits=scan.inventory.limits,
        uncovered=scan.verdict.uncovered,
        refusal=None,
        vulnerabilities=[
            Vulnerability(
                id=one.finding.id,
                title=one.finding.title,
                severity=one.finding.severity.value,
                category="language" if one.finding.package.ecosystem.is_language else "os",
                type=one.finding.package.ecosystem.value,
                package=one.finding.package.name,
                version=one.finding.package.version,
                fixed=one.finding.fixed,
                status=one.finding.status.value,
                path=one.finding.package.found_in,
                is_new=False,
                excluded=None,
            )
            for one in shown.findings
        ],
        secrets=[
            Secret(one.found_in, one.rule, one.title, one.severity.value, one.line, one.match, is_excluded=False)
            for one in shown.secrets
        ],
        affected=[
            Package(
                row.package.name,
                row.package.version,
                None if row.upgrade is None else Upgrade(row.upgrade.version, row.upgrade.fixes),
            )
            for row in shown.packages()
            if row.findings
        ],
    )
