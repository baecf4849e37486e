-- What people and documents accepted in a place goes with it: nothing can be matched there any more.

CREATE INDEX vex_documents_by_image ON vex_documents (image_id);
CREATE INDEX vex_documents_by_repository ON vex_documents (repository_id) WHERE image_id IS NULL;
CREATE INDEX vex_documents_by_registry ON vex_documents (registry_id) WHERE repository_id IS NULL;

-- A repository goes after its images, a registry after its repositories, so each has only what was said of itself left.
CREATE TRIGGER findings_of_image AFTER DELETE ON images BEGIN
  DELETE FROM accepted_findings WHERE image_id = OLD.id;
  DELETE FROM vex_documents WHERE image_id = OLD.id;
END;
CREATE TRIGGER findings_of_repository AFTER DELETE ON repositories BEGIN
  DELETE FROM accepted_findings WHERE repository_id = OLD.id AND image_id IS NULL;
  DELETE FROM vex_documents WHERE repository_id = OLD.id AND image_id IS NULL;
END;
CREATE TRIGGER findings_of_registry AFTER DELETE ON registries BEGIN
  DELETE FROM accepted_findings WHERE registry_id = OLD.id AND repository_id IS NULL;
  DELETE FROM vex_documents WHERE registry_id = OLD.id AND repository_id IS NULL;
END;

-- of places that went before
DELETE FROM accepted_findings WHERE image_id NOT IN (SELECT id FROM images)
  OR repository_id NOT IN (SELECT id FROM repositories) OR registry_id NOT IN (SELECT id FROM registries);
DELETE FROM vex_documents WHERE image_id NOT IN (SELECT id FROM images)
  OR repository_id NOT IN (SELECT id FROM repositories) OR registry_id NOT IN (SELECT id FROM registries);
