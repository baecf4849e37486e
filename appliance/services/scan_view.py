"""The scan of a manifest as one image shows it, and what lists show of many: looked up."""

import functools
from collections.abc import Sequence

import msgspec

from appliance.db import acceptances, images, scan_summaries, scans
from appliance.db.database import Reader
from appliance.domain import image_policy
from appliance.domain.exclusion import Acceptance, Accepted, Tally
from appliance.domain.image_policy import ImagePolicy, Scanned
from appliance.domain.names import Digest
from appliance.domain.registry import ImageId, ManifestId
from appliance.domain.scan import Scan
from appliance.services.scan_shown import View, view
from appliance.services.scanning import Scanner
from appliance.services.stock import Stock


class Known(msgspec.Struct, frozen=True):
    """What is known of a manifest's scan, without its findings: what lists show."""

    scanned: Scanned | None  # what the pull limit knows; None: no scan was ever asked for
    standing: scans.Standing | None
    is_stale: bool
    tallies: tuple[Tally, ...]
    secrets: int
    secrets_excluded: bool
    is_refused: bool  # by the pull limit


async def find_view(stock: Stock, scanner: Scanner, image: ImageId, digest: Digest) -> View | None:
    """Return the scan of the manifest as `image` shows it, or None where there is none."""
    last = scanner.last

    def find(reader: Reader) -> tuple[scans.Mark, Scan | None]:
        with reader.snapshot():  # the mark has to be of the very scan
            mark = scans.mark_of(reader, digest)
            return mark, None if mark is None else last.scan((digest, mark)) or scans.find(reader, digest)

    mark, scan = await scanner.file.read(find)
    if scan is None:
        return None

    def load(reader: Reader) -> tuple[ImagePolicy, list[Acceptance]]:
        policy = image_policy.from_json(images.policy_of(reader, image))
        ids = {finding.id for finding in scan.verdict.findings}
        return policy, acceptances.list_of_image(reader, image, digest, ids, stock.clock())

    policy, accepted = await stock.db.read(load)
    key = digest, mark, policy, accepted
    shown = last.view(key)
    if shown is None:  # in a worker: thousands of findings
        shown = await stock.db.read(lambda _: view(scan, policy, Accepted(accepted)))
    last.keep((digest, mark), key, shown)
    return shown


async def find_known(
    stock: Stock, scanner: Scanner, image: ImageId, wanted: Sequence[tuple[ManifestId, Digest]]
) -> list[Known]:
    """Return what is known of the scans of `wanted`, manifests of `image`, in their order."""

    def load(reader: Reader) -> tuple[ImagePolicy, dict[ManifestId, Scanned]]:
        policy = image_policy.from_json(images.policy_of(reader, image))
        return policy, scan_summaries.find_many(reader, [manifest for manifest, _ in wanted])

    policy, summaries = await stock.db.read(load)
    digests = [digest for manifest, digest in wanted if manifest in summaries]
    standings = await scanner.file.read(functools.partial(scans.standings_of, digests=digests))
    return [_know(policy, summaries.get(manifest), standings.get(digest), scanner) for manifest, digest in wanted]


def _know(policy: ImagePolicy, scanned: Scanned | None, standing: scans.Standing | None, scanner: Scanner) -> Known:
    is_refused = image_policy.pull_refusal(policy, scanned) is not None
    if scanned is None or standing is None:
        return Known(
            scanned, None, is_stale=False, tallies=(), secrets=0, secrets_excluded=False, is_refused=is_refused
        )
    open_ones = scanned.summary or standing.summary  # the one that the pull limit reads is without what is accepted
    tallies = []
    for severity in sorted({count.severity for count in standing.summary.counts}, reverse=True):
        found = standing.summary.count(severity)
        still_open = min(found, open_ones.count(severity))  # one of the two may be newer for a moment
        left = min(still_open, image_policy.count_left(policy.scan, open_ones.counts, severity))
        tallies.append(Tally(severity, found, excluded=still_open - left, accepted=found - still_open))
    return Known(
        scanned,
        standing,
        scanner.is_stale(standing),
        tuple(tallies),
        standing.summary.secrets,
        policy.scan.exclude_secrets,
        is_refused,
    )
