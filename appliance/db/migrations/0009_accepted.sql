-- Findings that somebody has accepted: they are told, and do not count.

CREATE TABLE accepted_findings (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  public_id TEXT NOT NULL UNIQUE,
  vulnerability TEXT NOT NULL, -- id, in upper case
  package TEXT NOT NULL, -- its name; '' for whichever has it
  registry_id INTEGER, -- NULL: everywhere
  repository_id INTEGER, -- NULL: all of the registry
  image_id INTEGER, -- NULL: all of the repository
  reason TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  expires_at INTEGER -- NULL: never
) STRICT;
CREATE INDEX accepted_by_image ON accepted_findings (image_id, vulnerability);
CREATE INDEX accepted_by_repository ON accepted_findings (repository_id, vulnerability) WHERE image_id IS NULL;
CREATE INDEX accepted_by_registry ON accepted_findings (registry_id, vulnerability) WHERE repository_id IS NULL;
