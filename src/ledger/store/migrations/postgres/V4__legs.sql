-- A call's legs are read and written with it and looked for by nobody: they are part of its row, a JSON list.
ALTER TABLE ledger_call ADD COLUMN legs jsonb NOT NULL DEFAULT '[]';

UPDATE ledger_call
SET legs = stored.legs
FROM (
    SELECT call_id, jsonb_agg(to_jsonb(leg) - 'call_id' - 'position' ORDER BY position) AS legs
    FROM ledger_leg AS leg
    GROUP BY call_id
) AS stored
WHERE stored.call_id = id;

DROP TABLE ledger_leg;
