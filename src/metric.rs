//! Every metric of the gateway: its name, and what it means. Labels never hold numbers or ids.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{PoisonError, RwLock};

use metrics::{Label, Unit, describe_counter, describe_gauge, describe_histogram};

/// Actors built again, by `actor` and `reason`.
pub(crate) const ACTOR_RESTARTS: &str = "mege_actor_restarts_total";
/// Panics that were caught, by `actor`; the log says where.
pub(crate) const ACTOR_PANICS: &str = "mege_actor_panics_total";
/// Requests refused before anything was begun, by `actor`, `class` of operations and `reason`.
pub(crate) const SHED: &str = "mege_shed_total";
/// Time from asking an actor to its reply, permits not counted, by `actor` and `operation`.
pub(crate) const ASK_SECONDS: &str = "mege_ask_seconds";
/// Requests whose deadline passed, by `actor`, `operation` and whether they had `begun`.
pub(crate) const DEADLINES_EXCEEDED: &str = "mege_deadlines_exceeded_total";
/// Openings of circuit breakers, by `actor` and `class` of operations.
pub(crate) const CIRCUIT_OPENED: &str = "mege_circuit_opened_total";
/// Requests in flight, by `actor` and `class` of operations.
pub(crate) const IN_FLIGHT: &str = "mege_in_flight";
/// The most requests in flight that there may be, by `actor` and `class`.
pub(crate) const IN_FLIGHT_LIMIT: &str = "mege_in_flight_limit";
/// Requests that wait for one in flight to end, by `actor` and `class`.
pub(crate) const WAITING: &str = "mege_waiting";
/// The most requests that may wait, by `actor` and `class`.
pub(crate) const WAITING_LIMIT: &str = "mege_waiting_limit";
/// 0 while the circuit breaker is closed, 1 half-open, 2 open, by `actor` and `class`.
pub(crate) const CIRCUIT_STATE: &str = "mege_circuit_state";
/// 1 for the state that the actor is in, 0 for the others, by `actor` and `state`.
pub(crate) const ACTOR_STATE: &str = "mege_actor_state";
/// 1 while the actor can do its work, otherwise 0, by `actor`.
pub(crate) const ACTOR_USABLE: &str = "mege_actor_usable";
/// 1 while an operator has the actor paused, otherwise 0, by `actor`.
pub(crate) const ACTOR_PAUSED: &str = "mege_actor_paused";
/// Threads left behind since something in them blocks, by `actor`.
pub(crate) const BLOCKED_THREADS: &str = "mege_actor_blocked_threads";
/// Events of an Asterisk that were dropped because the queue was full, by `actor`.
pub(crate) const ARI_FRAMES_DROPPED: &str = "mege_ari_frames_dropped_total";
/// Frames of an event socket that are no events, by `actor`.
pub(crate) const ARI_BAD_FRAMES: &str = "mege_ari_bad_frames_total";
/// Tries to open an event socket to an Asterisk, by `actor`.
pub(crate) const ARI_CONNECT_ATTEMPTS: &str = "mege_ari_connect_attempts_total";
/// Event sockets that were opened to an Asterisk, by `actor`.
pub(crate) const ARI_CONNECTS: &str = "mege_ari_connects_total";
/// How often events of an Asterisk may have been missed, since the queue was full or the event socket was lost, by `actor`.
pub(crate) const ARI_GAPS: &str = "mege_ari_gaps_total";
/// Events of an Asterisk that wait to be worked on, by `actor`.
pub(crate) const ARI_QUEUE_FRAMES: &str = "mege_ari_queue_frames";
/// Calls that an actor placed and that live, by `actor`.
pub(crate) const LIVE_CALLS: &str = "mege_live_calls";
/// How many may live at once, by `actor`: the smaller of what others leave of its node's limit and of its trunk's.
pub(crate) const LIVE_CALLS_LIMIT: &str = "mege_live_calls_limit";
/// Requests to place a call or to end one that came to Asterisk's actor, by `actor`, `operation` and `outcome`.
pub(crate) const ARI_REQUESTS: &str = "mege_ari_requests_total";
/// Requests to PAC, by `pac`, `operation` and `outcome`.
pub(crate) const PAC_REQUESTS: &str = "mege_pac_requests_total";
/// Reads that were repeated because PAC did not answer, by `pac`.
pub(crate) const RETRIES: &str = "mege_retries_total";
/// Reads that were not repeated because too many had been, by `pac`.
pub(crate) const RETRY_BUDGET_EXHAUSTED: &str = "mege_retry_budget_exhausted_total";
/// Rows stored, by `pbx` and `change`.
pub(crate) const CDR_STORED: &str = "mege_cdr_stored_total";
/// Rows that make no sense and were set aside, by `pbx` and `reason`.
pub(crate) const CDR_QUARANTINED: &str = "mege_cdr_quarantined_total";
/// Looks at a source, by `pbx`, `kind` and `outcome`.
pub(crate) const CDR_LOOKS: &str = "mege_cdr_looks_total";
/// How far the window is behind the source's clock, by `pbx`.
pub(crate) const CDR_LAG: &str = "mege_cdr_lag_seconds";
/// States of calls that are not in the ledger yet.
pub(crate) const LEDGER_UNWRITTEN: &str = "mege_ledger_unwritten";
/// States of calls given up because the ledger was down for too long.
pub(crate) const LEDGER_LOST: &str = "mege_ledger_lost_total";
/// Refusals, and acts of operators, without a row of their own in the audit: too many at once, or the ledger took none.
pub(crate) const AUDIT_LOST: &str = "mege_audit_lost_total";
/// Requests answered, by `route`, `method` and `status`.
pub(crate) const HTTP_REQUESTS: &str = "mege_http_requests_total";
/// Time to answer, by `route`.
pub(crate) const HTTP_SECONDS: &str = "mege_http_seconds";
/// Open connections to the HTTP server.
pub(crate) const HTTP_CONNECTIONS: &str = "mege_http_connections";
/// Connections that were ended by the HTTP server, by `reason`.
pub(crate) const HTTP_CONNECTIONS_CUT: &str = "mege_http_connections_cut_total";
/// Requests that were refused because they cannot be parsed or their head is too large.
pub(crate) const HTTP_MALFORMED: &str = "mege_http_malformed_total";
/// How long the gateway has been on its way out; 0 while it is not.
pub(crate) const DRAIN_SECONDS: &str = "mege_drain_seconds";
/// TLS handshakes that failed or took too long.
pub(crate) const TLS_HANDSHAKES_FAILED: &str = "mege_tls_handshakes_failed_total";
/// 1 while the certificate's files hold what cannot be used, and the one before is served; otherwise 0.
pub(crate) const TLS_REFUSED: &str = "mege_tls_certificate_refused";

/// Has a counter stand at 0 before its first event: what begins at 1 has never increased.
pub(crate) fn begin(counter: &'static str, labels: &[(&'static str, &str)]) {
    let label = |&(key, value): &(&'static str, &str)| Label::new(key, value.to_owned());
    let labels: Vec<Label> = labels.iter().map(label).collect();
    metrics::counter!(counter, labels).increment(0);
}

/// Metrics by the labels in which they differ, each asked of the recorder once: to ask takes longer than to count. For labels
/// that a program chooses, of which there are few.
pub(crate) struct Handles<L, M>(RwLock<HashMap<L, M>>);

impl<L: Eq + Hash, M: Clone> Handles<L, M> {
    pub(crate) fn get(&self, labels: L, ask: impl FnOnce(&L) -> M) -> M {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(metric) = known.get(&labels) {
            return metric.clone();
        }
        drop(known);
        let metric = ask(&labels);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(labels).or_insert(metric).clone()
    }
}

impl<L, M> Default for Handles<L, M> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

/// Tells the recorder what each metric means, and begins what belongs to nobody in particular.
pub(crate) fn describe() {
    for counter in [LEDGER_LOST, AUDIT_LOST, HTTP_MALFORMED, TLS_HANDSHAKES_FAILED] {
        begin(counter, &[]);
    }
    describe_counter!(ACTOR_RESTARTS, "Actors built again, by reason");
    describe_counter!(ACTOR_PANICS, "Panics that were caught");
    describe_counter!(SHED, "Requests refused before anything was begun");
    describe_histogram!(
        ASK_SECONDS,
        Unit::Seconds,
        "Time from asking an actor to its reply"
    );
    describe_counter!(DEADLINES_EXCEEDED, "Requests whose deadline passed");
    describe_counter!(CIRCUIT_OPENED, "Openings of circuit breakers");
    describe_gauge!(IN_FLIGHT, "Requests in flight");
    describe_gauge!(IN_FLIGHT_LIMIT, "The most requests in flight that there may be");
    describe_gauge!(WAITING, "Requests that wait for one in flight to end");
    describe_gauge!(WAITING_LIMIT, "The most requests that may wait");
    describe_gauge!(
        CIRCUIT_STATE,
        "The circuit breaker: 0 closed, 1 half-open, 2 open"
    );
    describe_gauge!(ACTOR_STATE, "1 for the state that the actor is in");
    describe_gauge!(ACTOR_USABLE, "Whether the actor can do its work");
    describe_gauge!(ACTOR_PAUSED, "Whether an operator has the actor paused");
    describe_gauge!(
        BLOCKED_THREADS,
        "Threads left behind since something in them blocks"
    );
    describe_counter!(
        ARI_FRAMES_DROPPED,
        "Events of an Asterisk dropped because the queue was full"
    );
    describe_counter!(ARI_BAD_FRAMES, "Frames of an event socket that are no events");
    describe_counter!(
        ARI_CONNECT_ATTEMPTS,
        "Tries to open an event socket to an Asterisk"
    );
    describe_counter!(ARI_CONNECTS, "Event sockets opened to an Asterisk");
    describe_counter!(
        ARI_GAPS,
        "How often events of an Asterisk may have been missed: the queue was full, or the event socket lost"
    );
    describe_gauge!(
        ARI_QUEUE_FRAMES,
        "Events of an Asterisk that wait to be worked on"
    );
    describe_gauge!(LIVE_CALLS, "Calls placed that live");
    describe_gauge!(LIVE_CALLS_LIMIT, "How many calls may live at once");
    describe_counter!(ARI_REQUESTS, "Requests to place a call or to end one");
    describe_counter!(PAC_REQUESTS, "Requests to PAC");
    describe_counter!(RETRIES, "Reads repeated because PAC did not answer");
    describe_counter!(
        RETRY_BUDGET_EXHAUSTED,
        "Reads not repeated because too many had been"
    );
    describe_counter!(CDR_STORED, "Rows stored");
    describe_counter!(CDR_QUARANTINED, "Rows that make no sense and were set aside");
    describe_counter!(CDR_LOOKS, "Looks at a source of CDRs");
    describe_gauge!(
        CDR_LAG,
        Unit::Seconds,
        "How far the window is behind the source's clock"
    );
    describe_gauge!(LEDGER_UNWRITTEN, "States of calls that are not in the ledger yet");
    describe_counter!(
        LEDGER_LOST,
        "States of calls given up because the ledger was down for too long"
    );
    describe_counter!(
        AUDIT_LOST,
        "Refusals, and acts of operators, without a row of their own in the audit"
    );
    describe_counter!(HTTP_REQUESTS, "HTTP requests answered");
    describe_histogram!(HTTP_SECONDS, Unit::Seconds, "Time to answer an HTTP request");
    describe_gauge!(HTTP_CONNECTIONS, "Open connections to the HTTP server");
    describe_counter!(
        HTTP_CONNECTIONS_CUT,
        "Connections ended by the HTTP server, by reason"
    );
    describe_counter!(HTTP_MALFORMED, "HTTP requests that cannot be parsed");
    describe_gauge!(
        DRAIN_SECONDS,
        Unit::Seconds,
        "How long the gateway has been on its way out; 0 while it is not"
    );
    describe_counter!(
        TLS_HANDSHAKES_FAILED,
        "TLS handshakes that failed or took too long"
    );
    describe_gauge!(
        TLS_REFUSED,
        "Whether the certificate's files hold what cannot be used"
    );
}
