-- Background work: what waits, what runs, what came of it; its log; when each schedule is due next.

CREATE TABLE jobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  public_id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  subject TEXT NOT NULL, -- what it is about: a public id, a digest; '' for the appliance
  detail TEXT NOT NULL, -- JSON: what was ordered
  state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed', 'cancelled')),
  attempts INTEGER NOT NULL DEFAULT 0, -- begun
  done INTEGER NOT NULL DEFAULT 0,
  total INTEGER NOT NULL DEFAULT 0,
  checkpoint TEXT NOT NULL DEFAULT '', -- JSON: where an interrupted attempt goes on
  report TEXT NOT NULL DEFAULT '', -- JSON: what it did
  reason TEXT NOT NULL DEFAULT '', -- of the last failure
  not_before INTEGER NOT NULL,
  cancel_at INTEGER, -- when somebody asked for its end
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  started_at INTEGER,
  ended_at INTEGER
) STRICT;
CREATE INDEX jobs_due ON jobs (kind, not_before, id) WHERE state = 'waiting';
CREATE INDEX jobs_waiting ON jobs (kind, subject, id) WHERE state = 'waiting';
CREATE INDEX jobs_running ON jobs (kind, subject) WHERE state = 'running';
CREATE INDEX jobs_by_kind ON jobs (kind, id);
CREATE INDEX jobs_by_subject ON jobs (subject, id) WHERE subject <> '';
CREATE INDEX jobs_by_state ON jobs (state, id);
CREATE INDEX jobs_ended ON jobs (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE job_lines (
  job_id INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  seq INTEGER NOT NULL,
  at INTEGER NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (job_id, seq)
) STRICT, WITHOUT ROWID;

-- A schedule that came due while nobody served is run once at the next start.
CREATE TABLE schedules (
  name TEXT PRIMARY KEY,
  expression TEXT NOT NULL, -- by which `due_at` was reckoned: another one is reckoned anew
  due_at INTEGER NOT NULL,
  ran_at INTEGER
) STRICT, WITHOUT ROWID;
