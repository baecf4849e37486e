-- Edits of accounts that do not overwrite each other, and policies that are switched off.

ALTER TABLE principals ADD COLUMN revision INTEGER NOT NULL DEFAULT 1; -- grows with every edit: its ETag
ALTER TABLE user_groups ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
ALTER TABLE access_policies ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
ALTER TABLE access_policies ADD COLUMN enabled INTEGER NOT NULL DEFAULT 1; -- 0: what it allows does not count, what it denies does
ALTER TABLE access_keys ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;

-- What scr.toml declares, looked through at every reload.
CREATE INDEX principals_managed ON principals (id) WHERE managed;
CREATE INDEX user_groups_managed ON user_groups (id) WHERE managed;
CREATE INDEX access_policies_managed ON access_policies (id) WHERE managed;
CREATE INDEX policy_attachments_managed ON policy_attachments (kind, holder_id) WHERE managed;
CREATE INDEX group_members_managed ON group_members (group_id) WHERE managed;
