//! Statements that both stores understand. Moments are read by each store in its own way.

/// The seq that was given out last.
pub(super) const HEAD: &str = "SELECT seq FROM feed_head";

/// Takes `$1` seqs; answers the last of them.
pub(super) const TAKE_SEQS: &str = "UPDATE feed_head SET seq = seq + $1 RETURNING seq";

/// The position of a collector.
pub(super) const POSITION: &str = "SELECT position FROM collector_position WHERE pbx = $1";

/// Keeps the position of a collector.
pub(super) const SET_POSITION: &str = "INSERT INTO collector_position (pbx, position) VALUES ($1, $2) \
     ON CONFLICT (pbx) DO UPDATE SET position = excluded.position";

/// The key of the tombstones' hashes.
pub(super) const TOMBSTONE_KEY: &str = "SELECT value FROM store_meta WHERE name = 'tombstone_key'";

/// The greatest call id, from the end of an index.
pub(super) const LAST_CALL_ID: &str = "SELECT max(call_history_id) FROM cdr WHERE pbx = $1";

/// Digests of the legs of `$1` from `$2` to before `$3`.
pub(super) const LEG_DIGESTS: &str = "SELECT cdr_id, source_digest FROM cdr \
     WHERE pbx = $1 AND cdr_id >= $2 AND cdr_id < $3 ORDER BY cdr_id";

/// Digests of the recordings of `$1` from `$2` to before `$3`.
pub(super) const RECORDING_DIGESTS: &str = "SELECT id_recording, source_digest FROM recording \
     WHERE pbx = $1 AND id_recording >= $2 AND id_recording < $3 ORDER BY id_recording";

/// The file of the recording `$2` of `$1`.
pub(super) const RECORDING_FILE: &str =
    "SELECT recording_url, archived FROM recording WHERE pbx = $1 AND id_recording = $2";

/// What the original's `POST cdr` shows of a leg.
macro_rules! legacy {
    ($condition:literal) => {
        concat!(
            "SELECT call_history_id, cdr_id, cdr_started_at, cdr_answered_at, cdr_ended_at, \
             source_participant_phone_number, CASE WHEN trim(destination_dn_number) <> '' \
             THEN destination_dn_number ELSE destination_participant_phone_number END, \
             (SELECT recording_url FROM recording r WHERE r.pbx = cdr.pbx AND r.cdr_id = cdr.cdr_id \
             ORDER BY r.id_recording LIMIT 1), \
             (SELECT min(r.id_recording) FROM recording r WHERE r.pbx = cdr.pbx AND r.cdr_id = cdr.cdr_id) FROM cdr ",
            $condition
        )
    };
}

/// The first `$3` legs of `$1` after the call id `$2`. Appending nothing to `cdr_id` keeps the planners from walking
/// the primary key from its start in search of a few rows at its end: the matches come from the covering index.
pub(super) const FIRST_AFTER_CALL_ID: &str = legacy!(
    "WHERE pbx = $1 AND cdr_id IN (SELECT cdr_id FROM cdr WHERE pbx = $1 AND call_history_id > $2 \
     ORDER BY cdr_id || '' LIMIT $3) ORDER BY cdr_id"
);

/// The next `$4` of them after the leg `$3`: along the primary key from where the page before ended, so that all
/// pages together walk it once, and never through the matches from their start again.
pub(super) const NEXT_AFTER_CALL_ID: &str =
    legacy!("WHERE pbx = $1 AND call_history_id || '' > $2 AND cdr_id > $3 ORDER BY cdr_id LIMIT $4");
