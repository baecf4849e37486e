-- Who did what, by whatever somebody asks for; what the manual counts, minute by minute.

ALTER TABLE activity ADD COLUMN client TEXT NOT NULL DEFAULT ''; -- the user agent, cut and printable
ALTER TABLE activity ADD COLUMN subject TEXT NOT NULL DEFAULT ''; -- what is no registry, repository or image: 'user:ann'
CREATE INDEX activity_by_registry ON activity (registry_id, seq) WHERE registry_id IS NOT NULL;
CREATE INDEX activity_by_subject ON activity (subject, seq) WHERE subject <> '';
CREATE INDEX activity_by_principal ON activity (principal, seq);
CREATE INDEX activity_by_kind ON activity (kind, seq);

-- Every happening is added to its minute, its hour and its day at once, so that no roll-up has to come later; each span
-- is kept for its own time. A registry without a row in a span had nothing to count.
CREATE TABLE counted (
  registry_id INTEGER NOT NULL,
  span INTEGER NOT NULL, -- milliseconds: a minute, an hour, a day
  at INTEGER NOT NULL, -- when the span begins (UTC)
  pulls INTEGER NOT NULL,
  pulls_denied INTEGER NOT NULL,
  pushes INTEGER NOT NULL,
  pushes_denied INTEGER NOT NULL,
  scans INTEGER NOT NULL,
  scans_denied INTEGER NOT NULL,
  tags_deleted INTEGER NOT NULL,
  images_created INTEGER NOT NULL,
  images_deleted INTEGER NOT NULL,
  logins INTEGER NOT NULL,
  logins_denied INTEGER NOT NULL,
  repositories_created INTEGER NOT NULL,
  repositories_deleted INTEGER NOT NULL,
  PRIMARY KEY (registry_id, span, at)
) STRICT, WITHOUT ROWID;
CREATE INDEX counted_by_age ON counted (span, at);

-- When a registry served: `until` is moved on every minute, so a crash leaves at most one unsaid.
CREATE TABLE alive (
  registry_id INTEGER NOT NULL,
  since INTEGER NOT NULL,
  until INTEGER NOT NULL,
  PRIMARY KEY (registry_id, since)
) STRICT, WITHOUT ROWID;
CREATE INDEX alive_by_age ON alive (until);

ALTER TABLE registries ADD COLUMN log_traffic INTEGER NOT NULL DEFAULT 0; -- 1: its pulls and pushes are kept, in logs.sqlite
