-- Moments are microseconds since 1970, UTC.

CREATE TABLE ledger_call (
    id          TEXT    NOT NULL PRIMARY KEY,
    integration TEXT    NOT NULL,
    instance    TEXT    NOT NULL,
    extension   TEXT    NOT NULL,
    number      TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    closed      INTEGER NOT NULL,
    revision    INTEGER NOT NULL,
    sent_at     INTEGER NOT NULL,
    ringing_at  INTEGER,
    answered_at INTEGER,
    bridged_at  INTEGER,
    ended_at    INTEGER,
    cause       INTEGER,
    error       TEXT
) STRICT;

-- What a restarted gateway looks up.
CREATE INDEX ledger_call_open ON ledger_call (instance, integration, id) WHERE NOT closed;

CREATE TABLE ledger_leg (
    call_id     TEXT    NOT NULL REFERENCES ledger_call (id) ON DELETE CASCADE,
    position    INTEGER NOT NULL,
    channel_id  TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    answered_at INTEGER,
    ended_at    INTEGER,
    cause       INTEGER,
    PRIMARY KEY (call_id, position)
) STRICT;

CREATE INDEX ledger_leg_channel ON ledger_leg (channel_id);

-- One gateway on one host and port; its id is part of its Stasis application's name.
CREATE TABLE ledger_instance (
    host TEXT NOT NULL PRIMARY KEY,
    id   TEXT NOT NULL
) STRICT;
