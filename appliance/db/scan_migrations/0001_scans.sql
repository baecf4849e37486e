-- What was read of layers, what that makes of each manifest, and what was found in it. All of it can be made anew by a
-- scan, so nothing here is anybody's decision. Times are unix milliseconds UTC, digests as in scr.sqlite.

-- A layer's blob, read once for ever. While it is being read its row is not whole, and nobody sees it.
CREATE TABLE layers (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  digest BLOB NOT NULL, -- of the blob as stored; never a diff_id that somebody claims
  reader TEXT NOT NULL, -- versions of the detectors and rules, and the options, that it was read with
  is_whole INTEGER NOT NULL DEFAULT 0,
  diff_id BLOB, -- computed here; NULL where it was not read to its end
  size INTEGER NOT NULL DEFAULT 0, -- bytes inflated
  files INTEGER NOT NULL DEFAULT 0,
  read_at INTEGER NOT NULL,
  contents BLOB NOT NULL DEFAULT x'' -- LayerContents without its files: MessagePack, zlib
) STRICT;
CREATE UNIQUE INDEX layers_by_digest ON layers (digest) WHERE is_whole;
CREATE INDEX layers_unfinished ON layers (id) WHERE NOT is_whole;

-- Layers repeat the same folders and names, so each is written once.
CREATE TABLE folders (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  path TEXT NOT NULL UNIQUE -- without a leading slash; '' is the root
) STRICT;

CREATE TABLE names (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE -- the last component of a path
) STRICT;

CREATE TABLE files (
  layer_id INTEGER NOT NULL, -- of layers
  folder_id INTEGER NOT NULL, -- of folders
  name_id INTEGER NOT NULL, -- of names
  kind INTEGER NOT NULL, -- place in domain/layer.py: FileKind
  mode INTEGER NOT NULL, -- -1: a folder that the layer does not name itself
  size INTEGER NOT NULL,
  sha256 BLOB NOT NULL, -- x'' for what has no content of its own
  target TEXT NOT NULL,
  is_searched INTEGER NOT NULL, -- for secrets
  PRIMARY KEY (layer_id, folder_id, name_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX files_by_name ON files (name_id, layer_id);
CREATE INDEX files_by_content ON files (sha256, layer_id) WHERE size > 0;

-- The newest scan of a manifest, by its digest: whichever images hold it.
CREATE TABLE scans (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  digest BLOB NOT NULL UNIQUE, -- of the manifest
  reader TEXT NOT NULL, -- as in layers
  read_at INTEGER NOT NULL,
  matcher INTEGER NOT NULL, -- version of the rules that matched it
  data TEXT NOT NULL, -- digest of the vulnerability data that it was matched with; '' for none
  data_built_at INTEGER, -- when these were made
  matched_at INTEGER NOT NULL,
  is_complete INTEGER NOT NULL,
  summary TEXT NOT NULL, -- JSON: counts by severity, language and fix, before any exclusion
  inventory BLOB NOT NULL, -- Inventory: MessagePack, zlib
  verdict BLOB NOT NULL -- Verdict: MessagePack, zlib
) STRICT;
CREATE INDEX scans_by_data ON scans (data, matcher, id);

CREATE TABLE scan_layers (
  scan_id INTEGER NOT NULL, -- of scans
  position INTEGER NOT NULL, -- 0 is the lowest
  digest BLOB NOT NULL, -- of the layer's blob
  PRIMARY KEY (scan_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX scan_layers_by_digest ON scan_layers (digest, scan_id);

-- What the search asks for; everything it shows beside that comes from the scan.
CREATE TABLE scan_packages (
  name TEXT NOT NULL, -- in lower case
  version TEXT NOT NULL,
  ecosystem TEXT NOT NULL,
  scan_id INTEGER NOT NULL, -- of scans
  PRIMARY KEY (name, version, ecosystem, scan_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX scan_packages_by_scan ON scan_packages (scan_id);

CREATE TABLE scan_findings (
  vulnerability TEXT NOT NULL, -- id, in upper case
  scan_id INTEGER NOT NULL, -- of scans
  severity INTEGER NOT NULL, -- the worst, by rank
  PRIMARY KEY (vulnerability, scan_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX scan_findings_by_scan ON scan_findings (scan_id);
