-- Ids are text in lower case and collate by byte, so that they compare as the original compared them.

-- Legs: the 42 columns of the source, then our own.
CREATE TABLE cdr (
    pbx text COLLATE "C" NOT NULL,
    cdr_id text COLLATE "C" NOT NULL,
    call_history_id text COLLATE "C" NOT NULL,
    source_participant_id text COLLATE "C",
    source_entity_type text,
    source_dn_number text,
    source_dn_type text,
    source_dn_name text,
    source_participant_name text,
    source_participant_phone_number text,
    source_participant_trunk_did text,
    source_participant_is_incoming boolean,
    source_participant_is_already_connected boolean,
    source_participant_group_name text,
    source_participant_billing_suffix text,
    destination_participant_id text COLLATE "C",
    destination_entity_type text,
    destination_dn_number text,
    destination_dn_type text,
    destination_dn_name text,
    destination_participant_name text,
    destination_participant_phone_number text,
    destination_participant_trunk_did text,
    destination_participant_is_incoming boolean,
    destination_participant_is_already_connected boolean,
    destination_participant_group_name text,
    destination_participant_billing_suffix text,
    base_cdr_id text COLLATE "C",
    originating_cdr_id text COLLATE "C",
    creation_method text,
    creation_forward_reason text,
    termination_reason text,
    terminated_by_participant_id text COLLATE "C",
    continued_in_cdr_id text COLLATE "C",
    cdr_started_at timestamptz NOT NULL,
    cdr_ended_at timestamptz NOT NULL,
    cdr_answered_at timestamptz,
    termination_reason_details text,
    processed boolean,
    migrated boolean,
    main_call_history_id text COLLATE "C",
    source_presentation text,
    offload_id bigint,
    source_digest text NOT NULL,
    seq bigint NOT NULL,
    revision bigint NOT NULL,
    stored_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (pbx, cdr_id)
);

-- Answers the greatest call id from its end, and a search after a call id without touching the table.
CREATE INDEX cdr_call ON cdr (pbx, call_history_id, cdr_id);

-- Readers that follow changes rather than calls.
CREATE INDEX cdr_feed ON cdr (pbx, seq);

-- Recordings: the 7 columns of the source, then our own. The leg may come later, or never.
CREATE TABLE recording (
    pbx text COLLATE "C" NOT NULL,
    id_recording bigint NOT NULL,
    cdr_id text COLLATE "C" NOT NULL,
    recording_url text,
    start_time timestamptz,
    end_time timestamptz,
    archived boolean,
    archived_url text,
    source_digest text NOT NULL,
    seq bigint NOT NULL,
    revision bigint NOT NULL,
    stored_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (pbx, id_recording)
);

CREATE INDEX recording_leg ON recording (pbx, cdr_id, id_recording);

-- One row: the latest seq given out. Whoever takes one holds the row until the commit.
CREATE TABLE feed_head (
    one integer PRIMARY KEY CHECK (one = 1),
    seq bigint NOT NULL
);
INSERT INTO feed_head (one, seq) VALUES (1, 0);

-- What was erased and must not come back: a keyed hash of its key, and the digest it last had.
CREATE TABLE tombstone (
    pbx text COLLATE "C" NOT NULL,
    key_hash text COLLATE "C" NOT NULL,
    source_digest text NOT NULL,
    erased_at timestamptz NOT NULL,
    PRIMARY KEY (pbx, key_hash)
);

-- What must not be erased: one leg, or a whole call.
CREATE TABLE hold (
    pbx text COLLATE "C" NOT NULL,
    scope text COLLATE "C" NOT NULL CHECK (scope IN ('cdr_id', 'call_history_id')),
    id text COLLATE "C" NOT NULL,
    reason text NOT NULL,
    since timestamptz NOT NULL,
    PRIMARY KEY (pbx, scope, id)
);

-- How far the collector of each 3CX has come, as JSON.
CREATE TABLE collector_position (
    pbx text COLLATE "C" NOT NULL,
    position text NOT NULL,
    PRIMARY KEY (pbx)
);

-- What the store knows of itself. The key of the tombstones' hashes is made here, once.
CREATE TABLE store_meta (
    name text COLLATE "C" NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (name)
);

INSERT INTO store_meta (name, value) VALUES ('tombstone_key', sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')));
