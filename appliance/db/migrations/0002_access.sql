-- Who may sign in and what they may do: users and roles, groups, access policies, access keys, sign-ins that last.
-- Secrets are never kept: of keys, refresh tokens and sessions there is a SHA-256, of passwords a slow hash.

-- Grows with every change of what a decision rests on; caches of decisions are keyed by it.
CREATE TABLE access_epoch (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  value INTEGER NOT NULL
) STRICT;
INSERT INTO access_epoch (id, value) VALUES (1, 1);

CREATE TABLE principals (
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- never given again: what was made for a deleted one opens nothing
  public_id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind IN ('user', 'role')),
  name TEXT NOT NULL,
  sort_key TEXT NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  password_hash TEXT, -- argon2id, or bcrypt of an imported htpasswd; NULL: signs in by access keys only
  -- of the password: what an earlier one opened has ended. It begins anywhere, so that a token that was issued before a
  -- backup was restored never fits somebody who was made afterwards and got the same id.
  generation INTEGER NOT NULL DEFAULT (random() & 0xffffffffffff),
  sign_in TEXT NOT NULL, -- JSON: which methods open registry, api and console
  enabled INTEGER NOT NULL DEFAULT 1,
  managed INTEGER NOT NULL DEFAULT 0, -- declared in scr.toml
  last_used_at INTEGER, -- of the password; written late, may lack the last seconds before a crash
  last_used_from TEXT,
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  modified_at INTEGER NOT NULL,
  modified_by TEXT NOT NULL,
  UNIQUE (kind, name)
) STRICT;
CREATE INDEX principals_by_sort_key ON principals (kind, sort_key);
CREATE INDEX principals_by_creation ON principals (kind, created_at);

CREATE TABLE user_groups (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  public_id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL UNIQUE,
  sort_key TEXT NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  managed INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  modified_at INTEGER NOT NULL,
  modified_by TEXT NOT NULL
) STRICT;
CREATE INDEX user_groups_by_sort_key ON user_groups (sort_key);
CREATE INDEX user_groups_by_creation ON user_groups (created_at);

CREATE TABLE group_members (
  group_id INTEGER NOT NULL REFERENCES user_groups (id),
  principal_id INTEGER NOT NULL REFERENCES principals (id), -- users only
  managed INTEGER NOT NULL DEFAULT 0,
  since INTEGER NOT NULL,
  PRIMARY KEY (group_id, principal_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX group_members_by_principal ON group_members (principal_id);

CREATE TABLE access_policies (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  public_id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL UNIQUE,
  sort_key TEXT NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  document TEXT NOT NULL, -- JSON: the statements; of a built-in one the program has them
  version INTEGER NOT NULL DEFAULT 1,
  built_in INTEGER NOT NULL DEFAULT 0, -- cannot be changed
  managed INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  modified_at INTEGER NOT NULL,
  modified_by TEXT NOT NULL
) STRICT;
CREATE INDEX access_policies_by_sort_key ON access_policies (sort_key);
CREATE INDEX access_policies_by_creation ON access_policies (created_at);
INSERT INTO access_policies (public_id, name, sort_key, description, document, built_in,
                             created_at, created_by, modified_at, modified_by)
VALUES
  ('pullonly', 'ScrPullOnlyAccess', 'scrpullonlyaccess', 'sign in and pull everything', '', 1, 0, 'scr', 0, 'scr'),
  ('pullpushonly', 'ScrPullPushOnlyAccess', 'scrpullpushonlyaccess', 'sign in, pull and push everything', '', 1,
   0, 'scr', 0, 'scr'),
  ('viewonly', 'ScrViewOnlyAccess', 'scrviewonlyaccess', 'look at everything, in API and console', '', 1,
   0, 'scr', 0, 'scr'),
  ('full', 'ScrFullAccess', 'scrfullaccess', 'everything', '', 1, 0, 'scr', 0, 'scr');

CREATE TABLE policy_attachments (
  policy_id INTEGER NOT NULL REFERENCES access_policies (id),
  kind TEXT NOT NULL CHECK (kind IN ('user', 'role', 'group')),
  holder_id INTEGER NOT NULL, -- of principals, or of user_groups
  managed INTEGER NOT NULL DEFAULT 0,
  since INTEGER NOT NULL,
  PRIMARY KEY (policy_id, kind, holder_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX policy_attachments_by_holder ON policy_attachments (kind, holder_id);

-- A resource that a statement names alone (an SRN without a star) is meant by its id: whatever gets its name later
-- inherits nothing. Named before it exists, the first one of that name is meant.
CREATE TABLE policy_bindings (
  policy_id INTEGER NOT NULL REFERENCES access_policies (id),
  resource TEXT NOT NULL, -- registry/<name>[/repository/<name>[/image/<name>]]
  target INTEGER, -- id of the registry, repository or image; NULL: there has been none yet
  PRIMARY KEY (policy_id, resource)
) STRICT, WITHOUT ROWID;
CREATE INDEX policy_bindings_by_resource ON policy_bindings (resource);

CREATE TABLE access_keys (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  access_key TEXT NOT NULL UNIQUE,
  principal_id INTEGER NOT NULL REFERENCES principals (id),
  name TEXT NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  secret_hash BLOB NOT NULL, -- SHA-256
  generation INTEGER NOT NULL DEFAULT (random() & 0xffffffffffff), -- of the secret, as that of a password
  earlier_hash BLOB, -- the secret before the rotation, of the generation before this one ...
  earlier_until INTEGER, -- ... and how long both are good
  enabled INTEGER NOT NULL DEFAULT 1,
  expires_at INTEGER,
  managed INTEGER NOT NULL DEFAULT 0,
  last_used_at INTEGER, -- written late, may lack the last seconds before a crash
  last_used_from TEXT,
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  modified_at INTEGER NOT NULL,
  modified_by TEXT NOT NULL,
  UNIQUE (principal_id, name)
) STRICT;

-- Refresh tokens and console sessions: random, kept as SHA-256, good as long as the credential they came from.
CREATE TABLE sign_ins (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL CHECK (kind IN ('refresh', 'session')),
  hash BLOB NOT NULL UNIQUE,
  principal_id INTEGER NOT NULL REFERENCES principals (id),
  key_id INTEGER REFERENCES access_keys (id), -- NULL: by password
  generation INTEGER NOT NULL, -- of the credential
  registry_id INTEGER, -- refresh tokens
  address TEXT NOT NULL,
  client TEXT NOT NULL DEFAULT '',
  created_at INTEGER NOT NULL,
  used_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sign_ins_by_principal ON sign_ins (principal_id);
CREATE INDEX sign_ins_by_key ON sign_ins (key_id) WHERE key_id IS NOT NULL;
CREATE INDEX sign_ins_by_expiry ON sign_ins (expires_at);

-- Triggers, so that no way of making or removing a resource forgets what policies say about it.
CREATE TRIGGER registry_bound AFTER INSERT ON registries BEGIN
  UPDATE policy_bindings SET target = NEW.id WHERE target IS NULL AND resource = 'registry/' || NEW.name;
  UPDATE access_epoch SET value = value + 1;
END;
CREATE TRIGGER repository_bound AFTER INSERT ON repositories BEGIN
  UPDATE policy_bindings SET target = NEW.id WHERE target IS NULL
  AND resource = (SELECT 'registry/' || name FROM registries WHERE id = NEW.registry_id) || '/repository/' || NEW.name;
END;
CREATE TRIGGER image_bound AFTER INSERT ON images BEGIN
  UPDATE policy_bindings SET target = NEW.id WHERE target IS NULL
  AND resource = (SELECT 'registry/' || g.name || '/repository/' || r.name FROM repositories r
                  JOIN registries g ON g.id = r.registry_id WHERE r.id = NEW.repository_id) || '/image/' || NEW.name;
END;
CREATE TRIGGER registry_changed AFTER UPDATE OF removed_at, visibility ON registries BEGIN
  UPDATE access_epoch SET value = value + 1;
END;
CREATE TRIGGER repository_removed AFTER UPDATE OF removed_at ON repositories BEGIN
  UPDATE access_epoch SET value = value + 1;
END;
CREATE TRIGGER image_removed AFTER UPDATE OF removed_at ON images
WHEN EXISTS (SELECT 1 FROM policy_bindings WHERE resource =
  (SELECT 'registry/' || g.name || '/repository/' || r.name FROM repositories r
   JOIN registries g ON g.id = r.registry_id WHERE r.id = NEW.repository_id) || '/image/' || NEW.name) BEGIN
  UPDATE access_epoch SET value = value + 1;
END;
