"""What deleting manifests would take and free: bytes that nothing else of their image needs and no other image uses."""

from collections.abc import Collection, Sequence

import msgspec

from appliance.db import blobs, manifests, tags
from appliance.db.database import Reader
from appliance.domain.admission import Grant
from appliance.domain.manifest import shape_of
from appliance.domain.names import Digest
from appliance.domain.registry import ImageId, ManifestId
from appliance.services.delete import Refused, find_image, list_refused


class Forecast(msgspec.Struct, frozen=True):
    """What a deletion would take: how many tags, how many bytes, and what it would refuse."""

    refused: list[Refused]
    tags: int
    freed: int


def forecast(reader: Reader, grant: Grant, digests: Sequence[Digest]) -> Forecast:
    """Return what deleting `digests` of the image would take. Raises NameUnknown."""
    with reader.snapshot():
        image = find_image(reader, grant)
        refused = list_refused(reader, grant, image, digests)
        out = {one.digest for one in refused}
        rows = [manifests.find_in(reader, image, digest) for digest in digests if digest not in out]
        going = [row[0] for row in rows if row is not None]
        count = sum(len(tags.of_manifest(reader, row)) for row in going)
        return Forecast(refused, count, count_freed(reader, image, going))


def count_freed(reader: Reader, image: ImageId, going: Collection[ManifestId]) -> int:
    """Return how many bytes of blobs nobody would need without the manifests `going` of `image`."""
    leaving = frozenset(going)
    wanted: dict[Digest, None] = {}
    for row in leaving:
        if (loaded := manifests.load(reader, row)) is not None:
            shape = shape_of(loaded[4])
            wanted.update(dict.fromkeys((*shape.blobs, *shape.children)))
    return sum(
        blobs.sole_size(reader, image, digest)
        for digest in wanted
        if leaving.issuperset(manifests.list_needing(reader, image, digest))
    )
