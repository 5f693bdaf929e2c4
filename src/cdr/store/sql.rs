//! The store's statements.

use crate::database::Dialect;

/// The seq that was given out last.
pub(super) const HEAD: &str = "SELECT seq FROM feed_head";

/// Takes `$1` seqs; answers the last of them.
pub(super) const TAKE_SEQS: &str = "UPDATE feed_head SET seq = seq + $1 RETURNING seq";

/// The position of a collector.
pub(super) const POSITION: &str = "SELECT position FROM collector_position WHERE pbx = $1";

/// Keeps the position of a collector.
pub(super) const SET_POSITION: &str = "INSERT INTO collector_position (pbx, position) VALUES ($1, $2) \
     ON CONFLICT (pbx) DO UPDATE SET position = excluded.position";

/// The greatest call id, from the end of an index, and the seq given out last, both of one moment.
pub(super) const LAST_CALL_ID: &str =
    "SELECT (SELECT max(call_history_id) FROM cdr WHERE pbx = $1), seq FROM feed_head";

/// The same below the id `$2`.
pub(super) const LAST_CALL_ID_BELOW: &str =
    "SELECT max(call_history_id) FROM cdr WHERE pbx = $1 AND call_history_id < $2";

/// The smallest call id, from the start of an index.
pub(super) const FIRST_CALL_ID: &str = "SELECT min(call_history_id) FROM cdr WHERE pbx = $1";

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
/// pages together walk it once, and never through the matches from their start again. Where no call id is smaller than
/// `$2`, the first page too: every leg matches.
pub(super) const NEXT_AFTER_CALL_ID: &str =
    legacy!("WHERE pbx = $1 AND call_history_id || '' > $2 AND cdr_id > $3 ORDER BY cdr_id LIMIT $4");

/// The seq given out last, and the two remembered of the client `$2` of `$1` for the call id `$3`, if the feed has
/// reached it.
pub(super) const RESUME: &str = "SELECT feed_head.seq, client_cursor.seq, greater_seq FROM feed_head \
     LEFT JOIN client_cursor ON pbx = $1 AND client = $2 AND call_id = $3 AND client_cursor.seq <= feed_head.seq";

/// Of the legs of `$1` after the seq `$2` up to `$3` whose call id is not greater than `$4`, the seq of the one after
/// `$5` others.
pub(super) const LATE_UNTIL: &str = "SELECT seq FROM cdr WHERE pbx = $1 AND seq > $2 AND seq <= $3 \
     AND call_history_id || '' <= $4 ORDER BY seq LIMIT 1 OFFSET $5";

/// The ids of the first `$7` legs of `$1` after the leg `$6` that were stored after the seq `$3` up to `$4`, or after `$2`
/// if their call id is greater than `$5`. Appending nothing keeps the planners to the feed's covering index.
pub(super) const LEGS_SINCE: &str = "SELECT cdr_id FROM cdr WHERE pbx = $1 AND seq > $2 \
     AND (seq > $3 AND seq <= $4 OR call_history_id || '' > $5) AND cdr_id || '' > $6 ORDER BY cdr_id || '' LIMIT $7";

/// The same where all with a greater call id are meant, `$2` being 0: the few of them come from the other covering
/// index, and the feed is not walked from its start.
pub(super) const LEGS_SINCE_OR_GREATER: &str = "SELECT cdr_id FROM \
     (SELECT cdr_id FROM cdr WHERE pbx = $1 AND seq > $2 AND seq > $3 AND seq <= $4 \
     UNION SELECT cdr_id FROM cdr WHERE pbx = $1 AND call_history_id > $5) AS found \
     WHERE cdr_id || '' > $6 ORDER BY cdr_id LIMIT $7";

/// Which of the two is meant.
pub(super) fn legs_since(greater: i64) -> &'static str {
    if greater == 0 {
        LEGS_SINCE_OR_GREATER
    } else {
        LEGS_SINCE
    }
}

/// The legs of `$1` with the ids in the list `$2`.
pub(super) fn legs_of(dialect: Dialect) -> String {
    format!(
        legacy!("WHERE pbx = $1 AND cdr_id {} ORDER BY cdr_id"),
        dialect.any(2)
    )
}

/// The seqs remembered for the call id `$4` of the client `$3` of `$2`, if it was handed out since `$1`.
pub(super) const REMEMBERED: &str = "SELECT CASE WHEN handed_out_at >= $1 THEN seq END, greater_seq \
     FROM client_cursor WHERE pbx = $2 AND client = $3 AND call_id = $4";

/// Remembers the seqs `$4` and `$5` for the call id `$3` of the client `$2` of `$1`, handed out at `$6`; each stays as
/// small as it was.
pub(super) const REMEMBER: &str = "INSERT INTO client_cursor (pbx, client, call_id, seq, greater_seq, handed_out_at) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (pbx, client, call_id) DO UPDATE SET handed_out_at = excluded.handed_out_at, \
     seq = CASE WHEN excluded.seq < client_cursor.seq THEN excluded.seq ELSE client_cursor.seq END, \
     greater_seq = CASE WHEN excluded.greater_seq < client_cursor.greater_seq THEN excluded.greater_seq \
     ELSE client_cursor.greater_seq END";

/// Has the call id `$3` of the client `$2` of `$1` stand for the seqs `$4` and `$5`, whatever it stood for.
pub(super) const ADVANCE: &str = "INSERT INTO client_cursor (pbx, client, call_id, seq, greater_seq, handed_out_at) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (pbx, client, call_id) DO UPDATE SET \
     handed_out_at = excluded.handed_out_at, seq = excluded.seq, greater_seq = excluded.greater_seq";

/// Forgets the oldest `$2` call ids that were handed out before `$1`.
pub(super) const FORGET_OLD: &str = "DELETE FROM client_cursor WHERE (pbx, client, call_id) IN \
     (SELECT pbx, client, call_id FROM client_cursor WHERE handed_out_at < $1 ORDER BY handed_out_at LIMIT $2)";

/// Forgets the oldest `$1` call ids of those beyond the `$2` that were handed out last.
pub(super) const FORGET_BEYOND: &str = "DELETE FROM client_cursor WHERE (pbx, client, call_id) IN \
     (SELECT pbx, client, call_id FROM client_cursor WHERE handed_out_at <= \
     (SELECT handed_out_at FROM client_cursor ORDER BY handed_out_at DESC LIMIT 1 OFFSET $2) \
     ORDER BY handed_out_at LIMIT $1)";

/// Forgets `$3` call ids of the client `$2` of `$1` beyond the `$4` that were handed out last.
pub(super) const FORGET_SURPLUS: &str = "DELETE FROM client_cursor WHERE (pbx, client, call_id) IN \
     (SELECT pbx, client, call_id FROM client_cursor WHERE pbx = $1 AND client = $2 \
     ORDER BY handed_out_at DESC LIMIT $3 OFFSET $4)";
