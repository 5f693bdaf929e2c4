//! The simulated 3CX: PAC's services over gRPC, and the database rows behind them.

mod call_service;
mod clock;
mod connection;
mod core;
mod database;
mod faults;
mod format;
mod functions;
mod instead;
mod live;
mod make_call;
mod server;
mod sql_service;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use uuid::Uuid;

pub(super) use self::core::Core;
pub use faults::{PacFault, PacOperation, RequestCount};
pub(super) use live::OngoingCall;
pub(super) use server::Server;

use super::plan::HowOften;
use super::rows::Row;
use crate::cdr::{Cdr, Recording};

/// The simulated 3CX and its PAC, for tests: its rows, its clock, its faults.
#[derive(Debug, Clone)]
pub struct SimulatedPbx {
    core: Arc<Core>,
    server: Arc<Server>,
}

impl SimulatedPbx {
    pub(super) fn new(core: Arc<Core>, server: Server) -> Self {
        let server = Arc::new(server);
        Self { core, server }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Closes PAC's listener and all connections; calls go on.
    ///
    /// # Cancel safety
    /// It stops all the same, a little later.
    pub async fn stop_listening(&self) {
        self.server.stop().await;
    }

    /// Has PAC listen again, on the same port.
    ///
    /// # Errors
    /// When the port was taken meanwhile.
    pub fn listen_again(&self) -> io::Result<()> {
        self.server.restart()
    }

    /// Has every connection say GOAWAY: what is under way on it is answered, then it ends; what comes next needs another,
    /// which there is at once. Nothing is said to the clients otherwise.
    ///
    /// # Errors
    /// When the listener cannot be had twice.
    pub fn go_away(&self) -> io::Result<()> {
        self.server.go_away()
    }

    /// The database's `now()`.
    pub fn now(&self) -> Timestamp {
        self.core.now()
    }

    /// Sets the clock, which stands still from now on.
    pub fn set_clock(&self, now: Timestamp) {
        self.core.clock.set(now);
    }

    /// The legs that can be read, by their ids.
    ///
    /// # Errors
    /// SQLite's.
    pub fn cdrs(&self) -> rusqlite::Result<Vec<Cdr>> {
        self.core.database.cdrs()
    }

    /// The recordings that can be read, by their ids.
    ///
    /// # Errors
    /// SQLite's.
    pub fn recordings(&self) -> rusqlite::Result<Vec<Recording>> {
        self.core.database.recordings()
    }

    /// Stores a leg, or stores it anew.
    ///
    /// # Errors
    /// SQLite's.
    pub fn insert_cdr(&self, row: &Cdr) -> rusqlite::Result<()> {
        self.core.database.put_cdr(row)
    }

    /// Stores a recording, or stores it anew.
    ///
    /// # Errors
    /// SQLite's.
    pub fn insert_recording(&self, row: &Recording) -> rusqlite::Result<()> {
        self.core.database.put_recording(row)
    }

    /// Stores a row of either table.
    ///
    /// # Errors
    /// SQLite's.
    pub fn insert(&self, row: &Row) -> rusqlite::Result<()> {
        match row {
            Row::Cdr(row) => self.insert_cdr(row),
            Row::Recording(row) => self.insert_recording(row),
        }
    }

    /// Deletes a leg and its recordings; whether it was there.
    ///
    /// # Errors
    /// SQLite's.
    pub fn delete_cdr(&self, cdr_id: Uuid) -> rusqlite::Result<bool> {
        self.core.database.delete_cdr(cdr_id)
    }

    /// Deletes a recording; whether it was there.
    ///
    /// # Errors
    /// SQLite's.
    pub fn delete_recording(&self, id_recording: i64) -> rusqlite::Result<bool> {
        self.core.database.delete_recording(id_recording)
    }

    /// Makes requests of one kind go wrong, instead of what was planned for that kind before.
    pub fn fail(&self, operation: PacOperation, fault: PacFault, often: HowOften) {
        self.core.faults.plan(operation, fault, often);
    }

    /// Lets everything go right again. What hangs already goes on hanging.
    pub fn clear_faults(&self) {
        self.core.faults.clear();
    }

    /// How many bytes of oversized replies were sent, all in all: few where the client refused them early.
    pub fn oversized_bytes(&self) -> u64 {
        self.core.faults.oversized.load(Ordering::Relaxed)
    }

    /// How many requests of one kind there were.
    pub fn requests(&self, operation: PacOperation) -> RequestCount {
        self.core.faults.count(operation)
    }
}
