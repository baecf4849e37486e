"""What lists of manifests tell of scans, in few words: of an index, what its platforms came to."""

from collections.abc import Sequence
from itertools import chain

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
        below = await self.stock.db.read(lambda reader: _platforms(reader, image, outlines))
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


def _platforms(reader: Reader, image: ImageId, outlines: Sequence[Outline]) -> list[list[_Target]]:
    """Return, of each index, the platforms that are here and can be scanned; nothing of anything else.

    All platforms of a page are asked for at once: an index of sixteen platforms takes no more queries than one of two.
    """
    shown = [_list_platforms(outline)[:_PLATFORMS] for outline in outlines]
    found = manifests.find_outlines(reader, image, chain.from_iterable(shown))
    images = {digest: (one.id, digest) for digest, one in found.items() if one.media_type not in INDEXES}
    return [[images[digest] for digest in digests if digest in images] for digests in shown]


def _list_platforms(outline: Outline) -> list[Digest]:
    """Return the platforms that an index lists; an image, which is a platform itself, lists none."""
    if outline.kind is not Kind.INDEX:
        return []
    return [Digest(one.digest) for one in outline.platforms if one.is_here and one.platform != _NO_PLATFORM]
