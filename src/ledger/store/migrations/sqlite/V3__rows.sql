-- A row lies where its key does: each write finds one tree to change instead of two. No question goes by a leg's channel.
CREATE TABLE ledger_call_by_id (
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
) STRICT, WITHOUT ROWID;

INSERT INTO ledger_call_by_id
SELECT id, integration, instance, extension, number, state, closed, revision, sent_at, ringing_at, answered_at, bridged_at,
       ended_at, cause, error
FROM ledger_call;

CREATE TABLE ledger_leg_by_call (
    call_id     TEXT    NOT NULL REFERENCES ledger_call_by_id (id) ON DELETE CASCADE,
    position    INTEGER NOT NULL,
    channel_id  TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    answered_at INTEGER,
    ended_at    INTEGER,
    cause       INTEGER,
    PRIMARY KEY (call_id, position)
) STRICT, WITHOUT ROWID;

INSERT INTO ledger_leg_by_call
SELECT call_id, position, channel_id, name, created_at, answered_at, ended_at, cause
FROM ledger_leg;

-- The legs first: a call that goes takes them along.
DROP TABLE ledger_leg;
DROP TABLE ledger_call;
ALTER TABLE ledger_call_by_id RENAME TO ledger_call;
ALTER TABLE ledger_leg_by_call RENAME TO ledger_leg;

-- What a restarted gateway looks up.
CREATE INDEX ledger_call_open ON ledger_call (instance, integration, id) WHERE NOT closed;
