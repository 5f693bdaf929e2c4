-- Answers what was stored since a seq without touching the table, whatever its call ids.
DROP INDEX cdr_feed;
CREATE INDEX cdr_feed ON cdr (pbx, seq, call_history_id, cdr_id);

-- The call ids that polling clients were handed out: everything up to seq was in replies to the client by then, and
-- of what has a greater call id everything up to greater_seq.
CREATE TABLE client_cursor (
    pbx text COLLATE "C" NOT NULL,
    client text COLLATE "C" NOT NULL,
    call_id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    greater_seq bigint NOT NULL,
    handed_out_at timestamptz NOT NULL,
    PRIMARY KEY (pbx, client, call_id)
);

-- Forgetting: the oldest of all, and those of a client that has too many.
CREATE INDEX client_cursor_age ON client_cursor (handed_out_at);
CREATE INDEX client_cursor_client ON client_cursor (pbx, client, handed_out_at);
