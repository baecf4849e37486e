-- What lists show beside each entry, kept in its row: an image may have more tags than a page has time to count.
-- Triggers keep it, so that every way to a tag, a manifest, a link or an image counts, and `scr verify` counts again.

ALTER TABLE images ADD COLUMN manifests INTEGER NOT NULL DEFAULT 0; -- that are not removed
ALTER TABLE images ADD COLUMN tags INTEGER NOT NULL DEFAULT 0;
ALTER TABLE images ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0; -- of the blobs that it may use
ALTER TABLE repositories ADD COLUMN images INTEGER NOT NULL DEFAULT 0; -- that are shown
ALTER TABLE registry_usage ADD COLUMN repositories INTEGER NOT NULL DEFAULT 0; -- that are not removed
ALTER TABLE registry_usage ADD COLUMN images INTEGER NOT NULL DEFAULT 0; -- of these repositories, that are shown

-- what was there before the triggers
UPDATE images SET
  manifests = (SELECT count(*) FROM manifests m WHERE m.image_id = images.id AND m.removed_at IS NULL),
  tags = (SELECT count(*) FROM tags t WHERE t.image_id = images.id),
  bytes = (SELECT coalesce(sum(b.size), 0) FROM links l JOIN blobs b ON b.id = l.blob_id
           WHERE l.image_id = images.id AND l.removed_at IS NULL);
UPDATE repositories SET
  images = (SELECT count(*) FROM images i
            WHERE i.repository_id = repositories.id AND i.shown_at IS NOT NULL AND i.removed_at IS NULL);
UPDATE registry_usage SET (repositories, images) = (
  SELECT count(*), coalesce(sum(r.images), 0) FROM repositories r
  WHERE r.registry_id = registry_usage.registry_id AND r.removed_at IS NULL);

CREATE TRIGGER count_tag AFTER INSERT ON tags BEGIN
  UPDATE images SET tags = tags + 1 WHERE id = NEW.image_id;
END;
CREATE TRIGGER count_without_tag AFTER DELETE ON tags BEGIN
  UPDATE images SET tags = tags - 1 WHERE id = OLD.image_id;
END;

CREATE TRIGGER count_manifest AFTER INSERT ON manifests WHEN NEW.removed_at IS NULL BEGIN
  UPDATE images SET manifests = manifests + 1 WHERE id = NEW.image_id;
END;
CREATE TRIGGER count_without_manifest AFTER DELETE ON manifests WHEN OLD.removed_at IS NULL BEGIN
  UPDATE images SET manifests = manifests - 1 WHERE id = OLD.image_id;
END;
CREATE TRIGGER count_removed_manifest AFTER UPDATE OF removed_at ON manifests
WHEN (OLD.removed_at IS NULL) <> (NEW.removed_at IS NULL) BEGIN
  UPDATE images SET manifests = manifests + iif(NEW.removed_at IS NULL, 1, -1) WHERE id = NEW.image_id;
END;

CREATE TRIGGER count_link AFTER INSERT ON links WHEN NEW.removed_at IS NULL BEGIN
  UPDATE images SET bytes = bytes + (SELECT size FROM blobs WHERE id = NEW.blob_id) WHERE id = NEW.image_id;
END;
CREATE TRIGGER count_without_link AFTER DELETE ON links WHEN OLD.removed_at IS NULL BEGIN
  UPDATE images SET bytes = bytes - (SELECT size FROM blobs WHERE id = OLD.blob_id) WHERE id = OLD.image_id;
END;
CREATE TRIGGER count_removed_link AFTER UPDATE OF removed_at ON links
WHEN (OLD.removed_at IS NULL) <> (NEW.removed_at IS NULL) BEGIN
  UPDATE images SET bytes = bytes + iif(NEW.removed_at IS NULL, 1, -1) * (SELECT size FROM blobs WHERE id = NEW.blob_id)
  WHERE id = NEW.image_id;
END;

CREATE TRIGGER count_image AFTER INSERT ON images WHEN NEW.shown_at IS NOT NULL AND NEW.removed_at IS NULL BEGIN
  UPDATE repositories SET images = images + 1 WHERE id = NEW.repository_id;
END;
CREATE TRIGGER count_without_image AFTER DELETE ON images WHEN OLD.shown_at IS NOT NULL AND OLD.removed_at IS NULL BEGIN
  UPDATE repositories SET images = images - 1 WHERE id = OLD.repository_id;
END;
CREATE TRIGGER count_shown_image AFTER UPDATE OF shown_at, removed_at ON images
WHEN (OLD.shown_at IS NOT NULL AND OLD.removed_at IS NULL) <> (NEW.shown_at IS NOT NULL AND NEW.removed_at IS NULL) BEGIN
  UPDATE repositories SET images = images + iif(NEW.shown_at IS NOT NULL AND NEW.removed_at IS NULL, 1, -1)
  WHERE id = NEW.repository_id;
END;

CREATE TRIGGER count_repository AFTER INSERT ON repositories WHEN NEW.removed_at IS NULL BEGIN
  UPDATE registry_usage SET repositories = repositories + 1, images = images + NEW.images
  WHERE registry_id = NEW.registry_id;
END;
CREATE TRIGGER count_without_repository AFTER DELETE ON repositories WHEN OLD.removed_at IS NULL BEGIN
  UPDATE registry_usage SET repositories = repositories - 1, images = images - OLD.images
  WHERE registry_id = OLD.registry_id;
END;
CREATE TRIGGER count_changed_repository AFTER UPDATE OF removed_at, images ON repositories BEGIN
  UPDATE registry_usage SET
    repositories = repositories + (NEW.removed_at IS NULL) - (OLD.removed_at IS NULL),
    images = images + iif(NEW.removed_at IS NULL, NEW.images, 0) - iif(OLD.removed_at IS NULL, OLD.images, 0)
  WHERE registry_id = NEW.registry_id;
END;
