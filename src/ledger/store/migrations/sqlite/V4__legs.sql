-- A call's legs are read and written with it and looked for by nobody: they are part of its row, a JSON list. Moments in
-- it are RFC 3339.
ALTER TABLE ledger_call ADD COLUMN legs TEXT NOT NULL DEFAULT '[]';

UPDATE ledger_call
SET legs = (
    SELECT json_group_array(json_object(
        'channel_id', channel_id,
        'name', name,
        'created_at', strftime('%Y-%m-%dT%H:%M:%S', created_at / 1000000, 'unixepoch') || printf('.%06dZ', created_at % 1000000),
        'answered_at', strftime('%Y-%m-%dT%H:%M:%S', answered_at / 1000000, 'unixepoch') || printf('.%06dZ', answered_at % 1000000),
        'ended_at', strftime('%Y-%m-%dT%H:%M:%S', ended_at / 1000000, 'unixepoch') || printf('.%06dZ', ended_at % 1000000),
        'cause', cause
    ))
    FROM (SELECT * FROM ledger_leg WHERE call_id = ledger_call.id ORDER BY position)
);

DROP TABLE ledger_leg;
