//! The Mege API Gateway.

pub mod actor;
pub mod ari;
pub mod cdr;
mod database;
pub mod ledger;
pub mod pac;
pub mod settings;
pub mod simulator;
pub mod telephony;
