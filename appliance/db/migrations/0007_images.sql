-- Images and tags as lists sort them, what holds and limits them, what was deleted together, when tag deletion is due.

ALTER TABLE images ADD COLUMN revision INTEGER NOT NULL DEFAULT 1; -- grows with every edit: its ETag
ALTER TABLE images ADD COLUMN purging INTEGER NOT NULL DEFAULT 0; -- removed, and its data has begun to go: no way back
ALTER TABLE images ADD COLUMN limited INTEGER NOT NULL DEFAULT 0; -- its policy limits pulls: others cost a pull nothing
ALTER TABLE images ADD COLUMN retention_at INTEGER; -- when tag deletion is due; NULL: it is off
ALTER TABLE images ADD COLUMN pushed_at INTEGER; -- the newest push
UPDATE images SET pushed_at = (SELECT max(m.pushed_at) FROM manifests m WHERE m.image_id = images.id);
CREATE INDEX images_by_push ON images (registry_id, pushed_at, id) WHERE shown_at IS NOT NULL AND removed_at IS NULL;
CREATE INDEX images_by_pulls ON images (registry_id, pulls, id) WHERE shown_at IS NOT NULL AND removed_at IS NULL;
CREATE INDEX images_by_creation ON images (registry_id, created_at, id) WHERE shown_at IS NOT NULL AND removed_at IS NULL;
CREATE INDEX images_purging ON images (repository_id) WHERE purging;
CREATE INDEX images_locked ON images (repository_id) WHERE locked;
CREATE INDEX images_retention ON images (retention_at) WHERE retention_at IS NOT NULL AND removed_at IS NULL;

ALTER TABLE tags ADD COLUMN sort_key TEXT NOT NULL DEFAULT ''; -- of its name: 1.9 before 1.10
UPDATE tags SET sort_key = natural_key(name);
CREATE INDEX tags_by_order ON tags (image_id, sort_key, name);
CREATE INDEX tags_by_push ON tags (image_id, pushed_at, name);
CREATE INDEX tags_locked ON tags (image_id, name) WHERE locked;

CREATE INDEX manifests_by_push ON manifests (image_id, pushed_at, id) WHERE removed_at IS NULL;

-- A row that others refer to is looked up in each of them before it goes: by index, or every purge reads whole tables.
CREATE INDEX repositories_by_registry ON repositories (registry_id);
CREATE INDEX images_by_repository ON images (repository_id);

-- Needs refer to their manifests without a foreign key: an index for it would be as large as the table. Whoever deletes a
-- manifest deletes its needs with it, which its body names.
CREATE TABLE needs_without_key (
  image_id INTEGER NOT NULL REFERENCES images (id),
  digest BLOB NOT NULL,
  kind INTEGER NOT NULL, -- 1 blob, 2 manifest (or blob, in an index), 3 subject
  manifest_id INTEGER NOT NULL, -- of manifests
  artifact_type TEXT, -- kind 3 only
  PRIMARY KEY (image_id, digest, kind, manifest_id)
) STRICT, WITHOUT ROWID;
INSERT INTO needs_without_key SELECT image_id, digest, kind, manifest_id, artifact_type FROM needs;
DROP TABLE needs;
ALTER TABLE needs_without_key RENAME TO needs;
CREATE INDEX needs_by_artifact_type ON needs (image_id, digest, artifact_type, manifest_id) WHERE kind = 3;

-- What a manifest has to do with others of its image, without its blobs: the children and the subject of each.
CREATE INDEX needs_of_manifest ON needs (image_id, manifest_id, kind, digest) WHERE kind > 1;

-- What was deleted by one act, until collection takes it: all of it can come back together.
CREATE TABLE deletions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  public_id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind IN ('tag', 'manifest', 'image', 'repository', 'retention')),
  registry_id INTEGER NOT NULL,
  repository_id INTEGER NOT NULL,
  image_id INTEGER, -- NULL: of a whole repository
  path TEXT NOT NULL, -- of the image, or the repository's name
  tags INTEGER NOT NULL DEFAULT 0,
  manifests INTEGER NOT NULL DEFAULT 0,
  deleted_at INTEGER NOT NULL,
  deleted_by TEXT NOT NULL
) STRICT;
CREATE INDEX deletions_by_registry ON deletions (registry_id, id);
CREATE INDEX deletions_by_path ON deletions (registry_id, path, id);
CREATE INDEX deletions_by_time ON deletions (deleted_at);

CREATE TABLE deleted_manifests (
  deletion_id INTEGER NOT NULL REFERENCES deletions (id),
  manifest_id INTEGER NOT NULL, -- may be gone: then so is the way back
  PRIMARY KEY (deletion_id, manifest_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE deleted_tags (
  deletion_id INTEGER NOT NULL REFERENCES deletions (id),
  name TEXT NOT NULL,
  digest BLOB NOT NULL,
  PRIMARY KEY (deletion_id, name)
) STRICT, WITHOUT ROWID;

-- What the pull limit knows of a manifest. No row: it was never scanned.
CREATE TABLE scan_summaries (
  manifest_id INTEGER PRIMARY KEY REFERENCES manifests (id) ON DELETE CASCADE,
  state TEXT NOT NULL CHECK (state IN ('queued', 'failed', 'partial', 'no data', 'complete')),
  scanned_at INTEGER, -- of what `summary` tells
  summary TEXT NOT NULL DEFAULT '' -- JSON: counts by severity, language and fix
) STRICT;
