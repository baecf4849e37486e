-- Registries, repositories, images; manifests, tags and their history; blobs and who may use them; activity.
-- Times are unix milliseconds UTC. Digests are one byte for the algorithm (1 sha256, 2 sha512), then the hash.
-- `removed_at`: taken away from readers at once, its bytes still owned until the recycle time ends.

CREATE TABLE facts (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE registries (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  public_id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  visibility TEXT NOT NULL DEFAULT 'private' CHECK (visibility IN ('private', 'public')),
  description TEXT NOT NULL DEFAULT '',
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  modified_at INTEGER NOT NULL,
  modified_by TEXT NOT NULL,
  removed_at INTEGER
) STRICT;
CREATE UNIQUE INDEX registries_by_name ON registries (name) WHERE removed_at IS NULL;

CREATE TABLE repositories (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  public_id TEXT NOT NULL UNIQUE,
  registry_id INTEGER NOT NULL REFERENCES registries (id),
  name TEXT NOT NULL,
  sort_key TEXT NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  policy TEXT NOT NULL, -- JSON: the template of new images
  locked INTEGER NOT NULL DEFAULT 0,
  by_push INTEGER NOT NULL DEFAULT 0, -- made by a first push
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  modified_at INTEGER NOT NULL,
  modified_by TEXT NOT NULL,
  removed_at INTEGER
) STRICT;
CREATE UNIQUE INDEX repositories_by_name ON repositories (registry_id, name) WHERE removed_at IS NULL;
CREATE INDEX repositories_removed ON repositories (removed_at) WHERE removed_at IS NOT NULL;

CREATE TABLE images (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  public_id TEXT NOT NULL UNIQUE,
  registry_id INTEGER NOT NULL REFERENCES registries (id),
  repository_id INTEGER NOT NULL REFERENCES repositories (id),
  name TEXT NOT NULL,
  path TEXT NOT NULL, -- '<repository>/<image>', for one look-up by name and for the catalogue's order
  sort_key TEXT NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  policy TEXT NOT NULL, -- JSON: the repository's template, copied when the image was made
  locked INTEGER NOT NULL DEFAULT 0,
  pulls INTEGER NOT NULL DEFAULT 0,
  last_pulled_at INTEGER,
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  modified_at INTEGER NOT NULL,
  modified_by TEXT NOT NULL,
  shown_at INTEGER, -- the first manifest; until then the image is invisible
  removed_at INTEGER
) STRICT;
CREATE UNIQUE INDEX images_by_name ON images (repository_id, name) WHERE removed_at IS NULL;
CREATE INDEX images_by_path ON images (registry_id, path);
CREATE INDEX images_removed ON images (removed_at) WHERE removed_at IS NOT NULL;
CREATE INDEX images_hidden ON images (created_at) WHERE shown_at IS NULL;

CREATE TABLE manifests (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  image_id INTEGER NOT NULL REFERENCES images (id),
  digest BLOB NOT NULL,
  generation TEXT NOT NULL, -- of its copy in the store
  media_type TEXT NOT NULL,
  artifact_type TEXT NOT NULL,
  config_media_type TEXT NOT NULL,
  subject BLOB,
  content_size INTEGER NOT NULL, -- bytes of its own blobs, as its descriptors say
  pushed_at INTEGER NOT NULL, -- first push to this image: retention counts from here
  pushed_by TEXT NOT NULL,
  pulls INTEGER NOT NULL DEFAULT 0,
  last_pulled_at INTEGER,
  removed_at INTEGER,
  body BLOB NOT NULL -- last: long rows spill here and nothing behind it is slowed down
) STRICT;
CREATE UNIQUE INDEX manifests_by_digest ON manifests (image_id, digest);
CREATE INDEX manifests_of_digest ON manifests (digest);
CREATE INDEX manifests_removed ON manifests (removed_at) WHERE removed_at IS NOT NULL;

-- What a manifest asks for, by digest: a missing child or subject resolves when it arrives.
-- The key serves "does this image need that digest" and "who refers to it"; no second index: a manifest's own needs
-- are read from its body.
CREATE TABLE needs (
  image_id INTEGER NOT NULL REFERENCES images (id),
  digest BLOB NOT NULL,
  kind INTEGER NOT NULL, -- 1 blob, 2 manifest (or blob, in an index), 3 subject
  manifest_id INTEGER NOT NULL REFERENCES manifests (id),
  artifact_type TEXT, -- kind 3 only
  PRIMARY KEY (image_id, digest, kind, manifest_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX needs_by_artifact_type ON needs (image_id, digest, artifact_type, manifest_id) WHERE kind = 3;

CREATE TABLE tags (
  image_id INTEGER NOT NULL REFERENCES images (id),
  name TEXT NOT NULL,
  manifest_id INTEGER NOT NULL REFERENCES manifests (id),
  seq INTEGER NOT NULL, -- of the activity that made it point here
  pushed_at INTEGER NOT NULL,
  pushed_by TEXT NOT NULL,
  locked INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (image_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX tags_by_manifest ON tags (manifest_id);

CREATE TABLE tag_history (
  image_id INTEGER NOT NULL,
  name TEXT NOT NULL,
  seq INTEGER NOT NULL, -- of the activity that made it point there: the order, never the clock
  digest BLOB NOT NULL,
  from_at INTEGER NOT NULL,
  until_at INTEGER NOT NULL,
  pushed_by TEXT NOT NULL,
  ended_by TEXT NOT NULL,
  reason TEXT NOT NULL, -- moved, deleted, manifest deleted, image deleted, ...
  PRIMARY KEY (image_id, name, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX tag_history_by_end ON tag_history (until_at);

CREATE TABLE blobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  digest BLOB NOT NULL UNIQUE,
  generation TEXT NOT NULL,
  driver TEXT NOT NULL,
  form TEXT NOT NULL, -- plain, e1
  size INTEGER NOT NULL,
  sealed_at INTEGER NOT NULL,
  quarantined_at INTEGER, -- not readable; the next push of it heals
  scrubbed_at INTEGER,
  sums BLOB NOT NULL -- CRC-32 of each MiB, 4 bytes big endian
) STRICT;
CREATE INDEX blobs_quarantined ON blobs (quarantined_at) WHERE quarantined_at IS NOT NULL;

-- The right of an image to use a blob, from an upload or a mount.
CREATE TABLE links (
  image_id INTEGER NOT NULL REFERENCES images (id),
  blob_id INTEGER NOT NULL REFERENCES blobs (id),
  since INTEGER NOT NULL,
  check_at INTEGER, -- when collection must look whether a manifest needs it; NULL: one did when it was last looked at
  removed_at INTEGER,
  PRIMARY KEY (image_id, blob_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX links_by_blob ON links (blob_id);
CREATE INDEX links_to_check ON links (check_at) WHERE check_at IS NOT NULL;

-- Generations whose bytes must go: condemn (commit), delete bytes, delete row.
CREATE TABLE condemned (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL CHECK (kind IN ('blob', 'manifest')),
  digest BLOB NOT NULL,
  generation TEXT NOT NULL,
  driver TEXT NOT NULL,
  size INTEGER NOT NULL,
  condemned_at INTEGER NOT NULL
) STRICT;

CREATE TABLE activity (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  principal TEXT NOT NULL,
  address TEXT NOT NULL,
  registry_id INTEGER,
  repository_id INTEGER,
  image_id INTEGER,
  detail TEXT NOT NULL -- JSON, {"v": 1, ...}
) STRICT;
CREATE INDEX activity_by_image ON activity (image_id, seq) WHERE image_id IS NOT NULL;
CREATE INDEX activity_by_repository ON activity (repository_id, seq) WHERE repository_id IS NOT NULL;
