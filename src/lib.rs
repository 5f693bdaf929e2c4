//! The Mege API Gateway: one gateway between call-centre software and a company's PBXs.
//!
//! Each external resource is owned by one supervised actor, and the HTTP layer holds only handles to them:
//!
//! | actor | owns | folder |
//! |---|---|---|
//! | [`AriActor`](ari::AriActor) | one Asterisk: its REST connections and event socket | [`ari`] |
//! | [`PacActor`](pac::PacActor) | one 3CX: the gRPC channel to its PAC | [`pac`] |
//! | [`CollectorActor`](cdr::collector::CollectorActor) | the collection of one 3CX's CDRs | [`cdr::collector`] |
//! | [`RecordingActor`](recordings::RecordingActor) | the recordings of one 3CX in a directory | [`recordings`] |
//! | `CdrActor` | the CDR store | [`cdr`] |
//! | [`LedgerActor`](ledger::LedgerActor) | the ledger of calls | [`ledger`] |
//!
//! [`actor`] has what they have in common: supervision, permits, deadlines, health. [`integrations`] starts and stops
//! them, [`startup`] the whole.

pub mod actor;
pub mod ari;
pub mod call;
pub mod cdr;
pub mod cli;
pub mod command;
pub mod database;
pub mod http;
mod http_client;
pub mod integrations;
pub mod ledger;
pub mod load;
pub mod metric;
pub mod pac;
mod printable;
pub mod recordings;
mod service_manager;
pub mod settings;
pub mod simulator;
pub mod startup;
pub mod telemetry;
pub mod telephony;
mod words;
