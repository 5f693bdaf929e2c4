-- Scopes and PBXs are JSON lists; no list of PBXs means all of them.
CREATE TABLE ledger_key (
    id         TEXT    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    sha256     BLOB    NOT NULL UNIQUE,
    scopes     TEXT    NOT NULL,
    pbxs       TEXT,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;

CREATE UNIQUE INDEX ledger_key_live ON ledger_key (name) WHERE revoked_at IS NULL;

CREATE INDEX ledger_key_revoked ON ledger_key (revoked_at);

-- One row, which every change of a key or a secret increments.
CREATE TABLE ledger_key_generation (
    id         INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    generation INTEGER NOT NULL
) STRICT;

INSERT INTO ledger_key_generation (id, generation) VALUES (1, 0);

CREATE TABLE ledger_secret (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Ids are UUIDv7: in the order of time.
CREATE TABLE ledger_audit (
    id         TEXT    NOT NULL PRIMARY KEY,
    at         INTEGER NOT NULL,
    action     TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    code       TEXT,
    count      INTEGER NOT NULL,
    who        TEXT    NOT NULL,
    key_id     TEXT,
    origin     TEXT    NOT NULL,
    request_id TEXT
) STRICT;
