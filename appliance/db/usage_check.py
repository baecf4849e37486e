"""Whether what triggers keep (0003_registries.sql, 0012_kept_counts.sql) is what the counted rows add up to."""

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
   WHERE i.registry_id = g.id) AS manifest_bytes,
  (SELECT count(*) FROM repositories r WHERE r.registry_id = g.id AND r.removed_at IS NULL) AS repositories,
  (SELECT count(*) FROM repositories r CROSS JOIN images i ON i.repository_id = r.id
   WHERE r.registry_id = g.id AND r.removed_at IS NULL AND i.shown_at IS NOT NULL AND i.removed_at IS NULL) AS images
FROM registries g
"""
_KEPT = ("blob_bytes", "sole_bytes", "apparent_bytes", "manifest_bytes", "repositories", "images")
_COLUMNS = ", ".join(("registry_id", *_KEPT))
_IN_IMAGE = """
(SELECT count(*) FROM manifests m WHERE m.image_id = images.id AND m.removed_at IS NULL),
(SELECT count(*) FROM tags t WHERE t.image_id = images.id),
(SELECT coalesce(sum(b.size), 0) FROM links l JOIN blobs b ON b.id = l.blob_id
 WHERE l.image_id = images.id AND l.removed_at IS NULL)
"""
_IN_REPOSITORY = """
(SELECT count(*) FROM images i WHERE i.repository_id = repositories.id AND i.shown_at IS NOT NULL
 AND i.removed_at IS NULL)
"""
_WRONG_REGISTRY = f"""
SELECT 'registry ' || c.name FROM ({_COUNTED}) c LEFT JOIN registry_usage u ON u.registry_id = c.registry_id
WHERE ({", ".join(f"u.{name}" for name in _KEPT)}) IS NOT ({", ".join(f"c.{name}" for name in _KEPT)}) ORDER BY 1
"""
_WRONG = (
    _WRONG_REGISTRY,
    f"SELECT 'repository ' || name FROM repositories WHERE images <> {_IN_REPOSITORY} ORDER BY 1",
    f"SELECT 'image ' || path FROM images WHERE (manifests, tags, bytes) <> ({_IN_IMAGE}) ORDER BY 1",
)


def list_wrong(reader: Reader) -> list[str]:
    """Return whose use is counted wrongly: "registry local", "image pay/api".

    It reads every link, tag and manifest: for a worker thread.
    """
    return [row[0] for sql in _WRONG for row in reader.rows(sql)]


def recount(tx: Transaction) -> None:
    """Count all of it anew. It reads every link, tag and manifest, and nothing is written meanwhile."""
    tx.execute("DELETE FROM registry_blobs")
    tx.execute(
        "INSERT INTO registry_blobs (registry_id, blob_id, links)"
        " SELECT i.registry_id, l.blob_id, count(*) FROM links l JOIN images i ON i.id = l.image_id"
        " GROUP BY i.registry_id, l.blob_id"
    )
    tx.execute(f"UPDATE images SET (manifests, tags, bytes) = (SELECT {_IN_IMAGE})")
    tx.execute(f"UPDATE repositories SET images = {_IN_REPOSITORY}")
    # last: the triggers of those above have counted from where it was wrong
    tx.execute(f"INSERT OR REPLACE INTO registry_usage ({_COLUMNS}) SELECT {_COLUMNS} FROM ({_COUNTED})")
