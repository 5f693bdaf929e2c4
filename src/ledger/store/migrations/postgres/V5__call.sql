-- What more is known of a call. A gateway of an earlier version on this database leaves it null: such a call was asked for
-- through the API, and went out through the dialplan.
ALTER TABLE ledger_call
    ALTER COLUMN extension DROP NOT NULL,
    ALTER COLUMN number DROP NOT NULL,
    ADD COLUMN origin          text,
    ADD COLUMN direction       text,
    ADD COLUMN mode            text,
    ADD COLUMN external_number text,
    ADD COLUMN external_name   text,
    ADD COLUMN requested_by    jsonb,
    ADD COLUMN external_id     text,
    ADD COLUMN metadata        jsonb;

-- What calls are looked for by. Ids are in the order of time.
CREATE INDEX ledger_call_extension ON ledger_call (extension, id);
CREATE INDEX ledger_call_number ON ledger_call (number, id);
CREATE INDEX ledger_call_external_id ON ledger_call (external_id, id) WHERE external_id IS NOT NULL;
