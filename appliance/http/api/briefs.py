"""What lists of manifests tell of scans, in few words: of an index, what its platforms came to."""

from collections.abc import Sequence

import msgspec
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from appliance.db import manifests
from appliance.db.database import Reader
from appliance.db.manifest_lists import ManifestRow
from appliance.domain.manifest import INDEXES, Kind
from appliance.domain.names import Digest
from appliance.domain.registry import ImageId, ManifestId
from appliance.http.api.asking import InRunning, InStock
from appliance.http.api.scan_shapes import ScanBrief, show_brief, show_platforms
from appliance.http.running import Running
from appliance.services import scan_view
from appliance.services.describe import Outline
from appliance.services.stock import Stock

_PLATFORMS = 16  # of an index that a list asks about; its page tells of more
_NO_PLATFORM = "unknown/unknown"  # what builders write for attestations, which have nothing to scan
_Target = tuple[ManifestId, Digest]


class Briefs(msgspec.Struct, frozen=True):
    """Tells of the scans of manifests in few words."""

    stock: Stock
    running: Running

    async def of(
        self, image: ImageId, rows: Sequence[ManifestRow], outlines: Sequence[Outline]
    ) -> Sequence[ScanBrief | None]:
        """Return what is known of the scans of `rows`; None for what has nothing to scan."""
        below = await self.stock.db.read(lambda reader: [_platforms(reader, image, one) for one in outlines])
        wanted = [(row.id, row.digest) for row in rows] + [target for targets in below for target in targets]
        known = await scan_view.find_known(self.stock, self.running.scanner(), image, wanted)
        of_platforms = iter(known[len(rows) :])
        briefs: list[ScanBrief | None] = []
        for one, outline, targets in zip(known, outlines, below, strict=False):  # `known` goes on with the platforms
            if targets:
                briefs.append(show_platforms([next(of_platforms) for _ in targets]))
            else:
                briefs.append(show_brief(one) if one.scanned is not None or outline.kind is Kind.IMAGE else None)
        return briefs


def provide_briefs(stock: InStock, running: InRunning) -> Briefs:
    """Return who tells of scans."""
    return Briefs(stock, running)


InBriefs = NamedDependency[SkipValidation[Briefs]]


def _platforms(reader: Reader, image: ImageId, outline: Outline) -> list[_Target]:
    """Return the platforms of an index that are here and can be scanned, nothing of anything else."""
    if outline.kind is not Kind.INDEX:
        return []
    here = [one for one in outline.platforms if one.is_here and one.platform != _NO_PLATFORM][:_PLATFORMS]
    found = [manifests.find_outline(reader, image, Digest(one.digest)) for one in here]
    return [(one.id, one.digest) for one in found if one is not None and one.media_type not in INDEXES]
