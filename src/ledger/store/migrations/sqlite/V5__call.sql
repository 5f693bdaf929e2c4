-- What more is known of a call; null in rows of earlier versions: such a call was asked for through the API, and went out
-- through the dialplan. Who asked and the metadata are JSON.
ALTER TABLE ledger_call ALTER COLUMN extension DROP NOT NULL;
ALTER TABLE ledger_call ALTER COLUMN number DROP NOT NULL;
ALTER TABLE ledger_call ADD COLUMN origin TEXT;
ALTER TABLE ledger_call ADD COLUMN direction TEXT;
ALTER TABLE ledger_call ADD COLUMN mode TEXT;
ALTER TABLE ledger_call ADD COLUMN external_number TEXT;
ALTER TABLE ledger_call ADD COLUMN external_name TEXT;
ALTER TABLE ledger_call ADD COLUMN requested_by TEXT;
ALTER TABLE ledger_call ADD COLUMN external_id TEXT;
ALTER TABLE ledger_call ADD COLUMN metadata TEXT;

-- What calls are looked for by. Ids are in the order of time.
CREATE INDEX ledger_call_extension ON ledger_call (extension, id);
CREATE INDEX ledger_call_number ON ledger_call (number, id);
CREATE INDEX ledger_call_external_id ON ledger_call (external_id, id) WHERE external_id IS NOT NULL;
