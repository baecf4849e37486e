-- What each repository used when the job `measure` last looked: for lists of registries that are too large to be measured
-- at each look.

CREATE TABLE repository_measures (
  repository_id INTEGER PRIMARY KEY REFERENCES repositories (id) ON DELETE CASCADE,
  live INTEGER NOT NULL, -- bytes, as RepositoryUsage has them
  untagged INTEGER NOT NULL,
  unclaimed INTEGER NOT NULL,
  shared INTEGER NOT NULL,
  leaving INTEGER NOT NULL,
  staged INTEGER NOT NULL, -- of uploads that were not finished
  measured_at INTEGER NOT NULL
) STRICT;
