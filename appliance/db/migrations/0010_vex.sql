-- Documents (OpenVEX) whose statements are accepted findings, or take such back.

CREATE TABLE vex_documents (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  public_id TEXT NOT NULL UNIQUE,
  document TEXT NOT NULL, -- its @id
  version INTEGER NOT NULL,
  author TEXT NOT NULL,
  issued_at INTEGER NOT NULL, -- its own time
  sha256 TEXT NOT NULL, -- of its text: one version has one text
  registry_id INTEGER, -- NULL: everywhere; where it counts, as in accepted_findings
  repository_id INTEGER,
  image_id INTEGER,
  imported_at INTEGER NOT NULL,
  imported_by TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX vex_documents_by_place
  ON vex_documents (document, ifnull(registry_id, 0), ifnull(repository_id, 0), ifnull(image_id, 0));

ALTER TABLE accepted_findings ADD COLUMN document_id INTEGER REFERENCES vex_documents (id); -- NULL: a person's word
ALTER TABLE accepted_findings ADD COLUMN judgement TEXT NOT NULL DEFAULT ''; -- of the document
ALTER TABLE accepted_findings ADD COLUMN said_at INTEGER; -- by the document
ALTER TABLE accepted_findings ADD COLUMN purl TEXT NOT NULL DEFAULT ''; -- of the package; '' for whichever has it
ALTER TABLE accepted_findings ADD COLUMN digest BLOB; -- of the manifest or index it is about; NULL: any
ALTER TABLE accepted_findings ADD COLUMN arch TEXT NOT NULL DEFAULT ''; -- then not the other platforms of an index
ALTER TABLE accepted_findings ADD COLUMN path TEXT NOT NULL DEFAULT ''; -- the end of the path of images it is about
CREATE INDEX accepted_by_document ON accepted_findings (document_id);
CREATE INDEX accepted_everywhere ON accepted_findings (vulnerability) WHERE registry_id IS NULL;
