-- Moments are microseconds since 1970; flags are 0 and 1; ids are text in lower case, so that they compare as the
-- original compared them.

-- Legs: the 42 columns of the source, then our own.
CREATE TABLE cdr (
    pbx TEXT NOT NULL,
    cdr_id TEXT NOT NULL,
    call_history_id TEXT NOT NULL,
    source_participant_id TEXT,
    source_entity_type TEXT,
    source_dn_number TEXT,
    source_dn_type TEXT,
    source_dn_name TEXT,
    source_participant_name TEXT,
    source_participant_phone_number TEXT,
    source_participant_trunk_did TEXT,
    source_participant_is_incoming INTEGER,
    source_participant_is_already_connected INTEGER,
    source_participant_group_name TEXT,
    source_participant_billing_suffix TEXT,
    destination_participant_id TEXT,
    destination_entity_type TEXT,
    destination_dn_number TEXT,
    destination_dn_type TEXT,
    destination_dn_name TEXT,
    destination_participant_name TEXT,
    destination_participant_phone_number TEXT,
    destination_participant_trunk_did TEXT,
    destination_participant_is_incoming INTEGER,
    destination_participant_is_already_connected INTEGER,
    destination_participant_group_name TEXT,
    destination_participant_billing_suffix TEXT,
    base_cdr_id TEXT,
    originating_cdr_id TEXT,
    creation_method TEXT,
    creation_forward_reason TEXT,
    termination_reason TEXT,
    terminated_by_participant_id TEXT,
    continued_in_cdr_id TEXT,
    cdr_started_at INTEGER NOT NULL,
    cdr_ended_at INTEGER NOT NULL,
    cdr_answered_at INTEGER,
    termination_reason_details TEXT,
    processed INTEGER,
    migrated INTEGER,
    main_call_history_id TEXT,
    source_presentation TEXT,
    offload_id INTEGER,
    source_digest TEXT NOT NULL,
    seq INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    stored_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (pbx, cdr_id)
) STRICT;

-- Answers the greatest call id from its end, and a search after a call id without touching the table.
CREATE INDEX cdr_call ON cdr (pbx, call_history_id, cdr_id);

-- Readers that follow changes rather than calls.
CREATE INDEX cdr_feed ON cdr (pbx, seq);

-- Recordings: the 7 columns of the source, then our own. The leg may come later, or never.
CREATE TABLE recording (
    pbx TEXT NOT NULL,
    id_recording INTEGER NOT NULL,
    cdr_id TEXT NOT NULL,
    recording_url TEXT,
    start_time INTEGER,
    end_time INTEGER,
    archived INTEGER,
    archived_url TEXT,
    source_digest TEXT NOT NULL,
    seq INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    stored_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (pbx, id_recording)
) STRICT;

CREATE INDEX recording_leg ON recording (pbx, cdr_id, id_recording);

-- One row: the latest seq given out. Whoever takes one holds the row until the commit.
CREATE TABLE feed_head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    seq INTEGER NOT NULL
) STRICT;
INSERT INTO feed_head (one, seq) VALUES (1, 0);

-- What was erased and must not come back: a keyed hash of its key, and the digest it last had.
CREATE TABLE tombstone (
    pbx TEXT NOT NULL,
    key_hash TEXT NOT NULL,
    source_digest TEXT NOT NULL,
    erased_at INTEGER NOT NULL,
    PRIMARY KEY (pbx, key_hash)
) STRICT;

-- What must not be erased: one leg, or a whole call.
CREATE TABLE hold (
    pbx TEXT NOT NULL,
    scope TEXT NOT NULL CHECK (scope IN ('cdr_id', 'call_history_id')),
    id TEXT NOT NULL,
    reason TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (pbx, scope, id)
) STRICT;

-- How far the collector of each 3CX has come, as JSON.
CREATE TABLE collector_position (
    pbx TEXT NOT NULL,
    position TEXT NOT NULL,
    PRIMARY KEY (pbx)
) STRICT;

-- What the store knows of itself. The key of the tombstones' hashes is made here, once.
CREATE TABLE store_meta (
    name TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (name)
) STRICT;

INSERT INTO store_meta (name, value) VALUES ('tombstone_key', randomblob(32));
