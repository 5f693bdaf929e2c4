CREATE TABLE ledger_call (
    id          uuid        NOT NULL PRIMARY KEY,
    integration text        NOT NULL,
    instance    text        NOT NULL,
    extension   text        NOT NULL,
    number      text        NOT NULL,
    state       text        NOT NULL,
    closed      boolean     NOT NULL,
    revision    bigint      NOT NULL,
    sent_at     timestamptz NOT NULL,
    ringing_at  timestamptz,
    answered_at timestamptz,
    bridged_at  timestamptz,
    ended_at    timestamptz,
    cause       integer,
    error       text
);

-- What a restarted gateway looks up.
CREATE INDEX ledger_call_open ON ledger_call (instance, integration, id) WHERE NOT closed;

CREATE TABLE ledger_leg (
    call_id     uuid        NOT NULL REFERENCES ledger_call (id) ON DELETE CASCADE,
    position    integer     NOT NULL,
    channel_id  text        NOT NULL,
    name        text        NOT NULL,
    created_at  timestamptz NOT NULL,
    answered_at timestamptz,
    ended_at    timestamptz,
    cause       integer,
    PRIMARY KEY (call_id, position)
);

CREATE INDEX ledger_leg_channel ON ledger_leg (channel_id);

-- One gateway on one host and port; its id is part of its Stasis application's name.
CREATE TABLE ledger_instance (
    host text NOT NULL PRIMARY KEY,
    id   text NOT NULL
);
