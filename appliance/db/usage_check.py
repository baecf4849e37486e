"""Whether the use of registries, which triggers keep (0003_registries.sql), is what links and manifests add up to."""

from appliance.db.database import Reader, Transaction

_OWN = "SELECT l.blob_id FROM images i JOIN links l ON l.image_id = i.id WHERE i.registry_id = g.id"
_COUNTED = f"""
SELECT g.id AS registry_id, g.name AS name,
  (SELECT coalesce(sum(b.size), 0) FROM blobs b WHERE b.id IN ({_OWN})) AS blob_bytes,
  (SELECT coalesce(sum(b.size), 0) FROM blobs b WHERE b.id IN ({_OWN}) AND NOT EXISTS (
     SELECT 1 FROM links o JOIN images j ON j.id = o.image_id WHERE o.blob_id = b.id AND j.registry_id <> g.id)
  ) AS sole_bytes,
  (SELECT coalesce(sum(b.size), 0) FROM images i JOIN links l ON l.image_id = i.id JOIN blobs b ON b.id = l.blob_id
   WHERE i.registry_id = g.id) AS apparent_bytes,
  (SELECT coalesce(sum(length(m.body)), 0) FROM images i JOIN manifests m ON m.image_id = i.id
   WHERE i.registry_id = g.id) AS manifest_bytes
FROM registries g
"""
_WRONG = f"""
SELECT c.name FROM ({_COUNTED}) c LEFT JOIN registry_usage u ON u.registry_id = c.registry_id
WHERE (u.blob_bytes, u.sole_bytes, u.apparent_bytes, u.manifest_bytes)
  IS NOT (c.blob_bytes, c.sole_bytes, c.apparent_bytes, c.manifest_bytes)
ORDER BY c.name
"""


def list_wrong(reader: Reader) -> list[str]:
    """Return the names of registries whose use is counted wrongly. It reads every link: for a worker thread."""
    return [row[0] for row in reader.rows(_WRONG)]


def recount(tx: Transaction) -> None:
    """Count the use of every registry anew. It reads every link, and nothing is written meanwhile."""
    tx.execute("DELETE FROM registry_blobs")
    tx.execute(
        "INSERT INTO registry_blobs (registry_id, blob_id, links)"
        " SELECT i.registry_id, l.blob_id, count(*) FROM links l JOIN images i ON i.id = l.image_id"
        " GROUP BY i.registry_id, l.blob_id"
    )
    # last: the triggers of the two above have counted from where it was wrong
    tx.execute(
        "INSERT OR REPLACE INTO registry_usage (registry_id, blob_bytes, sole_bytes, apparent_bytes, manifest_bytes)"
        f" SELECT registry_id, blob_bytes, sole_bytes, apparent_bytes, manifest_bytes FROM ({_COUNTED})"
    )
