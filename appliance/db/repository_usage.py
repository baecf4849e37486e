"""What repositories use: their bytes by what keeps them. Each blob counts once in each repository that has it."""

from collections.abc import Sequence

import msgspec

from appliance.db.database import Reader
from appliance.domain.registry import RepositoryId


class RepositoryUsage(msgspec.Struct, frozen=True, rename="camel"):
    """Bytes of blobs. `live`, `untagged` and `unclaimed` add up to what the repository may use."""

    live: int = 0  # needed by what a tag, an index with a tag, or the subject of either keeps
    untagged: int = 0  # needed by untagged manifests alone: deletion of untagged ones would let them go
    unclaimed: int = 0  # uploaded or mounted, and no manifest needs them (yet)
    shared: int = 0  # of these three, what another repository has too: deleting them here frees nothing
    leaving: int = 0  # deleted, and not yet collected


_MEASURE = """
WITH RECURSIVE
chosen(id) AS (SELECT value FROM json_each(:ids)),
there(image, repository) AS (
  SELECT i.id, c.id FROM chosen c CROSS JOIN images i ON i.repository_id = c.id WHERE i.removed_at IS NULL
),
kept(image, manifest) AS (
  SELECT h.image, m.id FROM there h CROSS JOIN manifests m ON m.image_id = h.image
  WHERE m.removed_at IS NULL AND EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = m.id)
  UNION
  SELECT k.image, m.id FROM kept k
  CROSS JOIN needs n ON n.image_id = k.image AND n.manifest_id = k.manifest AND n.kind > 1 AND n.kind = 2
  CROSS JOIN manifests m ON m.image_id = k.image AND m.digest = n.digest WHERE m.removed_at IS NULL
  UNION
  SELECT k.image, m.id FROM kept k CROSS JOIN manifests s ON s.id = k.manifest
  CROSS JOIN needs n ON n.image_id = k.image AND n.digest = s.digest AND n.kind = 3
  CROSS JOIN manifests m ON m.id = n.manifest_id WHERE m.removed_at IS NULL
),
needed(repository, digest, how) AS ( -- 2 by what is kept, 1 by what is untagged, 0 by what was deleted
  SELECT h.repository, n.digest, max(iif(m.removed_at IS NULL, 1 + (m.id IN (SELECT manifest FROM kept)), 0))
  FROM there h CROSS JOIN needs n ON n.image_id = h.image CROSS JOIN manifests m ON m.id = n.manifest_id
  WHERE n.kind < 3 GROUP BY 1, 2
),
held(repository, blob, is_there) AS (
  SELECT c.id, l.blob_id, max(i.removed_at IS NULL AND l.removed_at IS NULL)
  FROM chosen c CROSS JOIN images i ON i.repository_id = c.id CROSS JOIN links l ON l.image_id = i.id GROUP BY 1, 2
)
SELECT h.repository,
  coalesce(sum(b.size) FILTER (WHERE h.is_there AND n.how = 2), 0),
  coalesce(sum(b.size) FILTER (WHERE h.is_there AND n.how = 1), 0),
  coalesce(sum(b.size) FILTER (WHERE h.is_there AND n.how IS NULL), 0),
  coalesce(sum(b.size) FILTER (WHERE h.is_there AND n.how IS NOT 0 AND EXISTS (
    SELECT 1 FROM links o JOIN images j ON j.id = o.image_id
    WHERE o.blob_id = h.blob AND o.removed_at IS NULL AND j.removed_at IS NULL AND j.repository_id <> h.repository
  )), 0),
  coalesce(sum(b.size) FILTER (WHERE NOT h.is_there OR n.how = 0), 0)
FROM held h JOIN blobs b ON b.id = h.blob
LEFT JOIN needed n ON n.repository = h.repository AND n.digest = b.digest
GROUP BY h.repository
"""


def measure(reader: Reader, repositories: Sequence[RepositoryId]) -> dict[RepositoryId, RepositoryUsage]:
    """Return what each of `repositories` uses. It reads all their links and needs: for a worker thread, and a page."""
    ids = msgspec.json.encode(list(repositories)).decode()
    found = {RepositoryId(row[0]): RepositoryUsage(*row[1:]) for row in reader.rows(_MEASURE, {"ids": ids})}
    return {one: found.get(one, RepositoryUsage()) for one in repositories}
