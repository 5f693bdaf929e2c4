//! Every metric of the gateway, declared once. Labels never hold numbers or ids.
//!
//! A line of [`TABLE`] is the metric's kind, the function that records it with its labels in order, its name and its help.
//! The function gives the handle of its kind, so that neither another kind nor a missing label compiles, and a metric that
//! nothing records is dead code. A counter that an alert asks about has to be there before its first event: what begins at 1
//! has never increased. One without labels is from the start; one with labels is once `increment(0)` was recorded.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{PoisonError, RwLock};

use metrics::SharedString;

/// A metric as it is declared.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// As Prometheus has it.
    pub name: &'static str,
    /// What can be recorded of it.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub help: &'static str,
}

/// The kinds of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only ever rises.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How many values there were up to each of some bounds.
    Histogram,
}

macro_rules! handle {
    (Counter, $($key:tt)*) => { metrics::counter!($($key)*) };
    (Gauge, $($key:tt)*) => { metrics::gauge!($($key)*) };
    (Histogram, $($key:tt)*) => { metrics::histogram!($($key)*) };
}

macro_rules! table {
    ($($kind:ident $function:ident($($label:ident),*) = $name:literal, $help:literal;)*) => {
        /// All of them.
        pub const TABLE: &[Metric] = &[$(Metric {
            name: $name,
            kind: Kind::$kind,
            labels: &[$(stringify!($label)),*],
            help: $help,
        }),*];

        $(
            #[doc = $help]
            pub(crate) fn $function($($label: impl Into<SharedString>),*) -> metrics::$kind {
                handle!($kind, $name $(, stringify!($label) => $label)*)
            }
        )*
    };
}

table! {
    Counter actor_restarts(actor, reason) = "mege_actor_restarts_total", "Actors built again, by reason";
    // The log says where.
    Counter actor_panics(actor) = "mege_actor_panics_total", "Panics that were caught";
    Counter shed(actor, class, reason) = "mege_shed_total", "Requests refused before anything was begun";
    // The wait for a permit is not counted.
    Histogram ask_seconds(actor, operation) = "mege_ask_seconds", "Time from asking an actor to its reply";
    Counter deadlines_exceeded(actor, operation, begun) = "mege_deadlines_exceeded_total", "Requests whose deadline passed";
    Counter circuit_opened(actor, class) = "mege_circuit_opened_total", "Openings of circuit breakers";
    Gauge in_flight(actor, class) = "mege_in_flight", "Requests in flight";
    Gauge in_flight_limit(actor, class) = "mege_in_flight_limit", "The most requests in flight that there may be";
    Gauge waiting(actor, class) = "mege_waiting", "Requests that wait for one in flight to end";
    Gauge waiting_limit(actor, class) = "mege_waiting_limit", "The most requests that may wait";
    Gauge circuit_state(actor, class) = "mege_circuit_state", "The circuit breaker: 0 closed, 1 half-open, 2 open";
    Gauge actor_state(actor, state) = "mege_actor_state", "1 for the state that the actor is in";
    Gauge actor_usable(actor) = "mege_actor_usable", "Whether the actor can do its work";
    Gauge actor_paused(actor) = "mege_actor_paused", "Whether an operator has the actor paused";
    Gauge blocked_threads(actor) = "mege_actor_blocked_threads", "Threads left behind since something in them blocks";
    Counter ari_frames_dropped(actor) = "mege_ari_frames_dropped_total",
        "Events of an Asterisk dropped because the queue was full";
    Counter ari_bad_frames(actor) = "mege_ari_bad_frames_total", "Frames of an event socket that are no events";
    Counter ari_connect_attempts(actor) = "mege_ari_connect_attempts_total", "Tries to open an event socket to an Asterisk";
    Counter ari_connects(actor) = "mege_ari_connects_total", "Event sockets opened to an Asterisk";
    Counter ari_gaps(actor) = "mege_ari_gaps_total",
        "How often events of an Asterisk may have been missed: the queue was full, or the event socket lost";
    Gauge ari_queue_frames(actor) = "mege_ari_queue_frames", "Events of an Asterisk that wait to be worked on";
    Gauge live_calls(actor) = "mege_live_calls", "Calls placed that live";
    // The smaller of what others leave of its node's limit and of its trunk's.
    Gauge live_calls_limit(actor) = "mege_live_calls_limit", "How many calls may live at once";
    Counter ari_requests(actor, operation, outcome) = "mege_ari_requests_total", "Requests to place a call or to end one";
    Counter pac_requests(pac, operation, outcome) = "mege_pac_requests_total", "Requests to PAC";
    Counter retries(pac) = "mege_retries_total", "Reads repeated because PAC did not answer";
    Counter retry_budget_exhausted(pac) = "mege_retry_budget_exhausted_total",
        "Reads not repeated because too many had been";
    Counter cdr_stored(pbx, change) = "mege_cdr_stored_total", "Rows stored";
    Counter cdr_quarantined(pbx, reason) = "mege_cdr_quarantined_total", "Rows that make no sense and were set aside";
    Counter cdr_looks(pbx, kind, outcome) = "mege_cdr_looks_total", "Polls of a source of CDRs";
    Gauge cdr_lag(pbx) = "mege_cdr_lag_seconds", "How far the window is behind the source's clock";
    Gauge ledger_unwritten() = "mege_ledger_unwritten", "States of calls that are not in the ledger yet";
    Counter ledger_lost() = "mege_ledger_lost_total", "States of calls given up because the ledger was down for too long";
    // Too many at once, or the ledger took none.
    Counter audit_lost() = "mege_audit_lost_total",
        "Refusals, and acts of operators, without a row of their own in the audit";
    Counter http_requests(route, method, status) = "mege_http_requests_total", "HTTP requests answered";
    Histogram http_seconds(route) = "mege_http_seconds", "Time to answer an HTTP request";
    Gauge http_connections() = "mege_http_connections", "Open connections to the HTTP server";
    Counter http_connections_cut(reason) = "mege_http_connections_cut_total",
        "Connections ended by the HTTP server, by reason";
    // Or whose head is too large.
    Counter http_malformed() = "mege_http_malformed_total", "HTTP requests that cannot be parsed";
    Gauge drain_seconds() = "mege_drain_seconds", "How long the gateway has been on its way out; 0 while it is not";
    Counter tls_handshakes_failed() = "mege_tls_handshakes_failed_total", "TLS handshakes that failed or took too long";
    Gauge tls_refused() = "mege_tls_certificate_refused", "Whether the certificate's files hold what cannot be used";
}

/// Tells the recorder what each metric means.
pub(crate) fn describe() {
    for Metric {
        name,
        kind,
        labels,
        help,
    } in TABLE
    {
        match kind {
            Kind::Counter => metrics::describe_counter!(*name, *help),
            Kind::Gauge => metrics::describe_gauge!(*name, *help),
            Kind::Histogram => metrics::describe_histogram!(*name, *help),
        }
        if *kind == Kind::Counter && labels.is_empty() {
            metrics::counter!(*name).increment(0);
        }
    }
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
