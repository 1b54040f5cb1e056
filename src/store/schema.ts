/**
 * The SQLite form of the contract. STRICT tables refuse a value of another type; WITHOUT ROWID
 * where the key is a digest. The triggers make the log append-only against our own mistakes;
 * against the owner of the file stand the signed heads.
 */

/** "PCGT" in PRAGMA application_id: tells a store from any other SQLite file. */
export const APPLICATION_ID = 0x50434754;

/** In PRAGMA user_version. A change of SCHEMA raises it and adds a migration. */
export const SCHEMA_VERSION = 3;

const IMA_PREFIXES = `
CREATE TABLE ima_prefixes (
  ak_name BLOB NOT NULL,
  policies BLOB NOT NULL CHECK (length(policies) > 0 AND length(policies) % 32 = 0),
  reset_count INTEGER NOT NULL,
  restart_count INTEGER NOT NULL,
  entries INTEGER NOT NULL CHECK (entries > 0),
  register_values BLOB NOT NULL,
  PRIMARY KEY (ak_name, policies)
) STRICT, WITHOUT ROWID;
`;

/** What leads from each earlier version to the next. */
export const MIGRATIONS: { readonly [version: number]: string } = { 2: IMA_PREFIXES };

export const SCHEMA = `
CREATE TABLE floors (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  charter_digest BLOB NOT NULL CHECK (length(charter_digest) = 32),
  charter_number INTEGER NOT NULL,
  snapshot_version INTEGER NOT NULL,
  snapshot_digest BLOB CHECK ((snapshot_digest IS NULL) = (snapshot_version = 0)),
  time_seconds INTEGER NOT NULL
) STRICT;

CREATE TABLE counters (
  ak_name BLOB PRIMARY KEY,
  reset_count INTEGER NOT NULL,
  restart_count INTEGER NOT NULL,
  clock BLOB NOT NULL CHECK (length(clock) = 8),
  firmware_version BLOB NOT NULL CHECK (length(firmware_version) = 8),
  seen_seconds INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE anchor (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  nv_index INTEGER NOT NULL,
  nv_name BLOB NOT NULL,
  value BLOB NOT NULL CHECK (length(value) = 8),
  announced INTEGER NOT NULL CHECK (announced IN (0, 1)),
  snapshot_version INTEGER NOT NULL,
  size INTEGER NOT NULL
) STRICT;

${IMA_PREFIXES}
CREATE TABLE elements (
  digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
  uses INTEGER NOT NULL CHECK (uses > 0),
  expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX elements_by_expiry ON elements (expires);

CREATE TABLE claims (
  request BLOB NOT NULL CHECK (length(request) = 32),
  element BLOB NOT NULL CHECK (length(element) = 32),
  expires INTEGER NOT NULL,
  PRIMARY KEY (request, element)
) STRICT, WITHOUT ROWID;
CREATE INDEX claims_by_expiry ON claims (expires);

CREATE TABLE runs (
  leaf_index INTEGER PRIMARY KEY,
  run_id BLOB NOT NULL UNIQUE CHECK (length(run_id) = 32),
  owner TEXT NOT NULL
) STRICT;

CREATE TABLE tree (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  size INTEGER NOT NULL,
  frontier BLOB NOT NULL
) STRICT;
INSERT INTO tree VALUES (1, 0, x'');

CREATE TABLE leaves (
  leaf_index INTEGER PRIMARY KEY,
  bytes BLOB NOT NULL,
  hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE TABLE heads (
  size INTEGER PRIMARY KEY,
  note BLOB NOT NULL
) STRICT;

CREATE TRIGGER leaves_kept BEFORE UPDATE ON leaves BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER leaves_stay BEFORE DELETE ON leaves BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER heads_kept BEFORE UPDATE ON heads BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER heads_stay BEFORE DELETE ON heads BEGIN SELECT RAISE(ABORT, 'append-only'); END;

PRAGMA application_id = ${APPLICATION_ID};
PRAGMA user_version = ${SCHEMA_VERSION};
`;
