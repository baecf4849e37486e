"""Which manifests there are to scan: of a registry or a repository, those whose scan failed, those that are gone."""

from collections.abc import Sequence

import msgspec

from appliance.db.database import Reader
from appliance.domain.names import Digest, from_bytes, to_bytes
from appliance.domain.registry import ManifestId

Place = tuple[str, bytes]  # path of an image and digest of one of its manifests: how far a list has got

_IMAGES = """
SELECT id, path FROM images WHERE registry_id = :registry AND path >= :path AND (:end = '' OR path < :end)
AND removed_at IS NULL AND shown_at IS NOT NULL ORDER BY path LIMIT 1
"""
_MANIFESTS = """
SELECT id, digest, body FROM manifests WHERE image_id = ? AND digest > ? AND removed_at IS NULL ORDER BY digest LIMIT ?
"""


class Target(msgspec.Struct, frozen=True):
    """A manifest of one image to scan."""

    manifest: ManifestId
    digest: Digest


class Candidate(msgspec.Struct, frozen=True):
    """A manifest that may have something to scan."""

    target: Target
    body: bytes


def list_page(
    reader: Reader, registry: int, repository: str, last: Place, limit: int
) -> tuple[list[Candidate], Place | None]:
    """Return up to `limit` live manifests of one image, and where the next page begins; None for the end.

    `repository` "" means all of the registry.
    """
    start, end = (f"{repository}/", f"{repository}0") if repository else ("", "")  # "0" follows "/"
    row = reader.one(_IMAGES, {"registry": registry, "path": max(last[0], start), "end": end})
    if row is None:
        return [], None
    image, path = row
    found = reader.rows(_MANIFESTS, (image, last[1] if path == last[0] else b"", limit))
    then = (path, found[-1][1]) if len(found) == limit else (f"{path}\0", b"")
    return [Candidate(Target(ManifestId(one[0]), from_bytes(one[1])), one[2]) for one in found], then


def list_failed(reader: Reader) -> list[Target]:
    """Return the live manifests whose last scan failed. It reads all summaries: for what nobody waits for."""
    sql = (
        "SELECT m.id, m.digest FROM scan_summaries s JOIN manifests m ON m.id = s.manifest_id"
        " WHERE s.state = 'failed' AND m.removed_at IS NULL"
    )
    return [Target(ManifestId(row[0]), from_bytes(row[1])) for row in reader.rows(sql)]


def list_gone(reader: Reader, digests: Sequence[Digest]) -> list[Digest]:
    """Return those of `digests` that no image has, not even one that could be restored."""
    sql = "SELECT 1 FROM manifests WHERE digest = ? LIMIT 1"
    return [digest for digest in digests if reader.one(sql, (to_bytes(digest),)) is None]
