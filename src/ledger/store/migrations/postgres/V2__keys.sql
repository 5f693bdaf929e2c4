-- Scopes and PBXs are JSON lists; no list of PBXs means all of them.
CREATE TABLE ledger_key (
    id         uuid        NOT NULL PRIMARY KEY,
    name       text        NOT NULL,
    sha256     bytea       NOT NULL UNIQUE,
    scopes     text        NOT NULL,
    pbxs       text,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);

CREATE UNIQUE INDEX ledger_key_live ON ledger_key (name) WHERE revoked_at IS NULL;

CREATE INDEX ledger_key_revoked ON ledger_key (revoked_at);

-- One row: whoever changes a key or a secret locks it first, so that changes come one after another.
CREATE TABLE ledger_key_generation (
    id         integer NOT NULL PRIMARY KEY CHECK (id = 1),
    generation bigint  NOT NULL
);

INSERT INTO ledger_key_generation (id, generation) VALUES (1, 0);

CREATE TABLE ledger_secret (
    name  text  NOT NULL PRIMARY KEY,
    value bytea NOT NULL
);

-- Ids are UUIDv7: in the order of time.
CREATE TABLE ledger_audit (
    id         uuid        NOT NULL PRIMARY KEY,
    at         timestamptz NOT NULL,
    action     text        NOT NULL,
    subject    text        NOT NULL,
    code       text,
    count      bigint      NOT NULL,
    who        text        NOT NULL,
    key_id     uuid,
    origin     text        NOT NULL,
    request_id text
);
