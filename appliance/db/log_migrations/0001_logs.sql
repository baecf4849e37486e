-- What may be lost: who pulled and pushed what, and who was refused what.

CREATE TABLE traffic (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL, -- unix milliseconds UTC
  kind INTEGER NOT NULL, -- place in services/traffic.py: KINDS
  registry_id INTEGER NOT NULL,
  path TEXT NOT NULL,
  tag TEXT NOT NULL, -- by which it was asked for; '' where that was the digest
  digest BLOB NOT NULL,
  size INTEGER NOT NULL, -- bytes of the body that were sent or taken
  principal TEXT NOT NULL,
  address TEXT NOT NULL,
  client TEXT NOT NULL -- the user agent, cut and printable
) STRICT;
CREATE INDEX traffic_by_digest ON traffic (digest, seq);
CREATE INDEX traffic_by_registry ON traffic (registry_id, seq);

CREATE TABLE refusals (
  id TEXT PRIMARY KEY, -- 128 random bits, hexadecimal
  at INTEGER NOT NULL, -- the first time
  last_at INTEGER NOT NULL,
  times INTEGER NOT NULL,
  registry_id INTEGER NOT NULL, -- 0: before it was known which one is meant
  principal TEXT NOT NULL, -- '' before it was known who calls
  address TEXT NOT NULL,
  client TEXT NOT NULL,
  method TEXT NOT NULL,
  path TEXT NOT NULL,
  rule TEXT NOT NULL, -- the kind of error
  says TEXT NOT NULL, -- what the refused one was told
  steps TEXT NOT NULL -- JSON: every decision up to the refusal
) STRICT, WITHOUT ROWID;
CREATE INDEX refusals_by_time ON refusals (last_at, id);
