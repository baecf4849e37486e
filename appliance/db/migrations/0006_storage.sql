-- Uploads in parts that were begun in an object store and not ended: written down before the first part is sent.

CREATE TABLE multipart_uploads (
  upload TEXT PRIMARY KEY, -- as the store calls it
  key TEXT NOT NULL,
  begun_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What still lies elsewhere, or in another form, than new blobs do: for a move.
CREATE INDEX blobs_by_place ON blobs (driver, form, id);
