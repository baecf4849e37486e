-- Registries as the manual has them, resource tags, and what each registry uses.

ALTER TABLE registries ADD COLUMN endpoint TEXT NOT NULL DEFAULT 'private' CHECK (endpoint IN ('private', 'private+public'));
ALTER TABLE registries ADD COLUMN private_access_control INTEGER NOT NULL DEFAULT 0; -- 1: by its allowlist
ALTER TABLE registries ADD COLUMN public_access_control INTEGER NOT NULL DEFAULT 0;
ALTER TABLE registries ADD COLUMN port INTEGER CHECK (port BETWEEN 1 AND 65535); -- of a listener of its own
ALTER TABLE registries ADD COLUMN quota_bytes INTEGER CHECK (quota_bytes >= 0);
ALTER TABLE registries ADD COLUMN quota_images INTEGER CHECK (quota_images >= 0);
ALTER TABLE registries ADD COLUMN managed INTEGER NOT NULL DEFAULT 0; -- declared in scr.toml
ALTER TABLE registries ADD COLUMN revision INTEGER NOT NULL DEFAULT 1; -- grows with every edit: its ETag
ALTER TABLE registries ADD COLUMN ready_at INTEGER; -- NULL: what its creation does outside of here is not done yet
ALTER TABLE registries ADD COLUMN purging INTEGER NOT NULL DEFAULT 0; -- removed, and its data has begun to go: no way back
UPDATE registries SET ready_at = created_at;
CREATE UNIQUE INDEX registries_by_port ON registries (port) WHERE port IS NOT NULL AND removed_at IS NULL;
CREATE INDEX registries_by_creation ON registries (created_at, id) WHERE removed_at IS NULL;
CREATE INDEX registries_by_change ON registries (modified_at, id) WHERE removed_at IS NULL;
CREATE INDEX registries_removed ON registries (removed_at) WHERE removed_at IS NOT NULL;

ALTER TABLE repositories ADD COLUMN managed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE repositories ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
ALTER TABLE repositories ADD COLUMN purging INTEGER NOT NULL DEFAULT 0;
CREATE INDEX repositories_by_creation ON repositories (registry_id, created_at, id) WHERE removed_at IS NULL;
CREATE INDEX repositories_by_change ON repositories (registry_id, modified_at, id) WHERE removed_at IS NULL;
CREATE INDEX repositories_managed ON repositories (id) WHERE managed;
CREATE INDEX repositories_leaving ON repositories (registry_id, name) WHERE removed_at IS NOT NULL;
CREATE INDEX repositories_by_removal ON repositories (registry_id, removed_at, id) WHERE removed_at IS NOT NULL;

-- How many images a repository has, and whether it has any, without a look at their rows.
CREATE INDEX images_shown ON images (repository_id) WHERE shown_at IS NOT NULL AND removed_at IS NULL;

-- Key and value pairs that a person gives a resource: `resourceTags` in the API, never an image's tags.
CREATE TABLE resource_tags (
  kind INTEGER NOT NULL, -- 1 registry, 2 repository, 3 image
  resource_id INTEGER NOT NULL,
  key TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 128),
  value TEXT NOT NULL CHECK (length(value) <= 256),
  PRIMARY KEY (kind, resource_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX resource_tags_by_key ON resource_tags (kind, key, value, resource_id);
CREATE TRIGGER resource_tags_of_registry AFTER DELETE ON registries BEGIN
  DELETE FROM resource_tags WHERE kind = 1 AND resource_id = OLD.id;
END;
CREATE TRIGGER resource_tags_of_repository AFTER DELETE ON repositories BEGIN
  DELETE FROM resource_tags WHERE kind = 2 AND resource_id = OLD.id;
END;
CREATE TRIGGER resource_tags_of_image AFTER DELETE ON images BEGIN
  DELETE FROM resource_tags WHERE kind = 3 AND resource_id = OLD.id;
END;

-- What a registry uses: quotas and lists read it, nothing is collected by it (links and needs alone decide that).
-- Triggers keep it, so that every way to a link or a manifest counts, and `scr verify` counts again.
CREATE TABLE registry_usage (
  registry_id INTEGER PRIMARY KEY REFERENCES registries (id) ON DELETE CASCADE,
  blob_bytes INTEGER NOT NULL DEFAULT 0, -- every blob once: what it would take alone
  sole_bytes INTEGER NOT NULL DEFAULT 0, -- of these, blobs that no other registry uses: what deleting it would free
  apparent_bytes INTEGER NOT NULL DEFAULT 0, -- every blob once for each image that uses it
  manifest_bytes INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO registry_usage (registry_id) SELECT id FROM registries;
CREATE TRIGGER usage_of_registry AFTER INSERT ON registries BEGIN
  INSERT INTO registry_usage (registry_id) VALUES (NEW.id);
END;

CREATE TABLE registry_blobs (
  registry_id INTEGER NOT NULL REFERENCES registries (id),
  blob_id INTEGER NOT NULL REFERENCES blobs (id),
  links INTEGER NOT NULL, -- images of the registry that may use it, or could until a moment ago
  PRIMARY KEY (registry_id, blob_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX registry_blobs_by_blob ON registry_blobs (blob_id);

CREATE TRIGGER usage_of_blob AFTER INSERT ON registry_blobs BEGIN
  UPDATE registry_usage SET blob_bytes = blob_bytes + (SELECT size FROM blobs WHERE id = NEW.blob_id)
  WHERE registry_id = NEW.registry_id;
  -- the first holder has it alone; with the second, the first one does not any more
  UPDATE registry_usage SET sole_bytes = sole_bytes + (SELECT size FROM blobs WHERE id = NEW.blob_id)
  WHERE registry_id = NEW.registry_id
    AND NOT EXISTS (SELECT 1 FROM registry_blobs WHERE blob_id = NEW.blob_id AND registry_id <> NEW.registry_id);
  UPDATE registry_usage SET sole_bytes = sole_bytes - (SELECT size FROM blobs WHERE id = NEW.blob_id)
  WHERE registry_id = (SELECT registry_id FROM registry_blobs WHERE blob_id = NEW.blob_id AND registry_id <> NEW.registry_id)
    AND (SELECT count(*) FROM (SELECT 1 FROM registry_blobs WHERE blob_id = NEW.blob_id LIMIT 3)) = 2;
END;
CREATE TRIGGER usage_without_blob AFTER DELETE ON registry_blobs BEGIN
  UPDATE registry_usage SET blob_bytes = blob_bytes - (SELECT size FROM blobs WHERE id = OLD.blob_id)
  WHERE registry_id = OLD.registry_id;
  UPDATE registry_usage SET sole_bytes = sole_bytes - (SELECT size FROM blobs WHERE id = OLD.blob_id)
  WHERE registry_id = OLD.registry_id AND NOT EXISTS (SELECT 1 FROM registry_blobs WHERE blob_id = OLD.blob_id);
  UPDATE registry_usage SET sole_bytes = sole_bytes + (SELECT size FROM blobs WHERE id = OLD.blob_id)
  WHERE registry_id = (SELECT registry_id FROM registry_blobs WHERE blob_id = OLD.blob_id)
    AND (SELECT count(*) FROM (SELECT 1 FROM registry_blobs WHERE blob_id = OLD.blob_id LIMIT 2)) = 1;
END;
CREATE TRIGGER usage_of_link AFTER INSERT ON links BEGIN
  UPDATE registry_usage SET apparent_bytes = apparent_bytes + (SELECT size FROM blobs WHERE id = NEW.blob_id)
  WHERE registry_id = (SELECT registry_id FROM images WHERE id = NEW.image_id);
  INSERT INTO registry_blobs (registry_id, blob_id, links)
  SELECT registry_id, NEW.blob_id, 1 FROM images WHERE id = NEW.image_id
  ON CONFLICT (registry_id, blob_id) DO UPDATE SET links = links + 1;
END;
CREATE TRIGGER usage_without_link AFTER DELETE ON links BEGIN
  UPDATE registry_usage SET apparent_bytes = apparent_bytes - (SELECT size FROM blobs WHERE id = OLD.blob_id)
  WHERE registry_id = (SELECT registry_id FROM images WHERE id = OLD.image_id);
  UPDATE registry_blobs SET links = links - 1
  WHERE registry_id = (SELECT registry_id FROM images WHERE id = OLD.image_id) AND blob_id = OLD.blob_id;
  DELETE FROM registry_blobs
  WHERE registry_id = (SELECT registry_id FROM images WHERE id = OLD.image_id) AND blob_id = OLD.blob_id AND links = 0;
END;
CREATE TRIGGER usage_of_manifest AFTER INSERT ON manifests BEGIN
  UPDATE registry_usage SET manifest_bytes = manifest_bytes + length(NEW.body)
  WHERE registry_id = (SELECT registry_id FROM images WHERE id = NEW.image_id);
END;
CREATE TRIGGER usage_without_manifest AFTER DELETE ON manifests BEGIN
  UPDATE registry_usage SET manifest_bytes = manifest_bytes - length(OLD.body)
  WHERE registry_id = (SELECT registry_id FROM images WHERE id = OLD.image_id);
END;

-- what was there before the triggers
INSERT INTO registry_blobs (registry_id, blob_id, links)
SELECT i.registry_id, l.blob_id, count(*) FROM links l JOIN images i ON i.id = l.image_id GROUP BY i.registry_id, l.blob_id;
UPDATE registry_usage SET
  apparent_bytes = (SELECT coalesce(sum(b.size), 0) FROM links l JOIN images i ON i.id = l.image_id
                    JOIN blobs b ON b.id = l.blob_id WHERE i.registry_id = registry_usage.registry_id),
  manifest_bytes = (SELECT coalesce(sum(length(m.body)), 0) FROM manifests m JOIN images i ON i.id = m.image_id
                    WHERE i.registry_id = registry_usage.registry_id);
